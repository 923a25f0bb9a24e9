"""A line of text as coverage masks: set with its spacing, among pieces of its neighbours, bent as paper and cameras
bend it."""

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from trainers.render.fonts import Font

_STRIPS = 10  # of the mesh that bends a line: enough for one wave


@dataclass(frozen=True)
class SetLine:
    """`mask` is "L", tight in neither direction; the text's ink lies in `box` (x0, y0, x1, y1 px), its baseline at
    `baseline`; `breaks` are the x at which words begin."""

    mask: Image.Image
    box: tuple[int, int, int, int]
    baseline: int
    breaks: list[int]


def set_text(text: str, font: Font, letter_space: float = 0.0, word_space: float = 1.0, stroke: int = 0) -> SetLine:
    """Set `text` with `letter_space` px added after each character, spaces `word_space` times as wide, and strokes
    `stroke` px fatter on each side."""
    space = max(font.width(" ") * word_space, 0.2 * font.size)  # narrower ones no longer part words
    pad = 4 + stroke + round(font.size * 0.4)
    pen, pieces = float(pad), []
    if letter_space:
        for char in text:
            if char != " ":
                pieces.append((pen, char))
            pen += (space if char == " " else font.width(char)) + letter_space
    else:
        words = text.split(" ")
        for i, word in enumerate(words):
            if word:
                pieces.append((pen, word))
                pen += font.width(word)
            pen += space if i < len(words) - 1 else 0
    height, baseline = round(font.size * 2.2) + 2 * stroke, round(font.size * 1.45) + stroke
    mask = Image.new("L", (round(pen) + pad, height))
    draw = ImageDraw.Draw(mask)
    for x, piece in pieces:
        draw.text((x, baseline), piece, fill=255, font=font.pil, anchor="ls", stroke_width=stroke)
    breaks = [round(x) for (x, _), first in zip(pieces, _firsts(text, bool(letter_space)), strict=True) if first]
    return SetLine(mask, mask.getbbox() or (pad, 0, pad + 1, height), baseline, breaks)


def _firsts(text: str, by_character: bool) -> list[bool]:
    """For each piece whether a word begins with it."""
    if not by_character:
        return [True for word in text.split(" ") if word]
    return [i == 0 or text[i - 1] == " " for i, char in enumerate(text) if char != " "]


def printed(line: SetLine, scale: float) -> SetLine:
    """Return the line as printed with few dots: black or white at `scale` times its size, scaled back."""
    mask = line.mask
    small = mask.resize((max(1, round(mask.width * scale)), max(1, round(mask.height * scale))), Image.Resampling.BOX)
    dots = small.point([0] * 75 + [255] * 181)  # low enough that hairlines print
    return SetLine(dots.resize(mask.size, Image.Resampling.BILINEAR), line.box, line.baseline, line.breaks)


def stretched(line: SetLine, factor: float) -> SetLine:
    """`factor` times as wide."""
    mask = line.mask.resize((max(1, round(line.mask.width * factor)), line.mask.height), Image.Resampling.BICUBIC)
    x0, y0, x1, y1 = line.box
    box = (int(x0 * factor), y0, int(np.ceil(x1 * factor)), y1)
    return SetLine(mask, box, line.baseline, [round(x * factor) for x in line.breaks])


def thicken(mask: Image.Image, strength: float) -> Image.Image:
    """Ink that has spread (`strength` > 0, up to 1) or shrunk (< 0, down to -1) by up to a pixel."""
    other = mask.filter(ImageFilter.MaxFilter(3) if strength > 0 else ImageFilter.MinFilter(3))
    return Image.blend(mask, other, min(1.0, abs(strength)))


@dataclass(frozen=True)
class Bend:
    """How the place of each pixel moves. All are fractions of the line's height, but `slant` (px across per px up).

    `rise`: from the left end to the right one; `wave`: a bow or an S; `taper`: the right end taller than the left."""

    rise: float = 0.0
    wave: float = 0.0
    periods: float = 0.5
    taper: float = 0.0
    slant: float = 0.0


def draw_bend(rng: random.Random, length: float, strength: float) -> Bend | None:
    """Return a bend for a line `length` heights long; None (no bend) more often the lower `strength` (0 to 1)."""
    if rng.random() > strength:
        return None
    rise = max(-0.3, min(0.3, rng.gauss(0, 0.012) * length))
    wave = rng.gauss(0, 0.06) if rng.random() < 0.35 and length > 3 else 0.0
    taper = max(-0.25, min(0.25, rng.gauss(0, 0.07))) if rng.random() < 0.4 else 0.0
    slant = rng.gauss(0, 0.06) if rng.random() < 0.85 else rng.uniform(0.1, 0.25)
    return Bend(rise, max(-0.15, min(0.15, wave)), rng.choice((0.5, 0.5, 1.0)), taper, slant)


def bent(layers: list[Image.Image], bend: Bend, height: float) -> list[Image.Image]:
    """Return the "L" layers, all of one size, displaced by `bend`, whose fractions are of `height` px. The size
    stays."""
    width, tall = layers[0].size
    xs = np.linspace(0, width, _STRIPS + 1)
    t = xs / width
    wave = np.sin(2 * np.pi * bend.periods * t)
    shift = height * (bend.rise * (t - 0.5) + bend.wave * (wave - wave.mean()))
    zoom = 1 - bend.taper * (t - 0.5)
    tops, bottoms = tall / 2 - zoom * tall / 2 + shift, tall / 2 + zoom * tall / 2 + shift
    lean = bend.slant * tall / 2
    mesh = []
    for i in range(_STRIPS):
        (x0, x1), j = xs[i : i + 2].tolist(), i + 1
        if round(x0) == round(x1):  # a full stop alone is narrower than there are strips
            continue
        quad = (x0 - lean, tops[i], x0 + lean, bottoms[i], x1 + lean, bottoms[j], x1 - lean, tops[j])
        mesh.append(((round(x0), 0, round(x1), tall), tuple(map(float, quad))))
    return [
        layer.transform(layer.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC) if layer.getbbox() else layer
        for layer in layers
    ]


def merged(mask: Image.Image, other: Image.Image, at: tuple[int, int]) -> Image.Image:
    """`mask` with `other` laid over it at (x, y), cut at the edges."""
    layer = Image.new("L", mask.size)
    layer.paste(other, at)
    return ImageChops.lighter(mask, layer)
