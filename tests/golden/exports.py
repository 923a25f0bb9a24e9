"""What a job leaves behind, made from the kept records without reading the pages again: exports, reports, readings.

`exports.json` holds for each file of an export its name, size and SHA-256; of PDFs the pages' sizes, pictures and text;
of reports the text that they show; and all rows of `readings.parquet`.
"""

import hashlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pypdfium2

from common.project import VERSION
from common.storage import Storage
from pipelines.exports.export import export
from pipelines.job import JobCard
from pipelines.ledger import Ledger
from pipelines.readers.base import Reader
from pipelines.readers.meters.columns import MeterColumns
from pipelines.readers.registry import load_reader, reader_class
from pipelines.records import BaseRecord
from pipelines.report.job_report import write_report
from pipelines.source_pages import SourcePages
from pipelines.sources import manifest_schema
from tests.golden import PAGES, kept
from tests.golden.comparing import visible_text

FORMATS = {"documents": ["jsonl", "text", "hocr", "alto", "pdf"], "meters": ["jsonl"]}
_START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
_CHANGING = ("created", "started", "updated", "finished", "code", "wall_seconds")  # in job.json
_RATE = 5.0  # units a day, the most that the meters may turn


def made(folder: Path) -> dict[str, Any]:
    """Everything that `exports.json` holds, made in a new folder: `folder/READER` is a job's output."""
    return {reader: _made(reader, folder / reader) for reader in PAGES}


def _made(reader: str, output: Path) -> dict[str, Any]:
    records = {"documents": _documents, "meters": _meters}[reader]()
    ledger = Ledger(Storage(str(output)))
    for number in range(3):  # several parts, as a job with several workers leaves
        ledger.commit(f"part-{number}.parquet", records[number::3])
    (output / "job.json").write_text(json.dumps(_card(reader)), "utf-8")
    opened = load_reader(reader)
    found: dict[str, Any] = {"job.json": _new_card(opened, output.with_name(f"{reader}-new"))}
    if reader == "meters":
        found["findings"] = opened.conclude(ledger, _manifest(records))
        found["readings.parquet"] = _readings(output)
    pages = _Sources(reader)
    counts = export(str(output), FORMATS[reader], load_page=pages.page, load_original=pages.original)
    found["exports"] = {"counts": counts} | {name: _files(output / "exports" / name) for name in FORMATS[reader]}
    write_report(str(output), load_page=pages.page)
    html = (output / "report.html").read_text("utf-8")
    found["report.html"] = [text.replace(str(output), "OUT") for text in visible_text(html)]
    return found


def _record(reader: str, key: str, content: dict[str, Any]) -> BaseRecord:
    """Return a kept record with what is not kept: `key` is its file's name and its page number."""
    name = key.rpartition(" ")[0]
    milliseconds = {"decode": 12.5, "reading": 20.0 + len(key)}
    return reader_class(reader).record_type(
        page_id=hashlib.sha256(key.encode()).hexdigest()[:16], document_uri=f"/in/{name}", timings_ms=milliseconds,
        device="openvino:CPU f32", **content,
    )  # fmt: skip


def _documents() -> list[BaseRecord]:
    return [_record("documents", key, content) for key, content in kept("documents")["records"].items()]


def _meters() -> list[BaseRecord]:
    """Each kept photo four times, as of four days: its reading rises, and is misread on the third day."""
    found = []
    for key, content in kept("meters")["records"].items():
        reading = content["reading"]
        for day in range(4):
            shown = _risen(reading, 2 * day)
            if day == 2 and reading:
                shown = f"{(int(shown[0]) + 5) % 10}{shown[1:]}"
            name, number = key.rsplit(" ", 1)
            changed = content | {"reading": shown, "meter_id": name, "time": _START + timedelta(days=day)}
            places = [place for place in shown if place != "."]
            changed["digits"] = [
                digit | {"character": place} for digit, place in zip(content["digits"], places, strict=True)
            ]
            found.append(_record("meters", f"{name}#{day} {number}", changed))
    return found


