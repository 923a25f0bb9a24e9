"""What a line stands on, and colours that tell text from it."""

import random

import numpy as np
from PIL import Image, ImageChops

from trainers.render.canvas import Colour
from trainers.render.marks import picture, random_array

_LEAST_CONTRAST = 105  # of luminance, 0 to 255
_LOW_CONTRAST = (55, 90)


def luminance(colour: Colour) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _any(rng: random.Random) -> Colour:
    return (rng.randint(0, 255), rng.randint(0, 255), rng.randint(0, 255))


def _grey(level: int) -> Colour:
    return (level, level, level)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    r, g, b = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return (r, g, b)


def ink_for(rng: random.Random, paper: Colour, low: bool = False) -> Colour:
    """Return an ink for `paper`: mostly black, white or grey, else coloured; `low`: barely legible."""
    light = luminance(paper)
    least, most = _LOW_CONTRAST if low else (_LEAST_CONTRAST, 255)
    for _ in range(40):
        form = rng.random()
        if form < 0.45 and not low:
            ink = _grey(rng.choice((0, 0, 17, 34, 51, 68, 255, 255)))
        elif form < 0.65:
            ink = _grey(rng.randint(0, 255))
        else:
            ink = _any(rng)
        if least <= abs(luminance(ink) - light) <= most:
            return ink
    target = _grey(0) if light > 127 else _grey(255)
    return target if not low else _mix(paper, target, 0.5)


def screen_colours(rng: random.Random) -> tuple[Colour, Colour]:
    """Return (paper, ink) like product pages and screens: dark on white, tints, and light on dark."""
    form = rng.random()
    if form < 0.45:
        paper = (255, 255, 255)
    elif form < 0.65:
        paper = _mix((255, 255, 255), _any(rng), rng.uniform(0.03, 0.25))
    elif form < 0.82:
        paper = _any(rng)
    else:
        paper = _mix((0, 0, 0), _any(rng), rng.uniform(0, 0.35))
    return paper, ink_for(rng, paper, low=rng.random() < 0.07)


def paper_colours(rng: random.Random) -> tuple[Colour, Colour]:
    """Return (paper, ink) of printed sheets: light paper, dark ink; headings are sometimes reversed."""
    level = rng.randint(205, 255)
    paper = rng.choice((_grey(level), _grey(level), (level, level - 3, level - 14), (level - 10, level - 3, level)))
    if rng.random() < 0.15:
        paper = _mix(paper, _any(rng), rng.uniform(0.1, 0.3))
    if rng.random() < 0.06:
        return _grey(rng.randint(20, 100)), paper
    if rng.random() < 0.06:
        return paper, ink_for(rng, paper, low=True)
    ink = _grey(rng.choice((0, 10, 25, 40, 60, 80)))
    if rng.random() < 0.18:
        ink = rng.choice(((25, 40, 130), (20, 60, 150), (170, 25, 35), (10, 90, 60), (90, 30, 100)))
    return paper, ink


def flat(width: int, height: int, colour: Colour) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def gradient(rng: random.Random, width: int, height: int, colour: Colour) -> Image.Image:
    """From `colour` to one not far from it, in any direction."""
    other = _mix(colour, _any(rng), rng.uniform(0.1, 0.3))
    corners = [_mix(colour, other, rng.random()) for _ in range(4)]
    small = Image.fromarray(np.array(corners, dtype=np.uint8).reshape(2, 2, 3))
    return small.resize((width, height), Image.Resampling.BILINEAR)


def textured(rng: random.Random, width: int, height: int, colour: Colour) -> Image.Image:
    """Paper with fibres and stains, or fabric, or a printed pattern of fine lines."""
    image = flat(width, height, colour)
    depth = rng.uniform(6, 26)
    for cell in rng.sample((2, 5, 12, 30), 2):
        shape = (max(2, height // cell + 2), max(2, width // (cell * rng.choice((1, 1, 3))) + 2))
        noise = (random_array(rng, shape).astype(np.float32) - 127) * depth / 255 + 127
        layer = Image.fromarray(noise.astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
        image = ImageChops.add(image, layer.convert("RGB"), 1, -127)
    if rng.random() < 0.12:
        xs, ys = np.meshgrid(np.arange(width), np.arange(height))
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(3, 14)
        phase = (xs * np.cos(angle) + ys * np.sin(angle)) * 2 * np.pi / pitch
        lines = (127 + rng.uniform(6, 22) * np.sin(phase + rng.random() * np.sin(xs / 23))).astype(np.uint8)
        image = ImageChops.add(image, Image.fromarray(lines).convert("RGB"), 1, -127)
    return image


def photo(rng: random.Random, width: int, height: int) -> tuple[Image.Image, Colour]:
    """Return a photo-like background, softened so that text is legible on it, and an ink for it."""
    image = picture(rng, width, height)
    mean = np.asarray(image)[::3, ::3].reshape(-1, 3).mean(axis=0)
    light = luminance(tuple(mean.tolist()))
    calm = rng.uniform(0.3, 0.75)
    toward = _grey(255) if light > 135 else _grey(0)
    base = _mix(tuple(round(v) for v in mean.tolist()), toward, rng.uniform(0.1, 0.6))
    image = Image.blend(image, flat(width, height, base), calm)
    ink = _grey(rng.choice((0, 0, 20, 40))) if toward[0] else _grey(rng.choice((255, 255, 245, 230)))
    if rng.random() < 0.3:
        ink = ink_for(rng, base)
    return image, ink
