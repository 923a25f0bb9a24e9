"""The ten digits of a counter's wheel as one tape: set in a font, or drawn in strokes as counters have them.

Stroke glyphs come in families (combinations of how a 1, 3, 4, 6 … is built); a family belongs to one split, as those
of fonts do.
"""

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image, ImageDraw

from trainers.render.canvas import Desk
from trainers.render.fonts import Face, FontSet
from trainers.render.lines.faces import drawable
from trainers.render.page import Split

DIGITS = "0123456789"
_OVER = 3  # strokes are drawn this many times larger than they end up

Stroke = np.ndarray  # (n, 2) points, x to the right and y down, the glyph's box being 0 … 1 both ways


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float, square: float) -> Stroke:
    """Part of a superellipse, `square` its exponent, 2 an ellipse; degrees run clockwise from the right."""
    t = np.radians(np.linspace(start, end, max(4, round(abs(end - start) / 9))))
    x, y = np.cos(t), np.sin(t)
    power = 2 / square
    return np.column_stack(
        [cx + rx * np.sign(x) * np.abs(x) ** power, cy + ry * np.sign(y) * np.abs(y) ** power]
    )  # fmt: skip


@dataclass(frozen=True)
class StrokeFamily:
    """How the digits are built."""

    one: int  # 0 bare, 1 flagged, 2 flagged and on a foot
    three: int  # 0 two bows, 1 flat top
    four: int  # 0 closed, 1 open
    six: int  # 0 bent stem, 1 straight stem
    seven: int  # 0 straight, 1 bent
    square: float  # exponent of the bows

    def held_out(self) -> bool:
        """Return whether the face is held out for validation: one in six is."""
        return (self.one + 2 * self.three + 3 * self.four + self.six + 4 * self.seven + round(4 * self.square)) % 6 == 0

    def strokes(self, digit: int) -> list[Stroke]:
        s = self.square
        if digit == 0:
            return [_arc(0.5, 0.5, 0.5, 0.5, 0, 360, s)]
        if digit == 1:
            stem = [np.array([[0.58, 0], [0.58, 1]])]
            flag = [np.array([[0.2, 0.26], [0.58, 0]])] if self.one else []
            return stem + flag + ([np.array([[0.25, 1], [0.9, 1]])] if self.one == 2 else [])
        if digit == 2:
            top = _arc(0.5, 0.29, 0.48, 0.29, 190, 380, s)
            return [np.concatenate([top, [[0.02, 1], [1, 1]]])]
        if digit == 3:
            low = _arc(0.48, 0.7, 0.5, 0.3, -80, 155, s)
            if self.three:
                return [np.concatenate([[[0.05, 0], [0.95, 0], [0.45, 0.4]], low])]
            return [_arc(0.48, 0.22, 0.44, 0.22, 200, 440, s), low]
        if digit == 4:
            if self.four:
                return [np.array([[0.42, 0], [0.02, 0.7], [1, 0.7]]), np.array([[0.74, 0.4], [0.74, 1]])]
            return [np.array([[0.76, 1], [0.76, 0], [0, 0.72], [1, 0.72]])]
        if digit == 5:
            bow = _arc(0.46, 0.68, 0.52, 0.32, -125, 145, s)
            return [np.concatenate([[[0.92, 0], [0.12, 0], [0.07, 0.44]], bow])]
        if digit in (6, 9):
            bow = _arc(0.5, 0.69, 0.5, 0.31, 0, 360, s)
            stem = np.array([[0.72, 0], [0.06, 0.56]]) if self.six else _arc(0.62, 0.62, 0.62, 0.62, 180, 292, 2)
            strokes = [bow, stem]
            return strokes if digit == 6 else [1 - part for part in strokes]
        if digit == 7:
            leg = _arc(1.0, 1.0, 0.66, 1.0, 268, 180, 2) if self.seven else np.array([[1, 0], [0.32, 1]])
            return [np.concatenate([[[0, 0], [1, 0]], leg])]
        return [_arc(0.5, 0.235, 0.43, 0.235, 0, 360, s), _arc(0.5, 0.72, 0.5, 0.28, 0, 360, s)]


@lru_cache(maxsize=2)
def _families(split: str) -> list[StrokeFamily]:
    every = [
        StrokeFamily(one, three, four, six, seven, square)
        for one in range(3) for three in range(2) for four in range(2) for six in range(2) for seven in range(2)
        for square in (2.0, 2.5, 3.5)
    ]  # fmt: skip
    return [family for family in every if family.held_out() == (split == "validation")]


