"""Photos of meters, with where their display is and what it reads."""

import math
import random
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from trainers.data.meter_sample import UNREADABLE, MeterDigit, MeterSample, reading_of
from trainers.render.canvas import Desk
from trainers.render.fonts import FontSet
from trainers.render.meters import damage
from trainers.render.meters.desk import new_desk
from trainers.render.meters.display import Display, rectangle
from trainers.render.meters.faces import MeterFace, pump_panel, round_face, square_face
from trainers.render.meters.geometry import moved, posed, warped
from trainers.render.meters.ground import background, body, paper_with_digits, pipe, plumbing
from trainers.render.meters.lcd import draw_lcd
from trainers.render.meters.legibility import legible
from trainers.render.meters.wheels import draw_counter, draw_style
from trainers.render.page import Split

# What is photographed: how often, of 100
_SCENES = {"water": 50, "plate": 12, "pump": 17, "lcd_plate": 9, "lcd_round": 5, "none": 7}
_ILLEGIBLE = 0.07
_COVER = 0.5  # px of the map of what is hidden, per px of the photo
_LARGEST = 1150  # px of a flat face; what would be larger is drawn smaller and enlarged
_LEAST_DIGIT = 7.0  # px of a digit's height below which it does not read


@dataclass
class _Shot:
    """A photo in the making: `unit` is the digits' height in it, px; `focus` where the photographer pointed."""

    image: Image.Image
    focus: tuple[float, float]
    unit: float
    corners: np.ndarray | None = None
    digits: tuple[MeterDigit, ...] = ()


def render_photo(seed: int | tuple[int, ...], split: Split = "train", *, fonts: FontSet | None = None) -> MeterSample:
    """Return a photo of a meter, of something similar without a display, or of none at all; 640 to 960 px on its long
    side.

    Corners are the display's window, in reading order, and may lie outside of a photo that cuts it off. A display none
    of whose digits can be read is `…_illegible`; its digits all count as whole places.

    Args:
        seed: whatever differs from photo to photo.
        split: whose fonts and digit shapes to use; the two splits share none.
        fonts: default: the system's.

    Raises:
        ValueError: unknown split.
    """
    desk = new_desk("meter", seed, split, fonts)
    rng = desk.rng
    noise = np.random.default_rng(rng.getrandbits(64))
    scene = rng.choices(list(_SCENES), list(_SCENES.values()))[0]
    long = rng.choice((640, 640, 720, 800, 960, rng.randint(640, 960)))
    short = round(long * rng.choice((0.75, 0.75, 0.5625, rng.uniform(0.55, 1.0))))
    wide = rng.random() < (0.8 if scene == "pump" else 0.35)
    size = (long, short) if wide else (short, long)
    if scene == "none":
        shot = _without_display(desk, size)
        return MeterSample(np.array(_taken(shot, Image.new("L", (8, 8)), rng, noise, False)), "photo", "none")
    display, face, share = _meter(desk, scene, size)
    shot = _hung(desk, face, display, share, size, tight=scene == "pump")
    cover = Image.new("L", (round(size[0] * _COVER), round(size[1] * _COVER)))
    illegible = rng.random() < _ILLEGIBLE
    image = _taken(shot, cover, rng, noise, illegible)
    digits = legible(list(shot.digits), image, cover, _COVER, illegible or shot.unit < _LEAST_DIGIT)
    kind = "digital" if display.digital else "analog"
    lost = all(d.character == UNREADABLE for d in digits)
    return MeterSample(
        np.array(image),
        "photo",
        f"{kind}_illegible" if lost else kind,  # type: ignore[arg-type]
        shot.corners,
        reading_of(digits),
        True,
        tuple(digits),
    )


def _meter(desk: Desk, scene: str, size: tuple[int, int]) -> tuple[Display, MeterFace, float]:
    """Return (display, meter, its scale in the photo)."""
    rng = desk.rng
    shown = size[0] * (rng.uniform(0.3, 1.15) if scene == "pump" else 2 ** rng.triangular(-3.06, -0.15, -1.2))
    if scene in ("water", "lcd_round"):
        meter_width = shown / rng.uniform(0.42, 0.78)
    elif scene == "pump":
        meter_width = max(shown * 1.7, size[0] * 1.7)
    else:
        meter_width = shown / rng.uniform(0.3, 0.75)
    factor = max(1.0, meter_width / _LARGEST)
    width = shown / factor
    if scene in ("water", "plate"):
        style = draw_style(rng)
        display = draw_counter(desk, width / (style.cell * (style.wheels - 1) + style.wheel), style)
    else:
        display = draw_lcd(desk, max(10.0, width / rng.uniform(4.0, 6.5)))
    factor *= shown / factor / (display.window[2] - display.window[0])
    meter_width = meter_width / factor
    if scene in ("water", "lcd_round"):
        return display, round_face(desk, display, meter_width), factor
    if scene == "pump":
        return display, pump_panel(desk, display, meter_width), factor
    return display, square_face(desk, display, meter_width), factor


