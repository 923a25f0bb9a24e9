"""Whole runs on a real local Ray: what comes out of the packaged networks; resume, retry, refusals and faults with tiny
ones."""

import json
import shutil

import cv2
import numpy as np
import pytest

from common.storage import Storage
from pipelines.job import JobError, read_card
from pipelines.ledger import Ledger
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.records import table_to_records
from pipelines.runner import JobOptions, TooManyErrors, run_job
from pipelines.sources import InputError
from tests.faults import FaultyReader, RaisingStage, SuicidalStage
from tests.pages import draw_page, numbered_pages
from tests.recognizers import SAYS, dark_line_recognizer
from tests.tiny_documents import numbered_tiny_pages, tiny_text, write_tiny_page

pytestmark = pytest.mark.usefixtures("local_ray")

PAGES = 9


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    numbered_tiny_pages(folder, PAGES)
    return folder


@pytest.fixture(scope="module")
def undisturbed(scans, tiny_reader, tmp_path_factory):
    """Return the output of a run in which nothing happened."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    run_job([str(scans)], str(output), tiny_reader, JobOptions())
    assert texts(output) == {f"page{number:02}.png": tiny_text(number) for number in range(PAGES)}
    return output


def records(output) -> dict:
    """Return records by file name; exactly one row a page."""
    ledger = Ledger(Storage(str(output)))
    rows = [record for part in ledger.parts() for record in table_to_records(ledger.read_part(part), PageRecord)]
    assert len({row.page_id for row in rows}) == len(rows)
    return {row.document_uri.rsplit("/", 1)[-1]: row for row in rows}


def texts(output) -> dict[str, str]:
    return {name: record.text for name, record in records(output).items()}


def write(path, page: np.ndarray) -> None:
    path.parent.mkdir()
    cv2.imwrite(str(path), page[..., ::-1])


def faulty(reader: DocumentsReader, stage: type, **kwargs) -> FaultyReader:
    return FaultyReader(reader.settings).with_fault(stage, **kwargs)


def documents(precision: str = "f32") -> DocumentsReader:
    """Return the reader as it is shipped."""
    return load_reader("documents").changed(precision=precision)


def test_pages_become_records(precision, tmp_path):
    numbered_pages(tmp_path / "in", PAGES)
    run_job([str(tmp_path / "in")], str(tmp_path / "out"), documents(precision), JobOptions())
    found = records(tmp_path / "out")
    assert len(found) == PAGES
    for number in range(PAGES):
        record = found[f"page{number:02}.png"]
        assert record.status == "ok" and record.error is None
        assert f"PAGE NUMBER {number}" in record.text and "Invoice date" in record.text
        assert (record.width, record.height) == (640, 400)
        assert abs(record.skew_degrees) < 0.5 and record.orientation_degrees == 0
        assert set(record.timings_ms) == {"decode", "deskew", "orientation", "text_detection", "text_recognition"}
        assert set(record.models) == {"deskew", "orientation", "text_detection", "text_recognition"}
        assert record.device == f"openvino:CPU {precision}"
        assert len(record.lines) == 4
    card = json.loads((tmp_path / "out" / "job.json").read_text())
    assert card["state"] == "finished"
    assert card["counts"] == {
        "pages": PAGES,
        "done": PAGES,
        "ok": PAGES,
        "error": 0,
        "documents": PAGES,
        "skipped_files": 0,
    }


def test_polygons_are_in_original_pixels(tmp_path):
    """A page turned by a quarter and a few degrees more: line boxes cover the ink of the page as it is."""
    page = draw_page(["Invoice number 12345", "Total amount due 99.50", "Payment received"], 700, 500)
    page = np.ascontiguousarray(np.rot90(page))
    write(tmp_path / "in" / "turned.png", page)
    run_job([str(tmp_path / "in")], str(tmp_path / "out"), documents(), JobOptions())
    (record,) = records(tmp_path / "out").values()
    assert (record.orientation_degrees + record.skew_degrees) % 360 == pytest.approx(90, abs=0.5)
    assert "12345" in record.text
    covered = np.zeros(page.shape[:2], np.uint8)
    for line in record.lines:
        cv2.fillPoly(covered, [np.array(line.polygon).round().astype(np.int32)], 1)
    ink = page[..., 0] < 128
    assert (covered[ink] == 1).mean() > 0.95


def test_a_second_run_reads_nothing_and_a_new_page_is_added(tiny_reader, scans, undisturbed, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scans, folder)
    first = run_job([str(folder)], str(output), tiny_reader, JobOptions())
    assert (first.read_now, first.ok) == (PAGES, PAGES)
    parts = sorted(p.name for p in (output / "pages").iterdir())
    assert run_job([str(folder)], str(output), tiny_reader, JobOptions()).read_now == 0
    assert sorted(p.name for p in (output / "pages").iterdir()) == parts
    write_tiny_page(folder / "later.png", ["ONE MORE PAGE"])
    assert run_job([str(folder)], str(output), tiny_reader, JobOptions()).read_now == 1
    assert len(records(output)) == PAGES + 1


def test_a_broken_page_is_an_error_row_and_retried_on_request(tiny_reader, scans, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    shutil.copytree(scans, folder)
    whole = (folder / "page03.png").read_bytes()
    (folder / "page03.png").write_bytes(whole[: len(whole) // 2])
    result = run_job([str(folder)], str(output), tiny_reader, JobOptions())
    assert (result.ok, result.error) == (PAGES - 1, 1)
    error = records(output)["page03.png"].error
    assert error.stage == "decode" and "page03.png" in error.message
    again = run_job([str(folder)], str(output), tiny_reader, JobOptions())
    assert again.read_now == 0
    retried = run_job([str(folder)], str(output), tiny_reader, JobOptions(retry_failed=True))
    assert (retried.read_now, retried.error) == (1, 1)
    assert len(records(output)) == PAGES


def test_a_stage_that_raises_costs_one_page(tiny_reader, scans, undisturbed, tmp_path):
    run_job([str(scans)], str(tmp_path), faulty(tiny_reader, RaisingStage, victim="page04.png"), JobOptions())
    error = records(tmp_path)["page04.png"].error
    assert (error.stage, error.type, error.message) == ("raising", "RuntimeError", "cannot read page04.png")
    assert texts(tmp_path) == texts(undisturbed) | {"page04.png": ""}


def test_a_page_that_kills_its_worker_costs_one_page(tiny_reader, scans, undisturbed, tmp_path):
    run_job([str(scans)], str(tmp_path), faulty(tiny_reader, SuicidalStage, victim="page04.png"), JobOptions())
    error = records(tmp_path)["page04.png"].error
    assert (error.stage, error.type) == ("suicidal", "WorkerDied")
    assert texts(tmp_path) == texts(undisturbed) | {"page04.png": ""}


def test_a_worker_that_dies_once_costs_nothing(tiny_reader, scans, undisturbed, tmp_path):
    fault = faulty(tiny_reader, SuicidalStage, victim="page04.png", once=str(tmp_path / "died"))
    run_job([str(scans)], str(tmp_path / "out"), fault, JobOptions())
    assert (tmp_path / "died").exists()
    assert texts(tmp_path / "out") == texts(undisturbed)


def test_another_jobs_output_is_refused(tiny_reader, scans, undisturbed, tmp_path):
    with pytest.raises(JobError, match=r"another job's output \(inputs were .*--overwrite"):
        run_job([str(scans / "page01.png")], str(undisturbed), tiny_reader, JobOptions())
    with pytest.raises(JobError, match="config: limits was"):
        run_job([str(scans)], str(undisturbed), tiny_reader.with_limits(max_megapixels=150), JobOptions())
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(JobError, match="not empty and is not an ocray output"):
        run_job([str(scans)], str(tmp_path), tiny_reader, JobOptions())
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    assert read_card(Storage(str(undisturbed)))["state"] == "finished"


@pytest.fixture(scope="module")
def two_readers(tmp_path_factory):
    """Return the documents reader with a second recogniser, for Korean, which reads white on black alone."""
    korean = tmp_path_factory.mktemp("korean")
    dark_line_recognizer(korean)
    recognizers = {str(korean): ["ko"], "ppocrv6-rec@small": ["en", "zh"]}
    reader = documents()
    recognition = reader.settings.text_recognition.model_copy(update={"recognizers": recognizers})
    return reader.changed(languages=["en"], text_recognition=recognition)


def test_languages_choose_the_recognisers(two_readers, tmp_path):
    page = draw_page(["Invoice 1047", "Total amount 38.50"], 640, 300)
    page[180:260, 20:460] = 255 - draw_page(["Customer name"], 440, 80)
    write(tmp_path / "in" / "page.png", page)
    found = {}
    for languages in ("en", "ko,en", "ko"):
        reader = two_readers.for_languages(languages)
        run_job([str(tmp_path / "in")], str(tmp_path / languages), reader, JobOptions())
        (found[languages],) = records(tmp_path / languages).values()
    lines = {requested: [(line.text, line.language) for line in record.lines] for requested, record in found.items()}
    assert lines["en"] == [("Invoice 1047", "en"), ("Total amount 38.50", "en"), ("Customer name", "en")]
    assert lines["ko,en"] == [("Invoice 1047", "en"), ("Total amount 38.50", "en"), (SAYS, "ko")]
    assert lines["ko"] == [(SAYS, "ko")]
    models = {requested: record.models["text_recognition"] for requested, record in found.items()}
    assert models == {"en": "ppocrv6-rec@small", "ko,en": "korean@1+ppocrv6-rec@small", "ko": "korean@1"}
    card = read_card(Storage(str(tmp_path / "ko,en")))
    assert card["models"]["text_recognition"] == "korean@1+ppocrv6-rec@small" and card["config"]["languages"] == [
        "ko",
        "en",
    ]
    with pytest.raises(JobError, match=r"config: languages was \['ko', 'en'\], now \['en'\]"):
        run_job([str(tmp_path / "in")], str(tmp_path / "ko,en"), two_readers.for_languages("en"), JobOptions())


def test_overwrite_starts_anew(tiny_reader, scans, tmp_path):
    run_job([str(scans / "page01.png")], str(tmp_path), tiny_reader, JobOptions())
    run_job([str(scans / "page02.png")], str(tmp_path), tiny_reader, JobOptions(overwrite=True))
    assert list(texts(tmp_path)) == ["page02.png"]


def test_a_run_that_is_plainly_wrong_stops(tiny_reader, tmp_path):
    for number in range(30):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{number}.png").write_text("this is no image")
    with pytest.raises(TooManyErrors, match=r"--max-error-rate 0\.5"):
        run_job([str(tmp_path / "in")], str(tmp_path / "out"), tiny_reader, JobOptions())
    assert read_card(Storage(str(tmp_path / "out")))["state"] == "failed"


def test_an_empty_folder_is_refused_and_leaves_no_output(tiny_reader, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError):
        run_job([str(tmp_path / "in")], str(tmp_path / "out"), tiny_reader, JobOptions())
    assert not (tmp_path / "out").exists()
