"""A page being set: the picture, the lines of text put on it so far, and the page's own fonts and colours."""

import random
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from trainers.render.fonts import Font, FontSet
from trainers.render.texts import TextSource, Words

Colour = tuple[int, ...]  # red, green, blue, 0..255


@dataclass(frozen=True)
class RenderedLine:
    """One run of text.

    `polygon` is (4, 2) float32, px: the corners of its ink, clockwise from the top left of the text as it is read (so a
    line set upwards along an edge has its first corner at the lower left)."""

    text: str
    polygon: np.ndarray


@dataclass
class Desk:
    """All that a layout draws from: the random numbers, and the fonts and texts of one split."""

    rng: random.Random
    fonts: FontSet
    texts: TextSource
    split: str

    def words(self, language: str) -> Words:
        return Words(self.texts, self.split, language, self.rng)

    def page(self, width: float, height: float, language: str, body: float, paper: Colour | None = None) -> "Page":
        """Return a blank page of width x height px whose running text is `body` px."""
        return Page(self, round(width), round(height), language, body, paper or _paper(self.rng))


def _paper(rng: random.Random) -> Colour:
    if rng.random() < 0.7:
        return (255, 255, 255)
    level = rng.randint(222, 252)
    return rng.choice([(level, level, level), (level, level - 3, level - 12), (level - 8, level - 2, level)])


