"""Seven-segment displays: LCDs and LEDs of pumps, heat, gas and electricity meters."""

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from trainers.data.meter_sample import MeterDigit
from trainers.render.canvas import Colour, Desk
from trainers.render.lines.faces import choose_face
from trainers.render.meters.display import Display, mixed

_OVER = 3
# Segments a (top) … g (middle), clockwise from the top, of each digit.
_SEGMENTS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")
_UNITS = ("m³", "kWh", "L", "MWh", "㎥", "kW", "GJ", "원", "m³/h", "bar", "℃")
_SIGNS = ("1.8.0", "15.8.0", "T1", "T2", "TOTAL", "▲", "BAT", "→", "Σ", "01", "OK", "03")


@dataclass(frozen=True)
class Glass:
    """`lit`: segments shine on a dark ground."""

    ground: Colour
    ink: Colour
    lit: bool


def _glass(rng: random.Random) -> Glass:
    def around(colour: Colour, by: int) -> Colour:
        off = rng.randint(-by, by)
        r, g, b = (max(0, min(255, v + off + rng.randint(-by // 3, by // 3))) for v in colour)
        return (r, g, b)

    form = rng.choices(("grey", "dark", "backlit", "led", "negative"), (0.34, 0.32, 0.14, 0.12, 0.08))[0]
    if form == "grey":
        return Glass(around((158, 166, 142), 36), around((34, 38, 36), 22), False)
    if form == "dark":
        level = rng.randint(38, 120)
        ground = around((level, level + 2, level), 8)
        return Glass(ground, mixed(ground, (8, 8, 10), rng.uniform(0.45, 0.95)), False)
    if form == "backlit":
        ground = around(rng.choice(((70, 120, 225), (120, 205, 90), (235, 160, 60), (225, 230, 235))), 20)
        return Glass(ground, around((18, 22, 40), 14), False)
    if form == "led":
        return Glass(
            around((22, 8, 10), 8), around(rng.choice(((255, 50, 40), (90, 255, 90), (255, 170, 40))), 15), True
        )
    return Glass(around((14, 20, 44), 10), around((215, 230, 240), 20), True)


def _segments(width: float, height: float, thick: float, gap: float, mitred: bool) -> dict[str, np.ndarray]:
    """Return the outlines of the segments of a digit whose box is width × height px, (n, 2) each, `gap` px apart."""
    t, w, h, m = thick, width, height, height / 2
    middle = [[0, m], [t, m - t / 2], [w - t, m - t / 2], [w, m], [w - t, m + t / 2], [t, m + t / 2]]
    if mitred:
        outlines = {
            "a": [[0, 0], [w, 0], [w - t, t], [t, t]],
            "b": [[w, 0], [w, m], [w - t, m - t / 2], [w - t, t]],
            "c": [[w, m], [w, h], [w - t, h - t], [w - t, m + t / 2]],
            "d": [[0, h], [w, h], [w - t, h - t], [t, h - t]],
            "e": [[0, m], [0, h], [t, h - t], [t, m + t / 2]],
            "f": [[0, 0], [0, m], [t, m - t / 2], [t, t]],
            "g": middle,
        }
    else:
        across = np.array(middle) - (0, m - t / 2)
        side = [[t / 2, t / 4], [t, 3 * t / 4], [t, m - t / 2], [t / 2, m], [0, m - t / 2], [0, 3 * t / 4]]
        outlines = {
            "a": across, "g": middle, "d": np.add(across, (0, h - t)),
            "f": side, "b": [[x + w - t, y] for x, y in side],
            "e": [[x, h - y] for x, y in side], "c": [[x + w - t, h - y] for x, y in side],
        }  # fmt: skip
    shrunk = {}
    for name, outline in outlines.items():
        points = np.array(outline, dtype=float)
        low, high = points.min(axis=0), points.max(axis=0)
        centre, span = (low + high) / 2, high - low
        axis = int(span[1] > span[0])
        points[:, axis] = centre[axis] + (points[:, axis] - centre[axis]) * (1 - 2 * gap / span[axis])
        shrunk[name] = points
    return shrunk


@dataclass(frozen=True)
class Shape:
    """Of the digits: lengths in px, `slant` px across per px up."""

    height: float
    width: float
    thick: float
    gap: float
    slant: float
    mitred: bool
    tails: tuple[bool, bool, bool]  # whether a 6 has its top, a 7 its upper left, a 9 its bottom segment


def _lit(digit: int, shape: Shape) -> str:
    segments = _SEGMENTS[digit]
    if digit == 6 and not shape.tails[0]:
        return segments.replace("a", "")
    if digit == 7 and shape.tails[1]:
        return segments + "f"
    if digit == 9 and not shape.tails[2]:
        return segments.replace("d", "")
    return segments


def draw_value(rng: random.Random) -> tuple[str, int]:
    """Return (digits as shown, how many of them are the fraction): litres of a pump, cubic metres, kilowatt hours."""
    form = rng.random()
    if form < 0.35:  # a pump: often whole amounts
        fraction = rng.choice((2, 2, 2, 1, 3))
        whole = str(rng.randrange(1, rng.choice((10, 100, 100, 300, 1000))))
        return whole + rng.choice(
            ("0" * fraction, *(f"{rng.randrange(10**fraction):0{fraction}d}" for _ in range(3)))
        ), fraction
    fraction = rng.choice((0, 0, 0, 1, 2, 3, 3))
    count = rng.randint(max(2, fraction + 1), 8)
    text = f"{rng.randrange(10**count)}"
    return (text.rjust(count, "0") if rng.random() < 0.6 else text.rjust(fraction + 1, "0")), fraction


def draw_lcd(desk: Desk, size: float, value: str | None = None, fraction: int = 0) -> Display:
    """Return a display in its bezel whose digits are about `size` px tall. `value`: the digits shown, the last
    `fraction` of them after the point; None draws some at random."""
    rng = desk.rng
    if value is None:
        value, fraction = draw_value(rng)
    places = len(value) + rng.choice((0, 0, 0, 1, 2, 3))
    glass = _glass(rng)
    h = max(10.0, size)
    shape = Shape(
        h, h * rng.uniform(0.46, 0.64), h * rng.triangular(0.07, 0.19, 0.13), h * rng.uniform(0.004, 0.03),
        rng.choice((0.0, rng.uniform(0.03, 0.2), 0.1)), rng.random() < 0.7,
        (rng.random() < 0.85, rng.random() < 0.3, rng.random() < 0.85),
    )  # fmt: skip
    step = shape.width + h * rng.uniform(0.16, 0.42)
    small = rng.uniform(0.55, 0.8) if fraction and rng.random() < 0.2 else 1.0
    raised = rng.random() < 0.5
    left, right = h * rng.uniform(0.12, 0.9), h * rng.uniform(0.12, 0.9)
    above, below = (h * rng.triangular(0.06, 0.7, 0.18) for _ in range(2))
    starts, x = [], left + shape.slant * h
    for place in range(places):
        starts.append(x)
        x += step * (small if place >= places - fraction else 1.0)
    width, height, margin = round(x + right), round(above + h + below), round(h * 0.75)
    masks = {name: Image.new("L", (width * _OVER, height * _OVER)) for name in ("on", "ghost")}
    on, ghost = (ImageDraw.Draw(mask) for mask in masks.values())
    outlines = {
        scale: _segments(shape.width * scale, h * scale, shape.thick * scale, shape.gap, shape.mitred)
        for scale in {1.0, small}
    }
    digits: list[MeterDigit] = []
    blank = places - len(value)
    for place, x0 in enumerate(starts):
        scale = small if place >= places - fraction else 1.0
        top = above + (0 if raised or scale == 1.0 else h * (1 - scale))

        def placed(points: np.ndarray, x0: float = x0, top: float = top) -> np.ndarray:
            foot = above + h
            ys = points[:, 1] + top
            return np.column_stack([points[:, 0] + x0 + shape.slant * (foot - ys), ys])

        lit = _lit(int(value[place - blank]), shape) if place >= blank else ""
        for name, outline in outlines[scale].items():
            polygon = [tuple(p) for p in (placed(outline) * _OVER).tolist()]
            (on if name in lit else ghost).polygon(polygon, fill=255)
        if place >= blank:
            w, t = shape.width * scale, h * scale
            box = placed(np.array([[0, 0], [w, 0], [w, t], [0, t]]) + 0.0) + margin
            digits.append(MeterDigit(value[place - blank], None, box.astype(np.float32), place >= places - fraction))
    if fraction:
        _point(rng, on, starts[places - fraction] - (step - shape.width) * 0.5, above + h, shape)
    image = _assembled(rng, glass, masks, width, height)
    _signs(desk, image, glass, h, (left, above, right, below))
    full = Image.new("RGB", (width + 2 * margin, height + 2 * margin), _bezel(rng))
    draw = ImageDraw.Draw(full)
    edge = max(1, round(h * rng.uniform(0.02, 0.2)))
    if rng.random() < 0.6:
        level = rng.choice((8, 30, 90, 200))
        draw.rectangle(
            (margin - edge, margin - edge, margin + width + edge - 1, margin + height + edge - 1), fill=(level,) * 3
        )
    full.paste(image, (margin, margin))
    return Display(full, (margin, margin, margin + width, margin + height), tuple(digits), True, h)


def _bezel(rng: random.Random) -> Colour:
    level = rng.choice((rng.randint(190, 250), rng.randint(190, 250), rng.randint(20, 70), rng.randint(90, 180)))
    return rng.choice(((level, level, level), (level, level - 4, level - 12), (level - 10, level - 4, level)))


def _point(rng: random.Random, draw: ImageDraw.ImageDraw, x: float, foot: float, shape: Shape) -> None:
    r = max(1.2, shape.thick * rng.uniform(0.4, 0.65))
    y = foot - r * rng.uniform(0.2, 1.0)
    box = tuple(v * _OVER for v in (x - r, y - r, x + r, y + r))
    if rng.random() < 0.4:
        draw.ellipse(box, fill=255)
    else:
        draw.rectangle(box, fill=255)
    if rng.random() < 0.15:  # a comma
        draw.line(
            [((x + r * 0.5) * _OVER, y * _OVER), ((x - r) * _OVER, (y + 2.4 * r) * _OVER)],
            fill=255,
            width=max(1, round(r * _OVER)),
        )


def _assembled(rng: random.Random, glass: Glass, masks: dict[str, Image.Image], width: int, height: int) -> Image.Image:
    """Ground, ghosts of the segments that are off, the shadow of those that are on, and these."""
    on, ghost = (mask.resize((width, height), Image.Resampling.BOX) for mask in masks.values())
    image = Image.new("RGB", (width, height), glass.ground)
    seen = rng.choice((0.0, 0.0, rng.uniform(0.02, 0.12)))
    if seen:
        image.paste(mixed(glass.ground, glass.ink, seen), (0, 0), ghost)
    if glass.lit:
        glow = on.filter(ImageFilter.GaussianBlur(max(1.0, height * 0.05)))
        image.paste(mixed(glass.ground, glass.ink, 0.5), (0, 0), glow)
    elif rng.random() < 0.5:
        off = max(1, round(height * 0.04))
        shadow = ImageChops.offset(on, off, off).point([round(v * 0.35) for v in range(256)])
        image.paste(mixed(glass.ground, glass.ink, 0.6), (0, 0), shadow)
    ink = mixed(glass.ink, glass.ground, rng.choice((0.0, 0.0, rng.uniform(0.0, 0.55))))
    image.paste(ink, (0, 0), on)
    return image


def _signs(desk: Desk, image: Image.Image, glass: Glass, h: float, margins: tuple[float, float, float, float]) -> None:
    """Units and flags beside and above the digits, where there is room."""
    rng, draw = desk.rng, ImageDraw.Draw(image)
    _, above, right, below = margins
    ink = mixed(glass.ink, glass.ground, 0.15)
    places = [
        (right > 0.5 * h, _UNITS, image.width - 0.06 * h, image.height - below, "rs", min(right * 0.55, 0.5 * h)),
        (above > 0.25 * h, _SIGNS, 0.1 * h, above - 0.05 * h, "ls", above * 0.8),
        (
            below > 0.3 * h,
            _SIGNS + _UNITS,
            image.width * rng.uniform(0.1, 0.8),
            image.height - 0.05 * h,
            "ls",
            below * 0.7,
        ),
    ]
    for room, texts, x, y, anchor, size in places:
        if room and rng.random() < 0.5 and size > 5:
            text = rng.choice(texts)
            face = choose_face(rng, desk.fonts, desk.split, text, ("sans", "mono"))
            if face is not None:
                draw.text((x, y), text, fill=ink, font=face.at(size).pil, anchor=anchor)
