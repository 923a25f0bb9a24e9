"""The parts that documents are put together from. Each sets itself from `y`, between `x` and `x + width`, not below
`bottom`, and returns the y below it."""

from collections.abc import Callable

from trainers.render import marks
from trainers.render.canvas import Page

Block = Callable[[Page, float, float, float, float], float]


def fill(page: Page, x: float, y: float, width: float, bottom: float, choices: dict[Block, float]) -> float:
    """Blocks drawn by weight, one below the other, until `bottom`."""
    blocks, weights = list(choices), list(choices.values())
    gap = page.body * page.rng.uniform(0.4, 2.2)
    while y + 2.2 * page.line_height < bottom:
        y = page.rng.choices(blocks, weights)[0](page, x, y, width, bottom) + gap
    return y


def upper(page: Page, text: str) -> str:
    return text.upper() if page.rng.random() < 0.35 else text


def heading(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw a section title: bold, numbered, underlined or white on a bar."""
    rng = page.rng
    text = upper(page, page.words.item("title") if rng.random() < 0.6 else page.words.phrase())
    if rng.random() < 0.4:
        number = rng.choice(("{}.", "({})", "{})", "Section {}", "제{}장", "□", "○", "{}-1")).format(rng.randint(1, 9))
        text = f"{number} {text}"
    font = page.resized(page.bold_font, page.body * rng.uniform(1.0, 1.6))
    text = page.fit(text, font, width - page.body)
    if y + font.size * 2 > bottom:
        return bottom
    form = rng.random()
    if form < 0.2:
        bar = page.accent if rng.random() < 0.5 else (20, 20, 20)
        page.draw.rectangle((x, y, x + width, y + font.size * 1.5), fill=bar)
        anchor = rng.choice("lm")
        start = x + width / 2 if anchor == "m" else x + page.body * 0.4
        page.text(start, y + font.size * 0.25, text, font, (255, 255, 255), anchor)
        return y + font.size * 1.8
    end = page.text(x, y, text, font, page.accent)
    if form < 0.5:
        page.rule(x, y + font.size * 1.15, end if form < 0.38 else x + width, rng.randint(1, 2))
    return y + font.size * 1.6


def paragraph(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    rng = page.rng
    text = page.words.prose(rng.choice((40, 90, 180, 300)))
    return page.paragraph(x, y, width, bottom, text, indent=rng.choice((0, 0, page.body * 1.5)))


def bullets(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Short items behind a mark or a number."""
    rng = page.rng
    mark = rng.choice(("-", "•", "·", "{}.", "({})", "{})", "※", "*", "○", "a{}"))
    inset = page.body * rng.uniform(1.4, 2.2)
    for i in range(rng.randint(2, 7)):
        if y + page.body * 1.2 > bottom:
            break
        page.text(x, y, mark.format(i + 1))
        text = page.words.sentence() if rng.random() < 0.7 else page.words.phrase()
        y = page.paragraph(x + inset, y, width - inset, bottom, text)
    return y


def fields(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Rows of label and value: on an underline, behind a colon, or left empty; at times filled in by hand."""
    rng = page.rng
    columns = rng.choice((1, 1, 1, 2, 2, 3)) if width > 25 * page.body else 1
    cell = width / columns
    label_share = rng.uniform(0.25, 0.5)
    form = rng.choice(("line", "line", "colon", "colon", "bare"))
    by_hand = rng.random() < 0.15
    step = page.line_height * rng.uniform(1.0, 1.7)
    label_font = page.bold_font if rng.random() < 0.35 else page.text_font
    shout = rng.random() < 0.4
    for _ in range(rng.randint(2, 8)):
        if y + page.body * 1.3 > bottom:
            break
        for c in range(columns):
            label = page.item("label", label_font, cell * 0.5)
            label = (label.upper() if shout else label) + (":" if form != "bare" and rng.random() < 0.85 else "")
            left, right = x + c * cell, x + (c + 0.95) * cell
            label = page.fit(label, label_font, cell * 0.6)
            end = page.text(left, y, label, label_font)
            start = max(end + page.body * 0.5, left + cell * label_share)
            if form == "line":
                page.rule(min(start, end + page.body * 0.4), y + page.body * 1.05, right)
            if rng.random() < 0.8 and right - start > 3 * page.body:
                value = page.fit(page.words.value(), page.filled_font, right - start)
                if by_hand:
                    marks.handwriting(page, start, y - page.body * 0.6, value, page.body * 1.3)
                else:
                    page.text(start, y, value, page.filled_font)
        y += step
    return y


def checkboxes(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw a question with boxes to tick."""
    rng, side = page.rng, page.body * 0.8
    at = page.text(x, y, page.fit(page.words.item("label"), page.bold_font, width * 0.4), page.bold_font) + page.body
    for _ in range(rng.randint(2, 5)):
        font = page.text_font
        text = font.face.clean(page.words.item("label"))
        if at + side * 2 + font.width(text) > x + width:
            break
        if rng.random() < 0.7:
            page.draw.rectangle((at, y + 1, at + side, y + 1 + side), outline=page.ink)
            if rng.random() < 0.4:
                page.text(
                    at + side / 2, y - page.body * 0.05, rng.choice(("X", "V", "x")), page.filled_font, anchor="m"
                )
        else:
            page.text(at - side * 0.2, y, rng.choice(("( )", "(X)")))
        at = page.text(at + side * 1.7, y, text) + page.body * 1.5
    return y + page.line_height * 1.2


def table(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw a grid with a header row, ruled fully, by rows only, or not at all; numbers are right-aligned."""
    rng, words = page.rng, page.words
    columns = rng.randint(2, max(2, min(8, int(width / (6 * page.body)))))
    rows = rng.randint(3, 16)
    shares = [rng.uniform(0.6, 1.8) for _ in range(columns)]
    edges = [x]
    for share in shares:
        edges.append(edges[-1] + width * share / sum(shares))
    kinds = [rng.choice(("product", "code", "price", "quantity", "percent", "date", "person")) for _ in range(columns)]
    height = page.body * rng.uniform(1.4, 2.6)
    ruled = rng.choice(("grid", "grid", "rows", "outer", "none"))
    shade = rng.random() < 0.4
    empty = rng.choice((0.0, 0.1, 0.5))
    rows = min(rows, int((bottom - y) / height) - 1)
    if rows < 1:
        return bottom
    if shade:
        tint = tuple(round(p - (p - a) * 0.15) for p, a in zip(page.paper, page.accent, strict=True))
        page.draw.rectangle((x, y, x + width, y + height), fill=tint)
    for r in range(rows + 1):
        top = y + r * height + (height - page.body) / 2
        for c, kind in enumerate(kinds):
            font = page.bold_font if r == 0 else page.filled_font
            left, right, pad = edges[c], edges[c + 1], page.body * 0.4
            if r == 0:
                page.text((left + right) / 2, top, page.item("label", font, right - left - pad), font, anchor="m")
            elif rng.random() >= empty:
                value = words.item(kind) if kind in ("product", "person") else getattr(words, kind)()
                value = page.fit(value, font, right - left - 1.5 * pad)
                numeric = kind in ("price", "quantity", "percent")
                page.text(right - pad if numeric else left + pad, top, value, font, anchor="r" if numeric else "l")
    end = y + (rows + 1) * height
    thick = rng.choice((1, 1, 2))
    if ruled in ("grid", "rows"):
        for r in range(rows + 2):
            page.rule(x, y + r * height, x + width, thick)
    if ruled == "grid":
        for edge in edges:
            page.draw.line((edge, y, edge, end), fill=page.ink, width=thick)
    elif ruled == "outer":
        page.draw.rectangle((x, y, x + width, end), outline=page.ink, width=thick)
    elif ruled == "none":
        page.rule(x, y + height, x + width)
    return end + page.body * 0.5


def label_grid(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Rows of shaded label cells beside value cells, as Korean forms are built."""
    rng = page.rng
    pairs = rng.choice((1, 1, 2, 2, 3)) if width > 24 * page.body else 1
    cell = width / pairs
    label_width = cell * rng.uniform(0.22, 0.4)
    tint = rng.choice((page.paper, (225, 225, 225), (235, 238, 245), (245, 240, 225)))
    empty = rng.choice((0.1, 0.4, 0.9))
    for _ in range(rng.randint(2, 9)):
        tall = rng.random() < 0.08
        height = page.body * (rng.uniform(4, 8) if tall else rng.uniform(1.7, 3))
        if y + height > bottom:
            break
        count = 1 if tall else rng.choice((pairs, pairs, 1))
        for c in range(count):
            left, right = x + c * cell, (x + width if c == count - 1 else x + (c + 1) * cell)
            page.draw.rectangle((left, y, left + label_width, y + height), fill=tint, outline=page.ink)
            page.draw.rectangle((left + label_width, y, right, y + height), outline=page.ink)
            label = page.item("label", page.text_font, label_width - page.body * 0.4)
            if len(label) in (2, 3) and rng.random() < 0.5:
                label = page.fit("  ".join(label), page.text_font, label_width - page.body * 0.4)
            middle = y + (height - page.body) / 2
            page.text(left + label_width / 2, middle, label, anchor="m")
            room = right - left - label_width - page.body
            if tall:
                inner = left + label_width + page.body * 0.5
                page.paragraph(inner, y + page.body * 0.4, room, y + height, page.words.prose(60), page.filled_font)
            elif rng.random() >= empty and room > 2 * page.body:
                value = page.fit(page.words.value(), page.filled_font, room)
                page.text(left + label_width + page.body * 0.5, middle, value, page.filled_font)
        y += height
    return y + page.body * 0.3


def ruled_lines(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw a label, then empty ruled lines, a few of them written on."""
    rng = page.rng
    page.text(x, y, page.fit(page.words.item("label") + ":", page.bold_font, width), page.bold_font)
    for _ in range(rng.randint(2, 6)):
        y += page.line_height * 1.15
        if y + page.body > bottom:
            return bottom
        if rng.random() < 0.4:
            page.text(
                x + page.body, y, page.fit(page.words.sentence(), page.filled_font, width - page.body), page.filled_font
            )
        page.rule(x, y + page.body * 1.05, x + width)
    return y + page.line_height


def names(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw a list of people in columns."""
    rng = page.rng
    columns = max(1, min(rng.randint(2, 4), int(width / (8 * page.body))))
    page.text(x, y, rng.choice(("cc:", "CC", "Copies to:", "Distribution")) if page.language == "en" else "참석자")
    for _ in range(rng.randint(1, 5)):
        y += page.line_height
        if y + page.body * 1.2 > bottom:
            return bottom
        for c in range(columns):
            cell = width / columns
            page.text(
                x + (c + 0.1) * cell,
                y,
                page.item("person", page.filled_font, cell * 0.85),
                page.filled_font,
            )
    return y + page.line_height


def signature(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw a signature over a line with a name or a label under it, and a date; sometimes a seal."""
    rng = page.rng
    line = y + page.body * rng.uniform(2.5, 4)
    if line + page.body * 1.5 > bottom:
        return bottom
    for c in range(rng.choice((1, 1, 2))):
        left = x + c * width / 2 + rng.choice((0, width * 0.1))
        right = left + width * rng.uniform(0.25, 0.4)
        if rng.random() < 0.75:
            marks.scribble(page, left, line - page.body * 2.4, (right - left) * 0.9, page.body * 2.6)
        if rng.random() < 0.8:
            page.rule(left, line, right)
        under = page.words.item(rng.choice(("label", "person")))
        page.text(left, line + page.body * 0.3, page.fit(under, page.text_font, right - left))
        if rng.random() < 0.25:
            marks.stamp(page, right - page.body, line - page.body * 2.5, page.body * rng.uniform(3, 6))
    return line + page.line_height * 1.3


def figure(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw a picture with a caption."""
    rng = page.rng
    height = min(width * rng.uniform(0.35, 0.8), bottom - y - page.line_height * 1.2)
    if height < 4 * page.body:
        return bottom
    wide = width * rng.choice((1.0, 1.0, 0.7))
    left = x + (width - wide) / 2
    page.image.paste(marks.picture(rng, wide, height), (round(left), round(y)))
    caption = page.fit(page.words.sentence(), page.text_font, wide)
    page.text(left + wide / 2, y + height + page.body * 0.3, caption, anchor="m")
    return y + height + page.line_height * 1.4


def contents(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Entries of a table of contents, with leaders and page numbers."""
    rng = page.rng
    number, leader = rng.randint(1, 9), rng.choice((".", ".", "·", "-", " "))
    for i in range(rng.randint(4, 14)):
        if y + page.body * 1.2 > bottom:
            return bottom
        inset = page.body * rng.choice((0, 1.5, 3))
        title = page.fit(f"{i + 1}. {page.words.phrase()}", page.text_font, width * 0.75 - inset)
        number += rng.randint(0, 9)
        end = page.text(x + inset, y, title) + page.body * 0.5
        room = x + width - page.text_font.width("888") - end - page.body
        if leader != " " and room > page.body:
            page.text(end, y, leader * int(room / max(1.0, page.text_font.width(leader))))
        page.text(x + width, y, str(number), anchor="r")
        y += page.line_height
    return y


def framed(page: Page, x: float, y: float, width: float, bottom: float) -> float:
    """Draw some lines in a box, plain or tinted."""
    rng = page.rng
    pad = page.body * rng.uniform(0.7, 1.5)
    text = page.words.prose(rng.choice((30, 80, 160)))
    rows = len(page.wrap(text, page.text_font, width - 2 * pad))
    height = rows * page.text_font.size * page.leading + 2 * pad
    if y + height > bottom:
        return bottom
    tint = rng.choice((page.paper, page.paper, (236, 240, 246), (250, 244, 226), (232, 244, 232)))
    page.draw.rectangle((x, y, x + width, y + height), fill=tint, outline=page.ink, width=rng.choice((1, 1, 2)))
    page.paragraph(x + pad, y + pad, width - 2 * pad, y + height, text)
    return y + height + page.body * 0.4
