import pytest
from pydantic import ValidationError

from pipelines.records import (
    PAGE_SCHEMA,
    Line,
    PageError,
    PageRecord,
    page_id,
    records_to_table,
    table_to_records,
)


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
    assert table.schema == PAGE_SCHEMA
    assert table_to_records(table) == [full_record(), failed]


def test_schema_and_model_name_the_same_columns():
    assert PAGE_SCHEMA.names == list(PageRecord.model_fields)
    assert [f.name for f in PAGE_SCHEMA.field("lines").type.value_type] == list(Line.model_fields)
    assert [f.name for f in PAGE_SCHEMA.field("error").type] == list(PageError.model_fields)


def test_page_id_depends_on_each_part_and_is_stable():
    ids = {page_id("a", "1", 1), page_id("a", "1", 2), page_id("a", "2", 1), page_id("b", "1", 1)}
    assert len(ids) == 4
    assert page_id("a", "1", 1) == page_id("a", "1", 1)


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError):
        PageRecord(page_id="a", document_uri="b", page_number=1, page_count=1, colour="red")
