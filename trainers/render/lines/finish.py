"""Ink on its ground: colours, outlines and stamps, and the damage of the medium."""

import random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from trainers.render.canvas import Colour, Desk
from trainers.render.lines import damage, ground
from trainers.render.lines.ink import Bend, thicken
from trainers.render.marks import stamp

_FAINT = 90  # of luminance: a line of less contrast than this is spared what takes more of it


def _ground(rng: random.Random, width: int, height: int, medium: str) -> tuple[Image.Image, Colour]:
    """Return (the background, the colour of the ink)."""
    if medium in ("digital", "screen"):
        form = rng.random()
        if form < (0.18 if medium == "digital" else 0.04):
            return ground.photo(rng, width, height)
        paper, ink = ground.screen_colours(rng)
        if form < 0.3:
            return ground.gradient(rng, width, height, paper), ink
        image = ground.flat(width, height, paper)
        if form < 0.36:  # a button, a badge, a cell of a coloured table
            image = ground.flat(width, height, ground.screen_colours(rng)[0])
            inset = rng.randint(1, max(1, height // 12))
            box = (inset, inset, width - 1 - inset, height - 1 - inset)
            ImageDraw.Draw(image).rounded_rectangle(box, rng.choice((0, 3, height // 4, height // 2)), fill=paper)
        return image, ink
    paper, ink = ground.paper_colours(rng)
    if medium == "receipt" and rng.random() < 0.8:
        level = rng.randint(25, 110)
        ink = (level, level, min(255, level + rng.choice((0, 0, 15, 30))))
        paper = (rng.randint(205, 250),) * 3
    if rng.random() < 0.75:
        return ground.textured(rng, width, height, paper), ink
    return ground.flat(width, height, paper), ink


def finished(
    desk: Desk, noise: np.random.Generator, ink: Image.Image, rules: Image.Image, breaks: list[int], size: int,
    medium: str, bend: Bend | None,
) -> np.ndarray:  # fmt: skip
    """Ink and rules laid on a ground, then damaged as the medium does."""
    rng = desk.rng
    image, colour = _ground(rng, *ink.size, medium)
    faint = abs(ground.luminance(colour) - np.asarray(image.convert("L"))[::4, ::4].mean()) < _FAINT
    if medium in ("scan", "receipt") and rng.random() < 0.35 and size >= 22:
        ink = thicken(ink, rng.uniform(-0.45, 0.7))
    if medium == "receipt":
        if rng.random() < 0.5:
            ink = damage.dotted(ink, noise, size)
        if rng.random() < 0.4:
            ink = damage.faded(ink, noise, rng.uniform(0.35, 0.8))
    elif medium == "scan" and rng.random() < 0.15:
        ink = damage.faded(ink, noise, rng.uniform(0.45, 0.9))
    if rules.getbbox():
        strength = rng.uniform(0.35, 1.0)
        image.paste(colour if rng.random() < 0.7 else (128, 128, 128), mask=rules.point(lambda v: int(v * strength)))
    if medium == "digital" and rng.random() < 0.08:
        _underlay(rng, image, ink, colour, size)
    inks = Image.new("RGB", ink.size, colour)
    if breaks and rng.random() < 0.1:
        paper = tuple(
            np.asarray(image)[:: max(1, image.height // 6), ::9].reshape(-1, 3).mean(axis=0).astype(int).tolist()
        )
        inks.paste(ground.ink_for(rng, paper), (rng.choice(breaks) - 1, 0, *ink.size))
    if medium in ("digital", "screen") and bend is None and size < 34 and rng.random() < 0.12:
        image = _subpixels(image, inks, ink)
    else:
        image.paste(inks, mask=ink)
    return np.array(_damaged(desk, noise, image, size, medium, 0.3 if faint else 1.0))


def _underlay(rng: random.Random, image: Image.Image, ink: Image.Image, colour: Colour, size: int) -> None:
    """Draw an outline or a soft shadow of the letters."""
    contrary = (0, 0, 0) if ground.luminance(colour) > 127 else (255, 255, 255)
    if rng.random() < 0.4 and size >= 28:
        image.paste(contrary, mask=ink.filter(ImageFilter.MaxFilter(5 if size > 45 else 3)))
        return
    reach = max(1, round(size * rng.uniform(0.02, 0.06)))
    shadow = ImageChops.offset(ink, reach, reach).filter(ImageFilter.GaussianBlur(reach * rng.uniform(0.2, 1)))
    image.paste(contrary if rng.random() < 0.7 else (90, 90, 90), mask=shadow.point([v * 2 // 3 for v in range(256)]))


def _subpixels(image: Image.Image, inks: Image.Image, ink: Image.Image) -> Image.Image:
    """Ink whose red and blue lie a third of a pixel to either side, as LCD screens are written on."""
    channels = []
    for shift, paper, colour in zip((-1 / 3, 0, 1 / 3), image.split(), inks.split(), strict=True):
        affine = (1, 0, shift, 0, 1, 0)
        mask = ink.transform(ink.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR) if shift else ink
        channels.append(Image.composite(colour, paper, mask))
    return Image.merge("RGB", channels)


def _stamped(desk: Desk, image: Image.Image) -> Image.Image:
    """Part of a rubber stamp over the line."""
    rng = desk.rng
    page = desk.page(image.width, image.height, "ko", image.height * 0.5, (255, 255, 255))
    side = image.height * rng.uniform(1.0, 2.6)
    stamp(page, rng.uniform(-0.5 * side, image.width - 0.4 * side), rng.uniform(-0.7, 0.2) * side, side)
    over = ImageChops.screen(page.image, Image.new("RGB", image.size, (rng.randint(40, 110),) * 3))
    return ImageChops.multiply(image, over)


def _damaged(
    desk: Desk, noise: np.random.Generator, image: Image.Image, size: int, medium: str, strength: float
) -> Image.Image:
    """Return the image as damaged by its medium. `strength` below 1 keeps contrast and adds less noise."""
    rng = desk.rng

    def chance(share: float) -> bool:
        return rng.random() < share

    if medium in ("scan", "camera") and chance(0.06):
        image = _stamped(desk, image)
    if medium == "scan":
        if chance(0.5):
            image = image.convert("L").convert("RGB")
        if chance(0.3):
            image = damage.blurred(image, noise, size, 0.028)
        if chance(0.3):
            image = damage.coarse(image, noise, size)
        if chance(0.15):
            image = damage.two_levels(image, noise)
        if chance(0.5):
            image = damage.noisy(image, noise, rng.uniform(1, 12) * strength)
    elif medium in ("receipt", "camera"):
        if chance(0.75 if medium == "camera" else 0.45):
            image = damage.shaded(image, noise, 255 - strength * rng.uniform(20, 165))
        if chance(0.45):
            image = damage.blurred(image, noise, size)
        if chance(0.35):
            image = damage.coarse(image, noise, size)
        if chance(0.5) and strength == 1.0:
            image = damage.toned(image, noise)
        if medium == "receipt" and chance(0.1):
            image = damage.two_levels(image, noise)
        if chance(0.6):
            image = damage.noisy(image, noise, rng.uniform(1, 13) * strength, coloured=chance(0.4))
    elif medium == "screen":
        image = damage.photographed_screen(image, noise)
        if chance(0.5):
            image = damage.blurred(image, noise, size, 0.025)
        if chance(0.4):
            image = damage.noisy(image, noise, rng.uniform(1, 8) * strength, coloured=True)
    elif chance(0.4):
        image = damage.coarse(image, noise, size)
    if chance(0.6):
        image = damage.compressed(image, rng.randint(45 if size < 24 else 30, 95))
    return image
