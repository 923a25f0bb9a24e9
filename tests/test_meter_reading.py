import numpy as np

from models.meter.reading import fraction_places, to_reading
from models.meter_digits.predictor import DigitDecoding, StripDigit

DECODING = DigitDecoding(readable=0.5, sure=0.8)


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
    reading = to_reading(places("00378547", fraction=3), DECODING)
    assert (reading.text, reading.fraction_digits, reading.reason) == ("00378.547", 3, "")
    assert to_reading(places("0123"), DECODING).text == "0123"


def test_an_unreadable_or_unsure_place_is_reported():
    digits = places("1234", fraction=1)
    digits[1] = changed(digits[1], confidence=0.4)
    reading = to_reading(digits, DECODING)
    assert reading.text == "1x3.4" and reading.reason == "cannot read place 2 of 4" and reading.confidence == 0.4
    digits[1] = changed(digits[1], confidence=0.7)
    reading = to_reading(digits, DECODING)
    assert reading.text == "123.4" and reading.reason == "not sure of place 2 of 4" and reading.confidence == 0.7


def test_a_gap_is_a_place_that_was_not_seen():
    reading = to_reading(places("12 45"), DECODING)
    assert reading.text == "12x45" and "place 3 of 5" in reading.reason


def test_a_counter_is_full_of_wheels():
    seen = places("0123")  # middles at 7, 27, 47 and 67
    assert to_reading(seen, DECODING, (0, 75)).text == "0123"
    assert to_reading(seen, DECODING, (0, 95)).text == "0123x" and to_reading(seen, DECODING, (-20, 75)).text == "x0123"
    assert to_reading(seen, DECODING, (0, 84)).text == "0123x"  # corners that cut into the last wheel
    assert to_reading(seen, DECODING, (-9, 75)).text == "0123"  # a frame
    assert to_reading(seen, DECODING).text == "0123"  # an LCD


def test_distances_grow_along_a_display_seen_at_an_angle():
    middles = np.cumsum([0, 26, 24, 22, 20, 18, 16])
    seen = [changed(digit, box=(x - 5, 8, x + 5, 40)) for digit, x in zip(places("0123456"), middles, strict=True)]
    counter = (-13, 134)
    assert to_reading(seen, DECODING, counter).text == "0123456"
    del seen[5]
    assert to_reading(seen, DECODING, counter).text == "01234x6"
    assert to_reading(seen, DECODING).text == "012346"  # an LCD's point takes room too


def test_too_few_places_are_no_reading():
    assert to_reading([], DECODING).reason == "no digits seen"
    assert to_reading(places("12"), DECODING).reason == "only 2 digits seen"


def test_the_fraction_is_the_likeliest_end():
    assert fraction_places([0.0, 0.1, 0.0, 0.9, 0.4, 1.0])[0] == 3
    count, confidence = fraction_places([0.0, 0.0, 0.0, 1.0])
    assert count == 1 and confidence > 0.99
    assert fraction_places([0.0, 0.9, 0.0, 0.0])[0] == 0
    assert fraction_places([]) == (0, 0.0)


def test_a_point_that_may_stand_in_two_places_is_not_trusted():
    digits = places("1234", fraction=1)
    digits[2] = changed(digits[2], fraction=0.45)
    reading = to_reading(digits, DECODING)
    assert reading.text == "123.4" and "decimal point" in reading.reason and 0.5 < reading.confidence < 0.6
