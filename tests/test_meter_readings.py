"""Readings of a job judged by the others of their meter, from committed records; no Ray."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.storage import Storage
from models.meter.plausibility import Observation, judge
from pipelines.ledger import Ledger
from pipelines.readers.meters import readings
from pipelines.readers.meters.columns import MeterColumns
from pipelines.readers.meters.readings import NO_METER, READINGS, READINGS_SCHEMA, kind_of_reason, write_readings
from pipelines.readers.meters.record import Digit, MeterRecord
from pipelines.records import PageError, page_id
from pipelines.sources import manifest_schema

START = datetime(2026, 5, 1, 10, tzinfo=timezone.utc)
BOX = [[0, 0], [9, 0], [9, 9], [0, 9]]


def photo(name: str, reading: str, **fields) -> MeterRecord:
    places = reading.replace(".", "")
    return MeterRecord(
        page_id=page_id(name, "v", 1), document_uri=name, page_number=1, page_count=1, reading=reading,
        success=bool(reading) and "x" not in reading, reason="" if reading and "x" not in reading else "no digits seen",
        meter_class="analog", digits=[Digit(character=place, box=BOX, confidence=0.9) for place in places],
    ).model_copy(update=fields)  # fmt: skip


def row(record: MeterRecord, meter: str | None, day: float = 0, max_rate: float | None = None) -> dict:
    return {
        "page_id": record.page_id, "document_uri": record.document_uri, "version": "v", "page_number": 1,
        "page_count": 1, "row": -1, "image_column": "", "error": None, "meter_id": meter,
        "time": None if meter is None else START + timedelta(days=day), "max_rate": max_rate,
    }  # fmt: skip


def judged(folder, records, rows, max_rate=None, parts=3) -> tuple[dict[str, dict], readings.Findings]:
    """Return what `readings.parquet` says of each photo."""
    ledger = Ledger(Storage(str(folder)))
    for number in range(parts):
        if part := records[number::parts]:
            ledger.commit(ledger.part_name([record.page_id for record in part]), part)
    found = write_readings(ledger, pa.Table.from_pylist(rows, manifest_schema(MeterColumns())), max_rate)
    table = pq.read_table(folder / READINGS)
    assert table.schema == READINGS_SCHEMA
    return {reading["document_uri"]: reading for reading in table.to_pylist()}, found


HISTORY = ["00123.4", "00125.1", "00726.0", "00127.3", "00128.0"]


@pytest.fixture
def history():
    """Return records and manifest rows of a meter that was misread once, the rows not in order of time."""
    records = [photo(f"a{day}", reading) for day, reading in enumerate(HISTORY)]
    return records, [row(record, "A", day, 5.0) for day, record in reversed(list(enumerate(records)))]


def test_readings_are_judged_within_their_meter(tmp_path, history):
    records, rows = history
    other = [photo("b0", "99999.0"), photo("b1", "00000.5")]
    found, findings = judged(tmp_path, [*records, *other], [*rows, row(other[0], "B", 0, 5.0), row(other[1], "B", 1)])
    expected = judge([Observation(START + timedelta(days=d), r, (0.9,) * 6) for d, r in enumerate(HISTORY)], 5.0)
    for day, judgement in enumerate(expected):
        reading = found[f"a{day}"]
        assert (reading["plausible"], reading["reason"]) == (judgement.plausible, judgement.reason)
        assert (reading["reading"], reading["repaired"]) == (HISTORY[day], judgement.repaired)
        assert reading["time"] == START + timedelta(days=day) and reading["meter_id"] == "A"
    assert found["a2"]["repaired"] == "00126.0"
    assert found["b1"]["plausible"], "the rate of one row holds for all of its meter, and lets it roll over"
    assert (findings.success, findings.plausible, findings.repaired) == (7, 6, 1)
    assert findings.implausible.total() == 1


def test_the_order_of_time_is_the_order_of_rows(tmp_path, history):
    records, rows = history
    found, _ = judged(tmp_path, records, rows)
    assert list(found) == [f"a{day}" for day in range(5)]


def test_photos_without_a_meter_are_not_judged(tmp_path):
    alone, unread = photo("alone", "00042.0"), photo("unread", "", reason="cannot read place 3 of 8")
    error = PageError(stage="decode", type="UnreadableDocument", message="broken")
    failed = photo("failed", "", status="error", error=error, reason="")
    found, findings = judged(tmp_path, [alone, unread, failed], [row(r, None) for r in (alone, unread, failed)])
    assert {(reading["plausible"], reading["reason"]) for reading in found.values()} == {(None, NO_METER)}
    assert found["alone"]["reading"] == "00042.0" and found["alone"]["success"]
    assert findings.not_read == {"cannot read place … of …": 1}, "a failed photo is told as such"
    assert findings.lines() == ["1 readings with success, 1 photos without (1 cannot read place … of …)"]


def test_what_was_not_vouched_for_is_judged_but_judges_nothing(tmp_path, history):
    records, rows = history
    unsure = photo("x", "0012x.2")
    found, findings = judged(tmp_path, [*records, unsure], [*rows, row(unsure, "A", 0.4, 5.0)])
    assert not found["x"]["success"] and found["x"]["plausible"] and found["x"]["repaired"] == "00124.2"
    assert findings.not_read.total() == 1


def test_the_manifest_of_this_run_says_which_meter(tmp_path, history):
    """A mended manifest counts without reading anew, and what is no longer in it is left out."""
    records, rows = history
    records = [record.model_copy(update={"meter_id": "old", "time": START}) for record in records]
    found, _ = judged(tmp_path, records, [r | {"meter_id": "B"} for r in rows[:-1]])
    assert set(found) == {"a1", "a2", "a3", "a4"} and found["a1"]["meter_id"] == "B"
    before = (tmp_path / READINGS).read_bytes()
    judged(tmp_path, records, [r | {"meter_id": "B"} for r in rows[:-1]])
    assert (tmp_path / READINGS).read_bytes() == before


def test_the_rate_of_the_configuration_holds_where_none_is_said(tmp_path, history):
    records, rows = history
    rows = [r | {"max_rate": None} for r in rows]
    free, _ = judged(tmp_path / "free", records, rows)
    strict, _ = judged(tmp_path / "strict", records, rows, max_rate=0.1)
    assert sum(reading["plausible"] is True for reading in strict.values()) < sum(
        reading["plausible"] is True for reading in free.values()
    )
    slack, _ = judged(
        tmp_path / "said",
        records,
        [r | {"max_rate": rate} for r, rate in zip(rows, (0.1, 5), strict=False)] + rows[2:],
        0.1,
    )
    assert slack["a2"]["repaired"] == "00126.0", "of several rates for a meter the highest holds"


def test_displays_without_leading_zeros(tmp_path):
    values = ["98.5", "99.9", "101.2"]
    lcd = [photo(f"d{day}", value, meter_class="digital") for day, value in enumerate(values)]
    found, _ = judged(tmp_path, lcd, [row(record, "D", day) for day, record in enumerate(lcd)])
    assert all(reading["plausible"] for reading in found.values())
    wheels = [record.model_copy(update={"meter_class": "analog"}) for record in lcd]
    found, _ = judged(tmp_path / "wheels", wheels, [row(record, "D", day) for day, record in enumerate(wheels)])
    assert found["d2"]["plausible"] is False and found["d2"]["reason"].startswith("places:")


def test_nothing_committed_is_an_empty_table(tmp_path):
    found, findings = judged(tmp_path, [], [])
    assert found == {} and findings.lines() == ["0 readings with success, 0 photos without"]


def test_many_meters_go_through_several_files(tmp_path, history, monkeypatch):
    """As with millions of photos; the judging itself is called here instead of in Ray tasks."""
    monkeypatch.setattr(readings, "_ROWS_PER_FILE", 20)
    monkeypatch.setattr(readings, "_BUFFERED_ROWS", 30)
    monkeypatch.setattr(readings, "_on_cluster", map)
    records, rows = [], []
    for meter in range(40):
        for day, reading in enumerate(HISTORY):
            records.append(photo(f"m{meter}-{day}", reading))
            rows.append(row(records[-1], f"meter {meter}" if meter else None, day, 5.0))
    found, findings = judged(tmp_path, records, rows, parts=25)
    assert len(found) == 200 and findings.success == 200
    assert findings.repaired == 39 and all(found[f"m{meter}-2"]["repaired"] == "00126.0" for meter in range(1, 40))
    meters = [reading["meter_id"] for reading in found.values()]
    assert sum(a != b for a, b in pairwise(meters)) <= 40 + 11, "readings of a meter stand together"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("cannot read place 3, 4, 10 of 8", "cannot read place … of …"),
        ("the photo is too small: 40 × 30 px, 64 are needed", "the photo is too small: … × … px, … are needed"),
        ("no display found", "no display found"),
    ],
)
def test_alike_reasons_are_counted_together(reason, kind):
    assert kind_of_reason(reason) == kind
