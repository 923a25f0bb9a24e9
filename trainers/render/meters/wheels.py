"""A mechanical counter: number wheels behind windows, each somewhere on its turn.

A wheel rolls upwards to the next digit. The last one turns all the time; every other turns with the wheel on its right
while that goes from 9 to 0, and stands at a digit else."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from trainers.data.meter_sample import MeterDigit
from trainers.render.canvas import Colour, Desk
from trainers.render.meters.display import Display, mixed, rectangle
from trainers.render.meters.glyphs import draw_tape

_RED: tuple[Colour, ...] = ((200, 30, 40), (220, 45, 35), (170, 20, 30), (225, 70, 50), (190, 30, 80))


@dataclass(frozen=True)
class Turn:
    """A wheel's state: `digit` it counts as (the lower one until a turn is complete), `position` where it stands."""

    digit: int
    position: float


def draw_turns(rng: random.Random, wheels: int, slack: float) -> list[Turn]:
    """Return a state of the counter, left to right; all wheels but the last deviate by about `slack` (standard
    deviation, in digits)."""
    zeros = rng.choice((0, 0, 1, 1, 2, 2, 3, 4)) if wheels > 4 else rng.choice((0, 0, 1))
    digits = [0] * zeros + [rng.randrange(10) for _ in range(wheels - zeros)]
    if rng.random() < 0.3:  # a carry under way or near, over one wheel or more
        for i in range(wheels - rng.choice((1, 1, 1, 2, 2, 3)), wheels):
            digits[i] = 9
    # Some last wheels stand still at a digit, the others anywhere.
    part = rng.random() if rng.random() < 0.8 else min(0.999, abs(rng.gauss(0, 0.05)))
    turns = [Turn(digits[-1], digits[-1] + part)]
    carry = max(0.0, turns[0].position - 9)
    for digit in reversed(digits[:-1]):
        off = max(-0.18, min(0.18, rng.gauss(0, slack)))
        # A turn that has begun has not gone back, and is not complete before the right wheel's is.
        off = max(0.0, min(0.985, carry + off)) if carry else off
        turns.append(Turn(digit, min(9.999, (digit + off) % 10)))
        carry = carry if digit == 9 else 0.0
    return turns[::-1]


@dataclass(frozen=True)
class Paint:
    """Colours of one group of wheels, and of the plate between their windows."""

    wheel: Colour
    ink: Colour
    plate: Colour


@dataclass(frozen=True)
class CounterStyle:
    """Lengths are fractions of the digits' height, but `roll`, how far apart two digits are on the wheel."""

    wheels: int
    fraction: int
    whole: Paint
    part: Paint
    cell: float  # from a wheel to the next one
    wheel: float  # a wheel's width
    window: float  # the windows' height
    roll: float
    separate: bool  # a window a wheel
    mark: str  # before the fraction: "", ",", ".", "box"
    teeth: bool  # the pinions' teeth between the wheels
    ticks: bool  # a scale on the last wheel
    slack: float


def _paints(rng: random.Random, fraction: int) -> tuple[Paint, Paint, bool]:
    """Return (whole, fraction, whether colour distinguishes them)."""
    level = rng.randint(215, 252)
    white: Colour = (level, level - rng.choice((0, 4, 14)), level - rng.choice((0, 8, 30)))
    dark = rng.randint(8, 45)
    black: Colour = (dark, dark, dark + rng.choice((0, 4)))
    grey = (rng.randint(120, 190),) * 3
    red = rng.choice(_RED)
    wheel, ink = rng.choices(((white, black), (black, white), (grey, black), (black, grey)), (0.58, 0.28, 0.07, 0.07))[
        0
    ]
    plate = rng.choice((white, white, mixed(white, (255, 255, 255), 0.5), black, grey, wheel))
    if rng.random() < 0.08:
        plate = rng.choice((*_RED, (40, 70, 140)))
    whole = Paint(wheel, ink, plate)
    form = rng.choices(("ink", "wheel", "plate", "reverse", "same"), (0.34, 0.34, 0.1, 0.08, 0.14))[0]
    if not fraction or form == "same":
        return whole, whole, False
    if form == "ink" and wheel != black:
        return whole, Paint(wheel, red, plate), True
    if form == "plate":
        return whole, Paint(wheel, red if wheel != black and rng.random() < 0.5 else ink, red), True
    if form == "reverse":
        return whole, Paint(white, red, plate), True
    return whole, Paint(red, rng.choice((white, white, black)), plate), True