def _risen(reading: str, units: int) -> str:
    """Return a reading raised by some units of its last place."""
    if not reading:
        return reading
    digits = str(int(reading.replace(".", "")) + units).zfill(len(reading.replace(".", "")))
    behind = len(reading.partition(".")[2])
    return f"{digits[:-behind]}.{digits[-behind:]}" if behind else digits


def _manifest(records: list[BaseRecord]) -> pa.Table:
    """Return which meter each photo shows and when; the last photo's meter is not known."""
    rows = [
        {"page_id": record.page_id, "meter_id": record.meter_id, "time": record.time, "max_rate": _RATE}
        for record in records
    ]
    rows[-1] |= {"meter_id": None, "time": None}
    return pa.Table.from_pylist(rows, manifest_schema(MeterColumns()))


def _readings(output: Path) -> dict[str, Any]:
    table = pq.read_table(output / "readings.parquet")
    rows = [row | {"time": row["time"] and row["time"].isoformat()} for row in table.to_pylist()]
    return {"columns": [f"{field.name} {field.type}" for field in table.schema], "rows": rows}


def _card(reader: str) -> dict[str, Any]:
    """`job.json`, with nothing of this machine or this day in it."""
    return {
        "name": f"{reader} kept", "created": "2026-03-01T12:00:00+00:00", "started": "2026-03-01T12:00:00+00:00",
        "finished": "2026-03-01T12:34:56+00:00", "state": "finished", "fingerprint": "0123456789ab",
        "config": {"reader": reader, "limits": {"pdf_dpi": 200}}, "inputs": ["/in", "s3://bucket/list.csv"],
        "models": {"stage": "network@1"}, "device": "cpu", "hosts": 1, "versions": {"ocray": "1", "ray": "2"},
        "skipped": {"not an image": 3}, "duplicates": 2, "pages_per_second": 1.25, "wall_seconds": 12.0,
    }  # fmt: skip


def _new_card(reader: Reader, output: Path) -> dict[str, Any]:
    """`job.json` as a job writes it when it has ended; what differs from day to day is left out.

    Its identity and fingerprint decide which outputs a later version goes on with.
    """
    card = JobCard.open(
        Storage(str(output)), inputs=["s3://bucket/scans/"], reader=reader, device="cpu", hosts=1, overwrite=False
    )
    card.close("finished", counts={"ok": 3, "error": 1}, findings=["a finding"])
    content = json.loads((output / "job.json").read_text("utf-8"))
    return (
        content | {name: type(content[name]).__name__ for name in _CHANGING} | {"versions": sorted(content["versions"])}
    )


class _Sources:
    """The pixels of kept records, whose URIs name no real place."""

    def __init__(self, reader: str):
        self._folder = PAGES[reader]
        self._pages = SourcePages(load_reader(reader).settings.limits.build())

    def _found(self, record: BaseRecord) -> BaseRecord:
        name = record.document_uri.removeprefix("/in/").partition("#")[0]
        return record.model_copy(update={"document_uri": str(self._folder / name)})

    def page(self, record: BaseRecord):
        return self._pages.page(self._found(record))

    def original(self, record: BaseRecord) -> bytes | None:
        return self._pages.original(self._found(record))


def _files(folder: Path) -> dict[str, Any]:
    describe = _pdf if folder.name == "pdf" else _digest
    return {path.name: describe(path) for path in sorted(folder.iterdir())}


def _digest(path: Path) -> dict[str, Any]:
    content = path.read_bytes().replace(f"ocray {VERSION}".encode(), b"ocray VERSION")
    content = content.replace(f"<softwareVersion>{VERSION}<".encode(), b"<softwareVersion>VERSION<")
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _pdf(path: Path) -> list[dict[str, Any]]:
    pages = []
    with pypdfium2.PdfDocument(path) as document:
        for page in document:
            pictures = list(page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]))
            text = page.get_textpage().get_text_bounded()
            size = [round(side, 2) for side in page.get_size()]
            pages.append({"size": size, "pictures": len(pictures), "text": text.splitlines()})
    return pages
