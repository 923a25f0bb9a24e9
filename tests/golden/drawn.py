"""Data sets drawn from rectangles alone, so that no font, codec or machine makes a difference: see `write_sets`."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from trainers.data.layouts import Line, Meter, Page, Region, SetWriter
from trainers.data.meter_sample import MeterDigit

SPLITS = ("train", "validation")
_TEXTS = ("합계 12,500원", "Invoice date", "고객 이름", "Total amount 7.30", "2026-11-26", "영수증")
# Of a seven-segment digit: top, upper left, upper right, middle, lower left, lower right, bottom.
_SEGMENTS = (
    "1110111",
    "0010010",
    "1011101",
    "1011011",
    "0111010",
    "1101011",
    "1101111",
    "1010010",
    "1111111",
    "1111011",
)
_Box = tuple[int, int, int, int]  # left, top, right, bottom


def write_sets(folder: Path) -> None:
    """Write `pages`, `lines`, `regions`, `photos` and `strips` below `folder`, each with both splits."""
    for number, split in enumerate(SPLITS):
        target = folder / "pages" / split
        target.mkdir(parents=True)
        pages = [_encoded(_page(10 * number + seed)[0]) for seed in range(6)]
        pq.write_table(pa.table({"image": pages}), target / "drawn.parquet")
    _write(folder / "lines", "lines", [_line(seed) for seed in range(12)])
    _write(folder / "regions", "regions", [_regions(seed) for seed in range(6)])
    _write(folder / "photos", "meters", [_meter(seed, "photo") for seed in range(6)])
    _write(folder / "strips", "meters", [_meter(seed, "strip") for seed in range(6)])


def _write(folder: Path, layout: str, rows: list[Line] | list[Page] | list[Meter]) -> None:
    with SetWriter(folder, layout, "drawn") as writer:
        for number, row in enumerate(rows):
            writer.add(row, SPLITS[number % 2])


def _page(seed: int) -> tuple[np.ndarray, list[_Box]]:
    """Return a white page with rows of dark words, and the rows' boxes."""
    rng = np.random.default_rng([1, seed])
    width, height = int(rng.integers(420, 640)), int(rng.integers(420, 640))
    page = np.full((height, width, 3), 250, np.uint8)
    boxes = []
    for top in range(30, height - 40, int(rng.integers(24, 40))):
        right = _write_words(page, rng, 30, top, int(rng.integers(width // 2, width - 30)), 14)
        boxes.append((30, top, right, top + 14))
    return page, boxes


def _write_words(page: np.ndarray, rng: np.random.Generator, left: int, top: int, end: int, height: int) -> int:
    """Words of letters, each an upright and a bar at its foot or head; gives the last one's right edge."""
    ink, right = int(rng.integers(0, 90)), left
    while left + height < end:
        for _ in range(int(rng.integers(2, 8))):
            if left + height >= end:
                break
            page[top : top + height, left : left + 2] = ink
            bar = top + (height - 3 if rng.random() < 0.7 else 0)
            right = left + height // 2 + 1
            page[bar : bar + 2, left:right] = ink
            left = right + 3
        left += height // 2
    return right


def _line(seed: int) -> Line:
    rng = np.random.default_rng([2, seed])
    text = _TEXTS[seed % len(_TEXTS)]
    crop = np.full((28, 30 + 14 * len(text), 3), int(rng.integers(200, 256)), np.uint8)
    _write_words(crop, rng, 6, 5, crop.shape[1] - 6, 18)
    return Line(_encoded(crop), text, f"line {seed}", None, "drawn")


def _regions(seed: int) -> Page:
    page, boxes = _page(20 + seed)
    regions = [
        Region((left, top, right, top, right, bottom, left, bottom), None, number == 1)
        for number, (left, top, right, bottom) in enumerate(boxes)
    ]
    return Page(_encoded(page), f"page {seed}", None, "drawn", tuple(regions))


def _meter(seed: int, kind: str) -> Meter:
    """Return a display of five places, the last after the point: alone, or on a wall. The last photo has none."""
    rng = np.random.default_rng([3, seed])
    left, top = (0, 0) if kind == "strip" else (int(rng.integers(60, 160)), int(rng.integers(60, 160)))
    size = (60, 190) if kind == "strip" else (360, 420)
    image = np.full((*size, 3), int(rng.integers(90, 200)), np.uint8)
    if kind == "photo" and seed >= 4:
        return Meter(_encoded(image), f"wall {seed}", None, "drawn", kind, "none")
    image[top : top + 60, left : left + 190] = (190, 205, 190)
    digits = []
    for place, number in enumerate(rng.integers(0, 10, 5).tolist()):
        x, y = left + 14 + 34 * place, top + 12
        for (x0, y0, x1, y1), lit in zip(_segment_boxes(x, y), _SEGMENTS[number], strict=True):
            if lit == "1":
                image[y0:y1, x0:x1] = 25
        box = np.array([[x, y], [x + 22, y], [x + 22, y + 36], [x, y + 36]], np.float32)
        digits.append(MeterDigit(str(number), None, box, place == 4))
    shown = "".join(digit.character for digit in digits)
    corners = np.array([[0, 0], [190, 0], [190, 60], [0, 60]], np.float32) + np.float32([left, top])
    return Meter(
        _encoded(image), f"{kind} {seed}", None, "drawn", kind, "digital", corners, f"{shown[:4]}.{shown[4]}", True,
        tuple(digits),
    )  # fmt: skip


def _segment_boxes(x: int, y: int) -> list[_Box]:
    """Return the boxes of the seven segments of a digit of 22 × 36 px."""
    level = [(x, y + at, x + 22, y + at + 4) for at in (0, 16, 32)]
    upright = [(x + across, y + down, x + across + 4, y + down + 18) for down in (0, 18) for across in (0, 18)]
    return [level[0], upright[0], upright[1], level[1], upright[2], upright[3], level[2]]


def _encoded(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
