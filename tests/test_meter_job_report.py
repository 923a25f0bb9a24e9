"""The report of a meters job: figures, what is shown of photos, and that nothing is drawn twice or left open."""

import json
import re
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from common.storage import Storage
from pipelines.exports.store import RecordStore
from pipelines.ledger import Ledger
from pipelines.readers.meters.columns import MeterColumns
from pipelines.readers.meters.readings import READINGS, write_readings
from pipelines.readers.meters.record import Digit, MeterRecord
from pipelines.readers.meters.summary import IMPLAUSIBLE_PHOTOS, UNREAD_PHOTOS, summarize_meters
from pipelines.records import PageError, page_id
from pipelines.report.job_report import write_report
from pipelines.sources import manifest_schema
from tests.hostile import check_shown_as_text, hostile

START = datetime(2026, 5, 1, tzinfo=timezone.utc)
CORNERS = [[40, 30], [120, 30], [120, 50], [40, 50]]
METERS = 14  # each misread once


def photo(name: str, reading: str, meter_class: str = "analog", reason: str = "") -> MeterRecord:
    places = [(40 + 9 * number, place) for number, place in enumerate(reading.replace(".", ""))]
    return MeterRecord(
        page_id=page_id(name, "v", 1), document_uri=f"/photos/{name}", page_number=1, page_count=1,
        width=160, height=90, reading=reading, success=bool(reading) and not reason, reason=reason, confidence=0.95,
        meter_class=meter_class, class_confidence=0.99 if meter_class else 0.0,
        screen_corners=CORNERS if meter_class else None, fraction_digits=1 if reading else 0,
        digits=[
            Digit(character=place, box=[[x, 30], [x + 8, 30], [x + 8, 50], [x, 50]], confidence=0.95)
            for x, place in places
        ],
        timings_ms={"decode": 5.0, "meter": 30.0}, device="openvino:CPU f32",
    )  # fmt: skip


def grey(record: MeterRecord) -> np.ndarray:
    return np.full((record.height, record.width, 3), 120, np.uint8)


@pytest.fixture
def job(tmp_path):
    """Fourteen meters misread once, ten photos without a reading, one that failed."""
    records, rows = [], []
    for meter in range(METERS):
        for day, reading in enumerate(["00123.4", "00125.1", "00726.0", "00127.3", "00128.0"]):
            records.append(photo(f"{meter}-{day} <&>.png", reading))
            rows.append((records[-1], f"meter {meter}", START + timedelta(days=day)))
    for number in range(5):
        records.append(photo(f"wall {number}.png", "", "", "no display found"))
        records.append(photo(f"dirty {number}.png", "12x4.5", "digital", f"cannot read place {number + 1} of 5"))
        rows += [(record, None, None) for record in records[-2:]]
    failed = MeterRecord.model_validate(
        photo("broken.png", "", "").model_dump()
        | {"status": "error", "error": PageError(stage="decode", type="UnreadableDocument", message="cut off")}
    )
    ledger = Ledger(Storage(str(tmp_path)))
    for number in range(6):
        part = [*records, failed][number::6]
        ledger.commit(ledger.part_name([record.page_id for record in part]), part)
    manifest = [
        {"page_id": record.page_id, "meter_id": meter, "time": time, "max_rate": 5.0}
        for record, meter, time in [*rows, (failed, None, None)]
    ]  # fmt: skip
    (tmp_path / "job.json").write_text(
        json.dumps({"name": "<meters>", "config": {"reader": "meters"}, "inputs": ["list.csv"], "state": "finished"})
    )
    write_readings(ledger, pa.Table.from_pylist(manifest, manifest_schema(MeterColumns())), None)
    return tmp_path


def test_figures_of_all_photos(job):
    summary = summarize_meters(RecordStore(str(job), MeterRecord))
    assert (summary.ok, summary.failed, summary.pages) == (80, 1, 81)
    assert summary.classes == {"analog": 70, "digital": 5, "": 5}
    assert summary.confidence.total == 75 and summary.class_confidence.total == 75
    found = summary.findings
    assert found.success == 70 and found.not_read == {"no display found": 5, "cannot read place … of …": 5}
    assert (found.plausible, found.implausible.total(), found.repaired, found.unjudged) == (56, METERS, METERS, 0)
    assert len(summary.implausible) == IMPLAUSIBLE_PHOTOS and len(summary.unread) == UNREAD_PHOTOS
    assert all(summary.judgements[record.page_id]["plausible"] is False for record in summary.implausible)
    assert all(record.reading == "00726.0" for record in summary.implausible)
    shown = {record.page_id for record in (*summary.implausible, *summary.unread, *summary.sampled)}
    assert set(summary.judgements) == shown


