"""Born-digital PDFs: whether the words are those of the text, and how much faster that is than reading pixels.

python -m benchmarks.pdf_text FOLDER --pages 40 --pixels 6

Each page of the PDFs below a folder is read from its text layer, and the words are compared with those of poppler's
`pdftotext`, as bags: a word counts as right as often as both have it. Of pdftotext's two modes that one is taken which
agrees more: -raw joins words that stand apart in some files, the other one joins words across line ends and columns.
Some pages are also read from their pixels, in the same process, for the ratio of times.
"""

import argparse
import json
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from pipelines.documents import count_pages
from pipelines.page import Page
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.stages.base import run_stages


def main() -> None:
    """Read, compare and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=40, help="of a document at most")
    parser.add_argument("--pixels", type=int, default=6, help="pages in all that are read from pixels, too")
    args = parser.parse_args()
    reader = load_reader("documents")
    assert isinstance(reader, DocumentsReader)
    by_text, by_pixels = (
        [(spec.build(), spec.batch_size) for spec in reader.with_text_layer(use).stages()] for use in ("auto", "never")
    )
    right = found = wanted = 0
    sources: Counter[str] = Counter()
    seconds: dict[str, list[float]] = {"text": [], "pixels": [], "the same pages' text": []}
    pixel_pages = args.pixels
    for path in sorted(args.folder.rglob("*.pdf")):
        content = path.read_bytes()
        for number in range(1, min(args.pages, count_pages(BytesIO(content), str(path))) + 1):
            record, took = _read(content, path, number, by_text)
            sources[record.source] += 1
            if record.source != "text_layer":
                continue
            seconds["text"].append(took)
            if pixel_pages and number % 5 == 1:
                pixel_pages -= 1
                seconds["pixels"].append(_read(content, path, number, by_pixels)[1])
                seconds["the same pages' text"].append(took)
            own = Counter(record.text.split())
            theirs = max(
                _poppler(path, number, ()), _poppler(path, number, ("-raw",)), key=lambda bag: _alike(own, bag)
            )
            right += (own & theirs).total()
            found += own.total()
            wanted += theirs.total()
    mean = {name: sum(values) / max(1, len(values)) for name, values in seconds.items()}
    print(
        json.dumps(
            {
                "pages": sources, "words of pdftotext": wanted, "found": round(right / max(1, wanted), 4),
                "of ours right": round(right / max(1, found), 4),
                "pages a second, one core": round(1 / mean["text"], 1),
                "times faster than pixels": round(mean["pixels"] / mean["the same pages' text"], 1),
            },
            indent=1,
        )
    )  # fmt: skip


def _read(content: bytes, path: Path, number: int, stages: list) -> tuple[PageRecord, float]:
    record = PageRecord(page_id="0" * 16, document_uri=str(path), page_number=number, page_count=0)
    started = time.perf_counter()
    list(run_stages(stages, [Page(record, content=content)]))
    return record, time.perf_counter() - started


def _alike(own: Counter[str], theirs: Counter[str]) -> float:
    return (own & theirs).total() / max(1, (own | theirs).total())


def _poppler(path: Path, number: int, mode: Sequence[str]) -> Counter[str]:
    page = ["-f", str(number), "-l", str(number)]
    command = ["pdftotext", *mode, "-enc", "UTF-8", "-nopgbrk", *page, str(path), "-"]
    return Counter(subprocess.run(command, capture_output=True, check=True).stdout.decode().split())


if __name__ == "__main__":
    main()
