"""One rendered line from one seed: its text and face, the ink, what is around it, the medium's damage."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from trainers.render.canvas import Desk
from trainers.render.fonts import Face, FontSet, FontsMissingError, system_fonts
from trainers.render.lines.faces import choose_face, drawable
from trainers.render.lines.finish import finished
from trainers.render.lines.ink import SetLine, bent, draw_bend, merged, printed, set_text, stretched
from trainers.render.page import Split
from trainers.render.texts.lines import SHARES, LineTexts
from trainers.render.texts.source import TextSource, shipped_texts

LOWEST, HIGHEST = 24, 96  # px of a line image
_WIDEST = 1500  # px that the ink of a line may take
_SIZES = (17, 18, 20, 22, 24, 26, 28, 31, 34, 38, 42, 46, 52, 58, 64)  # few, so that loaded faces are met again
_MEDIA = {"digital": 0.42, "scan": 0.22, "receipt": 0.12, "camera": 0.16, "screen": 0.08}
_BEND = {"digital": 0.06, "scan": 0.45, "receipt": 0.6, "camera": 0.9, "screen": 0.6}
_TILL_KINDS = ("receipt", "amount", "business_number", "phone", "number", "date")
_TRIES = 100


@dataclass(frozen=True)
class RenderedLine:
    """`image` (h, w, 3) uint8 RGB, h from 24 to 96 px; `text` exactly what is drawn (NFC); `kind` of text, of
    `trainers.render.texts.lines.SHARES`."""

    image: np.ndarray
    text: str
    kind: str


@lru_cache(maxsize=8)
def _line_texts(
    source: TextSource, split: str, charset: frozenset[str] | None, balance: bool, rare: float
) -> LineTexts:
    return LineTexts(source, split, charset, balance, rare)


def render_line(
    seed: int | tuple[int, ...],
    *,
    texts: TextSource | None = None,
    fonts: FontSet | None = None,
    charset: Iterable[str] | None = None,
    split: Split = "train",
    balance: bool = False,
    rare: float = SHARES["rare"],
) -> RenderedLine:
    """Render one line of text as a text detector would have cut it out. The result depends on the arguments alone.

    Args:
        seed: whatever differs from line to line.
        texts: real sentences (default: the shipped lists). fonts: what to write in (default: the system's fonts).
        charset: the characters that texts may be made of, the space among them; a frozenset is quickest. None: all.
        split: whose texts and font families to use; the two splits share none.
        balance: rare syllables by inverse frequency in the sentences, not uniformly.
        rare: share of lines that are words of rare syllables.

    Raises:
        ValueError: unknown split; a charset of which no text can be made.
        FontsMissingError: no face of the split draws the texts.
    """
    key = tuple(seed) if isinstance(seed, tuple) else (seed,)
    rng = random.Random(f"line {[int(s) for s in key]} {split}")
    allowed = charset if charset is None or isinstance(charset, frozenset) else frozenset(charset)
    desk = Desk(rng, fonts or system_fonts(), texts or shipped_texts(), split)
    writer = _line_texts(desk.texts, split, allowed, balance, rare)
    for _ in range(_TRIES):
        text, kind = writer.draw(rng)
        media = [share * (3 if m == "receipt" and kind in _TILL_KINDS else 1) for m, share in _MEDIA.items()]
        medium = rng.choices(list(_MEDIA), media)[0]
        face = _face(desk, text, medium)
        if face is not None:
            return RenderedLine(_draw(desk, writer, text, face, medium), text, kind)
    raise FontsMissingError(
        f"no face of the {split} split draws the characters of any of {_TRIES} texts: run `make fonts`, "
        "or leave characters that the fonts lack out of the charset"
    )


def _face(desk: Desk, text: str, medium: str) -> Face | None:
    rng = desk.rng
    plain = ("sans", "mono") if medium == "receipt" else ("sans",) if medium == "digital" else ("sans", "serif")
    styles = rng.choices((("hand",), plain, ("sans", "serif", "mono")), (0.08, 0.52, 0.4))[0]
    return choose_face(rng, desk.fonts, desk.split, text, styles, rng.choice((None, None, True, False)))


def _set(rng: random.Random, text: str, face: Face, medium: str) -> tuple[SetLine, int]:
    """Return (the typeset line, its text size in px)."""
    spread = rng.random()
    tracking, word_space = 0.0, 1.0
    if face.style != "hand" and spread < 0.4:
        tracking = rng.uniform(-0.07, 0.03) if spread < 0.3 else rng.uniform(0.02, 0.1 if spread < 0.38 else 0.18)
    if "  " not in text and rng.random() < 0.35:
        word_space = rng.uniform(0.75, 1.6)
    stretch = rng.triangular(0.8, 1.2, 1.0) if rng.random() < 0.45 else 1.0
    wanted = rng.randrange(len(_SIZES))
    size = _SIZES[0]
    line = set_text(text, face.at(size), tracking * size, word_space)
    for larger in reversed(_SIZES[1 : wanted + 1]):
        font = face.at(larger)
        if font.width(text) + len(text) * tracking * larger > _WIDEST:
            continue
        stroke = 1 if larger > 36 and rng.random() < 0.04 else 0
        at_size = set_text(text, font, tracking * larger, word_space, stroke)
        if at_size.box[3] - at_size.box[1] <= HIGHEST - 10:
            line, size = at_size, larger
            break
    if medium == "receipt" and size > 26 and rng.random() < 0.45:
        line = printed(line, rng.uniform(20, 26) / size)
    return (line if stretch == 1.0 else stretched(line, stretch)), size


def _neighbour(desk: Desk, writer: LineTexts, face: Face, size: int) -> SetLine | None:
    text = " ".join(writer.draw(desk.rng)[0] for _ in range(3))
    return set_text(text, face.at(size)) if drawable(face, text) else None


def _draw(desk: Desk, writer: LineTexts, text: str, face: Face, medium: str) -> np.ndarray:
    """Return the line's image: margins, neighbours and rules, the bend, the background, the damage."""
    rng = desk.rng
    noise = np.random.default_rng(rng.getrandbits(64))
    line, size = _set(rng, text, face, medium)
    x0, y0, x1, y1 = line.box
    # A dash or a full stop alone is cut out with some of the empty line above and below.
    y0, y1 = min(y0, line.baseline - round(0.62 * size)), max(y1, line.baseline)
    left, right = (max(1, round(rng.triangular(0, 0.8, 0.12) * size)) for _ in range(2))
    above, below = (max(1, round(rng.triangular(0, 0.36, 0.1) * size)) for _ in range(2))
    bend = draw_bend(rng, (x1 - x0) / size, _BEND[medium])
    if bend:
        drift = abs(bend.rise) / 2 + abs(bend.wave) + abs(bend.taper) / 4
        above, below = above + round(drift * size), below + round(drift * size)
    sliver, beside = round(rng.uniform(0.06, 0.28) * size), rng.random()
    if beside < 0.12:
        above = max(above, sliver + round(0.12 * size))
    elif beside < 0.24:
        below = max(below, sliver + round(0.12 * size))
    if rng.random() < 0.05:  # a detector's box that is a little too small
        above, below = rng.choice(((-round(0.05 * size), below), (above, -round(0.05 * size))))
    lacking = LOWEST - (y1 - y0 + above + below)
    if lacking > 0:
        above, below = above + lacking // 2, below + lacking - lacking // 2
    surplus = (y1 - y0 + above + below) - HIGHEST
    if surplus > 0:
        share = round(surplus * max(0, above) / max(1, max(0, above) + max(0, below)))
        above, below = above - share, below - (surplus - share)
    ink = line.mask.crop((x0 - left, y0 - above, x1 + right, y1 + below))
    if beside < 0.24 and (other := _neighbour(desk, writer, face, size)):
        x = -rng.randrange(max(1, other.mask.width - ink.width))
        y = sliver - other.box[3] if beside < 0.12 else ink.height - sliver - other.box[1]
        ink = merged(ink, other.mask, (x, y))
    breaks = [b - x0 + left for b in line.breaks[1:]]
    rules = Image.new("L", ink.size)
    if rng.random() < 0.2:
        _rule(rng, rules, size, baseline=line.baseline - y0 + above, margins=(left, above, right, below))
    if bend:
        ink, rules = bent([ink, rules], bend, size)
    return finished(desk, noise, ink, rules, breaks if bend is None else [], size, medium, bend)


def _rule(rng: random.Random, layer: Image.Image, size: int, baseline: int, margins: tuple[int, int, int, int]) -> None:
    """Draw an underline, or the borders of a table's cell."""
    draw, (width, height) = ImageDraw.Draw(layer), layer.size
    thick = max(1, round(size * rng.choice((0.02, 0.04, 0.07))))
    left, above, right, below = margins
    if rng.random() < 0.4:
        y = min(height - thick, baseline + round(size * rng.uniform(0.08, 0.24)))
        dash = rng.choice((0, 0, 0, 2, 4)) * thick
        for x in range(0, width, 2 * dash or width):
            draw.rectangle((x, y, x + (dash or width) - 1, y + thick - 1), fill=255)
        return
    if rng.random() < 0.5:
        y = rng.randint(0, max(0, above - thick))
        draw.rectangle((0, y, width, y + thick - 1), fill=255)
    if rng.random() < 0.6:
        y = height - thick - rng.randint(0, max(0, below - thick))
        draw.rectangle((0, y, width, y + thick - 1), fill=255)
    # Upright borders keep off the text, which would read as a bar or a one.
    if left > 0.3 * size and rng.random() < 0.5:
        x = rng.randint(0, max(0, round(left - 0.25 * size) - thick))
        draw.rectangle((x, 0, x + thick - 1, height), fill=255)
    if right > 0.3 * size and rng.random() < 0.5:
        x = width - thick - rng.randint(0, max(0, round(right - 0.25 * size) - thick))
        draw.rectangle((x, 0, x + thick - 1, height), fill=255)
