"""Office pages: forms, letters, articles, tables, tests, contents, notices, sparse pages."""

from trainers.render import blocks, marks
from trainers.render.canvas import Desk, Page, dark

_A4 = 1.414


def _language(desk: Desk, korean: float) -> str:
    return "ko" if desk.rng.random() < korean else "en"


def _sheet(
    desk: Desk, language: str, relative: tuple[float, float], landscape: float = 0.06
) -> tuple[Page, float, float]:
    """Return a page of an office format, its left margin and the width of its text. `relative`: range of the body size
    as a share of the page's height."""
    rng = desk.rng
    long = rng.choice((rng.uniform(620, 1600), rng.uniform(850, 1150)))
    short = long / rng.choice((_A4, _A4, 1.294, rng.uniform(1.2, 1.5)))
    width, height = (long, short) if rng.random() < landscape else (short, long)
    body = max(10.0, long * rng.uniform(*relative))
    page = desk.page(width, height, language, body)
    margin = page.width * rng.uniform(0.05, 0.13)
    return page, margin, page.width - 2 * margin


def _head(page: Page, x: float, width: float) -> float:
    """Logo, sender, date, title: any of them. Returns the y below."""
    rng, words = page.rng, page.words
    y = page.height * rng.uniform(0.025, 0.08)
    if rng.random() < 0.3:
        size = page.body * rng.uniform(2, 5)
        marks.logo(page, rng.choice((x, x + width / 2 - size / 2, x + width - size)), y, size)
        y += size + page.body * 0.5
    if rng.random() < 0.5:
        font = page.resized(page.bold_font, page.body * rng.uniform(1, 1.8))
        at, anchor = rng.choice(((x, "l"), (x + width / 2, "m"), (x + width / 2, "m"), (x + width, "r")))
        page.text(at, y, page.fit(blocks.upper(page, words.item("company")), font, width), font, page.accent, anchor)
        y += font.size * 1.4
        for _ in range(rng.choice((0, 1, 2))):
            page.text(
                at,
                y,
                page.fit(rng.choice((words.address, words.phone, words.email))(), page.text_font, width),
                anchor=anchor,
            )
            y += page.line_height
        if rng.random() < 0.4:
            page.rule(x, y, x + width, rng.randint(1, 3))
        y += page.body
    if rng.random() < 0.4:
        page.text(x + width, y, words.date(), page.filled_font, anchor="r")
        y += page.line_height
    if rng.random() < 0.8:
        font = page.resized(page.bold_font, page.body * rng.uniform(1.2, 2.6))
        title = blocks.upper(page, words.item("title"))
        if page.language == "ko" and rng.random() < 0.4:
            title = " ".join(title)
        title = page.fit(title, font, width * 0.95)
        at, anchor = (x, "l") if rng.random() < 0.25 else (x + width / 2, "m")
        page.text(at, y, title, font, page.accent, anchor)
        if rng.random() < 0.3 and anchor == "m":
            half = font.width(title) / 2 + page.body
            if rng.random() < 0.4:
                page.rule(at - half, y + font.size * 1.15, at + half, rng.randint(1, 2))
            else:
                page.draw.rectangle(
                    (at - half, y - font.size * 0.25, at + half, y + font.size * 1.25), outline=page.ink
                )
        y += font.size * rng.uniform(1.6, 2.6)
    return y


