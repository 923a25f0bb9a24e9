"""Jamo of Hangul syllables."""

import unicodedata

import numpy as np

from models.text_recognition.hangul import JAMO, jamo_parts


def test_all_syllables_are_distinguished_by_their_jamo():
    syllables = [chr(code) for code in range(0xAC00, 0xD7A4)]
    parts = jamo_parts(syllables)
    assert len(np.unique(parts, axis=0)) == len(syllables) == 11_172
    assert parts[:, :2].min() == 1 and parts.max() == JAMO
    for syllable, row in list(zip(syllables, parts, strict=True))[::97]:
        assert len(unicodedata.normalize("NFD", syllable)) == np.count_nonzero(row)


def test_others_have_none():
    assert not jamo_parts(["", "A", "ㄱ", "韓", " "]).any()