def _roll(rng: random.Random) -> float:
    """Return the rotation of a meter, degrees clockwise: mostly upright, often enough sideways or upside down."""
    forms = (
        rng.gauss(0, 7),
        rng.uniform(-45, 45),
        rng.choice((-90, 90)) + rng.gauss(0, 8),
        180 + rng.gauss(0, 9),
        rng.uniform(-180, 180),
    )
    return rng.choices(forms, (0.66, 0.14, 0.09, 0.08, 0.03))[0]


def _hung(desk: Desk, face: MeterFace, display: Display, factor: float, size: tuple[int, int], tight: bool) -> _Shot:
    """Return the meter in front of its background, in perspective."""
    rng = desk.rng
    assert face.window is not None
    x0, y0, x1, y1 = face.window
    width, height = size
    reach = max(face.image.size) * factor / 2
    roll = rng.gauss(0, 3) if tight and rng.random() < 0.9 else _roll(rng)
    tilt, turn = (max(-0.6, min(0.6, rng.gauss(0, 0.24))) for _ in range(2))
    pose = posed(roll, tilt, turn, reach * rng.uniform(3.0, 7.0) + 400)
    drift = rng.choice((0.06, 0.12, 0.12, 0.25))
    at = (width * (0.5 + rng.gauss(0, drift)), height * (0.5 + rng.gauss(0, drift)))
    to_origin = np.array([[factor, 0, -(x0 + x1) / 2 * factor], [0, factor, -(y0 + y1) / 2 * factor], [0, 0, 1.0]])
    matrix = np.array([[1, 0, at[0]], [0, 1, at[1]], [0, 0, 1.0]]) @ pose @ to_origin
    image = background(desk, size)
    outline = rectangle(0, 0, *face.image.size)
    if face.round_face:
        t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        outline = face.image.width / 2 * (1 + np.column_stack([np.cos(t), np.sin(t)]))
    outline = moved(outline, matrix)
    middle = outline.mean(axis=0)
    radius = float(np.hypot(*(outline - middle).T).mean())
    if face.round_face and rng.random() < 0.9:
        plumbing(rng, image, tuple(middle.tolist()), radius, roll + rng.choice((0, 0, 90, 90, 45)))
    if not tight:
        deep = radius * rng.uniform(0.1, 0.7)
        body(
            rng,
            image,
            outline,
            (-math.sin(turn) * deep * 1.5 + rng.gauss(0, 2), math.sin(tilt) * deep * 1.5 + rng.gauss(0, 2)),
        )
    _paste(image, face, matrix, outline)
    corners = moved(rectangle(*face.window), matrix)
    digits = tuple(replace(d, box=moved(d.known_box, matrix)) for d in face.digits)
    tall = [float(np.hypot(*(d.known_box[3] - d.known_box[0]))) for d in digits]
    flat = [float(np.hypot(*(d.known_box[3] - d.known_box[0]))) for d in face.digits]
    unit = display.height * min(t / f for t, f in zip(tall, flat, strict=True))
    # Narrow digits are lost sooner than their height tells.
    unit = min(unit, *(1.3 * float(np.hypot(*(d.known_box[1] - d.known_box[0]))) for d in digits))
    return _Shot(image, tuple(corners.mean(axis=0).tolist()), max(2.0, unit), corners, digits)


def _near(point: tuple[float, float], spread: float, rng: random.Random) -> tuple[float, float]:
    """Return a random point near `point`; `spread`: standard deviation in px."""
    x, y = point
    return x + rng.gauss(0, spread), y + rng.gauss(0, spread)


def _paste(image: Image.Image, face: MeterFace, matrix: np.ndarray, outline: np.ndarray) -> None:
    """Put the face into the picture where `matrix` takes it, working on its part of the picture alone."""
    x0, y0 = np.maximum(0, np.floor(outline.min(axis=0))).astype(int).tolist()
    x1, y1 = np.minimum(image.size, np.ceil(outline.max(axis=0))).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    part = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]]) @ matrix
    size = (x1 - x0, y1 - y0)
    image.paste(warped(face.image, part, size), (x0, y0), warped(face.shape, part, size))