def _foot(page: Page, x: float, width: float, traces: float = 0.35) -> None:
    """Page number, side number, and with chance `traces` each: handwritten notes, stamps, punch holes."""
    rng, words = page.rng, page.words
    y = page.height - page.body * 1.8
    if rng.random() < 0.4:
        text = rng.choice(("{}", "- {} -", "Page {} of 9", "{} / 12")).format(rng.randint(1, 99))
        at, anchor = rng.choice(((x + width / 2, "m"), (x + width / 2, "m"), (x, "l"), (x + width, "r")))
        page.text(at, y, text, anchor=anchor)
    if rng.random() < traces * 0.6:
        font = page.font(page.body * rng.uniform(0.9, 1.5), ("mono", "sans"), bold=rng.random() < 0.5)
        edge = page.width - font.size * rng.uniform(1.5, 2.5)
        turn = 90 if rng.random() < 0.7 else -90
        page.turned_text(
            edge, rng.uniform(0.3, 0.85) * page.height, words.digits(rng.randint(8, 10)), font, page.ink, turn
        )
    if rng.random() < traces * 0.4:
        font = page.resized(page.filled_font, page.body * 1.3)
        page.text(x + width * rng.uniform(0.6, 1.0), y - page.body, words.digits(9), font, anchor="r")
    if rng.random() < traces:
        for _ in range(rng.randint(1, 2)):
            marks.handwriting(
                page, x + width * rng.uniform(0, 0.7), rng.uniform(0.01, 0.9) * page.height, words.value()
            )
    if rng.random() < traces * 0.6:
        size = page.width * rng.uniform(0.08, 0.2)
        marks.stamp(page, x + rng.uniform(0, 1) * (width - size), rng.uniform(0.03, 0.85) * page.height, size)
    if rng.random() < traces * 0.5:
        marks.punch_holes(page)


def form_english(desk: Desk) -> Page:
    """Typed business forms like FUNSD's: fields on rules, boxes, grids, notes, side numbers, much white."""
    rng = desk.rng
    page, x, width = _sheet(desk, "en", (0.0095, 0.0155))
    if rng.random() < 0.7:
        page.ink = page.accent = (0, 0, 0)
        page.paper = (255, 255, 255)
    y = _head(page, x, width)
    bottom = page.height * rng.choice((0.95, 0.95, rng.uniform(0.5, 0.9)))
    choices = {
        blocks.fields: 6, blocks.checkboxes: 2, blocks.table: 1.5, blocks.paragraph: 2, blocks.heading: 1.5,
        blocks.ruled_lines: 1.2, blocks.names: 0.7, blocks.signature: 1, blocks.label_grid: 0.7, blocks.framed: 0.3,
    }  # fmt: skip
    outer = y - page.body * 0.5
    y = blocks.fill(page, x, y, width, bottom, choices)
    if rng.random() < 0.25:
        frame = (x - page.body * 0.7, outer, x + width + page.body * 0.7, min(y, page.height * 0.98))
        page.draw.rectangle(frame, outline=page.ink, width=rng.choice((1, 2, 3)))
    _foot(page, x, width, traces=0.6)
    return page


def form_korean(desk: Desk) -> Page:
    """Applications and certificates: label cells, a wide title, a date, a sender and a seal."""
    rng = desk.rng
    page, x, width = _sheet(desk, "ko", (0.0105, 0.019))
    words, body = page.words, page.body
    y = _head(page, x, width)
    bottom = page.height * rng.choice((0.8, 0.86, rng.uniform(0.45, 0.8)))
    choices = {
        blocks.label_grid: 5,
        blocks.table: 1.5,
        blocks.paragraph: 2,
        blocks.bullets: 1,
        blocks.fields: 2,
        blocks.heading: 0.8,
    }
    y = blocks.fill(page, x, y, width, bottom, choices) + body
    middle, step = x + width / 2, body * 2.2
    if rng.random() < 0.7 and y + 5 * step < page.height:
        page.text(middle, y, words.item("sentence"), anchor="m")
        page.text(middle, y + step, words.date(), anchor="m")
        name = f"{words.item('label')}   {words.item('person')}   (인)"
        page.text(x + width, y + 2 * step, name, anchor="r")
        if rng.random() < 0.5:
            marks.stamp(page, x + width - body * 4, y + 1.4 * step, body * rng.uniform(3, 5))
        font = page.resized(page.bold_font, body * 1.6)
        page.text(middle, y + 3.4 * step, words.item("company") + " 귀하", font, anchor="m")
    _foot(page, x, width, traces=0.2)
    return page


