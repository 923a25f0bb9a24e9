"""The printed face of a meter: a board on which the display, texts, dials, stickers are placed clear of each other."""

import math
import random

import numpy as np
from PIL import Image, ImageDraw

from trainers.render.canvas import Colour, Desk
from trainers.render.lines.faces import choose_face
from trainers.render.marks import random_array
from trainers.render.meters.glyphs import digit_faces

Box = tuple[float, float, float, float]

_TRIES = 25  # at a free place

_BRAND_PARTS = (
    "AQU",
    "TEK",
    "NOR",
    "VAL",
    "MET",
    "ZEN",
    "HYD",
    "ER",
    "ON",
    "IS",
    "US",
    "RA",
    "LO",
    "MI",
    "BE",
    "TRON",
    "EX",
)
_CYRILLIC = ("СЧЁТЧИК ВОДЫ", "ВОДА", "АНТИМАГНИТНЫЙ", "УНИВЕРСАЛЬНЫЙ", "ГОРЯЧАЯ", "НОРМА", "СВ-15Г", "ВСКМ-15")
_KOREAN = (
    "수도미터",
    "수도계량기",
    "가스미터",
    "전력량계",
    "검침",
    "냉수용",
    "온수용",
    "형식승인",
    "제조번호",
    "검정유효",
    "사용압력",
    "상수도",
    "도시가스",
    "주유량",
    "단상2선식",
)
_SPECS = (
    "Qn = 1,5 m³/h", "Q3 2.5 m³/h", "90°C", "T30", "40°C 1MPa", "PN 16", "H-B  V-A", "R80 H", "Class B", "Tmax 90°C",
    "0,814·10⁻⁵ m³/imp", "x0,0001", "IP54", "220V 60Hz", "5(30)A", "1600 rev/kWh", "G 1.6", "V 0.7 dm³", "Pmax 0,5 bar",
    "CE M17", "DN15", "Qmin 0,016", "L=110", "EN 14154", "60Hz 40(10)A", "0.05 kPa",
)  # fmt: skip
_UNITS = ("m³", "m³", "m³", "㎥", "kWh", "ℓ", "L")
_WARM: tuple[Colour, ...] = ((200, 30, 40), (40, 70, 160), (220, 90, 30), (30, 120, 70), (15, 15, 15), (30, 120, 190))


def brand(rng: random.Random) -> str:
    """Draw a brand name, most likely one that no maker has."""
    return "".join(rng.sample(_BRAND_PARTS, rng.choice((2, 2, 3))))


