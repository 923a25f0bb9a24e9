"""What meters hang before and on: walls, tiles, boards, darkness; pipes, nuts, the body of a meter."""

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from trainers.render.canvas import Colour, Desk
from trainers.render.lines.ground import textured
from trainers.render.marks import picture
from trainers.render.meters.display import mixed

_WALLS: tuple[Colour, ...] = (
    (190, 185, 175), (150, 150, 150), (120, 130, 120), (205, 190, 160), (100, 85, 70), (60, 60, 62), (170, 140, 100),
    (130, 150, 165), (225, 222, 215), (35, 30, 28),
)  # fmt: skip
_PIPES: tuple[Colour, ...] = (
    (200, 200, 198), (225, 225, 222), (150, 120, 60), (120, 85, 50), (90, 90, 95), (150, 150, 155), (60, 70, 110),
    (45, 45, 45),
)  # fmt: skip

_BANDS = 14  # of shades across a pipe


def background(desk: Desk, size: tuple[int, int]) -> Image.Image:
    """Return a background, such as a wall, drawn at half its size: it is out of focus anyway."""
    rng = desk.rng
    width, height = size[0] // 2, size[1] // 2
    wall = rng.choice(_WALLS)
    form = rng.random()
    if form < 0.2:  # things without a name, of subdued colours
        image = picture(rng, width, height)
        image = Image.blend(image.convert("L").convert("RGB"), image, rng.uniform(0.0, 0.6))
        image = Image.blend(image, Image.new("RGB", image.size, wall), rng.uniform(0.2, 0.7))
    else:
        image = textured(rng, width, height, wall)
    draw = ImageDraw.Draw(image)
    if 0.2 < form < 0.5:  # tiles, bricks, boards
        w = rng.uniform(0.12, 0.6) * width
        h = w * rng.choice((1.0, 0.5, 4.0))
        joint, line = mixed(wall, rng.choice(((0, 0, 0), (255, 255, 255))), rng.uniform(0.15, 0.5)), rng.randint(1, 4)
        lean, x0, y0 = rng.uniform(-0.15, 0.15), rng.uniform(0, w), rng.uniform(0, h)
        for i in range(-3, math.ceil(width / w) + 4):
            draw.line((x0 + i * w, 0, x0 + i * w + lean * height, height), fill=joint, width=line)
        for i in range(-3, math.ceil(height / h) + 4):
            draw.line((0, y0 + i * h, width, y0 + i * h - lean * width), fill=joint, width=line)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        x, degrees = rng.uniform(0, width), rng.choice((0, 90, 90, 90, rng.uniform(0, 180)))
        y = rng.uniform(0, height)
        pipe(rng, image, (x, y), degrees, 2 * max(size), rng.uniform(0.04, 0.2) * width)
    for _ in range(rng.choice((0, 0, 1, 2, 4))):  # boxes, other devices, rags
        colour = mixed(
            rng.choice((*_WALLS, (200, 60, 50), (220, 200, 60), (60, 100, 180))), (0, 0, 0), rng.uniform(0.2, 0.8)
        )
        x, y = rng.choice((0.0, 1.0, rng.random())) * width, rng.choice((0.0, 1.0, rng.random())) * height
        a, b = (rng.uniform(0.08, 0.35) * width for _ in range(2))
        form = rng.random()
        if form < 0.4:
            draw.rectangle((x - a, y - b, x + a, y + b), fill=colour, outline=mixed(colour, (0, 0, 0), 0.4))
        elif form < 0.7:
            draw.ellipse((x - a, y - b, x + a, y + b), fill=colour, outline=mixed(colour, (255, 255, 255), 0.3))
        else:
            turns = np.sort([rng.uniform(0, 6.28) for _ in range(9)])
            points = [
                (x + a * math.cos(t) * rng.uniform(0.6, 1), y + b * math.sin(t) * rng.uniform(0.6, 1)) for t in turns
            ]
            draw.polygon(points, fill=colour)
    for _ in range(rng.choice((0, 0, 1, 2))):  # cables and hoses
        t = np.linspace(0, 1, 40)
        ends = np.array([[rng.uniform(-0.2, 1.2) * width, rng.uniform(-0.2, 1.2) * height] for _ in range(4)])
        weights = np.column_stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])  # a Bézier curve
        colour = rng.choice(((25, 25, 25), (200, 200, 195), (40, 90, 170), (120, 120, 125)))
        draw.line((weights @ ends).ravel().tolist(), fill=colour, width=rng.randint(1, 7))
    if rng.random() < 0.7:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 2.5)))
    return image.resize(size, Image.Resampling.BILINEAR)


