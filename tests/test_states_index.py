import pytest

from common.storage import OutputError, Storage
from pipelines import ledger as ledgers
from pipelines import states_index
from pipelines.ledger import Ledger
from pipelines.states_index import INDEX
from tests.test_ledger import record, states

PARTS = 5


@pytest.fixture(autouse=True)
def few_parts_are_many(monkeypatch):
    monkeypatch.setattr(ledgers, "_WORTH_INDEXING", 2)


@pytest.fixture
def reads(monkeypatch):
    """Names of the parts that are read."""
    names = []
    read_part = Ledger.read_part

    def counted(self, name, columns=None):
        names.append(name)
        return read_part(self, name, columns)

    monkeypatch.setattr(Ledger, "read_part", counted)
    return names


def commit(book: Ledger, *page_ids: str, failed: bool = False) -> str:
    name = book.part_name(page_ids)
    book.commit(name, [record(page_id, failed) for page_id in page_ids])
    return name


@pytest.fixture
def book(tmp_path):
    book = Ledger(Storage(str(tmp_path)))
    for number in range(PARTS):
        commit(book, f"a{number}", f"b{number}")
    return book


ALL = {f"{letter}{number}": "ok" for letter in "ab" for number in range(PARTS)}


def test_parts_are_read_once(book, tmp_path, reads):
    assert states(book) == ALL and len(reads) == PARTS
    assert [path.suffix for path in (tmp_path / INDEX).iterdir()] == [".parquet"]
    reads.clear()
    first = book.states()
    assert first.sort_by("page_id").equals(Ledger(book.output).states().sort_by("page_id")) and reads == []
    new = commit(book, "c")
    assert states(book) == ALL | {"c": "ok"} and reads == [new], "one new part is not worth a file of the index"
    assert first.to_pylist()[0]["document_uri"].endswith(".png")


def test_a_part_that_is_replaced_or_deleted_is_not_what_the_index_says(book, tmp_path, reads):
    states(book)
    reads.clear()
    assert commit(book, "a0", "b0", failed=True) in book.parts()
    (tmp_path / "pages" / book.part_name(["a1", "b1"])).unlink()
    expected = {page_id: status for page_id, status in ALL.items() if page_id not in ("a1", "b1")}
    assert states(book) == expected | {"a0": "error", "b0": "error"}
    assert reads == [book.part_name(["a0", "b0"])]
    assert book.drop_errors() == 2
    assert states(book) == {page_id: status for page_id, status in expected.items() if page_id[1] != "0"}


def test_retired_rows_are_not_found_in_the_index(book):
    book.retire({"a0"}, book.states())
    assert states(book) == {page_id: status for page_id, status in ALL.items() if page_id != "a0"}


def test_many_files_become_one(tmp_path, monkeypatch, reads):
    monkeypatch.setattr(states_index, "_MOST_FILES", 3)
    book = Ledger(Storage(str(tmp_path)))
    counts = []
    for number in range(5):
        for letter in "ab":
            commit(book, f"{letter}{number}")
        states(book)
        counts.append(len(list((tmp_path / INDEX).iterdir())))
    assert counts == [1, 2, 3, 1, 2]
    assert len(reads) == 10 and states(book) == ALL and len(reads) == 10


def test_a_damaged_index_is_passed_over(book, tmp_path, reads):
    states(book)
    for path in (tmp_path / INDEX).iterdir():
        path.write_bytes(b"PAR1 rubbish")
    reads.clear()
    assert states(book) == ALL and len(reads) == PARTS


def test_an_index_that_cannot_be_written_is_no_reason_to_stop(book, monkeypatch, caplog):
    def refuse(self, name, content, patience=None):
        raise OutputError(f"{name} cannot be written")

    monkeypatch.setattr(Storage, "write", refuse)
    assert states(book) == ALL
    assert "cannot be written; the next run reads all parts again" in caplog.text


def test_object_stores(s3):
    book = Ledger(Storage(f"{s3}/out"))
    commit(book, "a")
    commit(book, "b")
    assert states(book) == {"a": "ok", "b": "ok"}
    assert len(book.output.list(INDEX, ".parquet")) == 1
    commit(book, "b", failed=True)
    assert states(Ledger(Storage(f"{s3}/out"))) == {"a": "ok", "b": "error"}