def draw_style(rng: random.Random, wheels: int | None = None) -> CounterStyle:
    """Return a counter's style, as on water, gas and electricity meters."""
    wheels = wheels or rng.choices(range(4, 10), (4, 18, 16, 20, 36, 2))[0]
    fraction = rng.choices(range(5), (15, 10, 17, 50, 8))[0] if wheels > 5 else rng.choice((0, 0, 0, 1, 2))
    whole, part, coloured = _paints(rng, fraction)
    mark = rng.choice(("", "", "", ",", ".", "box")) if coloured else rng.choice((",", ".", ",", "box"))
    cell = rng.triangular(0.72, 1.5, 0.95)
    return CounterStyle(
        wheels, fraction, whole, part, cell,
        wheel=cell * rng.uniform(0.66, 0.97),
        window=rng.triangular(1.02, 1.95, 1.3),
        roll=rng.uniform(1.2, 1.75),
        separate=rng.random() < 0.55,
        mark=mark if fraction else "",
        teeth=rng.random() < 0.4,
        ticks=rng.random() < 0.35,
        slack=rng.choice((0.01, 0.03, 0.06)),
    )  # fmt: skip


def _wheel_rows(height: int, pitch: int, position: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (tape row, cosine of its viewing angle) of each row of a window: the wheel is a cylinder."""
    radius = 10 * pitch / (2 * np.pi)
    y = np.arange(height) + 0.5 - height / 2
    angle = np.arcsin(np.clip(y / radius, -0.98, 0.98))
    return (position + 0.5) * pitch + radius * angle - 0.5, np.cos(angle)


def _rolled(tape: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the tape's ink at fractional rows, around the wheel."""
    low = np.floor(rows).astype(int)
    part = (rows - low).astype(np.float32)[:, None]
    return tape[low % len(tape)] * (1 - part) + tape[(low + 1) % len(tape)] * part


def draw_counter(
    desk: Desk, size: float, style: CounterStyle | None = None, turns: Sequence[Turn] | None = None
) -> Display:
    """Return a counter whose digits are about `size` px tall, on its plate. `turns`: its state, one per wheel."""
    rng = desk.rng
    style = style or draw_style(rng)
    turns = turns or draw_turns(rng, style.wheels, style.slack)
    height = max(10, round(size))
    pitch, tall = round(height * style.roll), round(height * style.window)
    cell, wide = max(8, round(height * style.cell)), max(7, round(height * style.wheel))
    tape = draw_tape(desk, wide, height, pitch)
    margin = round(height * 0.75)
    width = cell * (style.wheels - 1) + wide
    plate = np.array(style.whole.plate, np.float32)
    pixels = np.empty((tall + 2 * margin, width + 2 * margin, 3), np.float32)
    pixels[:] = plate
    if style.fraction and style.part.plate != style.whole.plate:
        edge = margin + cell * (style.wheels - style.fraction) - (cell - wide) // 2
        band = slice(0, None) if rng.random() < 0.3 else slice(margin // 2, margin // 2 + tall + margin)
        pixels[band, edge : margin + width + margin // 3] = style.part.plate
    inner = pixels[margin : margin + tall, margin : margin + width]
    if not style.separate:
        inner[:] = rng.choice(((12, 12, 12), (40, 38, 36), style.whole.wheel, style.whole.plate))
    if style.teeth and not style.separate:
        _teeth(rng, inner, style, cell, wide, pitch)
    shine = rng.uniform(0, 0.35)
    depth = rng.uniform(0.3, 2.2)
    for i, turn in enumerate(turns):
        paint = style.part if i >= style.wheels - style.fraction else style.whole
        rows, cosine = _wheel_rows(tall, pitch, turn.position)
        ink = _rolled(tape, rows)
        shift = round(rng.gauss(0, 0.02) * height)
        if shift:
            ink = np.roll(ink, shift, axis=1)
        if style.ticks and i == style.wheels - 1:
            ink = _with_ticks(ink, rows, pitch, height)
        face = np.array(paint.wheel, np.float32) + (np.array(paint.ink, np.float32) - paint.wheel) * ink[..., None]
        face *= (cosine**depth)[:, None, None].astype(np.float32) * rng.uniform(0.93, 1.0)
        if shine:
            at = rng.uniform(-0.05, 0.05) - 0.2
            gloss = np.exp(-(((np.arange(tall) / tall - 0.5 - at) / 0.16) ** 2)).astype(np.float32)
            face += (shine * 60 * gloss)[:, None, None]
        inner[:, i * cell : i * cell + wide] = face
    _shadows(rng, inner, style, cell, wide, height)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    _frames(rng, image, style, margin, cell, wide, tall, height)
    digits = tuple(
        MeterDigit(
            str(turn.digit),
            turn.position,
            rectangle(margin + i * cell, margin, margin + i * cell + wide, margin + tall),
            i >= style.wheels - style.fraction,
        )
        for i, turn in enumerate(turns)
    )
    return Display(image, (margin, margin, margin + width, margin + tall), digits, False, height)


def _teeth(rng: random.Random, inner: np.ndarray, style: CounterStyle, cell: int, wide: int, pitch: int) -> None:
    rows = np.arange(len(inner))
    light, period = rng.choice((60, 150, 225)), max(3, round(pitch * rng.uniform(0.3, 0.6)))
    for i in range(style.wheels - 1):
        on = ((rows + rng.randrange(period)) % period) < period * rng.uniform(0.35, 0.6)
        inner[on, i * cell + wide : (i + 1) * cell] = light


def _with_ticks(ink: np.ndarray, rows: np.ndarray, pitch: int, height: int) -> np.ndarray:
    """Ten ticks a digit's turn on the wheel's right edge, the one at the digit longer."""
    phase = (rows / pitch - 0.5) * 10
    near = np.abs(phase - np.round(phase)) < 0.22
    long = np.round(phase) % 10 == 0
    out = np.concatenate([ink[:, : -max(1, height // 12)], np.zeros((len(ink), max(1, height // 12)), ink.dtype)], 1)
    out[near, -max(2, height // 8) :] = 0.9
    out[near & long, -max(3, height // 5) :] = 0.9
    return out


def _shadows(rng: random.Random, inner: np.ndarray, style: CounterStyle, cell: int, wide: int, height: int) -> None:
    """Draw the plate's shadow on the wheels, deepest along the top and one side."""
    tall, width = inner.shape[:2]
    reach, dark = max(1.0, height * rng.uniform(0.03, 0.3)), rng.uniform(0.1, 0.75)
    rows, side = np.arange(tall, dtype=np.float32), np.arange(width, dtype=np.float32)
    down = (1 - dark * np.exp(-rows / reach)) * (1 - dark * rng.uniform(0, 0.6) * np.exp(-(tall - 1 - rows) / reach))
    if not style.separate:
        inner *= (down[:, None] * (1 - dark * np.exp(-side / reach)))[..., None]
        return
    side = np.minimum(side % cell, wide)
    if rng.random() < 0.5:
        side = wide - side
    inner *= (down[:, None] * (1 - dark * rng.uniform(0.2, 1.0) * np.exp(-side / (reach * 0.7))))[..., None]
    for i in range(style.wheels - 1):
        paint = style.part if i + 1 > style.wheels - style.fraction else style.whole
        inner[:, i * cell + wide : (i + 1) * cell] = paint.plate


def _frames(
    rng: random.Random,
    image: Image.Image,
    style: CounterStyle,
    margin: int,
    cell: int,
    wide: int,
    tall: int,
    height: int,
) -> None:
    """Bevels around the windows, a line around them all, and what marks the fraction."""
    draw = ImageDraw.Draw(image)
    line = max(1, round(height * rng.uniform(0.02, 0.07)))
    width = cell * (style.wheels - 1) + wide
    frame = rng.choice(((15, 15, 15), (90, 90, 90), (190, 190, 190), style.whole.ink))
    if style.separate and rng.random() < 0.7:
        for i in range(style.wheels):
            x = margin + i * cell
            draw.rectangle(
                (x - line, margin - line, x + wide + line - 1, margin + tall + line - 1), outline=frame, width=line
            )
    elif rng.random() < 0.7:
        draw.rectangle(
            (margin - line, margin - line, margin + width + line - 1, margin + tall + line - 1),
            outline=frame,
            width=line,
        )
    if rng.random() < 0.25:
        off = round(height * rng.uniform(0.15, 0.5))
        draw.rectangle(
            (margin - off, margin - off, margin + width + off, margin + tall + off), outline=frame, width=line
        )
    if not style.mark:
        return
    first = margin + (style.wheels - style.fraction) * cell
    middle = first - (cell - wide) / 2
    colour = rng.choice((style.part.ink, (200, 30, 40), style.whole.ink, (15, 15, 15)))
    if abs(sum(colour) - sum(style.whole.plate)) < 150:
        colour = (10, 10, 10) if sum(style.whole.plate) > 380 else (240, 240, 240)
    if style.mark == "box":
        off = max(line, round(height * rng.uniform(0.04, 0.25)))
        draw.rectangle(
            (middle - line, margin - off - line, margin + width + off, margin + tall + off),
            outline=rng.choice(((200, 30, 40), (230, 120, 40), colour)), width=max(2, 2 * line),
        )  # fmt: skip
        return
    # The dot stands between two windows, at the foot of the digits or under the windows.
    radius = max(1.5, height * rng.uniform(0.07, 0.12))
    y = margin + tall / 2 + height / 2 if rng.random() < 0.6 and cell - wide > radius else margin + tall + radius * 1.8
    draw.ellipse((middle - radius, y - radius, middle + radius, y + radius), fill=colour)
    if style.mark == ",":
        draw.line(
            (middle + radius * 0.6, y, middle - radius * 0.8, y + 2.6 * radius),
            fill=colour,
            width=max(1, round(radius)),
        )
