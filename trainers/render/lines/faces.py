"""Which face a line is set in: one that has ink of its own for every character."""

import random
from functools import cache, lru_cache
from typing import cast

import numpy as np

from trainers.render.fonts import STYLES, Face, FontSet

_UNKNOWN, _DRAWN, _LACKING = 0, 1, 2
_TRIES = 6
_KOREAN_FACE_SHARE = 0.55  # Korean papers set figures and Latin letters in their Korean face more often than not


@cache
def _seen(face: Face) -> np.ndarray:
    """Return the cached knowledge of the face's glyphs, (65536,) uint8."""
    return np.zeros(65536, dtype=np.uint8)


def _glyph(face: Face, char: str) -> tuple[tuple[int, int], bytes]:
    mask = face.at(24).pil.getmask(char)
    return mask.size, bytes(cast(bytes, mask))  # Pillow does not declare its buffer


@cache
def _empty_box(face: Face) -> tuple[tuple[int, int], bytes]:
    return _glyph(face, "\uffff")  # a character that no font has


@cache
def _has_two_cases(face: Face) -> bool:
    """Return whether small letters are small: `l` and `g` extend above and below `e`. They do not in faces with only
    capitals, small capitals or dingbats, which would contradict a label."""
    (_, top, _, bottom), (*_, g_bottom), (_, l_top, _, _) = (face.at(48).pil.getbbox(c, anchor="ls") for c in "egl")
    return g_bottom > bottom + 2 and l_top < top - 2


def _drawn(face: Face, char: str) -> bool:
    """Return whether the face's glyph for `char` is neither blank nor the empty box, nor that of another character:
    dingbats and capitals for letters, or (a Korean custom) a won sign for the backslash."""
    if not face.covered[ord(char)] or not (face.hangul or _has_two_cases(face)):
        return False
    if char == " ":
        return True
    glyph = _glyph(face, char)
    if not any(glyph[1]) or glyph == _empty_box(face):
        return False
    return char != "\\" or not face.covered[ord("₩")] or glyph != _glyph(face, "₩")


def drawable(face: Face, text: str) -> bool:
    """Return whether `face` draws every character of `text` as itself."""
    if any(c > "\uffff" for c in text):
        return False
    seen = _seen(face)
    for char in text:
        code = ord(char)
        if seen[code] == _UNKNOWN:
            seen[code] = _DRAWN if _drawn(face, char) else _LACKING
        if seen[code] == _LACKING:
            return False
    return True


@lru_cache(maxsize=8)
def kindred_families(fonts: FontSet) -> frozenset[str]:
    """Training families that are a variant of a validation family by name ("NanumSquare_ac" of "NanumSquare"): the
    glyphs are the same, so training lines do without them."""

    def variant(name: str, of: str) -> bool:
        return name.startswith((f"{of} ", f"{of}_"))

    train, held_out = ({face.family for face in fonts.split(s)} for s in ("train", "validation"))
    return frozenset(t for t in train if any(variant(t, v) or variant(v, t) for v in held_out))


def choose_face(
    rng: random.Random,
    fonts: FontSet,
    split: str,
    text: str,
    styles: tuple[str, ...] = STYLES,
    bold: bool | None = None,
) -> Face | None:
    """Return a random face of the split that draws all of `text`; None if a few attempts find none.

    Raises:
        FontsMissingError: the split has no face of the text's script.
    """
    hangul = any("\u1100" <= c <= "\u11ff" or "\u3130" <= c <= "\u318f" or "\uac00" <= c <= "\ud7a3" for c in text)
    excluded = kindred_families(fonts) if split == "train" else ()
    for _ in range(_TRIES):
        script = "hangul" if hangul or rng.random() < _KOREAN_FACE_SHARE else "latin"
        face = fonts.choose(rng, split, script, styles, bold)
        if face.family not in excluded and drawable(face, text):
            return face
    return None
