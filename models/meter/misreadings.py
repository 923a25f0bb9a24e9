"""What else a reading's digits may have been: places filled in, one digit misread, one wheel read as it rolled.

Digits are those of all places, without the point; "x" is a place that was not read. Spans are pairs of numbers (lowest,
highest), both included: what the counter may show.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

# Digits taken for one another: one segment apart on seven-segment displays, or alike in print when dirty or half seen.
CONFUSABLE = frozenset(
    frozenset(pair) for pair in ("08", "17", "39", "56", "59", "68", "89", "06", "09", "27", "35", "38", "49", "14")
)


def fills(digits: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """Digits with each x filled so that the number lies in one of the spans, the first two of them.

    >>> fills("1x3", [(110, 135)])
    ['113', '123']
    """
    return list(islice((text for low, high in spans for text in _filled(digits, low, high)), 2))


def only_meant(digits: str, spans: Sequence[tuple[int, int]]) -> str | None:
    """Return the only number in the spans that differs by one digit or one wheel (see `rolled`), if it is easily
    misread so.

    Any other digit in any place counts against a second one, but only `CONFUSABLE` digits and rolling wheels are
    likely misreadings. Of a reading with one wrong digit, this is the truth or None, where the truth is in the spans.

    >>> only_meant("18345", [(10300, 10400)])
    '10345'
    """
    possible: dict[str, bool] = {}
    for at, read in enumerate(digits):
        for meant in "0123456789".replace(read, ""):
            possible[digits[:at] + meant + digits[at + 1 :]] = frozenset((read, meant)) in CONFUSABLE
    possible.update((text, True) for text in rolled(digits))
    fitting = [text for text in possible if any(low <= int(text) <= high for low, high in spans)]
    return fitting[0] if len(fitting) == 1 and possible[fitting[0]] else None


def rolled(digits: str) -> Iterator[str]:
    """Yield the numbers that were meant if one wheel was read one off while it turned to its next digit.

    A wheel turns only while the wheel to its right goes from 9 to 0: read too early, it is one too high beside a 9; too
    late, one too low beside a 0. Wheels to its left that carry turn with it. The last wheel is always turning.

    >>> list(rolled("2095"))
    ['3095', '1995', '2094', '2096']
    """
    for at in range(len(digits)):
        right = digits[at + 1 : at + 2]
        for slip in {"9": (-1,), "0": (1,), "": (-1, 1)}.get(right, ()):
            value = int(digits) + slip * 10 ** (len(digits) - 1 - at)
            if 0 <= value < 10 ** len(digits):
                yield str(value).zfill(len(digits))


def _filled(digits: str, low: int, high: int, start: str = "") -> Iterator[str]:
    left = 10 ** len(digits)
    value = int(start or "0") * left
    if value > high or value + left - 1 < low:
        return
    if not digits:
        yield start
        return
    for digit in "0123456789" if digits[0] == "x" else digits[0]:
        yield from _filled(digits[1:], low, high, start + digit)
