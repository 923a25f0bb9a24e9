"""What a job costs beyond reading: listing, planning, skipping, committing, report and exports, by the number of pages.

    python -m benchmarks.million_pages --sizes 10000 100000 1000000

A Parquet manifest names as many one-page documents, and stand-in stages read them: they make a record of one line and
open no file, so all that is measured is the job's own. Each size runs in a process of its own on a Ray of this machine:
a fresh run, a run with everything done, a run with one part missing (how soon its first page is read), the report and
exports. Memory is that of the driver, above what it holds before; exponents are between neighbouring sizes.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from common.storage import Storage
from pipelines.exports.export import export
from pipelines.ledger import PARTS, Ledger
from pipelines.page import Page
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import Line, PageRecord
from pipelines.readers.registry import load_reader
from pipelines.report.job_report import write_report
from pipelines.runner import JobOptions, run_job
from pipelines.stages.base import StageSpec
from ray_apps.cli.cluster import connect

_TEXT = "stand-in for a line of text"


class StandIn:
    """A stage that reads nothing."""

    name = "stand_in"

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        for page in pages:
            record = page.record
            record.width, record.height, record.text = 1000, 1400, _TEXT
            polygon = [[10.0, 10.0], [400.0, 10.0], [400.0, 40.0], [10.0, 40.0]]
            record.lines = [Line(text=_TEXT, confidence=0.99, polygon=polygon, language="en")]


class StandInReader(DocumentsReader):
    """The documents reader without its stages."""

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        return [StageSpec(StandIn, {})]


class PeakMemory:
    """Within the block, the most memory that this process held, in MiB above what it held before."""

    def __enter__(self) -> "PeakMemory":
        self._process = psutil.Process()
        self._before = self._most = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def mib(self) -> float:
        return (self._most - self._before) / 2**20

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._most = max(self._most, self._process.memory_info().rss)


def write_manifest(path: Path, pages: int) -> None:
    """Write a manifest of one-page documents that need not exist: with a version, they are not looked up."""
    step = 100_000
    schema = pa.schema([("uri", pa.string()), ("version", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, pages, step):
            numbers = range(start, min(pages, start + step))
            uris = [f"s3://scans/archive/{n // 1000:05d}/page-{n:09d}.png" for n in numbers]
            writer.write_table(pa.table([pa.array(uris), pa.array(["1"] * len(uris))], schema=schema))


def measure(pages: int, folder: Path, exports: Sequence[str]) -> dict[str, float]:
    """Return seconds and MiB of each step for a job of `pages` pages, and of exports in these formats."""
    manifest, output = folder / "manifest.parquet", folder / "out"
    write_manifest(manifest, pages)
    reader = StandInReader(load_reader("documents").settings)
    figures: dict[str, float] = {}

    def timed(name: str, step: Any) -> Any:
        started = time.monotonic()
        with PeakMemory() as memory:
            result = step()
        figures[f"{name}_s"] = time.monotonic() - started
        figures[f"{name}_mib"] = memory.mib
        return result

    def run() -> Any:
        return run_job([str(manifest)], str(output), reader, JobOptions())

    connect()
    assert timed("fresh", run).ok == pages
    assert timed("nothing_left", run).read_now == 0
    # Pages of a run that did not end: one part is missing.
    ledger = Ledger(Storage(str(output)))
    lost = sorted(ledger.parts())[0]
    (output / PARTS / lost).unlink()
    began = time.time()
    assert 0 < timed("resume", run).read_now < pages
    figures["first_new_page_s"] = max(path.stat().st_mtime for path in (output / PARTS).iterdir()) - began
    # Nothing is there to be shown: pictures fail, as those of a bucket do that cannot be reached.
    timed("report", lambda: write_report(str(output), load_page=_no_page))
    for name in exports:
        timed(name, partial(export, str(output), [name], load_page=_no_page))
    figures["files"] = sum(1 for _ in (output / PARTS).iterdir())
    figures["peak_mib"] = max(value for name, value in figures.items() if name.endswith("_mib"))
    return figures


def _no_page(record: PageRecord) -> Any:
    raise FileNotFoundError(record.document_uri)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="where manifests and outputs go (default: a temporary folder)")
    parser.add_argument("--exports", nargs="*", default=["jsonl", "text"], metavar="FORMAT")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.folder, args.exports)))
        return
    measured: dict[int, dict[str, float]] = {}
    for size in args.sizes:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            command = [sys.executable, "-m", "benchmarks.million_pages", "--one", str(size), "--folder", folder]
            command += ["--exports", *args.exports]
            started = time.monotonic()
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
            measured[size] = json.loads(answer.stdout.splitlines()[-1])
            print(f"{size} pages: {time.monotonic() - started:.0f} s in all", file=sys.stderr)
    _print_table(measured)


def _print_table(measured: dict[int, dict[str, float]]) -> None:
    sizes = sorted(measured)
    print(f"{'':20}" + "".join(f"{size:>14,}" for size in sizes) + "   exponents")
    for name in measured[sizes[0]]:
        values = [measured[size][name] for size in sizes]
        exponents = [
            f"{math.log(max(values[i + 1], 1e-9) / max(values[i], 1e-9)) / math.log(sizes[i + 1] / sizes[i]):.2f}"
            for i in range(len(sizes) - 1)
        ]
        print(f"{name:20}" + "".join(f"{value:>14,.1f}" for value in values) + "   " + " ".join(exponents))


if __name__ == "__main__":
    main()
