import pytest

from models.meter.digits import StripDigit
from models.meter.reading import fraction_places, to_reading


def places(text: str, *, fraction: int = 0, pitch: float = 20.0, **changes: StripDigit) -> list[StripDigit]:
    """Sure places of a counter; a blank in `text` is a place that was not seen."""
    return [
        StripDigit(c, 0.99, float(n >= len(text) - fraction), float(c), 1.0, (n * pitch, 8, n * pitch + 14, 40))
        for n, c in enumerate(text)
        if c != " "
    ]


def changed(digit: StripDigit, **fields) -> StripDigit:
    from dataclasses import replace

    return replace(digit, **fields)


def test_digits_with_their_point():
    reading = to_reading(places("00378547", fraction=3), 0.8, wheels=True)
    assert (reading.text, reading.fraction_digits, reading.reason) == ("00378.547", 3, "")
    assert to_reading(places("0123"), 0.8, wheels=True).text == "0123"


def test_an_unsure_place_is_unreadable_and_says_where():
    digits = places("1234", fraction=1)
    digits[1] = changed(digits[1], confidence=0.4)
    reading = to_reading(digits, 0.8, wheels=True)
    assert reading.text == "1x3.4" and reading.reason == "cannot read place 2 of 4" and reading.confidence == 0.4


def test_a_gap_is_a_place_that_was_not_seen():
    reading = to_reading(places("12 45"), 0.8, wheels=True)
    assert reading.text == "12x45" and "place 3 of 5" in reading.reason


@pytest.mark.parametrize(
    ("position", "read", "right", "expected"),
    [
        (3.6, "4", "9", "3"),  # its neighbour has not passed 0 yet: the lower digit
        (3.6, "3", "0", "4"),
        (3.6, "3", "8", "3"),
        (9.5, "0", "9", "9"),
        (9.5, "9", "1", "0"),
        (3.05, "3", "0", "3"),  # not between two digits
        (3.6, "7", "9", "7"),  # the position speaks of other digits
    ],
)
def test_a_wheel_between_two_digits_is_read_by_its_neighbour(position, read, right, expected):
    digits = places(f"1{read}{right}")
    digits[1] = changed(digits[1], position=position)
    assert to_reading(digits, 0.8, wheels=True).text == f"1{expected}{right}"
    assert to_reading(digits, 0.8, wheels=False).text == f"1{read}{right}"
    digits[1] = changed(digits[1], firmness=0.2)
    assert to_reading(digits, 0.8, wheels=True).text == f"1{read}{right}"


def test_turning_wheels_carry_from_right_to_left():
    digits = places("1099")
    digits = [changed(d, position=p) for d, p in zip(digits, (1.0, 0.6, 9.6, 9.7), strict=True)]
    digits[1] = changed(digits[1], character="1")
    assert to_reading(digits, 0.8, wheels=True).text == "1099"


def test_too_few_places_are_no_reading():
    assert to_reading([], 0.8, wheels=True).reason == "no digits seen"
    assert to_reading(places("12"), 0.8, wheels=True).reason == "only 2 digits seen"


def test_the_fraction_is_the_likeliest_end():
    assert fraction_places([0.0, 0.1, 0.0, 0.9, 0.4, 1.0]) == 3
    assert fraction_places([0.0, 0.9, 0.0, 0.0]) == 0
    assert fraction_places([]) == 0
