"""What pages cost that are made to cost much: seconds, memory, pixels looked at and lines found, one table row for each
of many thin, huge and patterned pictures.

    python -m benchmarks.nasty_pages
    python -m benchmarks.nasty_pages --only 20000x12,checkerboard

Reads through the stages of a Ray actor, in one process and thread. Memory is the process's peak while it reads the
picture, above its peak for an ordinary page (a 300-dpi letter of 2,480 x 3,508 px, read first); only Linux reports it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from models.text_detection.preprocess import view_of
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.stages.base import run_stages

WORDS = "the quick brown fox jumps over the lazy dog near the river bank and goes on "


def blank(width: int, height: int) -> np.ndarray:
    return np.full((height, width), 255, np.uint8)


def line(width: int, height: int, scale: float) -> np.ndarray:
    """One line of text as long as the picture."""
    picture = blank(width, height)
    (length, tall), _ = cv2.getTextSize(WORDS, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
    for number in range((width - 20) // length + 1):
        at = (10 + number * length, (height + tall) // 2)
        cv2.putText(picture, WORDS, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 0, 2, cv2.LINE_AA)
    return picture


def letter(width: int = 2480, height: int = 3508) -> np.ndarray:
    picture = blank(width, height)
    for number, y in enumerate(range(300, height - 200, 70)):
        cv2.putText(picture, f"{number} {WORDS}", (200, y), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 0, 3, cv2.LINE_AA)
    return picture


def checkerboard(width: int, height: int, cell: int) -> np.ndarray:
    y, x = np.ogrid[:height, :width]
    return ((x // cell + y // cell) % 2 * 255).astype(np.uint8)


def dots(width: int, height: int, pitch: int) -> np.ndarray:
    """Return a halftone: dots that grow from left to right."""
    y, x = np.ogrid[:height, :width]
    wave = (np.cos(2 * np.pi * x / pitch) + np.cos(2 * np.pi * y / pitch)).astype(np.float32)
    return np.where(wave > 2 - 3 * x / width, 0, 255).astype(np.uint8)


def marks(width: int, height: int, text: str, pitch: tuple[int, int], scale: float) -> np.ndarray:
    """Return a page of the same few characters over and over."""
    cell = blank(*pitch)
    cv2.putText(cell, text, (2, pitch[1] - 4), cv2.FONT_HERSHEY_SIMPLEX, scale, 0, 1, cv2.LINE_AA)
    return np.tile(cell, (-(-height // pitch[1]), -(-width // pitch[0])))[:height, :width]


def noise(width: int, height: int, share: float | None = None) -> np.ndarray:
    rng = np.random.default_rng(0)
    if share is None:
        return rng.integers(0, 256, (height, width), np.uint8)
    return np.where(rng.random((height, width), np.float32) < share, 0, 255).astype(np.uint8)


def frames(side: int, pitch: int) -> np.ndarray:
    """Squares one in the other."""
    y, x = np.ogrid[:side, :side]
    ring = np.minimum(np.minimum(x, side - 1 - x), np.minimum(y, side - 1 - y))
    return (ring // pitch % 2 * 255).astype(np.uint8)


PICTURES: dict[str, Callable[[], np.ndarray]] = {
    "1x1": lambda: blank(1, 1),
    "65000x1": lambda: blank(65_000, 1),
    "1x65000": lambda: blank(1, 65_000),
    "60000x4": lambda: blank(60_000, 4),
    "20000x12": lambda: blank(20_000, 12),
    "12x20000": lambda: blank(12, 20_000),
    "20000x12-noise": lambda: noise(20_000, 12),
    "60000x16-line": lambda: line(60_000, 16, 0.4),
    "620x44-line": lambda: line(620, 44, 1),
    "2000x40-line": lambda: line(2000, 40, 1),
    "14000x80-line": lambda: line(14_000, 80, 1.5),
    "80x14000-line": lambda: np.ascontiguousarray(np.rot90(line(14_000, 80, 1.5))),
    "65000x271": lambda: line(65_000, 271, 2),
    "640x40000": lambda: letter(640, 40_000),
    "checkerboard-2": lambda: checkerboard(1240, 1754, 2),
    "checkerboard-12": lambda: checkerboard(2480, 3508, 12),
    "checkerboard-30": lambda: checkerboard(2480, 3508, 30),
    "halftone-8": lambda: dots(2480, 3508, 8),
    "halftone-20": lambda: dots(2480, 3508, 20),
    "stars": lambda: marks(2480, 3508, "*", (24, 24), 0.7),
    "digits": lambda: marks(1280, 3508, "7", (20, 22), 0.6),
    "words": lambda: marks(1240, 1754, "ab", (34, 16), 0.4),
    "noise": lambda: noise(2480, 3508),
    "salt-and-pepper": lambda: noise(2480, 3508, 0.05),
    "frames": lambda: frames(2400, 12),
    "150-megapixels": lambda: letter(10_600, 14_150),
    "300-megapixels": lambda: blank(17_320, 17_320),
}


def peak_mib() -> float:
    """Highest resident set size of this process since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="comma-separated names (default: all)")
    parser.add_argument("--precision", default="auto", choices=("auto", "f32", "bf16"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    reader = load_reader("documents").changed(precision=arguments.precision)
    stages: list[tuple[Any, int]] = [(spec.build(), 1) for spec in reader.stages()]
    form = next(stage.predictor.input for stage, _ in stages if stage.name == "text_detection")
    chosen = arguments.only.split(",") if arguments.only else list(PICTURES)
    ordinary = 0.0
    print(f"{'picture':18} {'size':>13} {'looked at':>13} {'seconds':>8} {'MiB more':>9} {'lines':>6}  slowest stage")
    with tempfile.TemporaryDirectory(prefix="ocray-bench-") as folder:
        for name in ["letter", "letter", *chosen]:  # twice: the first one also warms the runtime up
            picture = letter() if name == "letter" else PICTURES[name]()
            height, width = picture.shape
            path = Path(folder, f"{name}.png")
            Image.fromarray(picture).save(path, compress_level=1)
            del picture
            forget_peak()
            started = time.perf_counter()
            page = Page(PageRecord(page_id=name, document_uri=str(path), page_number=1, page_count=1))
            (page,) = run_stages(stages, [page])
            seconds, peak = time.perf_counter() - started, peak_mib()
            path.unlink()
            if name == "letter":
                ordinary = peak
            record, view = page.record, view_of(width, height, form)
            slowest = max(record.timings_ms, key=record.timings_ms.get) if record.timings_ms else ""
            outcome = f"{record.error.type}: {record.error.message[:80]}" if record.error else f"{len(record.lines)}"
            print(
                f"{name:18} {f'{width} x {height}':>13} {f'{view.canvas[0]} x {view.canvas[1]}':>13} {seconds:8.1f} "
                f"{peak - ordinary:9.0f} {outcome:>6}  {slowest} "
                f"(skew {record.skew_degrees or 0:.1f}, turned {record.orientation_degrees or 0})",
                flush=True,
            )


if __name__ == "__main__":
    main()
