"""Hangul syllables and the jamo they are made of (Unicode 16, section 3.12)."""

from collections.abc import Sequence

import numpy as np

_FIRST, _LAST = 0xAC00, 0xD7A3
INITIALS, MEDIALS, FINALS = 19, 21, 27
JAMO = INITIALS + MEDIALS + FINALS  # a final consonant is another part than the same consonant as an initial


def jamo_parts(characters: Sequence[str]) -> np.ndarray:
    """Return the jamo of each character: int64 [characters, 3], initial, medial and final as numbers 1..`JAMO`; 0 for
    none.

    >>> jamo_parts(["가", "각", "A"]).tolist()
    [[1, 20, 0], [1, 20, 41], [0, 0, 0]]
    """
    parts = np.zeros((len(characters), 3), np.int64)
    for row, character in zip(parts, characters, strict=True):
        if len(character) == 1 and _FIRST <= ord(character) <= _LAST:
            rest, final = divmod(ord(character) - _FIRST, FINALS + 1)
            initial, medial = divmod(rest, MEDIALS)
            row[:] = 1 + initial, 1 + INITIALS + medial, final and INITIALS + MEDIALS + final
    return parts