def test_figures_of_shards_are_those_of_the_whole(job, monkeypatch):
    whole = summarize_meters(RecordStore(str(job), MeterRecord))
    monkeypatch.setattr("pipelines.report.summary.PARTS_A_SHARD", 1)
    store = RecordStore(str(job), MeterRecord)
    assert len(store.parts) > 2
    merged = summarize_meters(store)
    for name in ("classes", "findings", "judged", "implausible", "unread", "sampled", "judgements", "documents", "ok"):
        assert getattr(merged, name) == getattr(whole, name), name
    for name in ("class_confidence", "confidence"):
        assert getattr(merged, name).counts.tolist() == getattr(whole, name).counts.tolist()


def test_the_report_shows_implausible_readings_first(job):
    write_report(str(job), load_page=grey)
    html = (job / "report.html").read_text("utf-8")
    assert re.findall(r'<section id="(\w+)"', html) == [
        "overview", "stages", "distributions", "readings", "errors", "implausible", "unread", "sampled"
    ]  # fmt: skip
    body = html[html.index("<body>") :]
    assert body.count('lang="ko"') == body.count('lang="en"') > 0
    first = html[html.index('<section id="implausible"') : html.index('<section id="unread"')]
    assert first.count('<figure class="page meter">') == IMPLAUSIBLE_PHOTOS
    assert first.count("too_fast: 00726.0 after 00125.1") == IMPLAUSIBLE_PHOTOS and "<strong>00126.0</strong>" in first
    unread = html[html.index('<section id="unread"') : html.index('<section id="sampled"')]
    assert "no display found" in unread or "cannot read place" in unread
    assert "&lt;meters&gt;" in html and "<&>" not in html
    assert "ocray ocr --reader meters --input list.csv" in html
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith(("data:", "#")) for link in links)
    for drawing in re.findall(r'<svg class="chart".*?</svg>', html, re.S):
        ElementTree.fromstring(drawing)


def test_digits_are_drawn_on_the_strip(job):
    """A place behind the point and its confidence class, above the strip cut from the photo."""
    write_report(str(job), load_page=grey)
    html = (job / "report.html").read_text("utf-8")
    shown = html[html.index('<section id="implausible"') :]
    card = shown[: shown.index("</figure>")]
    assert re.findall(r'class="digit (\w+)( behind)?" [^>]*>(.)<', card) == [
        ("high", "", "0"), ("high", "", "0"), ("high", "", "7"), ("high", "", "2"), ("high", "", "6"),
        ("high", " behind", "0"),
    ]  # fmt: skip
    assert card.count("data:image/jpeg") == 2 and 'points="40,30 120,30 120,50 40,50"' in card


def test_a_source_that_is_gone_costs_only_its_picture(job):
    def gone(record: MeterRecord) -> np.ndarray:
        raise FileNotFoundError(record.document_uri)

    write_report(str(job), load_page=gone)
    html = (job / "report.html").read_text("utf-8")
    assert "Picture not available" in html and "00726.0" in html


def test_a_job_that_has_judged_nothing_yet_is_reported(job):
    (job / READINGS).unlink()
    summary = summarize_meters(RecordStore(str(job), MeterRecord))
    assert not summary.judged and summary.findings.success == 70 and summary.implausible == []
    write_report(str(job), load_page=grey)
    assert "알 수 없음" in (job / "report.html").read_text("utf-8")


def test_text_from_outside_stays_text(tmp_path):
    """What was read, its reasons, and the meter that a manifest names."""
    texts = {"reading": hostile("reading"), "reason": hostile("reason"), "meter_class": hostile("class")}
    unread = photo("a.png", "12.5").model_copy(update=texts | {"success": False})
    wrong = photo("b.png", "00123.4").model_copy(update={"document_uri": hostile("photo")})
    later = photo("c.png", "00120.0")
    ledger = Ledger(Storage(str(tmp_path)))
    ledger.commit(ledger.part_name([record.page_id for record in (unread, wrong, later)]), [unread, wrong, later])
    rows = [
        {"page_id": record.page_id, "meter_id": hostile("meter"), "time": START + timedelta(days=day), "max_rate": 5.0}
        for day, record in enumerate([wrong, later])
    ]
    (tmp_path / "job.json").write_text(json.dumps({"name": hostile("name"), "config": {"reader": "meters"}}))
    write_readings(ledger, pa.Table.from_pylist(rows, manifest_schema(MeterColumns())), None)

    def gone(record: MeterRecord) -> np.ndarray:
        raise OSError(hostile("picture"))

    write_report(str(tmp_path), load_page=gone)
    shown = ["reading", "reason", "class", "photo", "meter", "name", "picture"]
    check_shown_as_text((tmp_path / "report.html").read_text("utf-8"), shown)