def dark(rng: random.Random) -> Colour:
    """Return an ink colour that is easy to read on light paper."""
    r, g, b = (rng.randint(0, 150) for _ in range(3))
    return (r, g // 2, b) if r + g + b > 250 else (r, g, b)


@dataclass
class Page:
    """The page and its style. Coordinates are px from the top left; `body` is the nominal size of running text."""

    desk: Desk
    width: int
    height: int
    language: str
    body: float
    paper: Colour
    lines: list[RenderedLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = self.desk.rng
        self.image = Image.new("RGB", (self.width, self.height), self.paper)
        self.draw = ImageDraw.Draw(self.image)
        self.words = self.desk.words(self.language)
        level = self.rng.choice((0, 0, 0, 10, 25, 45, 70))
        self.ink: Colour = (level, level, level)
        self.accent: Colour = self.ink if self.rng.random() < 0.5 else dark(self.rng)
        self.leading = self.rng.uniform(1.25, 1.9)
        style = self.rng.choice((("sans",), ("serif",), ("sans", "serif")))
        self.text_font = self.font(self.body, style)
        self.bold_font = self.font(self.body, style, bold=True)
        self.filled_font = self.font(self.body, self.rng.choice((("mono",), ("mono",), style)))

    @property
    def line_height(self) -> float:
        return self.body * self.leading

    def font(self, size: float, styles: tuple[str, ...] = ("sans", "serif"), bold: bool = False) -> Font:
        script = "hangul" if self.language == "ko" else "latin"
        return self.desk.fonts.choose(self.rng, self.desk.split, script, styles, bold).at(size)

    def resized(self, font: Font, size: float) -> Font:
        return font.face.at(size)

    def fit(self, text: str, font: Font, width: float) -> str:
        """Return the start of `text` that fits into `width` px, cut at a space if there is one."""
        text = font.face.clean(text)
        full = font.width(text)
        if full <= width:
            return text
        text = text[: max(1, int(len(text) * width / full))]
        while len(text) > 1 and font.width(text) > width:
            text = text[:-1]
        return text[: text.rindex(" ")] if " " in text.strip() else text

    def item(self, section: str, font: Font, width: float) -> str:
        """Return an item of a section that fits into `width` px; the last of a few tries is cut."""
        text = ""
        for _ in range(4):
            text = font.face.clean(self.words.item(section))
            if font.width(text) <= width:
                break
        return self.fit(text, font, width)

    def text(
        self, x: float, y: float, text: str, font: Font | None = None, fill: Colour | None = None, anchor: str = "l"
    ) -> float:
        """Set one line with its baseline one ascent below `y`; `x` is its left end, middle or right end as `anchor` is
        "l", "m" or "r". Returns the x after it. Text that would leave the page is not set."""
        font = font or self.text_font
        text = font.face.clean(text).strip()
        if not text:
            return x
        baseline = round(y + 0.82 * font.size)
        length = font.width(text)
        left = round(x - {"l": 0, "m": length / 2, "r": length}[anchor])
        x0, y0, x1, y1 = font.pil.getbbox(text, anchor="ls")
        box = (left + x0, baseline + y0, left + x1, baseline + y1)
        if box[0] < 0 or box[1] < 0 or box[2] > self.width or box[3] > self.height or x1 <= x0 or y1 <= y0:
            return x
        self.draw.text((left, baseline), text, fill=fill or self.ink, font=font.pil, anchor="ls")
        self.record(text, box)
        return left + length

    def record(self, text: str, box: tuple[float, float, float, float]) -> None:
        x0, y0, x1, y1 = box
        self.lines.append(RenderedLine(text, np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float32)))

    def wrap(self, text: str, font: Font, width: float) -> list[str]:
        """Greedy lines of at most `width` px."""
        text = font.face.clean(text)
        space = font.width(" ")
        lines, line, used = [], [], 0.0
        for word in text.split():
            length = font.width(word)
            if line and used + space + length > width:
                lines.append(" ".join(line))
                line, used = [], 0.0
            used += length + (space if line else 0)
            line.append(word if length <= width else self.fit(word, font, width))
        return [*lines, " ".join(line)] if line else lines

    def paragraph(
        self, x: float, y: float, width: float, bottom: float, text: str, font: Font | None = None,
        fill: Colour | None = None, align: str = "l", indent: float = 0.0,
    ) -> float:  # fmt: skip
        """Set wrapped text from `y`, not below `bottom`. Returns the y below it."""
        font = font or self.text_font
        step = font.size * self.leading
        anchor_x = {"l": x, "m": x + width / 2, "r": x + width}[align]
        pad = " " * round(indent / max(1.0, font.width(" ")))
        for i, line in enumerate(self.wrap(text, font, width - indent)):
            if y + font.size * 1.1 > bottom:
                break
            self.text(anchor_x + (indent if i == 0 and pad else 0), y, line, font, fill, align)
            y += step
        return y

    def rule(self, x0: float, y: float, x1: float, width: int = 1, dashed: bool = False) -> None:
        """Draw a horizontal line from `x0` to `x1`, `width` px thick; nothing if `x1` is left of `x0`."""
        step = max(3, round(self.body * 0.5)) if dashed else round(x1 - x0) + 1
        for start in range(round(x0), round(x1), max(1, 2 * step)):
            end = min(round(x1), start + step)
            self.draw.rectangle((start, round(y), end, round(y) + width - 1), fill=self.ink)

    def turned_text(self, x: float, y: float, text: str, font: Font, fill: Colour, degrees: float) -> None:
        """Side numbers and handwriting: text turned counter-clockwise by `degrees`, where it fits on the page.
        (x, y) is the top left of what it covers."""
        text = font.face.clean(text).strip()
        if not text:
            return
        x0, y0, x1, y1 = font.pil.getbbox(text, anchor="ls")
        mask = Image.new("L", (int(x1 - x0) + 4, int(y1 - y0) + 4))
        ImageDraw.Draw(mask).text((2 - x0, 2 - y0), text, fill=255, font=font.pil, anchor="ls")
        width, height = mask.size
        turned = mask.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
        left, top = round(x), round(y)
        if left < 0 or top < 0 or left + turned.width > self.width or top + turned.height > self.height:
            return
        self.image.paste(fill, (left, top), turned)
        angle = np.radians(degrees)
        corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, sin], [-sin, cos]])  # image y points down
        centre = np.array([left + turned.width / 2, top + turned.height / 2])
        self.lines.append(RenderedLine(text, (corners @ turn.T + centre).astype(np.float32)))