def pipe(
    rng: random.Random,
    image: Image.Image,
    centre: tuple[float, float],
    degrees: float,
    length: float,
    width: float,
    colour: Colour | None = None,
) -> None:
    """Draw a round bar through `centre`, lit along its middle, in place."""
    draw = ImageDraw.Draw(image)
    colour = colour or rng.choice(_PIPES)
    dx, dy = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    lit = rng.uniform(-0.25, 0.25)
    for i in range(_BANDS):
        share = 1 - i / _BANDS
        x, y = centre[0] - dy * lit * width * (1 - share), centre[1] + dx * lit * width * (1 - share)
        ends = (x - dx * length / 2, y - dy * length / 2, x + dx * length / 2, y + dy * length / 2)
        tone = mixed(mixed(colour, (0, 0, 0), 0.6), mixed(colour, (255, 255, 255), 0.25), i / (_BANDS - 1))
        draw.line(ends, fill=tone, width=max(1, round(width * share)))


def plumbing(
    rng: random.Random, image: Image.Image, centre: tuple[float, float], radius: float, degrees: float
) -> None:
    """Draw the pipe of a meter, with its nuts, along `degrees`, in place."""
    metal = rng.choice(_PIPES)
    width = radius * rng.uniform(0.35, 0.75)
    pipe(rng, image, centre, degrees, 20 * radius, width, rng.choice((metal, rng.choice(_PIPES))))
    dx, dy = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for side in (-1, 1):
        for _ in range(rng.randint(1, 3)):
            far = radius * rng.uniform(1.0, 1.9) * side
            at = (centre[0] + dx * far, centre[1] + dy * far)
            pipe(rng, image, at, degrees, radius * rng.uniform(0.2, 0.5), width * rng.uniform(1.15, 1.7), metal)


def body(rng: random.Random, image: Image.Image, outline: np.ndarray, shift: tuple[float, float]) -> None:
    """Draw the side of a meter in place: its `outline`, (n, 2) px, from `shift` px behind up to its place."""
    draw = ImageDraw.Draw(image)
    colour = rng.choice(((190, 35, 50), (40, 80, 160), (40, 40, 42), (185, 185, 180), (150, 120, 70), (120, 120, 125)))
    steps = max(2, min(24, round(math.hypot(*shift) / 2)))
    band = rng.uniform(0.2, 0.9)
    rim = mixed(colour, (200, 200, 195), rng.random())
    for i in range(steps):
        share = i / steps
        tone = mixed(colour if share < band else rim, (0, 0, 0), 0.55 - 0.4 * share)
        points = outline + np.array(shift) * (1 - share)
        draw.polygon(points.ravel().tolist(), fill=tone)


def paper_with_digits(desk: Desk, size: tuple[int, int]) -> Image.Image:
    """Return a sheet or label full of numbers: digits, but no display."""
    rng = desk.rng
    level = rng.randint(200, 252)
    image = Image.new("RGB", size, (level, level, level - rng.choice((0, 10, 30))))
    draw = ImageDraw.Draw(image)
    font = desk.fonts.choose(rng, desk.split, "latin", ("sans", "serif", "mono")).at(rng.uniform(0.03, 0.1) * size[1])
    y = font.size * rng.uniform(0.3, 2)
    while y < size[1]:
        x = font.size * rng.uniform(0.2, 1.5)
        texts = (
            f"{rng.randrange(10**8)}",
            f"{rng.randrange(10**5) / 100:.2f}",
            "2019-09-14",
            "No. 0" + str(rng.randrange(10**6)),
            "검침 12,340원",
        )
        draw.text((x, y), font.face.clean("   ".join(rng.sample(texts, 2))), fill=(30, 30, 40), font=font.pil)
        y += font.size * rng.uniform(1.2, 2.2)
    return image
