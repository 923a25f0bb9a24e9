"""Product pages, cards, labels and captioned photos."""

from trainers.render import blocks, marks
from trainers.render.canvas import Desk, Page, dark

_GROUNDS = ((255, 255, 255), (246, 246, 246), (250, 245, 238), (236, 244, 250), (252, 238, 240), (235, 245, 235))


def _language(desk: Desk, korean: float) -> str:
    return "ko" if desk.rng.random() < korean else "en"


def product(desk: Desk) -> Page:
    """Shop pages: coloured bands from edge to edge, each with headlines, pictures, small print or a table."""
    rng = desk.rng
    width = rng.uniform(400, 1100)
    height = min(1600.0, width * rng.uniform(0.6, 3.2))
    page = desk.page(
        width, height, _language(desk, 0.85), max(10.0, width * rng.uniform(0.016, 0.028)), (255, 255, 255)
    )
    page.accent, page.ink = dark(rng), (rng.choice((20, 50, 80)),) * 3
    page.text_font, page.bold_font = page.font(page.body, ("sans",)), page.font(page.body, ("sans",), bold=True)
    page.filled_font = page.text_font
    y = 0.0
    while y < page.height - 6 * page.body:
        y = _band(page, y)
    return page


def _band(page: Page, top: float) -> float:
    """One coloured band. Returns its lower edge."""
    rng, words, body = page.rng, page.words, page.body
    height = min(page.height - top, rng.uniform(8, 34) * body)
    if page.height - top - height < 6 * body:
        height = page.height - top
    bottom = top + height
    ink, accent, paper = page.ink, page.accent, page.paper
    ground = rng.choice((*_GROUNDS, *_GROUNDS, page.accent, dark(rng)))
    page.paper = ground
    page.draw.rectangle((0, top, page.width, bottom), fill=ground)
    if sum(ground) < 500:
        page.ink, page.accent = (250, 250, 250), rng.choice(((255, 255, 255), (255, 230, 120)))
    margin = page.width * rng.uniform(0.05, 0.12)
    inner, middle = page.width - 2 * margin, page.width / 2
    y = top + body * rng.uniform(1, 2.5)
    align = rng.choice("lmm")
    at = margin if align == "l" else middle
    if rng.random() < 0.3:
        label = page.fit(rng.choice(("POINT 01", "BEST", "NEW", "EVENT", "Q & A", "CHECK")), page.bold_font, inner)
        half = page.bold_font.width(label) / 2 + body
        page.draw.rounded_rectangle(
            (middle - half, y, middle + half, y + body * 1.8), radius=body * 0.9, fill=page.accent
        )
        page.text(middle, y + body * 0.4, label, page.bold_font, ground, "m")
        y += body * 2.6
    if rng.random() < 0.85:
        for _ in range(rng.choice((1, 1, 2))):
            font = page.resized(rng.choice((page.bold_font, page.text_font)), body * rng.uniform(1.5, 3.4))
            if y + font.size * 1.5 < bottom:
                text = page.fit(words.phrase() if rng.random() < 0.5 else words.sentence(), font, inner)
                page.text(at, y, text, font, rng.choice((page.ink, page.accent)), align)
                y += font.size * 1.45
    if y + page.line_height < bottom and rng.random() < 0.8:
        y = (
            page.paragraph(margin, y, inner, bottom - body, words.prose(rng.choice((30, 70, 140))), align=align)
            + body * 0.6
        )
    room = bottom - y - body
    form = rng.choice(("pictures", "pictures", "grid", "table", "list", "none"))
    if room > 6 * body and form == "pictures":
        count = rng.choice((1, 1, 2, 3, 4))
        gap = body if count > 1 else 0
        cell = (inner - gap * (count - 1)) / count
        tall = min(room - 1.6 * body, cell * rng.uniform(0.6, 1.2))
        for c in range(count):
            left = margin + c * (cell + gap)
            page.image.paste(marks.picture(rng, cell, tall), (round(left), round(y)))
            page.text(
                left + cell / 2,
                y + tall + body * 0.3,
                page.fit(words.item("product"), page.text_font, cell),
                anchor="m",
            )
        y += tall + 1.6 * body
    elif room > 6 * body and form == "grid" and sum(ground) > 500:
        y = blocks.label_grid(page, margin, y, inner, bottom - body)
    elif room > 6 * body and form == "table" and sum(ground) > 500:
        y = blocks.table(page, margin, y, inner, bottom - body)
    elif room > 3 * body and form != "none":
        y = blocks.bullets(page, margin, y, inner, bottom - body * 0.5)
    page.ink, page.accent, page.paper = ink, accent, paper
    return min(bottom, y + body * rng.uniform(1, 4))  # the next band covers what is left empty