def letter(desk: Desk) -> Page:
    """Letters, memoranda, official notices: a head, prose, a signature."""
    rng = desk.rng
    page, x, width = _sheet(desk, _language(desk, 0.5), (0.0105, 0.018))
    y = _head(page, x, width)
    if rng.random() < 0.7:
        y = blocks.fields(page, x, y, width * rng.uniform(0.5, 1), page.height * 0.5) + page.body
    bottom = page.height * rng.uniform(0.4, 0.85)
    y = blocks.fill(
        page, x, y, width, bottom, {blocks.paragraph: 6, blocks.bullets: 1, blocks.heading: 0.5, blocks.table: 0.3}
    )
    blocks.signature(page, x + rng.choice((0, width * 0.5)), y, width * 0.5, page.height * 0.93)
    _foot(page, x, width)
    return page


def article(desk: Desk) -> Page:
    """Dense prose in one to four columns with headings and pictures."""
    rng = desk.rng
    page, x, width = _sheet(desk, _language(desk, 0.5), (0.0085, 0.0135), landscape=0.12)
    page.leading = rng.uniform(1.2, 1.65)
    top = _head(page, x, width) if rng.random() < 0.7 else page.height * 0.05
    columns = max(1, min(rng.choice((1, 2, 2, 2, 3, 4)), int(width / (16 * page.body))))
    gap = page.body * rng.uniform(1.5, 3)
    column = (width - gap * (columns - 1)) / columns
    choices = {
        blocks.paragraph: 8,
        blocks.heading: 1.5,
        blocks.figure: rng.choice((0, 0.6)),
        blocks.bullets: 0.4,
        blocks.table: 0.2,
    }
    for c in range(columns):
        end = page.height * (0.94 if c < columns - 1 else rng.uniform(0.5, 0.94))
        blocks.fill(page, x + c * (column + gap), top, column, end, choices)
    _foot(page, x, width, traces=0.15)
    return page


def tables(desk: Desk) -> Page:
    """Statements and lists, mostly grids."""
    rng = desk.rng
    page, x, width = _sheet(desk, _language(desk, 0.5), (0.0095, 0.015), landscape=0.35)
    y = _head(page, x, width)
    choices = {blocks.table: 6, blocks.fields: 1, blocks.heading: 1, blocks.label_grid: 1, blocks.paragraph: 0.5}
    blocks.fill(page, x, y, width, page.height * rng.choice((0.95, rng.uniform(0.4, 0.9))), choices)
    _foot(page, x, width, traces=0.2)
    return page


def contents(desk: Desk) -> Page:
    """Draw a table of contents."""
    page, x, width = _sheet(desk, _language(desk, 0.6), (0.0105, 0.02))
    y = _head(page, x, width)
    y = blocks.fill(
        page, x, y, width, page.height * desk.rng.uniform(0.5, 0.93), {blocks.contents: 5, blocks.heading: 1.5}
    )
    _foot(page, x, width, traces=0.15)
    return page


def test_paper(desk: Desk) -> Page:
    """Questions in two columns with numbered choices and boxed passages."""
    rng = desk.rng
    page, x, width = _sheet(desk, _language(desk, 0.7), (0.0095, 0.0135))
    top = _head(page, x, width)
    columns = rng.choice((1, 2, 2, 2))
    gap = page.body * 2
    column = (width - gap * (columns - 1)) / columns

    def question(page: Page, x: float, y: float, width: float, bottom: float) -> float:
        y = page.paragraph(x, y, width, bottom, f"{rng.randint(1, 60)}. {page.words.sentence()}", page.bold_font)
        if rng.random() < 0.35:
            y = blocks.framed(page, x, y + page.body * 0.3, width, bottom)
        marks_ = rng.choice(("①②③④⑤", ["(A)", "(B)", "(C)", "(D)"], ["1)", "2)", "3)", "4)"]))
        for mark in marks_:
            if y + page.body * 1.2 > bottom:
                return bottom
            text = f"{mark} {page.words.phrase() if rng.random() < 0.6 else page.words.sentence()}"
            page.text(x + page.body * 0.4, y, page.fit(text, page.text_font, width - page.body * 0.4))
            y += page.line_height
        return y

    for c in range(columns):
        left = x + c * (column + gap)
        blocks.fill(page, left, top, column, page.height * 0.95, {question: 6, blocks.paragraph: 0.5})
        if c:
            page.draw.line((left - gap / 2, top, left - gap / 2, page.height * 0.94), fill=page.ink)
    _foot(page, x, width, traces=0.15)
    return page


