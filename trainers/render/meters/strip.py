"""A display cut out of a photo, flat but for what the cut got wrong: what digit readers are trained on."""

import random
from dataclasses import replace

import numpy as np
from PIL import Image

from trainers.data.meter_sample import UNREADABLE, MeterDigit, MeterSample, reading_of
from trainers.render.fonts import FontSet
from trainers.render.meters import damage
from trainers.render.meters.desk import new_desk
from trainers.render.meters.display import Display, rectangle
from trainers.render.meters.geometry import homography, moved, warped
from trainers.render.meters.lcd import draw_lcd
from trainers.render.meters.legibility import legible
from trainers.render.meters.wheels import draw_counter
from trainers.render.page import Split

_DIGITAL = 0.3
_ILLEGIBLE = 0.03


def render_strip(seed: int | tuple[int, ...], split: Split = "train", *, fonts: FontSet | None = None) -> MeterSample:
    """Return a display alone, 48 to 96 px high, cut out with jittered corners and margins, damaged as in photos.

    A wheel's box is what of the wheel can be seen, from window edge to window edge; that of a seven-segment digit goes
    around its segments, lit or not, and leans with them.

    Args:
        seed: whatever differs from strip to strip.
        split: whose fonts and digit shapes to use; the two splits share none.
        fonts: default: the system's.

    Raises:
        ValueError: unknown split.
    """
    desk = new_desk("strip", seed, split, fonts)
    rng = desk.rng
    noise = np.random.default_rng(rng.getrandbits(64))
    height = rng.randint(48, 96)
    taken = 2 ** rng.uniform(3.5, 6.0)  # the digits' height in the photo, px
    drawn = max(24.0, taken)
    draw = draw_lcd if rng.random() < _DIGITAL else draw_counter
    display = draw(desk, drawn)
    image, matrix = _cut(rng, display)
    if taken < drawn:
        factor = taken / drawn
        size = (max(8, round(image.width * factor)), max(6, round(image.height * factor)))
        matrix = np.diag([size[0] / image.width, size[1] / image.height, 1.0]) @ matrix
        image = image.resize(size, Image.Resampling.BOX)
    digits = [replace(d, box=moved(d.known_box, matrix)) for d in display.digits]
    illegible = rng.random() < _ILLEGIBLE
    # Narrow digits are lost sooner than their height tells.
    unit = min(taken, *(1.3 * float(np.hypot(*(d.known_box[1] - d.known_box[0]))) for d in digits))
    image, cover = _damaged(image, rng, noise, unit, digits, illegible)
    digits = legible(digits, image, cover, 1.0, illegible)
    factor = height / image.height
    size = (max(16, round(image.width * factor)), height)
    scale = np.array([size[0] / image.width, size[1] / image.height], dtype=np.float32)
    image = image.resize(size, rng.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)))
    digits = [replace(d, box=d.known_box * scale) for d in digits]
    lost = all(d.character == UNREADABLE for d in digits)
    kind = "digital" if display.digital else "analog"
    return MeterSample(
        np.array(image),
        "strip",
        f"{kind}_illegible" if lost else kind,  # type: ignore[arg-type]
        rectangle(0, 0, *size),
        reading_of(digits),
        True,
        tuple(digits),
    )


def _cut(rng: random.Random, display: Display) -> tuple[Image.Image, np.ndarray]:
    """Return (the display cut out with margins and slightly wrong corners, homography from the display's px)."""
    x0, y0, x1, y1 = display.window
    tall = y1 - y0
    most = display.height * 0.55
    left, top, right, bottom = (min(most, rng.triangular(-0.03, 0.4, 0.08) * tall) for _ in range(4))
    quad = rectangle(x0 - left, y0 - top, x1 + right, y1 + bottom)
    quad += [[rng.gauss(0, 0.035) * tall for _ in range(2)] for _ in range(4)]
    quad[:, 1] += np.array([-1, 1, 1, -1]) * min(0.12 * tall, max(-0.12 * tall, rng.gauss(0, 0.04) * tall))
    quad = np.clip(quad, 0, [display.image.width, display.image.height])
    sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)
    stretch = rng.uniform(0.85, 1.15)  # a slanted view makes it narrower or lower
    size = (max(16, round((sides[0] + sides[2]) / 2 * stretch)), max(10, round((sides[1] + sides[3]) / 2)))
    matrix = homography(quad, rectangle(0, 0, *size))
    return warped(display.image, matrix, size), matrix


def _damaged(
    image: Image.Image,
    rng: random.Random,
    noise: np.random.Generator,
    unit: float,
    digits: list[MeterDigit],
    illegible: bool,
) -> tuple[Image.Image, Image.Image]:
    """Return (the picture as a phone took it, what is hidden in it)."""
    cover = Image.new("L", image.size)
    spot = (rng.uniform(0, image.width), rng.uniform(0, image.height))
    if rng.random() < 0.35:
        damage.specks(image, noise, unit)
    if rng.random() < 0.12:
        damage.drops(image, noise, unit, rng.randint(1, 14))
    if rng.random() < 0.2:
        damage.fog(image, cover, noise, rng.uniform(0.1, 0.7))
    if rng.random() < 0.22:
        damage.reflection(image, cover, noise, rng.uniform(0.1, 0.6))
    if rng.random() < 0.05:
        box = rng.choice(digits).known_box
        wide, high = np.ptp(box, axis=0) * (rng.uniform(0.8, 1.6), rng.uniform(1.0, 1.6))
        x, y = box.mean(axis=0).tolist()
        damage.dirt(image, cover, noise, (x, y), (float(wide), float(high)))
    if rng.random() < 0.7:
        image = damage.lit(image, noise, rng.uniform(0.25, 0.95))
    if rng.random() < 0.14:
        damage.glare(image, cover, noise, spot, unit * rng.uniform(0.3, 2.2), rng.uniform(0.5, 1.6))
    if illegible:
        image = damage.spoilt(image, noise, unit)
    elif rng.random() < 0.75:
        image = damage.exposed(image, noise, rng.choice((1.0, rng.uniform(0.2, 1.0), rng.uniform(0.8, 1.5))))
    blur = rng.random()
    if blur < 0.45:
        image = damage.defocused(image, unit * rng.triangular(0.01, 0.13, 0.02))
    elif blur < 0.6:
        image = damage.shaken(image, unit * rng.uniform(0.03, 0.17), rng.uniform(0, 180))
    return damage.taken(image, noise, (45 if unit < 20 else 25, 95)), cover