def _without_display(desk: Desk, size: tuple[int, int]) -> _Shot:
    """Pipes and walls, a face of dials alone, papers with digits."""
    rng = desk.rng
    image = background(desk, size)
    form = rng.random()
    centre = (size[0] * rng.uniform(0.3, 0.7), size[1] * rng.uniform(0.3, 0.7))
    unit = size[0] * 0.04
    if form < 0.25:
        for _ in range(rng.randint(1, 4)):
            at = (rng.uniform(0, size[0]), rng.uniform(0, size[1]))
            pipe(rng, image, at, rng.uniform(0, 180), 3 * max(size), size[0] * rng.uniform(0.03, 0.25))
        return _Shot(image, centre, unit)
    side = size[0] * rng.uniform(0.35, 1.1)
    if form < 0.75:
        face = (round_face if rng.random() < 0.6 else square_face)(desk, None, min(_LARGEST, side))
    else:
        paper = paper_with_digits(desk, (round(side), round(side * rng.uniform(0.5, 1.3))))
        face = MeterFace(paper, Image.new("L", paper.size, 255), None, (), False)
    pose = posed(_roll(rng), rng.gauss(0, 0.25), rng.gauss(0, 0.25), side * 4)
    w, h = face.image.size
    matrix = (
        np.array([[1, 0, centre[0]], [0, 1, centre[1]], [0, 0, 1.0]])
        @ pose
        @ np.array([[1, 0, -w / 2], [0, 1, -h / 2], [0, 0, 1.0]])
    )
    outline = moved(rectangle(0, 0, w, h), matrix)
    if face.round_face:
        plumbing(rng, image, centre, w / 2, rng.choice((0, 90, 30)))
    _paste(image, face, matrix, outline)
    return _Shot(image, centre, unit)


def _taken(
    shot: _Shot, cover: Image.Image, rng: random.Random, noise: np.random.Generator, illegible: bool
) -> Image.Image:
    """Return the photo as taken by the phone; what hides digits is noted in `cover`."""
    image, unit, focus = shot.image, shot.unit, shot.focus
    spoil = illegible and rng.random() < 0.45
    if rng.random() < 0.3:
        damage.specks(image, noise, unit)
    if rng.random() < 0.12:
        damage.drops(image, noise, unit, rng.randint(5, 60))
    if rng.random() < 0.12:
        damage.fog(image, cover, noise, rng.uniform(0.1, 0.55))
    if rng.random() < 0.2:
        damage.reflection(image, cover, noise, rng.uniform(0.1, 0.55))
    if shot.corners is not None and (rng.random() < 0.04 or (illegible and not spoil)):
        extent = np.ptp(shot.corners, axis=0) * (rng.uniform(1.5, 2.1) if illegible else rng.uniform(0.15, 0.5))
        off = 0.05 if illegible else 0.4
        x, y = (float(f + rng.gauss(0, off) * e) for f, e in zip(focus, np.ptp(shot.corners, axis=0), strict=True))
        if illegible and rng.random() < 0.4:
            damage.glare(image, cover, noise, (x, y), float(extent.max()) * 1.2, 3.0)
        else:
            damage.dirt(image, cover, noise, (x, y), (float(extent[0]), float(extent[1])))
    light, gains = rng.random(), (0.15, 0.8)
    if light < 0.4:  # a flash or torch: the meter bright, the rest dark
        image = damage.lit(image, noise, rng.uniform(0.03, 0.4), _near(focus, 2 * unit, rng))
        gains = (0.4, 0.9)
    elif light < 0.8:
        image = damage.lit(image, noise, rng.uniform(0.2, 0.9))
    if rng.random() < 0.3:
        damage.glare(
            image, cover, noise, _near(focus, 5 * unit, rng), unit * rng.uniform(0.4, 4.0), rng.uniform(0.5, 1.7)
        )
    if spoil:
        image = damage.spoilt(image, noise, unit)
    elif rng.random() < 0.85:
        image = damage.exposed(image, noise, rng.choice((1.0, rng.uniform(*gains), rng.uniform(0.8, 1.4))))
    blur = rng.random()
    if blur < 0.55:
        image = damage.defocused(image, min(4.0, unit * rng.triangular(0.01, 0.11, 0.02)))
    elif blur < 0.65:
        image = damage.shaken(image, min(7.0, unit * rng.uniform(0.03, 0.16)), rng.uniform(0, 180))
    else:
        image = image.filter(ImageFilter.BoxBlur(0.4))  # the edges that drawing leaves hard
    return damage.taken(image, noise, (35, 95))
