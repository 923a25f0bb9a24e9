"""Meters seen straight on: round and square faces and pump panels, with or without a display."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from trainers.data.meter_sample import MeterDigit
from trainers.render.canvas import Colour, Desk
from trainers.render.meters.board import Board
from trainers.render.meters.display import Display, mixed

_PUMP_WORDS = ("LITRES", "LITERS", "Litres", "리터", "주유량(L)", "VOLUME", "L", "m³", "SALE", "금액(원)", "kWh")
_PUMP_MORE = (
    "₩",
    "AMOUNT",
    "PRICE / LITRE",
    "원",
    "단가 1,589원",
    "UNLEADED",
    "휘발유",
    "경유",
    "DIESEL",
    "PAY AT KIOSK",
    "1.529",
    "PUMP 4",
    "NO SMOKING",
)


@dataclass(frozen=True)
class MeterFace:
    """`image` RGB and `shape` "L", the meter's outline; `window` and `digits` of the display in px of it, None and ()
    without one; `round_face`: a dial, to be put into a body."""

    image: Image.Image
    shape: Image.Image
    window: tuple[float, float, float, float] | None
    digits: tuple[MeterDigit, ...]
    round_face: bool


def _mounted(
    board: Board, display: Display | None, x: float, y: float
) -> tuple[tuple[float, float, float, float] | None, tuple[MeterDigit, ...]]:
    """Put the display with its middle at (x, y) and keep the place around it free; (window, digits) on the board."""
    if display is None:
        return None, ()
    rng = board.rng
    x0, y0, x1, y1 = display.window
    pads = [min(x0, display.height * rng.uniform(0.3, 0.75)) for _ in range(2)]
    left, top = round(x - (x0 + x1) / 2), round(y - (y0 + y1) / 2)
    part = (round(x0 - pads[0]), round(y0 - pads[1]), round(x1 + pads[0]), round(y1 + pads[1]))
    mask = Image.new("L", (part[2] - part[0], part[3] - part[1]))
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, mask.width - 1, mask.height - 1), rng.choice((0, display.height * 0.15)), fill=255
    )
    board.image.paste(display.image.crop(part), (left + part[0], top + part[1]), mask)
    window = (left + x0, top + y0, left + x1, top + y1)
    board.reserve((left + part[0], top + part[1], left + part[2], top + part[3]))
    shift = np.array([left, top], dtype=np.float32)
    return window, tuple(replace(d, box=d.known_box + shift) for d in display.digits)


def _ground(desk: Desk) -> Colour:
    rng = desk.rng
    level = rng.randint(205, 252)
    grey = rng.randint(90, 190)
    return rng.choices(
        (
            (level, level, level), (level, level - 3, level - 14), (level - 12, level - 4, level), (grey, grey, grey),
            (30, 32, 36), rng.choice(((40, 80, 160), (185, 35, 40), (60, 130, 90), (225, 200, 120))),
        ), (0.42, 0.2, 0.15, 0.09, 0.07, 0.07),
    )[0]  # fmt: skip


def _furnished(board: Board, window: tuple[float, float, float, float] | None, height: float, dials: int) -> None:
    rng = board.rng
    if window is not None and rng.random() < 0.75:
        board.unit_mark(window, height)
    for _ in range(dials):
        board.dial()
    if rng.random() < 0.65:
        board.star()
    board.words()
    for chance, thing in ((0.75, board.serial), (0.25, board.serial), (0.4, board.sticker), (0.15, board.sticker)):
        if rng.random() < chance:
            thing()


def round_face(desk: Desk, display: Display | None, diameter: float) -> MeterFace:
    """Return a water meter's dial under glass in its rim. `diameter`: of the dial, px."""
    rng = desk.rng
    side = round(diameter)
    board = Board(desk, (side, side), _ground(desk), side / 12, round_face=True)
    if rng.random() < 0.3:
        board.stripes()
    offset = rng.triangular(-0.32, 0.28, -0.12) * side
    reach = (display.window[2] - display.window[0]) / side if display else 0
    offset *= max(0.0, min(1.0, (0.97 - reach) / 0.35))
    window, digits = _mounted(board, display, side / 2 + rng.gauss(0, 0.015) * side, side / 2 + offset)
    _furnished(
        board,
        window,
        display.height if display else 0,
        rng.choices(range(5), (20, 45, 15, 8, 12))[0] + 3 * (display is None),
    )
    board.shade(rng.uniform(0.6, 1.0))
    return _rimmed(desk, board.image, window, digits)


