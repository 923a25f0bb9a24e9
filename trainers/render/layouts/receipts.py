"""Till receipts, English and Korean, and invoices."""

import numpy as np
from PIL import Image, ImageChops

from trainers.render import blocks, marks
from trainers.render.canvas import Desk, Page, RenderedLine
from trainers.render.fonts import Font

_TOTALS = {
    "en": (
        "Sub-total",
        "Discount",
        "Rounding",
        "GST 6%",
        "Tax",
        "TOTAL",
        "Total (incl. tax)",
        "CASH",
        "CHANGE",
        "Visa card",
    ),
    "ko": (
        "합계",
        "할인",
        "과세물품가액",
        "부가세",
        "총 금액",
        "받을 금액",
        "받은 금액",
        "거스름돈",
        "신용카드",
        "포인트",
    ),
}
_LABELS = {
    "en": (
        "Date",
        "Time",
        "Cashier",
        "Receipt no.",
        "Table",
        "Doc No",
        "Counter",
        "Order",
        "Member",
        "Inv No",
        "Terminal",
    ),
    "ko": (
        "일시",
        "계산원",
        "영수증번호",
        "주문번호",
        "테이블",
        "회원",
        "대표자",
        "사업자번호",
        "승인번호",
        "단말기",
        "매장",
    ),
}


def _receipt(desk: Desk, language: str) -> Page:
    """One receipt, from edge to edge of its own picture."""
    rng = desk.rng
    body = rng.uniform(10, 26) if rng.random() < 0.75 else rng.uniform(9, 12)
    width = body * rng.uniform(17, 27)
    width = max(260.0, min(width, 820.0))
    page = desk.page(width, min(1600.0, max(width * rng.uniform(1.6, 4.0), 30 * body)), language, body)
    page.leading = rng.uniform(1.1, 1.6)
    words = page.words
    mono = rng.random() < 0.65
    page.text_font = page.filled_font = page.font(body, ("mono",) if mono else ("sans", "sans", "serif"))
    page.bold_font = page.font(body, (page.text_font.face.style,), bold=True)
    page.accent = page.ink
    margin = page.width * rng.uniform(0.03, 0.1)
    x, inner, right, middle = margin, page.width - 2 * margin, page.width - margin, page.width / 2
    shout = rng.random() < 0.5
    y = page.height * rng.uniform(0.01, 0.05) + body * 0.5

    def say(text: str) -> str:
        return text.upper() if shout else text

    def row(left: str, value: str, font: Font) -> None:
        nonlocal y
        value = font.face.clean(value)
        page.text(right, y, value, font, anchor="r")
        page.text(x, y, page.fit(say(left), font, inner - font.width(value) - body), font)
        y += font.size * page.leading

    def centre(text: str, font: Font) -> None:
        nonlocal y
        for line in page.wrap(say(text), font, inner)[:2]:
            page.text(middle, y, line, font, anchor="m")
            y += font.size * page.leading

    def break_() -> None:
        nonlocal y
        form = rng.random()
        if form < 0.45:
            page.rule(x, y + body * 0.5, right, rng.choice((1, 1, 2)), dashed=rng.random() < 0.5)
        elif form < 0.8:
            mark = rng.choice("-=*.")
            page.text(x, y, mark * int(inner / page.text_font.width(mark)))
        y += body * page.leading

    if rng.random() < 0.2:
        marks.handwriting(page, rng.uniform(0, 0.5) * page.width, y, words.digits(rng.randint(4, 8)), body * 1.7)
        y += body * 2.5
    if rng.random() < 0.25:
        marks.logo(page, middle - body * 1.5, y, body * 3)
        y += body * 3.6
    centre(words.item("company"), page.resized(page.bold_font, body * rng.choice((1, 1.2, 1.5, 1.8))))
    for make in rng.sample(
        (words.business_number, words.address, words.address, words.phone, words.email), rng.randint(2, 4)
    ):
        centre(make(), page.text_font)
    y += body * rng.uniform(0.2, 1.2)
    if rng.random() < 0.7:
        title = (
            rng.choice(("TAX INVOICE", "RECEIPT", "Cash Bill", "SIMPLIFIED TAX INVOICE"))
            if language == "en"
            else "영수증"
        )
        centre(title, page.resized(page.bold_font, body * rng.choice((1, 1.4, 1.7))))
    break_()
    for _ in range(rng.randint(1, 5)):
        value = rng.choice(
            (words.date, words.time, words.code, lambda: words.item("person"), lambda: words.digits(8))
        )()
        if rng.random() < 0.4:
            row(rng.choice(_LABELS[language]), value, page.text_font)
        else:
            page.text(x, y, page.fit(say(f"{rng.choice(_LABELS[language])}: {value}"), page.text_font, inner))
            y += body * page.leading
    break_()
    two_rows = rng.random() < 0.5
    end = page.height - body * rng.uniform(11, 20)
    items = rng.randint(1, 16)
    while items and y < end:
        items -= 1
        if two_rows:
            page.text(x, y, page.fit(say(words.item("product")), page.text_font, inner))
            y += body * page.leading
            row(
                f"{words.digits(rng.choice((3, 8, 13)))}  {rng.randint(1, 9)} x {words.price()}",
                words.price(),
                page.text_font,
            )
        else:
            row(f"{rng.randint(1, 9)} {words.item('product')}", words.price(), page.text_font)
    break_()
    for name in rng.sample(_TOTALS[language], rng.randint(2, 6)):
        if y > page.height - 3 * body:
            break
        large = rng.random() < 0.25
        row(
            name,
            words.amount(),
            page.resized(page.bold_font, body * rng.choice((1.2, 1.5))) if large else page.text_font,
        )
    break_()
    for _ in range(rng.randint(1, 4)):
        if y < page.height - 3 * body:
            centre(words.item("sentence"), page.text_font)
    if rng.random() < 0.3 and y < page.height - 6 * body:
        marks.barcode(page, (x + inner * 0.1, y, right - inner * 0.1, y + body * 3))
        y += body * 5
    elif rng.random() < 0.15 and y < page.height - 7 * body:
        marks.matrix_code(page, middle - body * 3, y, body * 6)
        y += body * 7
    if rng.random() < 0.25:
        size = page.width * rng.uniform(0.2, 0.4)
        marks.stamp(page, rng.uniform(0, 0.7) * page.width, rng.uniform(0.1, 0.7) * page.height, size)
    if rng.random() < 0.1:
        marks.punch_holes(page)
    used = min(page.height, round(y + body * rng.uniform(0.5, 3)))
    return _printed(_cut(page, used))


