"""What stands on pages besides set text: signatures, stamps, barcodes, logos, pictures, punch holes."""

import math
import random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from trainers.render.canvas import Colour, Page

Box = tuple[float, float, float, float]
PEN_COLOURS = ((10, 10, 10), (30, 30, 40), (20, 30, 120), (25, 60, 150), (60, 60, 60))


def random_array(rng: random.Random, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform uint8 values."""
    return np.frombuffer(rng.randbytes(math.prod(shape)), np.uint8).reshape(shape)


def scribble(page: Page, x: float, y: float, width: float, height: float) -> None:
    """Draw a signature: one or two smooth strokes that loop while the pen travels."""
    rng = page.rng
    colour = rng.choice(PEN_COLOURS)
    for _ in range(rng.randint(1, 2)):
        loops = rng.uniform(3, 9)
        t = np.linspace(0, 1, int(loops * 14))
        swing = np.interp(t, np.linspace(0, 1, 9), [rng.uniform(0.15, 1) for _ in range(9)])
        phase, slant = rng.uniform(0, 6), rng.uniform(-0.2, 0.6)
        up = swing * np.sin(2 * np.pi * loops * t + phase)
        across = t + 0.8 / loops * np.cos(2 * np.pi * loops * t + phase) * swing + slant * up * height / width / 2
        points = np.column_stack([x + width * across, y + height * (0.5 - 0.5 * up)])
        page.draw.line([tuple(p) for p in points], fill=colour, width=max(1, round(page.body / 8)), joint="curve")


def handwriting(page: Page, x: float, y: float, text: str, size: float | None = None) -> None:
    """Draw a handwritten note, a few degrees off the line."""
    rng = page.rng
    font = page.font(size or page.body * rng.uniform(1.2, 2.2), ("hand",))
    page.turned_text(x, y, text, font, rng.choice(PEN_COLOURS), rng.gauss(0, 2.5))


def stamp(page: Page, x: float, y: float, size: float) -> None:
    """Draw a rubber stamp or seal at any angle: a ring, a frame or bare words, red, blue or black, unevenly inked."""
    rng = page.rng
    side = max(24, round(size))
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    line = max(1, side // 30)
    form = rng.choice(("ring", "ring", "frame", "words"))
    if form == "ring":
        draw.ellipse((1, 1, side - 2, side - 2), outline=255, width=line)
        if rng.random() < 0.5:
            draw.ellipse((side * 0.2, side * 0.2, side * 0.8, side * 0.8), outline=255, width=line)
    elif form == "frame":
        top = side * rng.choice((0.0, 0.2, 0.3))
        draw.rectangle((1, top + 1, side - 2, side - top - 2), outline=255, width=line)
    rows = rng.randint(1, 3)
    height = side * 0.5 / rows
    for i in range(rows):
        if page.language == "ko":
            text = page.words.item(rng.choice(("person", "company"))) if i == 0 else page.words.date()
        else:
            text = (
                rng.choice(("RECEIVED", "PAID", "COPY", "FILED", "POSTED", "APPROVED")) if i == 0 else page.words.date()
            )
        font = page.font(height * 0.8, ("sans", "serif"), bold=True)
        text = font.face.clean(text)
        font = page.resized(font, min(height * 0.8, height * 0.8 * side * 0.8 / max(1.0, font.width(text))))
        draw.text((side / 2, side * 0.25 + height * (i + 0.5)), text, fill=255, font=font.pil, anchor="mm")
    wear = Image.fromarray(random_array(rng, (12, 12))).resize((side, side), Image.Resampling.BICUBIC)
    mask = Image.fromarray((np.asarray(mask) * np.clip(np.asarray(wear) / 110.0, 0.25, 0.9)).astype(np.uint8))
    degrees = rng.choice((0.0, rng.gauss(0, 6), rng.uniform(-40, 40)))
    mask = mask.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    colour = rng.choice(((200, 30, 30), (190, 20, 40), (30, 50, 150), (20, 20, 20), page.ink))
    page.image.paste(colour, (round(x), round(y)), mask)


def barcode(page: Page, box: Box) -> None:
    """Bars of 1 to 4 modules, with digits under them."""
    rng, (x0, y0, x1, y1) = page.rng, box
    module = max(1, round((x1 - x0) / rng.randint(90, 180)))
    x = round(x0)
    while x < x1 - 4 * module:
        bar = module * rng.randint(1, 4)
        page.draw.rectangle((x, y0, x + bar - 1, y1), fill=page.ink)
        x += bar + module * rng.randint(1, 4)
    if y1 + page.body < page.height:
        page.text((x0 + x1) / 2, y1 + 2, page.words.digits(13), page.filled_font, anchor="m")


def matrix_code(page: Page, x: float, y: float, size: float) -> None:
    """Something like a QR code: a random grid. Its three finders stand in random corners, so they tell nothing."""
    rng, cells = page.rng, page.rng.choice((21, 25, 29))
    grid = (random_array(rng, (cells, cells)) > 127) * np.uint8(255)
    finder = np.zeros((8, 8), np.uint8)
    finder[7], finder[:, 7], finder[1:6, 1:6], finder[2:5, 2:5] = 255, 255, 255, 0
    for turn in rng.sample(range(4), 3):
        grid = np.rot90(grid, turn).copy()
        grid[:8, :8] = finder
        grid = np.rot90(grid, -turn).copy()
    side = max(cells, round(size))
    code = Image.fromarray(grid).resize((side, side), Image.Resampling.NEAREST)
    page.image.paste(code.convert("RGB"), (round(x), round(y)))


def logo(page: Page, x: float, y: float, size: float) -> None:
    """Draw an emblem of a few plain shapes, at times with an initial in it."""
    rng, draw = page.rng, page.draw
    colour = page.accent if rng.random() < 0.6 else tuple(rng.randint(0, 200) for _ in range(3))
    box = (x, y, x + size, y + size)
    form = rng.choice(("disc", "ring", "square", "polygon", "bars"))
    if form == "disc":
        draw.ellipse(box, fill=colour)
    elif form == "ring":
        draw.ellipse(box, outline=colour, width=max(2, round(size / 8)))
    elif form == "square":
        draw.rounded_rectangle(box, radius=size / rng.uniform(3, 20), fill=colour)
    elif form == "polygon":
        draw.regular_polygon((x + size / 2, y + size / 2, size / 2), rng.randint(3, 7), rng.randint(0, 90), fill=colour)
    else:
        for i in range(3):
            draw.rectangle(
                (x + i * size / 3, y + rng.uniform(0, size / 2), x + (i + 0.7) * size / 3, y + size), fill=colour
            )
    if form in ("disc", "square") and rng.random() < 0.7:
        font = page.font(size * 0.6, bold=True)
        initial = font.face.clean(page.words.item("company"))[:1]
        draw.text((x + size / 2, y + size / 2), initial, fill=page.paper, font=font.pil, anchor="mm")


def _palette(rng: random.Random, count: int) -> np.ndarray:
    """Related colours, from nearly grey to vivid."""
    base = np.array([rng.randint(20, 235) for _ in range(3)])
    spread = rng.choice((30, 60, 90))
    colours = base + np.array([[rng.randint(-spread, spread) for _ in range(3)] for _ in range(count)])
    light = colours.mean(axis=1, keepdims=True) + np.array([[rng.randint(-60, 60)] for _ in range(count)])
    return np.clip(light + (colours - light) * rng.uniform(0.1, 0.8), 0, 255)


def picture(rng: random.Random, width: float, height: float) -> Image.Image:
    """Return an invented photo: soft light over a palette, texture, a few objects, grain.

    It is made square and turned at random before it is cut to size, so that it tells neither skew nor the side that is
    up."""
    width, height = max(8, round(width)), max(8, round(height))
    small = (max(4, width // 3), max(4, height // 3))
    side = math.ceil(math.hypot(*small)) + 2
    colours = _palette(rng, rng.randint(3, 6))
    cells = rng.randint(3, 8)
    grid = colours[random_array(rng, (cells, cells)) % len(colours)].astype(np.uint8)
    image = Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)
    for fine in (cells * 4, cells * 11):
        texture = random_array(rng, (fine, fine)) // rng.choice((2, 3, 6))
        overlay = Image.fromarray(texture).resize((side, side), Image.Resampling.BILINEAR)
        image = ImageChops.add(image, overlay.convert("RGB"), 1, -int(texture.mean()))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(0, 9)):
        cx, cy = rng.uniform(0, side), rng.uniform(0, side)
        r = rng.uniform(0.05, 0.35) * min(small)
        fill: Colour = tuple(int(v) for v in rng.choice(colours.tolist()))
        if rng.random() < 0.6:
            stretch = rng.uniform(0.4, 1.0)
            draw.ellipse((cx - r, cy - r * stretch, cx + r, cy + r * stretch), fill=fill)
        else:
            draw.regular_polygon((cx, cy, max(2, r)), rng.randint(3, 8), rng.randint(0, 90), fill=fill)
    left, top = (side - small[0]) // 2, (side - small[1]) // 2
    image = image.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
    image = image.crop((left, top, left + small[0], top + small[1]))
    if rng.random() < 0.7:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.5, 2)))
    if rng.random() < 0.7:
        tile = random_array(rng, (small[1], small[0], 1)).astype(np.int16) - 128
        grain = np.asarray(image).astype(np.int16) + tile // rng.choice((8, 16, 24))
        image = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))
    return image.resize((width, height), Image.Resampling.BILINEAR)


def punch_holes(page: Page) -> None:
    """Black or grey discs along an edge, and blobs, as copiers make them."""
    rng = page.rng
    shade = rng.choice((0, 0, 40, 170))
    for _ in range(rng.randint(1, 3)):
        radius = page.width * rng.uniform(0.008, 0.02)
        along, off = rng.uniform(0.05, 0.95), rng.uniform(0.01, 0.04)
        across = rng.choice((off, 1 - off))
        cx, cy = (
            (across * page.width, along * page.height)
            if rng.random() < 0.6
            else (along * page.width, across * page.height)
        )
        squash = rng.choice((1.0, rng.uniform(0.5, 1.6)))
        page.draw.ellipse((cx - radius, cy - radius * squash, cx + radius, cy + radius * squash), fill=(shade,) * 3)
