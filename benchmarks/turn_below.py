"""Pages without legible lines are left as they are; light print on dark is turned the right way up.

    python -m benchmarks.turn_below --data ../shared/data --pages 40

Drawn pages: photo-like blobs, shapes, charts, scratches, noise, a word or two alone; each is drawn anew from the seed
and counts as left if neither skew nor orientation is reported. Real pages of `--data` (forms, receipts, Korean pages
with known skew), as they are and negated: turned by any angle, right within 0.5 degrees; and in four turns.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from models.geometry import turn, wrap_degrees
from models.page_contrast import angle_view
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from trainers.pages.angles import SETS, TOLERANCE, real_pages
from trainers.render.fonts import system_fonts

WORDS = ("제 3 장", "PART II", "결론", "Contents", "제1편 총칙", "42", "영수증", "목차", "CONFIDENTIAL", "부록 A")
SIZES = ((1240, 1754), (1754, 1240), (1600, 1200), (1000, 640))


def sheet(rng: np.random.Generator) -> Image.Image:
    return Image.new("L", SIZES[rng.integers(len(SIZES))], int(rng.integers(235, 256)))


def blobs(rng: np.random.Generator) -> np.ndarray:
    small = cv2.GaussianBlur(rng.normal(0, 1, (40, 30)).astype(np.float32), (0, 0), rng.uniform(1, 4))
    image = cv2.resize(small, (1200, 1600), interpolation=cv2.INTER_CUBIC)
    image = 255 * (image - image.min()) / np.ptp(image)
    return (image + rng.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8)


def shapes(rng: np.random.Generator) -> np.ndarray:
    page = sheet(rng)
    draw = ImageDraw.Draw(page)
    for _ in range(rng.integers(1, 6)):
        corners = [tuple(rng.integers(page.size).tolist()) for _ in range(rng.integers(3, 7))]
        if rng.random() < 0.7:
            draw.line([*corners, corners[0]], fill=int(rng.integers(90)), width=int(rng.integers(2, 8)))
        else:
            draw.polygon(corners, fill=int(rng.integers(120)))
    return np.asarray(page)


def chart(rng: np.random.Generator) -> np.ndarray:
    page = sheet(rng)
    draw = ImageDraw.Draw(page)
    width, height = page.size
    axes = [(0.1 * width, 0.1 * height), (0.1 * width, 0.9 * height), (0.9 * width, 0.9 * height)]
    draw.line(axes, fill=0, width=4)
    for curve in range(rng.integers(1, 4)):
        values = np.cumsum(rng.normal(0, 1, 40))
        values = (values - values.min()) / (np.ptp(values) + 1e-6)
        points = [(width * (0.1 + 0.02 * i), height * (0.85 - 0.7 * value)) for i, value in enumerate(values)]
        draw.line(points, fill=40 * curve, width=4)
    return np.asarray(page)


def scratches(rng: np.random.Generator) -> np.ndarray:
    page = sheet(rng)
    draw = ImageDraw.Draw(page)
    for _ in range(rng.integers(3, 30)):
        x, y = rng.integers(page.size)
        length, angle = rng.uniform(20, 500), rng.uniform(0, np.pi)
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        draw.line([(x, y), end], fill=int(rng.integers(160)), width=int(rng.integers(1, 4)))
    return np.asarray(page)


def noise(rng: np.random.Generator) -> np.ndarray:
    page = np.asarray(sheet(rng))
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(0, 256, page.shape).astype(np.uint8)
    if kind == 1:
        return np.where(rng.random(page.shape) < 0.02, 0, page).astype(np.uint8)
    return (page + rng.normal(0, 30, page.shape)).clip(0, 255).astype(np.uint8)


def word(rng: np.random.Generator) -> np.ndarray:
    page = sheet(rng)
    text = WORDS[rng.integers(len(WORDS))]
    faces = [face for face in system_fonts().faces if face.hangul]
    font = faces[rng.integers(len(faces))].at(float(rng.choice([24, 36, 60, 120, 200]))).pil
    place = (rng.uniform(0.1, 0.5) * page.width, rng.uniform(0.1, 0.7) * page.height)
    ImageDraw.Draw(page).text(place, text, font=font, fill=0)
    return np.asarray(page)


class Straightener:
    """The angle stages of the packaged documents reader."""

    def __init__(self) -> None:
        self.stages = [spec.build() for spec in load_reader("documents").stages()[1:3]]

    def __call__(self, image: np.ndarray) -> PageRecord:
        page = Page(PageRecord(page_id="0", document_uri="page", page_number=1, page_count=1), view=angle_view(image))
        for stage in self.stages:
            stage([page])
        return page.record


def turned_pages(data: Path, limit: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield (kind, page, degrees by which it is turned) of real pages, by any angle and by quarter turns."""
    for name in SETS:
        for _, page, skew in real_pages(data, name, limit, known_skew=True):
            for polarity, image in (("", page), (" negated", cv2.bitwise_not(page))):
                angle = float(rng.uniform(-180, 180))
                yield f"any angle: {name}{polarity}", turn(image, angle), angle + skew
                for quarter in range(0, 360, 90):
                    yield f"four turns: {name}{polarity}", turn(image, quarter), quarter + skew


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turn_below", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the real sets and page_skew.parquet")
    parser.add_argument("--pages", type=int, default=40, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    straighten = Straightener()
    right: dict[str, list[bool]] = {}
    for draw in (blobs, shapes, chart, scratches, noise, word):
        for _ in range(options.pages):
            right.setdefault(f"left as it is: {draw.__name__}", []).append(straighten(draw(rng)).turned_degrees == 0)
    if options.data:
        for kind, page, degrees in turned_pages(options.data, options.pages, rng):
            off = wrap_degrees(straighten(page).turned_degrees - degrees)
            right.setdefault(kind, []).append(abs(off) <= TOLERANCE)
    for start in dict.fromkeys(kind.split(":")[0] for kind in right):
        for kind in [kind for kind in right if kind.startswith(start)]:
            print(f"{kind:40} {np.mean(right[kind]):.3f} ({len(right[kind])})", flush=True)
        whole = [one for kind, ones in right.items() if kind.startswith(start) for one in ones]
        print(f"{start + ', all':40} {np.mean(whole):.3f} ({len(whole)})", flush=True)


if __name__ == "__main__":
    main()
