import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipelines.readers.documents.record import Line, PageRecord
from pipelines.records import BaseRecord, PageError, Timings, page_id, records_to_table, table_to_records


def full_record() -> PageRecord:
    return PageRecord(
        page_id="0123456789abcdef",
        document_uri="s3://b/한 글.pdf",
        page_number=2,
        page_count=3,
        width=640,
        height=480,
        skew_degrees=1.5,
        skew_confidence=0.5,
        orientation_degrees=270,
        orientation_confidence=0.25,
        text="합계 1,000원",
        lines=[Line(text="합계 1,000원", confidence=0.5, polygon=[[0, 0], [9, 0], [9, 4], [0, 4]], language="ko")],
        timings_ms={"decode": 1.5, "deskew": 2.0},
        models={"deskew": "deskew@1"},
        device="openvino:CPU",
    )


def test_records_survive_the_table():
    failed = PageRecord(
        page_id="f",
        document_uri="x",
        page_number=1,
        page_count=0,
        status="error",
        error=PageError(stage="plan", type="Empty", message="empty file"),
    )
    table = records_to_table([full_record(), failed])
    assert table.schema == PageRecord.arrow_schema()
    assert table_to_records(table, PageRecord) == [full_record(), failed]


def test_parquet_columns_are_those_that_outputs_have():
    quad = pa.list_(pa.list_(pa.float32()))
    line = [("text", pa.string()), ("confidence", pa.float32()), ("polygon", quad), ("language", pa.string())]
    line += [("words", pa.list_(pa.list_(pa.float32()))), ("source", pa.string())]
    line += [("block", pa.int32()), ("row", pa.int32()), ("column", pa.int32())]
    numbers = [(name, pa.int32()) for name in ("row", "column", "row_span", "column_span")]
    cell = [*numbers, ("text", pa.string()), ("polygon", quad)]
    table = [("block", pa.int32()), ("rows", pa.int32()), ("columns", pa.int32())]
    table += [("cells", pa.list_(pa.struct(cell)))]
    assert PageRecord.arrow_schema() == pa.schema(
        [
            ("page_id", pa.string()),
            ("document_uri", pa.string()),
            ("page_number", pa.int32()),
            ("page_count", pa.int32()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("dpi", pa.float32()),
            ("status", pa.string()),
            ("error", pa.struct([("stage", pa.string()), ("type", pa.string()), ("message", pa.string())])),
            ("skew_degrees", pa.float32()),
            ("skew_confidence", pa.float32()),
            ("orientation_degrees", pa.int16()),
            ("orientation_confidence", pa.float32()),
            ("withheld_degrees", pa.float32()),
            ("source", pa.string()),
            ("text_layer_problem", pa.string()),
            ("text", pa.string()),
            ("lines", pa.list_(pa.struct(line))),
            ("blocks", pa.list_(pa.struct([("kind", pa.string()), ("level", pa.int32())]))),
            ("tables", pa.list_(pa.struct(table))),
            ("timings_ms", pa.map_(pa.string(), pa.float32())),
            ("models", pa.map_(pa.string(), pa.string())),
            ("device", pa.string()),
        ]
    )


def test_a_record_must_say_how_its_page_was_read():
    with pytest.raises(TypeError, match="Bare lacks models, device"):

        class Bare(BaseRecord):
            timings_ms: Timings


def test_page_id_depends_on_each_part_and_is_stable():
    ids = {page_id("a", "1", 1), page_id("a", "1", 2), page_id("a", "2", 1), page_id("b", "1", 1)}
    assert len(ids) == 4
    assert page_id("a", "1", 1) == page_id("a", "1", 1)


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError):
        PageRecord(page_id="a", document_uri="b", page_number=1, page_count=1, colour="red")