def card(desk: Desk) -> Page:
    """Draw business, membership and identity cards, alone or on a background."""
    rng = desk.rng
    width = rng.uniform(420, 900)
    upright = rng.random() < 0.2
    height = width * (rng.uniform(1.4, 1.7) if upright else rng.uniform(0.54, 0.66))
    ground = rng.choice(((255, 255, 255), (240, 240, 240), (60, 60, 64), (150, 130, 110), (200, 205, 210)))
    page = desk.page(
        width, height, _language(desk, 0.6), max(11.0, min(width, height) * rng.uniform(0.04, 0.06)), ground
    )
    edge = page.width * rng.choice((0, 0.03, 0.08))
    page.paper = rng.choice(_GROUNDS)
    frame = (edge, edge, page.width - edge, page.height - edge)
    page.draw.rounded_rectangle(frame, radius=page.body * rng.choice((0, 0.6, 1.2)), fill=page.paper)
    if rng.random() < 0.3:
        page.draw.rectangle((edge, edge, page.width - edge, edge + page.height * 0.12), fill=page.accent)
    words, body = page.words, page.body
    x, y = edge + page.width * 0.06, edge + page.height * 0.16
    inner = page.width - 2 * x
    if rng.random() < 0.45:
        side = min(inner * 0.28, page.height * 0.4)
        left = rng.choice((x, x + inner - side))
        page.image.paste(marks.picture(rng, side, side * 1.25), (round(left), round(y)))
        inner -= side + body
        x = x + side + body if left == x else x
    elif rng.random() < 0.6:
        marks.logo(page, x + inner - body * 3, y, body * 3)
        inner -= body * 4
    font = page.resized(page.bold_font, body * rng.uniform(1.3, 2))
    page.text(x, y, page.fit(words.item(rng.choice(("person", "company", "title"))), font, inner), font, page.accent)
    y += font.size * 1.7
    while y < page.height - edge - 1.6 * body:
        value = rng.choice(
            (words.phone, words.address, words.email, words.date, lambda: words.item("company"), words.code)
        )()
        text = f"{words.item('label')} {value}" if rng.random() < 0.4 else value
        page.text(x, y, page.fit(text, page.text_font, inner))
        y += page.line_height * rng.choice((1, 1, 1.6))
    return page


def label(desk: Desk) -> Page:
    """Care and ingredient labels: narrow, crowded, with symbols, a code and a seal."""
    rng = desk.rng
    width = rng.uniform(300, 760)
    page = desk.page(
        width,
        min(1600.0, width * rng.uniform(0.7, 2.4)),
        _language(desk, 0.75),
        max(11.0, width * rng.uniform(0.025, 0.045)),
    )
    page.leading = rng.uniform(1.15, 1.5)
    if rng.random() < 0.3:
        shade = rng.randint(150, 235)
        page.paper = (shade, shade, max(0, shade - rng.randint(0, 14)))
        page.draw.rectangle((0, 0, page.width, page.height), fill=page.paper)
    x = page.width * rng.uniform(0.04, 0.1)
    inner = page.width - 2 * x
    y = page.height * 0.03
    font = page.resized(page.bold_font, page.body * rng.uniform(1.2, 2))
    page.text(x, y, page.fit(page.words.item("product"), font, inner), font)
    choices = {blocks.bullets: 3, blocks.fields: 3, blocks.paragraph: 2, blocks.label_grid: 1.5, blocks.heading: 0.6}
    y = blocks.fill(page, x, y + font.size * 1.6, inner, page.height * rng.uniform(0.8, 0.97), choices)
    if rng.random() < 0.4 and page.height - y > page.body * 6:
        marks.barcode(page, (x, y, x + inner * 0.6, y + page.body * 3))
    if rng.random() < 0.4:
        size = page.width * rng.uniform(0.15, 0.3)
        marks.stamp(page, page.width * rng.uniform(0.5, 0.8), rng.uniform(0.1, 0.8) * page.height, size)
    return page


def captioned_photo(desk: Desk) -> Page:
    """Draw a photo that fills most of the page, with words over it or under it."""
    rng = desk.rng
    width = rng.uniform(480, 1300)
    page = desk.page(
        width,
        min(1600.0, width * rng.uniform(0.5, 1.4)),
        _language(desk, 0.6),
        max(12.0, width * rng.uniform(0.02, 0.034)),
    )
    margin = page.width * rng.choice((0, 0, 0.04))
    share = rng.uniform(0.4, 0.75)
    top = rng.random() < 0.5
    start = margin if top else page.height * (1 - share)
    photo = marks.picture(rng, page.width - 2 * margin, page.height * share - margin)
    page.image.paste(photo, (round(margin), round(start)))
    x, inner = page.width * 0.06, page.width * 0.88
    y = page.height * (share + 0.03) if top else page.height * 0.04
    end = page.height * 0.97 if top else page.height * (1 - share)
    font = page.resized(page.bold_font, page.body * rng.uniform(1.2, 2.2))
    page.text(x, y, page.fit(page.words.item("title"), font, inner), font, page.accent)
    blocks.fill(page, x, y + font.size * 1.5, inner, end, {blocks.paragraph: 3, blocks.bullets: 1, blocks.fields: 0.6})
    if rng.random() < 0.5:
        over = page.resized(page.bold_font, page.body * rng.uniform(1, 2.2))
        band = start + rng.uniform(0.05, 0.7) * page.height * share
        colour = rng.choice(((255, 255, 255), (255, 240, 120), (10, 10, 10)))
        if rng.random() < 0.6:
            back = (20, 20, 20) if sum(colour) > 300 else (245, 245, 245)
            page.draw.rectangle(
                (margin, band - over.size * 0.4, page.width - margin, band + over.size * 1.6), fill=back
            )
        text = page.fit(page.words.sentence(), over, inner)
        page.text(page.width / 2, band, text, over, colour, "m")
    return page