def _rimmed(
    desk: Desk, dial: Image.Image, window: tuple[float, float, float, float] | None, digits: tuple[MeterDigit, ...]
) -> MeterFace:
    """Return the dial in rings of plastic and metal, with the shadow that the rim throws on it."""
    rng, side = desk.rng, dial.width
    rim = round(side * rng.uniform(0.03, 0.14))
    full = side + 2 * rim
    level = rng.randint(60, 230)
    ring: Colour = rng.choice(
        (
            (level, level, level),
            (level, level - 8, level - 25),
            (190, 35, 50),
            (40, 90, 170),
            (35, 35, 38),
            (150, 120, 60),
        )
    )
    image = Image.new("RGB", (full, full), ring)
    draw = ImageDraw.Draw(image)
    steps = rng.randint(3, 6)
    for i in range(steps):
        inset = rim * i / steps
        tone = mixed(ring, rng.choice(((255, 255, 255), (0, 0, 0))), rng.uniform(0, 0.45))
        draw.ellipse((inset, inset, full - 1 - inset, full - 1 - inset), fill=tone)
    # Light from one side: a bright and a dark arc.
    start = rng.uniform(0, 360)
    for angle, tone in ((start, (255, 255, 255)), (start + 180, (0, 0, 0))):
        inset = rim * rng.uniform(0.1, 0.7)
        box = (inset, inset, full - 1 - inset, full - 1 - inset)
        draw.arc(
            box,
            angle - rng.uniform(15, 60),
            angle + rng.uniform(15, 60),
            fill=mixed(ring, tone, 0.6),
            width=max(1, rim // 4),
        )
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
    ys, xs = np.mgrid[0:32, 0:32]
    dx, dy = rng.gauss(0, 1.2), rng.gauss(0, 1.2)
    edge = np.hypot(xs - 15.5 + dx, ys - 15.5 + dy) / 15.5
    fall = 255 * rng.uniform(0.2, 0.7) * np.clip((edge - 0.84) / 0.22, 0, 1)
    dial.paste(
        (10, 10, 10), (0, 0), Image.fromarray(fall.astype(np.uint8)).resize(dial.size, Image.Resampling.BILINEAR)
    )
    image.paste(dial, (rim, rim), mask)
    shape = Image.new("L", (full, full))
    ImageDraw.Draw(shape).ellipse((0, 0, full - 1, full - 1), fill=255)
    if window is not None:
        window = tuple(v + rim for v in window)  # type: ignore[assignment]
    return MeterFace(image, shape, window, tuple(replace(d, box=d.known_box + np.float32(rim)) for d in digits), True)


def square_face(desk: Desk, display: Display | None, width: float) -> MeterFace:
    """Return the plate of an electricity, gas or heat meter. `width` px."""
    rng = desk.rng
    size = (round(width), round(width * rng.uniform(0.65, 1.45)))
    board = Board(desk, size, _ground(desk), width / 13)
    if rng.random() < 0.25:
        board.stripes()
    u, line = width / 13, max(1, round(width * 0.008))
    window, digits = _mounted(board, display, size[0] * rng.uniform(0.47, 0.53), size[1] * rng.uniform(0.2, 0.7))
    _furnished(board, window, display.height if display else 0, rng.choice((0, 0, 1, 4)) + 3 * (display is None))
    draw = board.draw
    inset = u * rng.uniform(0.1, 0.5)
    frame = mixed(board.ground, rng.choice(((0, 0, 0), (255, 255, 255))), rng.uniform(0.2, 0.7))
    draw.rounded_rectangle(
        (inset, inset, size[0] - 1 - inset, size[1] - 1 - inset), u * rng.uniform(0, 1), outline=frame, width=line
    )
    if rng.random() < 0.6:  # bolts
        r = u * rng.uniform(0.2, 0.4)
        for x in (inset + 1.5 * r, size[0] - inset - 1.5 * r):
            for y in (inset + 1.5 * r, size[1] - inset - 1.5 * r):
                draw.ellipse((x - r, y - r, x + r, y + r), fill=(150, 150, 150), outline=(70, 70, 70))
                draw.line(
                    (x - r * 0.6, y - r * 0.4, x + r * 0.6, y + r * 0.4), fill=(60, 60, 60), width=max(1, round(r / 3))
                )
    board.shade(rng.uniform(0.6, 1.0))
    shape = Image.new("L", size)
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), u * rng.choice((0, 0.4, 1.5)), fill=255)
    return MeterFace(board.image, shape, window, digits, False)


def pump_panel(desk: Desk, display: Display, width: float) -> MeterFace:
    """Return a dispenser's panel around its display, larger than the photo will be. `width` px."""
    rng = desk.rng
    size = (round(width), round(width * rng.uniform(0.7, 1.0)))
    level = rng.randint(195, 252)
    ground: Colour = rng.choice(
        ((level, level, level), (level, level, level), (level, level - 5, level - 10), (60, 62, 66), (40, 70, 130))
    )
    board = Board(desk, size, ground, display.height * 0.7)
    window, digits = _mounted(board, display, size[0] * rng.uniform(0.45, 0.55), size[1] * rng.uniform(0.4, 0.6))
    assert window is not None
    h = display.height
    side = rng.choices(("below", "above", "beside"), (0.7, 0.15, 0.15))[0]
    y = {
        "below": window[3] + h * rng.uniform(1.1, 1.6),
        "above": window[1] - h * 1.2,
        "beside": (window[1] + window[3]) / 2,
    }[side]
    x = window[2] + h * 2.2 if side == "beside" else rng.uniform(window[0] + h, window[2] - h)
    board.write(
        rng.choice((*_PUMP_WORDS[:2] * 3, *_PUMP_WORDS)), h * rng.uniform(0.4, 0.75), at=(x, y), bold=rng.random() < 0.7
    )
    for text in rng.sample(_PUMP_MORE, rng.choice((0, 0, 1, 2, 4))):
        board.write(
            text, h * rng.uniform(0.3, 0.7), rng.choice((board.ink, board.ink, (200, 30, 40))), bold=rng.random() < 0.5
        )
    board.shade(rng.uniform(0.55, 1.0))
    return MeterFace(board.image, Image.new("L", size, 255), window, digits, False)
