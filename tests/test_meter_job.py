"""Whole meter jobs on a real local Ray: records, judged readings, report, resume, and both readers' commands."""

import csv
import json
from datetime import datetime, timedelta, timezone

import pyarrow.parquet as pq
import pytest
import yaml

from common.errors import ExitCode
from common.storage import Storage
from pipelines.job import JobError, read_card
from pipelines.ledger import Ledger
from pipelines.readers.meters import readings
from pipelines.readers.meters.record import MeterRecord
from pipelines.records import table_to_records
from pipelines.runner import JobOptions, run_job
from ray_apps.cli import ocr
from ray_apps.cli.main import main as ocray
from tests.meter_bundles import meter_reader, write_meter

pytestmark = pytest.mark.usefixtures("local_ray")

START = datetime(2026, 5, 1, tzinfo=timezone.utc)
# Wheels that turn on, misread once, and the reading that was meant.
HISTORY, MISREAD, MEANT = ["00123.4", "00125.1", "00726.0", "00127.3", "00128.0"], 2, "00126.0"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return meter_reader(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def photos(tmp_path):
    """Return a manifest of two meters, a photo that says nothing, a broken one and one without a meter."""
    rows = []
    for meter in ("A", "B"):
        for day, reading in enumerate(HISTORY):
            path = write_meter(tmp_path / "photos" / f"{meter}{day}.png", reading)
            rows.append((path, meter, (START + timedelta(days=day)).isoformat(), 5))
    rows.append((write_meter(tmp_path / "photos" / "wall.png", None), "B", (START + timedelta(9)).isoformat(), ""))
    rows.append((write_meter(tmp_path / "photos" / "free.png", "00042.0"), "", "", ""))
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    rows.append((tmp_path / "photos" / "broken.png", "A", START.isoformat(), ""))
    return write_manifest(tmp_path / "list.csv", rows)


def write_manifest(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("uri", "meter_id", "time", "max_rate"), *rows])
    return path


def run(manifest, output, reader, **options):
    return run_job([str(manifest)], str(output), reader, JobOptions(**options))


def records(output) -> dict[str, MeterRecord]:
    ledger = Ledger(Storage(str(output)))
    rows = [row for part in ledger.parts() for row in table_to_records(ledger.read_part(part), MeterRecord)]
    assert len({row.page_id for row in rows}) == len(rows)
    return {name(row.document_uri): row for row in rows}


def judged(output) -> dict[str, dict]:
    return {name(row["document_uri"]): row for row in pq.read_table(output / "readings.parquet").to_pylist()}


def name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1].removesuffix(".png")


def test_photos_are_read_and_judged(photos, reader, tmp_path):
    result = run(photos, tmp_path / "out", reader)
    assert (result.pages, result.ok, result.error) == (13, 12, 1)
    found, thought = records(tmp_path / "out"), judged(tmp_path / "out")
    assert set(found) == set(thought) and len(found) == 13
    for day, reading in enumerate(HISTORY):
        for meter in ("A", "B"):
            record = found[f"{meter}{day}"]
            assert (record.status, record.reading, record.meter_id) == ("ok", reading, meter)
            assert record.time == START + timedelta(days=day)
            row = thought[f"{meter}{day}"]
            assert row["reading"] == reading and row["plausible"] is (day != MISREAD)
            assert row["repaired"] == (MEANT if day == MISREAD else None)
    assert found["wall"].status == "ok" and found["wall"].reason == "no display found"
    assert found["broken"].error.stage == "decode" and found["broken"].meter_id == "A"
    assert thought["free"]["plausible"] is None and thought["free"]["reason"].startswith("no_meter:")
    assert result.findings == (
        "11 readings with success, 1 photos without (1 no display found)",
        "8 readings plausible, 2 not (2 too_fast), 2 not judged; 2 repaired",
    )
    card = read_card(Storage(str(tmp_path / "out")))
    assert card["state"] == "finished" and tuple(card["findings"]) == result.findings
    assert card["models"] == {"meter_screen": "meter-screen@test", "meter_digits": "meter-digits@test"}


def test_a_rerun_judges_anew_and_reads_nothing(photos, reader, tmp_path):
    run(photos, tmp_path / "out", reader)
    parts = sorted(path.name for path in (tmp_path / "out" / "pages").iterdir())
    with photos.open() as file:
        _, *rows = csv.reader(file)
    mended = [[*row[:3], "1000" if row[1] else ""] for row in rows]
    write_manifest(photos, mended)
    again = run(photos, tmp_path / "out", reader.changed(max_rate=7.0))
    assert again.read_now == 0 and sorted(path.name for path in (tmp_path / "out" / "pages").iterdir()) == parts
    assert judged(tmp_path / "out")["A3"]["plausible"] is not None
    later = write_meter(tmp_path / "photos" / "A9.png", "00129.5")
    write_manifest(photos, [*rows, (later, "A", (START + timedelta(9)).isoformat(), "")])
    assert run(photos, tmp_path / "out", reader).read_now == 1
    assert judged(tmp_path / "out")["A9"]["plausible"]
    with pytest.raises(JobError, match="config: columns was"):
        columns = reader.settings.columns.model_copy(update={"time_zone": "UTC"})
        run(photos, tmp_path / "out", reader.changed(columns=columns))


def test_a_mended_photo_is_read_on_request(photos, reader, tmp_path):
    run(photos, tmp_path / "out", reader)
    write_meter(tmp_path / "photos" / "broken.png", "00123.4")
    result = run(photos, tmp_path / "out", reader, retry_failed=True)
    assert (result.read_now, result.error) == (1, 0)
    assert judged(tmp_path / "out")["broken"]["plausible"]


def test_many_meters_are_judged_on_the_cluster(photos, reader, tmp_path, monkeypatch):
    run(photos, tmp_path / "one", reader)
    monkeypatch.setattr(readings, "_ROWS_PER_FILE", 4)
    run(photos, tmp_path / "several", reader)
    assert judged(tmp_path / "several") == judged(tmp_path / "one")


def test_the_command_and_the_status(photos, reader, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ocr, "connect", lambda address: None)  # this module's Ray is already there
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(reader.settings.model_dump()))
    requested = ["--reader", "meters", "--config", str(tmp_path / "mine.yaml"), "--export", "jsonl"]
    output = tmp_path / "out"
    assert ocray(["ocr", "--input", str(photos), "--output", str(output), *requested]) == ExitCode.OK
    reported = capsys.readouterr().out
    assert "8 readings plausible, 2 not (2 too_fast), 2 not judged; 2 repaired" in reported
    assert "12 pages read, 1 failed, 13 of 13 in this run" in reported
    lines = (output / "exports" / "jsonl" / "pages.jsonl").read_text().splitlines()
    assert len(lines) == 13 and all(MeterRecord.model_validate(json.loads(line)) for line in lines)
    html = (output / "report.html").read_text("utf-8")
    assert "Implausible readings" in html and "ocray ocr --reader meters" in html
    assert ocray(["status", str(output)]) == ExitCode.OK
    assert "2 repaired" in capsys.readouterr().out
