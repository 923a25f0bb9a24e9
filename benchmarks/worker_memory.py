"""Memory of one worker over many pages of varied sizes: resident set size every 20 pages, and its growth.

    python -m benchmarks.worker_memory --data ../shared/data --pages 600

Runs the stages that a Ray actor runs, in one process, over real pages scaled by random factors (so that no two pages
have the same size) and turned by random angles.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.real_pages import write_pages
from models.geometry import turn
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.stages.base import run_stages


def resident_mib() -> float:
    """Resident set size of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def varied_pages(data: Path, count: int, folder: Path):
    """Yield pages one at a time: a real page, scaled by 0.4–1.8 and turned, written where the first stage reads it."""
    rng = np.random.default_rng(0)
    for number, path in enumerate(write_pages(data, ["receipts", "forms", "korean_upright"], count, folder)):
        image = np.asarray(cv2.imread(str(path)))
        scale = rng.uniform(0.4, 1.8) * min(1.0, 2000 / max(image.shape[:2]))
        image = turn(cv2.resize(image, None, fx=scale, fy=scale), rng.uniform(-180, 180))
        varied = folder / f"varied-{number}.png"
        cv2.imwrite(str(varied), image)
        yield Page(PageRecord(page_id=str(number), document_uri=str(varied), page_number=1, page_count=1))
        varied.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=600)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    stages = [(spec.build(), spec.batch_size) for spec in load_reader("documents").stages()]
    samples: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory(prefix="ocray-bench-") as folder:
        for number, page in enumerate(run_stages(stages, varied_pages(args.data, args.pages, Path(folder))), start=1):
            assert page.record.status == "ok", page.record.error
            if number % 20 == 0:
                samples.append((number, resident_mib()))
                print(f"{number} pages {samples[-1][1]:.0f} MiB", flush=True)
    # The median of the samples round page 100 against that of the last 100 pages: single samples hold a page or not.
    early = float(np.median([mib for number, mib in samples if 60 <= number <= 140]))
    late = float(np.median([mib for number, mib in samples if number > args.pages - 100]))
    print(json.dumps({"mib_at_100": round(early), "mib_at_end": round(late), "growth": round(late / early - 1, 4)}))


if __name__ == "__main__":
    main()