def _lining(face: Face) -> bool:
    """Return whether the face's digits differ, stand on the line and are of equal height, as on counters; old-style
    figures are not."""
    font = face.at(48).pil
    boxes = [font.getbbox(digit, anchor="ls") for digit in DIGITS]
    tops, bottoms = [box[1] for box in boxes], [box[3] for box in boxes]
    different = len({bytes(cast(bytes, font.getmask(digit))) for digit in DIGITS}) == len(DIGITS)
    return different and max(tops) - min(tops) <= 5 and max(bottoms) - min(bottoms) <= 5


@lru_cache(maxsize=8)
def digit_faces(fonts: FontSet, split: Split) -> list[list[Face]]:
    """Return the faces suitable for a counter's digits, by family."""
    families: dict[str, list[Face]] = {}
    for face in fonts.split(split):
        plain = face.style in ("sans", "mono") and not face.italic
        if plain and drawable(face, DIGITS) and _lining(face):
            families.setdefault(face.family, []).append(face)
    return list(families.values())


def draw_tape(desk: Desk, width: int, height: int, pitch: int) -> np.ndarray:
    """Return the digits 0 … 9 one below the other, all in one face: coverage float32 (10 · pitch, width), 0 … 1.

    Digit d stands in the middle of the rows d · pitch … (d + 1) · pitch, `height` px tall and at most `width` wide."""
    families = digit_faces(desk.fonts, desk.split)
    if families and desk.rng.random() < 0.55:
        tape = _set_tape(desk.rng, desk.rng.choice(desk.rng.choice(families)), width, height, pitch)
    else:
        tape = _stroke_tape(desk, width, height, pitch)
    return np.asarray(tape, dtype=np.float32) / 255


def _set_tape(rng: random.Random, face: Face, width: int, height: int, pitch: int) -> Image.Image:
    size = 12 * max(2, round(1.6 * height / 0.72 / 12))  # few sizes: loaded fonts are kept
    font = face.at(size).pil
    boxes = [font.getbbox(digit, anchor="ms") for digit in DIGITS]
    tall = max(1, max(box[3] for box in boxes) - min(box[1] for box in boxes))
    wide = max(8, max(max(-box[0], box[2]) for box in boxes) * 2 + 2)
    baseline = (pitch / height * tall - tall) / 2 - min(box[1] for box in boxes)
    tape = Image.new("L", (int(wide), round(10 * pitch / height * tall)))
    draw = ImageDraw.Draw(tape)
    for i, digit in enumerate(DIGITS):
        draw.text((wide / 2, i * pitch / height * tall + baseline), digit, fill=255, font=font, anchor="ms")
    # Counters' digits are mostly narrow: a face's own width is only the upper bound.
    natural = wide * height / tall
    target = min(width, round(natural * rng.uniform(0.72, 1.05)))
    tape = tape.resize((max(4, target), 10 * pitch), Image.Resampling.BILINEAR)
    out = Image.new("L", (width, 10 * pitch))
    out.paste(tape, ((width - tape.width) // 2, 0))
    return out


def _stroke_tape(desk: Desk, width: int, height: int, pitch: int) -> Image.Image:
    rng = desk.rng
    family = rng.choice(_families(desk.split))
    weight = height * rng.triangular(0.07, 0.21, 0.12)
    wide = min(width - weight - 1, height * rng.uniform(0.4, 0.62))
    tape = Image.new("L", (width * _OVER, 10 * pitch * _OVER))
    draw = ImageDraw.Draw(tape)
    pen, round_ends = weight * _OVER, rng.random() < 0.6
    for digit in range(10):
        left, top = (width - wide) / 2, digit * pitch + (pitch - height + weight) / 2
        for stroke in family.strokes(digit):
            points = (stroke * (wide, height - weight) + (left, top)) * _OVER
            draw.line(points.ravel().tolist(), fill=255, width=max(1, round(pen)))
            for x, y in points[_corners(points, round_ends)].tolist():
                draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return tape.resize((width, 10 * pitch), Image.Resampling.BOX)


def _corners(points: np.ndarray, ends: bool) -> np.ndarray:
    """Return where a stroke turns sharply, bool (n,), and its ends if requested: the pen's round tip shows there."""
    steps = np.diff(points, axis=0)
    cross = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    turn = np.abs(np.arctan2(cross, (steps[:-1] * steps[1:]).sum(axis=1)))
    return np.concatenate([[ends], turn > 0.3, [ends]])