def _cut(page: Page, height: int) -> Page:
    page.image = page.image.crop((0, 0, page.width, height))
    page.height = height
    page.lines = [line for line in page.lines if line.polygon[:, 1].max() <= height]
    return page


def _printed(page: Page) -> Page:
    """Return the page as the printer renders it: dots, and letters drawn wider or taller."""
    rng = page.rng
    if rng.random() < 0.15:
        pitch = max(2, round(page.body / 7))
        dots = np.zeros((pitch, pitch), np.uint8)
        dots[0], dots[:, 0] = (rng.randint(60, 170),) * 2
        tiles = np.tile(dots, (-(-page.height // pitch), -(-page.width // pitch)))[: page.height, : page.width]
        page.image = ImageChops.screen(page.image, Image.fromarray(tiles).convert("RGB"))
    if rng.random() < 0.4:
        across, down = rng.uniform(0.85, 1.25), rng.uniform(0.85, 1.35)
        page.width, page.height = round(page.width * across), min(1600, round(page.height * down))
        scale = np.array([page.width / page.image.width, page.height / page.image.height], dtype=np.float32)
        page.image = page.image.resize((page.width, page.height), Image.Resampling.BICUBIC)
        page.lines = [RenderedLine(line.text, line.polygon * scale) for line in page.lines]
    return page


def _on_sheet(page: Page) -> Page:
    """Return the receipt anywhere on a larger ground: a white sheet, a scanner's lid or a dark desk."""
    rng = page.rng
    shade = rng.choice((255, 255, 255, 250, rng.randint(0, 60), rng.randint(120, 200)))
    white = shade > 240
    width = page.width * (rng.uniform(1.3, 2.6) if white else rng.uniform(1.03, 1.3))
    height = max(page.height * rng.uniform(1.02, 1.25), width * (1.414 if white and rng.random() < 0.7 else 0.8))
    scale = min(1.0, 1600 / max(width, height))
    sheet = page.desk.page(width, height, page.language, page.body, (shade,) * 3)
    left = round(rng.uniform(0, sheet.width - page.width))
    top = round(rng.uniform(0, sheet.height - page.height))  # anywhere: its place must not tell which side is up
    sheet.image.paste(page.image, (left, top))
    if scale < 1:
        sheet.width, sheet.height = round(sheet.width * scale), round(sheet.height * scale)
        sheet.image = sheet.image.resize((sheet.width, sheet.height), Image.Resampling.BOX)
    offset = np.array([left, top], dtype=np.float32)
    sheet.lines = [RenderedLine(line.text, (line.polygon + offset) * np.float32(scale)) for line in page.lines]
    return sheet


def receipt_english(desk: Desk) -> Page:
    """English till receipts like SROIE's."""
    page = _receipt(desk, "en")
    return _on_sheet(page) if desk.rng.random() < 0.35 else page


def receipt_korean(desk: Desk) -> Page:
    """Korean till receipts."""
    page = _receipt(desk, "ko")
    return _on_sheet(page) if desk.rng.random() < 0.3 else page


def invoice(desk: Desk) -> Page:
    """A4 invoices and quotations: two parties, a list of goods, sums."""
    rng = desk.rng
    width = rng.uniform(560, 1150)
    page = desk.page(
        width, width * 1.414, "ko" if rng.random() < 0.5 else "en", max(10.0, width * rng.uniform(0.014, 0.02))
    )
    x, words = page.width * 0.07, page.words
    inner, body = page.width - 2 * x, page.body
    font = page.resized(page.bold_font, body * rng.uniform(1.6, 2.6))
    y = page.height * 0.05
    page.text(*rng.choice(((x, y), (x + inner / 2, y))), words.item("title"), font, page.accent, "l")
    y += font.size * 2
    half = inner * 0.46
    ends = [
        rng.choice((blocks.fields, blocks.label_grid))(page, x + c * (inner - half), y, half, y + body * 16)
        for c in (0, 1)
    ]
    y = blocks.table(page, x, max(ends) + body, inner, page.height * 0.75) + body
    for _ in range(rng.randint(2, 4)):
        if y < page.height * 0.9:
            page.text(x + inner * 0.7, y, words.item("label"), anchor="r")
            page.text(x + inner, y, words.amount(), page.bold_font, anchor="r")
            y += page.line_height
    blocks.fill(page, x, y, inner, page.height * 0.95, {blocks.paragraph: 2, blocks.signature: 1, blocks.bullets: 1})
    if rng.random() < 0.4:
        marks.stamp(page, x + inner * rng.uniform(0.5, 0.9), page.height * rng.uniform(0.05, 0.3), body * 6)
    return page
