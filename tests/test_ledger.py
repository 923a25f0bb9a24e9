import pyarrow as pa
import pyarrow.parquet as pq

from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import PageRecord
from pipelines.records import PageError


def record(page_id: str, failed: bool = False) -> PageRecord:
    error = PageError(stage="decode", type="Unreadable", message="broken") if failed else None
    return PageRecord(
        page_id=page_id,
        document_uri=f"{page_id}.png",
        page_number=1,
        page_count=1,
        status="error" if failed else "ok",
        error=error,
    )


def ledger(tmp_path, *parts: list[PageRecord]) -> Ledger:
    result = Ledger(Storage(str(tmp_path)))
    for records in parts:
        result.commit(result.part_name([r.page_id for r in records]), records)
    return result


def states(book: Ledger) -> dict[str, str]:
    rows = book.states().to_pylist()
    assert len(rows) == len({row["page_id"] for row in rows}), "a page has more than one row"
    return {row["page_id"]: row["status"] for row in rows}


def test_nothing_committed(tmp_path):
    assert states(ledger(tmp_path)) == {}


def test_a_repeated_commit_of_the_same_pages_replaces(tmp_path):
    book = ledger(tmp_path, [record("a", failed=True), record("b")], [record("a"), record("b")])
    assert states(book) == {"a": "ok", "b": "ok"}
    assert len(book.parts()) == 1


def test_drop_errors_keeps_good_rows_and_deletes_empty_parts(tmp_path):
    book = ledger(tmp_path, [record("a", failed=True), record("b")], [record("c", failed=True)])
    assert book.drop_errors() == 2
    assert states(book) == {"b": "ok"}
    assert len(book.parts()) == 1


def test_settle_keeps_one_row_a_page_the_good_one(tmp_path):
    book = ledger(tmp_path, [record("a", failed=True), record("b")], [record("a")], [record("b"), record("c")])
    assert len(book.states()) == 5
    settled = book.settle()
    assert states(book) == {"a": "ok", "b": "ok", "c": "ok"}
    assert settled.sort_by("page_id").equals(book.states().sort_by("page_id"))
    parts = book.parts()
    assert book.settle().equals(book.states()) and book.parts() == parts


def test_retired_rows_leave_the_pages_and_are_kept(tmp_path):
    book = ledger(tmp_path, [record("a"), record("b")], [record("c")], [record("d", failed=True)])
    book.retire({"b", "c", "unknown"}, book.states())
    assert states(book) == {"a": "ok", "d": "error"}
    former = [pq.read_table(path) for path in (tmp_path / "former").iterdir()]
    assert sorted(pa.concat_tables(former)["page_id"].to_pylist()) == ["b", "c"]


def test_rows_survive_a_replacement_unchanged(tmp_path):
    book = ledger(tmp_path, [record("a", failed=True), record("b")])
    before = book.read_part(book.parts()[0]).filter([False, True])
    book.drop_errors()
    assert book.read_part(book.parts()[0]).equals(before)
