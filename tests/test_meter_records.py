"""Meters from a manifest to records: the columns, the stages, the record and its table; no Ray."""

import json
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.config import ConfigError
from common.errors import ExitCode
from common.storage import Storage
from models.bundle import BundleError
from pipelines.exports.export import ExportError, check_formats, export
from pipelines.job import JobCard, fingerprint
from pipelines.ledger import Ledger
from pipelines.page import Page
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.meters.columns import MeterColumns
from pipelines.readers.meters.reader import MetersReader
from pipelines.readers.meters.record import MeterRecord
from pipelines.readers.registry import load_reader
from pipelines.records import BaseRecord, records_to_table, table_to_records
from pipelines.sources import InputError, list_documents, manifest_schema, plan_pages
from pipelines.stages.base import run_stages
from ray_apps.cli.main import main as ocray
from tests.meter_bundles import DISPLAY, draw_meter, meter_reader, write_meter

UTC = timezone.utc
MORNING = datetime(2026, 5, 1, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> MetersReader:
    return meter_reader(tmp_path_factory.mktemp("bundles"))


def manifest(folder, text: str, columns: MeterColumns | None = None) -> dict[str, dict]:
    """Planned rows of a CSV manifest, by file name."""
    (folder / "list.csv").write_text(text, "utf-8")
    documents = list_documents([str(folder / "list.csv")], columns=columns or MeterColumns())
    return {row["document_uri"].rsplit("/", 1)[-1]: row for row in plan_pages(documents)}


@pytest.fixture
def photos(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        write_meter(tmp_path / name, "00123.4")
    return tmp_path


def test_meter_and_time_travel_from_manifest_to_record(photos):
    rows = manifest(photos, "uri,meter_id,time,max_rate\na.png,M-1,2026-05-01T10:00:00+09:00,2.5\nb.png,,,\n")
    assert rows["a.png"]["meter_id"] == "M-1" and rows["a.png"]["time"] == MORNING and rows["a.png"]["max_rate"] == 2.5
    assert [rows["b.png"].get(name) for name in ("meter_id", "time", "max_rate", "error")] == [None] * 4
    table = pa.Table.from_pylist(list(rows.values()), manifest_schema(MeterColumns()))
    records = [Page.from_manifest(row, MeterRecord).record for row in table.to_pylist()]
    assert [(record.meter_id, record.time) for record in records] == [("M-1", MORNING), (None, None)]


def test_manifests_without_the_columns_keep_working(photos):
    assert manifest(photos, "uri\na.png\n")["a.png"].get("meter_id") is None
    # To documents the columns mean nothing, whatever stands in them.
    (photos / "list.csv").write_text("uri,meter_id,time\na.png,,yesterday\n")
    (row,) = plan_pages(list_documents([str(photos / "list.csv")]))
    assert row["error"] is None and row.get("meter_id") is None and row.get("time") is None


def test_columns_can_be_called_otherwise(photos):
    columns = MeterColumns(meter_id="계량기", time="taken", max_rate="most", time_zone="Asia/Seoul")
    rows = manifest(photos, "uri,계량기,taken,most\na.png,7,2026-05-01 10:00,3\nb.png,7,2026-05-01,\n", columns)
    assert rows["a.png"]["time"] == MORNING and rows["a.png"]["max_rate"] == 3
    assert rows["b.png"]["time"] == datetime(2026, 4, 30, 15, tzinfo=UTC), "a date is its first moment in that zone"


@pytest.mark.parametrize("time", ["2026-05-01T10:00:00", "2026-05-01 10:00", "2026-05-01"])
def test_a_time_without_a_zone_is_refused(photos, time):
    with pytest.raises(InputError, match=r"list\.csv, row 2: time 2026.* has no time zone; write it as .*time_zone"):
        manifest(photos, f"uri,meter_id,time\na.png,1,2026-05-01T10:00Z\nb.png,1,{time}\n")


@pytest.mark.parametrize(
    ("row", "stated"),
    [
        ("M-1,,", "row 1: meter_id but no time; give both"),
        (",2026-05-01T10:00Z,", "row 1: time but no meter_id; give both"),
        ("M-1,1777600000,", "row 1: time 1777600000 is not an ISO 8601 time; write it as 2026"),
        ("M-1,2026-13-01T10:00Z,", "is not an ISO 8601 time"),
        ("M-1,2026-05-01T10:00Z,-1", "row 1: max_rate -1 is not a number of units a day above 0"),
        ("M-1,2026-05-01T10:00Z,fast", "max_rate fast is not a number"),
    ],
)
def test_a_row_that_makes_no_sense_is_an_error_row(photos, row, stated):
    rows = manifest(photos, f"uri,meter_id,time,max_rate\na.png,{row}\nb.png,M-1,2026-05-01T10:00Z,1\n")
    assert rows["a.png"]["error"]["type"] == "RowError" and stated in rows["a.png"]["error"]["message"]
    assert rows["b.png"]["error"] is None


def test_one_of_the_two_columns_alone_is_refused(photos):
    with pytest.raises(InputError, match=r"column 'meter_id' but no 'time'.*the manifest has uri, meter_id"):
        manifest(photos, "uri,meter_id\na.png,1\n")


def test_a_photo_named_twice(photos):
    rows = manifest(photos, "uri,meter_id,time\na.png,1,2026-05-01T01:00Z\na.png,2,2026-05-01T01:00Z\nb.png,,\n")
    assert "named twice, as meter 1 at 2026" in rows["a.png"]["error"]["message"]
    documents = list_documents([str(photos), str(photos / "list.csv")], columns=MeterColumns())
    assert [document.values for document in documents] == [None] * 3
    rows = manifest(photos, "uri,meter_id,time\na.png,1,2026-05-01T01:00Z\na.png,1,2026-05-01T10:00+09:00\n")
    assert rows["a.png"]["error"] is None and rows["a.png"]["meter_id"] == "1"
    documents = list_documents([str(photos), str(photos / "list.csv")], columns=MeterColumns())
    assert documents.documents[0].values["meter_id"] == "1", "a folder that holds it too says nothing against it"


TIMES = {
    "zoned": pa.array([datetime(2026, 5, 1, 1), None], pa.timestamp("ns", "Asia/Seoul")),
    "text": pa.array(["2026-05-01T10:00:00+09:00", None]),
}


@pytest.mark.parametrize("kind", TIMES)
def test_parquet_manifests(photos, kind):
    """Whole numbers with gaps come as floats."""
    columns = {"path": ["a.png", "b.png"], "meter_id": pa.array([1001.0, None]), "time": TIMES[kind]}
    pq.write_table(pa.table(columns), photos / "list.parquet")
    rows = plan_pages(list_documents([str(photos / "list.parquet")], columns=MeterColumns()))
    assert [(row.get("meter_id"), row.get("time")) for row in rows] == [("1001", MORNING), (None, None)]


def test_parquet_files_of_images_say_it_too(photos):
    images = [(photos / name).read_bytes() for name in ("a.png", "b.png")]
    seen = {"meter_id": ["x", None], "time": pa.array([MORNING, None], pa.timestamp("us", "UTC"))}
    pq.write_table(pa.table({"image": images, **seen}), photos / "photos.parquet")
    rows = plan_pages(list_documents([str(photos / "photos.parquet")], columns=MeterColumns()))
    assert [(row["row"], row.get("meter_id"), row.get("time")) for row in rows] == [(0, "x", MORNING), (1, None, None)]
    assert all(row["image_column"] == "image" for row in rows)
    naive = pa.array([datetime(2026, 5, 1), None], pa.timestamp("us"))
    pq.write_table(pa.table({"image": images, "meter_id": ["x", None], "time": naive}), photos / "photos.parquet")
    with pytest.raises(InputError, match="row 1: time 2026-05-01 00:00:00 has no time zone"):
        list_documents([str(photos / "photos.parquet")], columns=MeterColumns())


def read(reader, tmp_path, **drawn) -> dict[str, MeterRecord]:
    """Return records of photos: name -> arguments of `draw_meter`."""
    for name, (reading, options) in drawn.items():
        write_meter(tmp_path / f"{name}.png", reading, **options)
    pages = [Page.from_manifest(row, reader.record_type) for row in plan_pages(list_documents([str(tmp_path)]))]
    stages = [(spec.build(), spec.batch_size) for spec in reader.stages()]
    done = list(run_stages(stages, pages))
    assert all(page.image is None and page.view is None for page in done)
    return {page.record.document_uri.rsplit("/", 1)[-1].removesuffix(".png"): page.record for page in done}


def test_photos_become_records(reader, tmp_path):
    found = read(
        reader, tmp_path, wheels=("00378.547", {}), lcd=("41.00", {"meter_class": "digital"}),
        dirty=("00001", {"meter_class": "analog_illegible"}), unsure=("12345.6", {"faint": 2}), none=(None, {}),
    )  # fmt: skip
    assert {name: record.reading for name, record in found.items()} == {
        "wheels": "00378.547", "lcd": "41.00", "dirty": "00001", "unsure": "12345.6", "none": ""
    }  # fmt: skip
    assert {name for name, record in found.items() if record.success} == {"wheels", "lcd"}
    assert all(record.status == "ok" and record.error is None for record in found.values())
    reasons = {name: found[name].reason for name in ("dirty", "unsure", "none")}
    assert reasons == {
        "dirty": "the display is illegible", "unsure": "not sure of place 3 of 6", "none": "no display found"
    }  # fmt: skip
    wheels = found["wheels"]
    left, top, width, height = DISPLAY
    corners = [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]
    np.testing.assert_allclose(wheels.screen_corners, corners, atol=0.5)
    assert [digit.character for digit in wheels.digits] == list("00378547") and wheels.fraction_digits == 3
    np.testing.assert_allclose(wheels.digits[0].box[0], [left, top], atol=1)
    assert wheels.meter_class == "analog" and wheels.class_confidence > 0.99 and wheels.confidence > 0.99
    assert found["none"].screen_corners is None and found["none"].meter_class == ""
    assert set(wheels.timings_ms) == {"decode", "meter"} and wheels.device == "openvino:CPU f32"
    assert wheels.models == {"meter_screen": "meter-screen@test", "meter_digits": "meter-digits@test"}


def test_a_photo_that_cannot_be_decoded_is_an_error_row(reader, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    found = read(reader, tmp_path, good=("00378.547", {}))
    assert found["broken"].status == "error" and found["broken"].error.stage == "decode"
    assert not found["broken"].success and found["good"].success


def test_records_survive_the_table(reader, tmp_path):
    found = list(read(reader, tmp_path, wheels=("00378.547", {}), none=(None, {})).values())
    found[0].meter_id, found[0].time = "M-1", MORNING
    table = records_to_table(found)
    assert table.schema == MeterRecord.arrow_schema()
    again = table_to_records(table, MeterRecord)
    assert [record.model_dump(exclude={"timings_ms", "confidence", "digits"}) for record in again] == [
        record.model_dump(exclude={"timings_ms", "confidence", "digits"}) for record in found
    ]
    assert again[0].time.utcoffset() is not None
    page = Page.from_row(Page(found[0]).to_row(), MeterRecord)
    assert page.record == found[0], "also on the way between two pools"


def test_parquet_columns_are_those_that_outputs_have():
    quad = pa.list_(pa.list_(pa.float32()))
    digit = [("character", pa.string()), ("box", quad), ("confidence", pa.float32())]
    schema, shared = MeterRecord.arrow_schema(), PageRecord.arrow_schema()
    assert schema == pa.schema(
        [
            *(shared.field(name) for name in BaseRecord.model_fields),
            ("success", pa.bool_()),
            ("reason", pa.string()),
            ("reading", pa.string()),
            ("confidence", pa.float32()),
            ("meter_class", pa.string()),
            ("class_confidence", pa.float32()),
            ("screen_corners", quad),
            ("digits", pa.list_(pa.struct(digit))),
            ("fraction_digits", pa.int16()),
            ("meter_id", pa.string()),
            ("time", pa.timestamp("us", tz="UTC")),
            *(shared.field(name) for name in ("timings_ms", "models", "device")),
        ]
    )


def test_readers_are_distinguished_by_their_configuration(tmp_path):
    assert isinstance(load_reader("meters"), MetersReader) and isinstance(load_reader("documents"), DocumentsReader)
    for content, stated in {
        "reader: receipts": "reader is 'receipts'; known: documents, meters",
        "reader: meters\ndeskew: {bundle: a}": "unknown setting deskew",
        "reader: meters\ncolumns: {meter: id}": "unknown setting columns.meter (did you mean meter_id?)",
        "reader: meters\ncolumns: {time_zone: Mars}": "no time zone 'Mars'; give an IANA name",
        "reader: meters\nmax_rate: 0": "max_rate: Input should be greater than 0",
    }.items():
        (tmp_path / "mine.yaml").write_text(content)
        with pytest.raises(ConfigError) as caught:
            load_reader(tmp_path / "mine.yaml")
        assert stated in str(caught.value)
    with pytest.raises(ConfigError, match="meters reader knows no languages"):
        load_reader("meters").for_languages("ko")


def test_what_only_judges_is_no_other_job(reader):
    before, faster = fingerprint(reader), reader.changed(max_rate=3.0)
    assert fingerprint(faster) == before
    other = reader.changed(columns=MeterColumns(time="taken"))
    assert fingerprint(other) != before
    assert before["bundles"].keys() == {"meter_screen", "meter_digits"}
    documents = load_reader("documents")
    for kind in (DocumentsReader, MetersReader):
        assert isinstance(kind.reading_version, int), "each reader's version is its own"
    assert before["reading_version"] == MetersReader.reading_version
    assert fingerprint(documents)["config"] == documents.identity()


def test_bundles_of_another_task_are_refused(reader):
    swapped = reader.changed(meter_screen=reader.settings.meter_digits)
    with pytest.raises(BundleError, match="does 'meter_digits', but 'meter_screen' is needed"):
        swapped.bundles()


@pytest.fixture
def output(reader, tmp_path):
    """Return a finished job's output, without its report."""
    records = list(read(reader, tmp_path / "in", wheels=("00378.547", {}), none=(None, {})).values())
    storage = Storage(str(tmp_path / "out"))
    card = JobCard.open(storage, inputs=["in"], reader=reader, device="cpu", hosts=1, overwrite=False)
    ledger = Ledger(storage)
    ledger.commit(ledger.part_name([record.page_id for record in records]), records)
    card.close("finished")
    return tmp_path / "out"


def test_meters_are_exported_as_json_lines(output):
    assert export(str(output), ["jsonl"], load_page=draw_meter) == {"jsonl": 1}
    lines = [json.loads(line) for line in (output / "exports" / "jsonl" / "pages.jsonl").read_text().splitlines()]
    assert [MeterRecord.model_validate(line).reading for line in lines] == ["", "00378.547"]


def test_formats_of_documents_are_refused(output):
    with pytest.raises(ExportError, match="the meters reader has no export format pdf, hocr; known: jsonl"):
        export(str(output), ["jsonl", "pdf", "hocr"], load_page=draw_meter)
    with pytest.raises(ExportError, match="the meters reader has no export format docx; known: jsonl"):
        check_formats(["docx"], MetersReader)


@pytest.mark.parametrize(
    ("options", "stated"),
    [
        (["--reader", "meters", "--config", "documents"], "--reader meters contradicts --config documents"),
        (["--reader", "documents", "--config", "meters"], "which is of the meters reader; leave one of them out"),
        (["--reader", "meters", "--export", "pdf"], "the meters reader has no export format pdf"),
        (["--config", "meters", "--languages", "ko"], "the meters reader knows no languages"),
    ],
)
def test_the_command_refuses_what_does_not_fit(capsys, tmp_path, options, stated):
    assert ocray(["ocr", "--input", "in", "--output", str(tmp_path / "out"), *options]) == ExitCode.BAD_REQUEST
    assert stated in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
