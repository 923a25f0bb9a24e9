"""The pages of a job: what is known without opening a document, and jobs that open their documents while they read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.storage import Storage
from pipelines import planning
from pipelines.documents import Limits
from pipelines.job import IncompleteJob, read_card
from pipelines.ledger import Ledger
from pipelines.planning import page_counts, plan
from pipelines.records import MANIFEST_SCHEMA, page_id
from pipelines.runner import JobOptions, run_job
from pipelines.sources import list_documents
from pipelines.states_index import STATES_SCHEMA
from tests.documents_made import encoded, multi_page, pdf, picture
from tests.faults import LosingStage, SlowStage, bare
from tests.tiny_documents import numbered_tiny_pages

PDF_PAGES = 3
PAGES = 2 * PDF_PAGES + 2 + 4 + 1  # of two PDF files, a TIFF, four images and a broken file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    numbered_tiny_pages(folder, 4)
    for name in ("a.pdf", "z.pdf"):
        (folder / name).write_bytes(pdf([(72, 72)] * PDF_PAGES))
    (folder / "m.tif").write_bytes(multi_page([picture()] * 2, "TIFF"))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 rubbish")
    return folder


@pytest.fixture
def opened_on_the_way(monkeypatch):
    monkeypatch.setattr(planning, "_OPENED_FIRST", 0)


@pytest.fixture
def nothing_is_opened(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a document is opened that need not be")

    monkeypatch.setattr(planning, "_opened", refuse)


def done(uri: str, version: str, number: int, count: int, part: str = "part") -> dict:
    return dict(
        page_id=page_id(uri, version, number),
        status="ok",
        document_uri=uri,
        page_number=number,
        page_count=count,
        part=part,
    )


def states(*rows: dict):
    return STATES_SCHEMA.empty_table().from_pylist(list(rows), STATES_SCHEMA)


def test_documents_whose_pages_are_recorded_are_not_opened(folder, nothing_is_opened):
    documents = [document for document in list_documents([str(folder)]) if document.suffix in (".pdf", ".png")]
    recorded = [done(d.uri, d.version, 2, PDF_PAGES) for d in documents if d.uri.endswith(("a.pdf", "z.pdf"))]
    recorded += [done(d.uri, d.version, 1, 0) for d in documents if d.uri.endswith("broken.pdf")]
    planned = plan(documents, states(*recorded), Limits(), MANIFEST_SCHEMA)
    assert planned.unopened == []
    rows = [(row["document_uri"].rpartition("/")[2], row["page_number"]) for row in planned.manifest.to_pylist()]
    images = [(f"page{number:02}.png", 1) for number in range(4)]
    assert rows == [
        *(("a.pdf", number) for number in (1, 2, 3)),
        ("broken.pdf", 1),
        *images,
        *(("z.pdf", number) for number in (1, 2, 3)),
    ]


def test_records_of_another_version_say_nothing(folder):
    documents = [document for document in list_documents([str(folder)]) if document.suffix == ".pdf"]
    recorded = states(*(done(d.uri, f"{d.version}-earlier", 1, 7) for d in documents))
    assert page_counts(documents, recorded) == {}


def counted(output) -> dict[str, int]:
    """Rows of each document; each page has one."""
    rows = Ledger(Storage(str(output))).states()
    assert len(set(rows["page_id"].to_pylist())) == len(rows)
    names = [uri.rpartition("/")[2] for uri in rows["document_uri"].to_pylist()]
    return {name: names.count(name) for name in names}


def test_documents_are_opened_while_reading_goes_on(local_ray, folder, tmp_path, opened_on_the_way, request, caplog):
    caplog.set_level("INFO", "ocray")
    output = tmp_path / "out"
    read = bare(SlowStage, seconds=0)
    result = run_job([str(folder)], str(output), read, JobOptions())
    assert "8 documents, 4 pages, 0 already done, 4 to read, and those of 4 documents" in caplog.text
    assert (result.pages, result.ok, result.error, result.read_now) == (PAGES, PAGES - 1, 1, PAGES)
    assert counted(output) == {
        "a.pdf": 3, "z.pdf": 3, "m.tif": 2, "broken.pdf": 1, **{f"page{number:02}.png": 1 for number in range(4)}
    }  # fmt: skip
    card = read_card(Storage(str(output)))
    assert card["state"] == "finished" and card["counts"]["pages"] == PAGES
    request.getfixturevalue("nothing_is_opened")
    assert run_job([str(folder)], str(output), read, JobOptions()).read_now == 0


def test_rows_of_parquet_files_are_opened_before(local_ray, tmp_path, opened_on_the_way):
    images = [encoded(picture(), "PNG"), multi_page([picture()] * 2, "TIFF"), encoded(picture(), "PNG")]
    pq.write_table(pa.table({"image": images}), tmp_path / "images.parquet")
    (tmp_path / "a.pdf").write_bytes(pdf([(72, 72)] * PDF_PAGES))
    documents = list_documents([str(tmp_path / name) for name in ("images.parquet", "a.pdf")]).documents
    planned = plan(documents, states(), Limits(), MANIFEST_SCHEMA)
    assert [document.uri for document in planned.unopened] == [str(tmp_path / "a.pdf")]
    rows = [(row["row"], row["page_number"]) for row in planned.manifest.to_pylist()]
    assert rows == [(0, 1), (1, 1), (1, 2), (2, 1)]


def test_pages_of_documents_opened_on_the_way_are_missed(local_ray, tmp_path, opened_on_the_way):
    (tmp_path / "in").mkdir()
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / "in" / name).write_bytes(pdf([(72, 72)] * PDF_PAGES))
    (tmp_path / "in" / "page.png").write_bytes(encoded(picture(), "PNG"))
    output = tmp_path / "out"
    losing = bare(LosingStage, victim="b.pdf", output=str(output))
    with pytest.raises(IncompleteJob, match=r"pages are not in .*run the same command again"):
        run_job([str(tmp_path / "in")], str(output), losing, JobOptions(workers=1))
    result = run_job([str(tmp_path / "in")], str(output), bare(SlowStage, seconds=0), JobOptions())
    assert (result.pages, result.ok) == (7, 7)
    assert counted(output) == {"a.pdf": 3, "b.pdf": 3, "page.png": 1}


def test_a_failed_document_is_opened_again_on_request(local_ray, folder, tmp_path, opened_on_the_way):
    read = bare(SlowStage, seconds=0)
    run_job([str(folder)], str(tmp_path / "out"), read, JobOptions())
    again = run_job([str(folder)], str(tmp_path / "out"), read, JobOptions(retry_failed=True))
    assert (again.read_now, again.error, again.pages) == (1, 1, PAGES)