class Board:
    """A picture `size` px large on which things are set without overlaps.

    Args:
        unit: what texts and dials are measured in, px: about a twelfth of the board's width.
        round_face: only the inscribed circle may be printed on.
    """

    def __init__(self, desk: Desk, size: tuple[int, int], ground: Colour, unit: float, round_face: bool = False):
        self.desk, self.rng, self.unit = desk, desk.rng, unit
        self.image = Image.new("RGB", size, ground)
        self.draw = ImageDraw.Draw(self.image)
        self.ground = ground
        self.ink: Colour = (25, 25, 30) if sum(ground) > 330 else (230, 230, 230)
        self._round = round_face
        self._taken: list[Box] = []

    def reserve(self, box: Box) -> None:
        """Keep `box` free of what is placed later."""
        self._taken.append(box)

    def place(self, width: float, height: float) -> tuple[float, float] | None:
        """Return the top left of a free place, which is then taken; None if none was found."""
        w, h = self.image.size
        for _ in range(_TRIES):
            x, y = self.rng.uniform(0.02 * w, 0.98 * w - width), self.rng.uniform(0.02 * h, 0.98 * h - height)
            if self._free((x, y, x + width, y + height)):
                self.reserve((x, y, x + width, y + height))
                return x, y
        return None

    def _free(self, box: Box) -> bool:
        x0, y0, x1, y1 = box
        if self._round:
            w, h = self.image.size
            far = max(abs(x0 - w / 2), abs(x1 - w / 2)) / w, max(abs(y0 - h / 2), abs(y1 - h / 2)) / h
            if math.hypot(*far) > 0.46:
                return False
        return all(x1 < a or c < x0 or y1 < b or d < y0 for a, b, c, d in self._taken)

    def write(
        self,
        text: str,
        size: float,
        colour: Colour | None = None,
        at: tuple[float, float] | None = None,
        bold: bool = False,
    ) -> None:
        """Text of `size` px at its middle `at`, or where there is room."""
        face = choose_face(self.rng, self.desk.fonts, self.desk.split, text, ("sans",), bold)
        if face is None or size < 4:  # a sign that this split's fonts lack
            return
        font = face.at(size)
        width = font.width(text)
        if at is None:
            spot = self.place(width + 0.3 * size, size * 1.25)
            if spot is None:
                return
            at = (spot[0] + 0.15 * size + width / 2, spot[1] + size * 0.62)
        else:
            self.reserve((at[0] - width / 2, at[1] - size * 0.6, at[0] + width / 2, at[1] + size * 0.6))
        self.draw.text(at, text, fill=colour or self.ink, font=font.pil, anchor="mm")

    def serial(self) -> None:
        """Draw a serial number: large digits that are not the reading; engraved, printed, on a label, or under a
        barcode."""
        rng, u = self.rng, self.unit
        number = str(rng.randrange(10**4, 10 ** rng.randint(6, 9)))
        form = rng.random()
        if form < 0.4:
            width, height = u * rng.uniform(2.2, 4.2), u * rng.uniform(0.35, 0.9)
            spot = self.place(width, height + 0.6 * u)
            if spot is None:
                return
            x, y = spot
            self.draw.rectangle((x, y, x + width, y + height + 0.6 * u), fill=(245, 245, 242))
            step = max(1, round(width / 90))
            bars = random_array(rng, (round(width / step) - 4,)) > 120
            for i, bar in enumerate(bars.tolist()):
                if bar:
                    left = round(x) + (i + 2) * step
                    self.draw.rectangle((left, y + 0.06 * u, left + step - 1, y + height), fill=(15, 15, 15))
            self.write(number, 0.5 * u, (15, 15, 15), (x + width / 2, y + height + 0.3 * u))
            return
        text = rng.choice(("", "", "№ ", "No. ", "S/N ", "기물번호 ")) + rng.choice(
            (number, f"{number[:2]}-{number[2:]}", " ".join(number))
        )
        self.write(text, u * rng.uniform(0.5, 1.0), rng.choice((self.ink, (120, 120, 120), (60, 60, 60))))

    def words(self) -> None:
        """Maker, kind of meter, technical data."""
        rng, u = self.rng, self.unit
        accent = rng.choice((self.ink, *_WARM)) if sum(self.ground) > 330 else self.ink
        self.write(brand(rng), u * rng.uniform(0.7, 1.3), accent, bold=rng.random() < 0.7)
        titles = _KOREAN if rng.random() < 0.45 else (*_CYRILLIC, "WATER METER", "GAS", "MULTI-JET", "UNIVERSAL")
        for text in rng.sample(titles, rng.randint(0, 2)):
            self.write(text, u * rng.uniform(0.4, 0.75), rng.choice((self.ink, accent)))
        for text in rng.sample(_SPECS, rng.randint(3, 10)):
            self.write(text, u * rng.uniform(0.32, 0.55), rng.choice((self.ink, self.ink, self.ink, accent)))
        if rng.random() < 0.6:
            self.write(str(rng.randint(1998, 2025)), u * rng.uniform(0.35, 0.6))

    def unit_mark(self, window: Box, height: float) -> None:
        """Draw the unit of the display, to its right or above its end."""
        rng = self.rng
        size = height * rng.uniform(0.5, 1.0)
        x = window[2] + height * 1.1 + size * 0.4 if rng.random() < 0.6 else window[2] - size
        y = (window[1] + window[3]) / 2 if x > window[2] else window[3] + height * 0.9 + size * 0.5
        self.write(rng.choice(_UNITS), size, at=(x, y), bold=rng.random() < 0.5)

    def dial(self) -> None:
        """Draw a small dial of ten parts with a red needle."""
        rng, draw = self.rng, self.draw
        r = self.unit * rng.uniform(0.75, 1.5)
        spot = self.place(2 * r, 2 * r)
        if spot is None:
            return
        cx, cy = spot[0] + r, spot[1] + r
        needle = rng.choice(((215, 35, 35), (200, 20, 30), (230, 70, 40), (20, 20, 20)))
        dark = rng.random() < 0.25
        if dark or rng.random() < 0.4:
            draw.ellipse(
                (cx - r, cy - r, cx + r, cy + r), fill=(20, 20, 22) if dark else (236, 236, 232), outline=(90, 90, 90)
            )
        ink = (235, 235, 235) if dark else rng.choice((self.ink, needle))
        families = digit_faces(self.desk.fonts, self.desk.split)
        font = rng.choice(rng.choice(families)).at(r * 0.36) if families and r > 14 else None
        turned = rng.choice((0, 0, math.pi))
        for i in range(10):
            angle = turned + i * math.pi / 5
            dx, dy = math.sin(angle), -math.cos(angle)
            inner = 0.62 if font else 0.75
            draw.line(
                (cx + dx * r * 0.5, cy + dy * r * 0.5, cx + dx * r * inner, cy + dy * r * inner),
                fill=ink,
                width=max(1, round(r * 0.05)),
            )
            if font:
                draw.text((cx + dx * r * 0.82, cy + dy * r * 0.82), str(i), fill=ink, font=font.pil, anchor="mm")
        angle = rng.uniform(0, 2 * math.pi)
        dx, dy = math.sin(angle), -math.cos(angle)
        hub = r * rng.uniform(0.15, 0.34)
        draw.polygon(
            [(cx + dx * r * 0.72, cy + dy * r * 0.72), (cx - dy * hub, cy + dx * hub), (cx + dy * hub, cy - dx * hub)],
            fill=needle,
        )
        draw.ellipse((cx - hub, cy - hub, cx + hub, cy + hub), fill=needle)

    def star(self) -> None:
        """Draw the star wheel that shows the least flow."""
        rng = self.rng
        r = self.unit * rng.uniform(0.45, 1.0)
        spot = self.place(2 * r, 2 * r)
        if spot is None:
            return
        cx, cy = spot[0] + r, spot[1] + r
        points, start, deep = rng.choice((6, 8, 8, 12)), rng.uniform(0, 1), rng.uniform(0.4, 0.75)
        outline = []
        for i in range(2 * points):
            angle, far = start + i * math.pi / points, r * (1 if i % 2 == 0 else deep)
            outline.append((cx + far * math.sin(angle), cy + far * math.cos(angle)))
        colour = rng.choice(((20, 20, 20), (20, 20, 20), (190, 30, 35), (150, 150, 155)))
        self.draw.polygon(outline, fill=colour)
        self.draw.ellipse((cx - r * 0.2, cy - r * 0.2, cx + r * 0.2, cy + r * 0.2), fill=(110, 110, 110))

    def sticker(self) -> None:
        """Draw a coloured disc, band or label."""
        rng, u = self.rng, self.unit
        colour = rng.choice(
            ((40, 120, 210), (210, 40, 45), (240, 200, 40), (60, 160, 80), (235, 120, 30), (250, 250, 250))
        )
        width = u * rng.uniform(0.6, 2.0)
        height = width if rng.random() < 0.5 else u * rng.uniform(0.4, 1.2)
        spot = self.place(width, height)
        if spot is None:
            return
        box = (*spot, spot[0] + width, spot[1] + height)
        if width == height:
            self.draw.ellipse(box, fill=colour)
        else:
            self.draw.rectangle(box, fill=colour)
        if rng.random() < 0.5:
            text = rng.choice(
                ("OK", f"{rng.randint(1, 12)}/{rng.randint(18, 32)}", str(rng.randint(1, 99)), "검정필", "합격")
            )
            size = min(height * 0.6, width / (0.7 * len(text)))
            ink = (20, 20, 20) if sum(colour) > 380 else (250, 250, 250)
            self.write(text, size, ink, (spot[0] + width / 2, spot[1] + height / 2))

    def stripes(self) -> None:
        """Slanted coloured bars or a coloured band behind the print."""
        rng, (w, h) = self.rng, self.image.size
        colour = rng.choice(_WARM)
        if rng.random() < 0.5:
            step, wide, lean = w * 0.07, w * 0.035, rng.uniform(-0.6, 0.6)
            x = rng.uniform(0.1, 0.8) * w
            for i in range(rng.randint(2, 4)):
                left = x + i * step
                self.draw.polygon(
                    [(left, 0), (left + wide, 0), (left + wide + lean * h, h), (left + lean * h, h)], fill=colour
                )
        else:
            y = rng.choice((rng.uniform(0, 0.15), rng.uniform(0.75, 0.95))) * h
            self.draw.rectangle((0, y, w, y + h * rng.uniform(0.05, 0.2)), fill=colour)

    def shade(self, low: float) -> None:
        """Uneven light over the whole board, from `low` (0 … 1) to full."""
        cells = np.array([[self.rng.uniform(low, 1) for _ in range(3)] for _ in range(3)]) * 255
        field = Image.fromarray((255 - cells).astype(np.uint8)).resize(self.image.size, Image.Resampling.BILINEAR)
        self.image.paste((0, 0, 0), (0, 0), field)