def notice(desk: Desk) -> Page:
    """Public notices, plans and manuals: headings, bullets, boxes, tables, some colour."""
    rng = desk.rng
    page, x, width = _sheet(desk, _language(desk, 0.75), (0.0105, 0.018))
    if rng.random() < 0.3:
        tint = dark(rng)
        page.paper = tuple(round(255 - (255 - v) * 0.12) for v in tint)
        page.draw.rectangle((0, 0, page.width, page.height), fill=page.paper)
        page.accent = tint
    if rng.random() < 0.15:
        page.draw.rectangle(
            (x * 0.4, x * 0.4, page.width - x * 0.4, page.height - x * 0.4), outline=page.accent, width=2
        )
    y = _head(page, x, width)
    choices = {
        blocks.heading: 2.5, blocks.bullets: 4, blocks.paragraph: 2, blocks.framed: 1.2, blocks.table: 0.8,
        blocks.figure: 0.4, blocks.fields: 0.6, blocks.label_grid: 0.4,
    }  # fmt: skip
    blocks.fill(page, x, y, width, page.height * rng.choice((0.94, rng.uniform(0.5, 0.9))), choices)
    _foot(page, x, width, traces=0.15)
    return page


def sparse(desk: Desk) -> Page:
    """Covers and notes with only a few lines on a page."""
    rng = desk.rng
    page, x, width = _sheet(desk, _language(desk, 0.5), (0.011, 0.025), landscape=0.2)
    words = page.words
    for _ in range(rng.randint(3, 8)):
        font = page.resized(rng.choice((page.text_font, page.bold_font)), page.body * rng.choice((1, 1, 1, 1.5, 2.2)))
        y = rng.uniform(0.06, 0.9) * page.height
        box = (y - font.size * 0.3, y + font.size * 2.6)
        if any(box[0] < line.polygon[2, 1] and box[1] > line.polygon[0, 1] for line in page.lines):
            continue
        at, anchor = rng.choice(((x, "l"), (x + width / 2, "m"), (x + width / 2, "m"), (x + width, "r")))
        for _ in range(rng.choice((1, 1, 2))):
            text = rng.choice((words.sentence, words.phrase, lambda: words.item("title"), words.value))()
            page.text(at, y, page.fit(text, font, width), font, rng.choice((page.ink, page.accent)), anchor)
            y += font.size * 1.4
    if len(page.lines) < 3:
        blocks.paragraph(page, x, page.height * 0.4, width, page.height * 0.7)
    if rng.random() < 0.3:
        marks.logo(page, x, page.height * rng.choice((0.02, 0.88)), page.body * 3)
    _foot(page, x, width, traces=0.3)
    return page


def slide(desk: Desk) -> Page:
    """Landscape slides: a coloured ground, large type, pictures."""
    rng = desk.rng
    width = rng.uniform(640, 1500)
    height = width / rng.choice((1.333, 1.778, 1.6))
    page = desk.page(width, height, _language(desk, 0.6), max(12.0, height * rng.uniform(0.028, 0.045)))
    if rng.random() < 0.35:
        page.paper = dark(rng)
        page.draw.rectangle((0, 0, page.width, page.height), fill=page.paper)
        page.ink, page.accent = (255, 255, 255), (255, 240, 200)
    margin = page.width * 0.06
    title = page.resized(page.bold_font, page.body * rng.uniform(1.5, 2.3))
    page.text(
        margin, margin * 0.7, page.fit(page.words.item("title"), title, page.width - 2 * margin), title, page.accent
    )
    top, half = margin * 0.9 + title.size * 1.6, page.width / 2 - 1.2 * margin
    full = rng.random() < 0.4
    choices = {
        blocks.bullets: 4,
        blocks.paragraph: 1.5,
        blocks.heading: 1,
        blocks.table: 0.8 if page.paper[0] > 200 else 0,
    }
    blocks.fill(page, margin, top, page.width - 2 * margin if full else half, page.height * 0.92, choices)
    if not full:
        right = page.width / 2 + 0.2 * margin
        blocks.fill(page, right, top, half, page.height * 0.92, {blocks.figure: 3, blocks.bullets: 1})
    return page
