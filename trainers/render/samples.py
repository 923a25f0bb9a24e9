"""The files in `samples/` (`ocray render samples --out samples`): one of each kind of input a reader meets.

Every file is made from fixed seeds; the same fonts give the same pages.
"""

import io
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from trainers.render.degradation import degrade
from trainers.render.page import render_page


def find_page(
    kind: str, language: str, lines: int, long_side: tuple[int, int] = (850, 1350), seed: int = 0
) -> np.ndarray:
    """Return the first page of `kind` from `seed` on that is in `language` ("en" or "ko"), has at least `lines` lines
    of text and a long side in the range; (H, W, 3) uint8."""
    for number in count(seed):
        page = render_page((2026, number), kind=kind)
        korean = any("가" <= c <= "힣" for line in page.lines for c in line.text)
        fits = long_side[0] <= max(page.image.shape[:2]) <= long_side[1] and len(page.lines) >= lines
        if fits and korean == (language == "ko"):
            return page.image
    raise AssertionError("count() does not end")


def turned(page: np.ndarray, degrees: float) -> np.ndarray:
    """Return the whole page rotated counter-clockwise, corners filled with its median colour."""
    fill = tuple(int(v) for v in np.median(page[::7, ::7].reshape(-1, 3), axis=0))
    image = Image.fromarray(page)
    if degrees % 90 == 0:
        return np.rot90(page, int(degrees) // 90)
    return np.array(image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill))


def tall_page() -> np.ndarray:
    """English product pages one below the other, 780 × 9,000 px."""
    width, height = 780, 9000
    parts, total, seed = [], 0, 0
    while total < height:
        image = Image.fromarray(find_page("product", "en", 12, (700, 1600), seed))
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        parts.append(np.array(image))
        total, seed = total + image.height, seed + 100
    return np.concatenate(parts)[:height]


def encoded(page: np.ndarray, form: str, quality: int = 60, grey: bool = False) -> bytes:
    """Return a page as "JPEG", "PNG" (16 greys) or "WEBP"."""
    image = Image.fromarray(page)
    if form == "PNG":
        image = image.convert("L").quantize(16)
    elif grey:
        image = image.convert("L")
    buffer = io.BytesIO()
    image.save(buffer, form, quality=quality, optimize=True)
    return buffer.getvalue()


def several(pages: list[np.ndarray], form: str) -> bytes:
    """Return pages in one file: a "TIFF" of black and white fax pages, or a "PDF" of JPEG pages."""
    images = [Image.fromarray(page).convert("L") for page in pages]
    options: dict = {"resolution": 100, "quality": 60}
    if form == "TIFF":
        images = [image.point([0] * 150 + [255] * 106).convert("1") for image in images]
        options = {"compression": "group4", "dpi": (100, 100)}
    buffer = io.BytesIO()
    images[0].save(buffer, form, save_all=True, append_images=images[1:], **options)
    return buffer.getvalue()


def sample_files() -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every sample."""

    def damaged(page: np.ndarray, medium: str, seed: int) -> np.ndarray:
        return degrade(page, np.random.default_rng(seed), medium=medium)

    form = find_page("form_english", "en", 35, (1000, 1350))
    letter = find_page("letter", "en", 18)
    receipt = find_page("receipt_english", "en", 20)
    yield "english_form.png", encoded(damaged(form, "fax", 1), "PNG")
    yield "korean_form.jpg", encoded(damaged(find_page("form_korean", "ko", 25), "scan", 2), "JPEG")
    yield "till_receipt.jpg", encoded(damaged(receipt, "till", 14), "JPEG", grey=True)
    slanted = turned(find_page("form_english", "en", 25, (1000, 1350), 50), 37)
    yield "form_turned_37_degrees.jpg", encoded(damaged(slanted, "scan", 4), "JPEG", grey=True)
    yield "letter_upside_down.jpg", encoded(damaged(turned(letter, 180), "camera", 5), "JPEG")
    yield "table_sideways_90_degrees.png", encoded(turned(find_page("tables", "en", 30), 90), "PNG")
    yield (
        "fax_three_pages.tiff",
        several([find_page("form_english", "en", 20, (1000, 1600), s) for s in (100, 150, 200)], "TIFF"),
    )
    yield (
        "report_two_pages.pdf",
        several([find_page(k, "en", 20, (1000, 1350), 7) for k in ("article", "notice")], "PDF"),
    )
    yield "product_page_very_tall.jpg", encoded(tall_page(), "JPEG", 45)
    yield "business_card.webp", encoded(find_page("card", "en", 6, (500, 900)), "WEBP")
    yield (
        "영수증 사본.jpg",
        encoded(damaged(find_page("receipt_korean", "ko", 20, (850, 1350), 30), "scan", 16), "JPEG", grey=True),
    )
    whole = encoded(find_page("invoice", "en", 20), "JPEG")
    yield "broken_truncated.jpg", whole[: len(whole) // 3]


def write_samples(out: Path) -> None:
    """Write every sample file into the folder `out` and print its name and size."""
    out.mkdir(parents=True, exist_ok=True)
    for name, content in sample_files():
        (out / name).write_bytes(content)
        print(f"{len(content) / 1e3:7.1f} kB  {name}")
