"""Mining: which lines are chosen, the folder in which they are labelled, and the way back into a training."""

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from common.storage import Storage
from models.text_recognition.preprocess import crop_line
from pipelines.exports.store import RecordStore
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import Line, PageRecord
from pipelines.records import PageError, page_id
from ray_apps.cli import main as cli
from ray_apps.mining.candidates import Lost, Wanted, disagreements, least_confident
from ray_apps.mining.variety import Variety
from tests.browser import open_page
from tests.hostile import check_shown_as_text, hostile
from tests.labelled_images import ocray
from tests.pages import draw_page, write_page
from trainers.data.layouts import read_lines
from trainers.recognition.source import LineShardsSettings

WORDS = ["Invoice date", "Customer name", "Total amount", "Bank account", "Delivery note", "Unit price", "Reference"]
MISREAD = ["Custom3r nane", "Cu5tmner hame", "oustoMem neme"]


def quad(number: int) -> list[list[float]]:
    """Return where `draw_page` puts its line `number`."""
    top = 22 + 45 * number
    return [[26, top], [320, top], [320, top + 40], [26, top + 40]]


def record(uri: str, lines: list[tuple[str, float]], page: int = 1, count: int = 1) -> PageRecord:
    return PageRecord(
        page_id=page_id(uri, "v", page), document_uri=uri, page_number=page, page_count=count, width=640, height=400,
        lines=[
            Line(text=text, confidence=confidence, polygon=quad(number), language="en")
            for number, (text, confidence) in enumerate(lines)
        ],
    )  # fmt: skip


def commit(folder: Path, records: list[PageRecord], part_size: int = 3) -> RecordStore:
    ledger = Ledger(Storage(str(folder)))
    for start in range(0, len(records), part_size):
        part = records[start : start + part_size]
        ledger.commit(ledger.part_name([record.page_id for record in part]), part)
    card = {"identity": {}, "name": "night", "config": {"limits": {"pdf_dpi": 100}, "of an older version": 1}}
    (folder / "job.json").write_text(json.dumps(card), "utf-8")
    return RecordStore(str(folder), PageRecord)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Three documents that say WORDS; the records have two lines wrong, which were read with little confidence."""
    folder = tmp_path_factory.mktemp("job")
    failed = PageRecord(
        page_id="f", document_uri="/gone.png", page_number=1, page_count=1, status="error",
        error=PageError(stage="decode", type="X", message="x"),
    )  # fmt: skip
    records = [failed]
    for number in range(3):
        path = write_page(folder / "scans" / f"문서 {number}.png", [f"{word} {number}" for word in WORDS])
        lines = [(f"{word} {number}", 0.9 + number / 100) for word in WORDS]
        lines[1], lines[4] = ((f"{MISREAD[number]} {number}", 0.3 + number / 10), (f"Dclivery n0te {number}", 0.6))
        records.append(record(str(path), lines))
    commit(folder / "out", records)
    return folder / "out"


def test_the_least_confident_come_first_few_of_each_document(tmp_path):
    texts = ["apple", "grape", "melon", "lemon peel", "cherry", "walnut"]
    store = commit(
        tmp_path,
        [
            record("/a.png", [(text, 0.1 + i / 100) for i, text in enumerate(texts)]),
            record("/b.png", [("onion", 0.5), ("carrot", 0.95)]),
            record("/c.png", [], page=1),
            record("/c.pdf", [("pepper", 0.115)], page=2, count=3),
        ],
    )
    chosen = least_confident(store, Wanted(count=5, per_document=3, max_confidence=0.9))
    assert [line.text for line in chosen] == ["apple", "grape", "pepper", "melon", "onion"]
    found = store.record(chosen[-1].part, chosen[-1].row)
    assert found.lines[chosen[-1].line].text == "onion" and chosen[-1].badness == pytest.approx(0.5)
    assert len(least_confident(store, Wanted(count=2, per_document=3))) == 2
    assert least_confident(store, Wanted(count=5, per_document=3, max_confidence=0.05)) == []


def test_many_lines_are_looked_at_in_little_memory(tmp_path):
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    pages = [
        record(f"/{page}.png", [("".join(rng.choice(letters, 12)), float(rng.random())) for _ in range(40)])
        for page in range(60)
    ]
    store = commit(tmp_path, pages, part_size=5)
    chosen = least_confident(store, Wanted(count=10, per_document=40))
    everything = sorted(line.confidence for page in pages for line in page.lines)
    np.testing.assert_allclose([line.confidence for line in chosen], everything[:10], rtol=1e-6)


def test_near_duplicates_are_skipped():
    variety = Variety()
    new = ["합계 12,000원", "부가가치세", "TOTAL 4.20", "12,345", "12,399", "-", "→", "세금계산서 발행"]
    assert [text for text in new if not variety.take(text)] == []
    again = ["합 계: 98,700 원", "total 8.15", "부가가치세 ", "12,345", "-", "세금 계산서 발행."]
    assert [text for text in again if variety.take(text)] == []


def test_disagreements_come_most_different_first(job):
    def read(crops):
        """Read the wrong words right, and no number at the end of any line."""
        assert all(crop.dtype == np.uint8 and crop.shape[2] == 3 for crop in crops)
        return [next(answers) for _ in crops]

    def load(_):
        return draw_page([])

    store, lost = RecordStore(str(job), PageRecord), Lost()
    answers = iter(WORDS * 3)
    chosen = disagreements(store, Wanted(count=4, per_document=2), read, load, lines=21, lost=lost)
    assert chosen and all(a.badness >= b.badness for a, b in pairwise(chosen))
    assert chosen[0].text.startswith(tuple(MISREAD)) and chosen[0].second == "Customer name"
    assert lost.pages == 0
    answers = iter(WORDS)
    fewer = disagreements(store, Wanted(count=9, per_document=9), read, load, lines=7, lost=lost)
    assert len({line.document_uri for line in fewer}) == 1


def test_there_and_back_again(job, tmp_path, capsys):
    """Mine, correct labels.tsv in an editor, import it, and let a training read both data sets in shares."""
    mined = tmp_path / "mined"
    code, reported = ocray(capsys, "mine", job, "--output", mined, "--count", 6, "--max-confidence", 0.7)
    assert code == 0 and "read with confidence 0.30 to 0.60" in reported and "label_file" in reported
    labels = (mined / "labels.tsv").read_text("utf-8")
    rows = pq.read_table(mined / "lines.parquet").to_pylist()
    assert labels.splitlines() == [f"{row['name']}\t{row['text']}" for row in rows]
    assert rows[0]["text"] == "Custom3r nane 0" and rows[0]["confidence"] == pytest.approx(0.3)
    assert rows[0]["page_number"] == 1 and rows[0]["line_number"] == 2 and rows[0]["second_reading"] is None
    page = cv2.imread(rows[0]["source"])[..., ::-1]
    crop = cv2.imread(str(mined / rows[0]["name"]))[..., ::-1]
    np.testing.assert_array_equal(crop, crop_line(page, np.array(rows[0]["polygon"], np.float32)))
    assert [line.text for line in read_lines(mined / "lines.parquet")] == [row["text"] for row in rows]

    wrong = {"Custom3r nane 0": "Customer name 0", "Dclivery n0te 0": ""}
    for text, right in wrong.items():
        labels = labels.replace(f"\t{text}\n", f"\t{right}\n")
    (mined / "labels.tsv").write_text(labels, "utf-8")
    command = next(line for line in reported.splitlines() if line.strip().startswith("ocray data import"))
    pattern = command.partition("--group-pattern ")[2].strip("'")
    dataset = tmp_path / "labelled"
    arguments = [mined / "labels.tsv", "--output", dataset, "--validation", 0, "--group-pattern", pattern]
    code, reported = ocray(capsys, "data", "import", "label_file", *arguments)
    assert code == 0 and "1 empty label" in reported
    lines = {line.name: line for line in read_lines(dataset / "train")}
    assert len(lines) == len(rows) - 1 and lines[rows[0]["name"]].text == "Customer name 0"
    assert lines[rows[0]["name"]].image == rows[0]["image"]
    assert all(name.startswith(line.group) for name, line in lines.items())

    source = LineShardsSettings(at={str(dataset / "train"): 1, str(mined / "lines.parquet"): 1}, bucket=4, balance=0.5)
    assert source.open("train", 0).line(0).image.shape[2] == 3


def test_a_second_recogniser_of_the_packaged_ones(job, tmp_path, capsys):
    arguments = ["--output", tmp_path / "mined", "--disagree", "ppocrv6-rec@small", "--count", 4, "--read-again", 40]
    arguments += ["--precision", "f32"]
    code, reported = ocray(capsys, "mine", job, *arguments)
    assert code == 0, reported
    rows = pq.read_table(tmp_path / "mined" / "lines.parquet").to_pylist()
    worst = rows[0]
    assert worst["text"].startswith(tuple(MISREAD)) and worst["second_reading"].startswith("Customer")
    assert 0 < worst["disagreement"] <= 1


def test_what_cannot_be_met_is_said(job, tmp_path, capsys):
    def refused(*arguments):
        code, reported = ocray(capsys, "mine", *arguments, "--output", tmp_path / "mined")
        assert code == 2
        return reported

    assert "no job at" in refused(tmp_path)
    (tmp_path / "meters").mkdir()
    (tmp_path / "meters" / "job.json").write_text(json.dumps({"identity": {}, "config": {"reader": "meters"}}))
    assert "is not a job of the documents reader" in refused(tmp_path / "meters")
    assert "--read-again belongs to --disagree" in refused(job, "--read-again", 4)
    assert "raise --max-confidence" in refused(job, "--max-confidence", 0.01)
    assert "no packaged bundle nobody@1" in refused(job, "--disagree", "nobody@1")
    (tmp_path / "mined").mkdir()
    (tmp_path / "mined" / "thesis.doc").touch()
    assert "holds thesis.doc" in refused(job, "--overwrite") and (tmp_path / "mined" / "thesis.doc").exists()


def test_a_document_that_is_gone_costs_only_its_lines(tmp_path, capsys):
    path = write_page(tmp_path / "here.png", ["Total amount"])
    commit(tmp_path / "out", [record(str(path), [("Total", 0.5)]), record(str(tmp_path / "b.png"), [("Gone", 0.4)])])
    code, reported = ocray(capsys, "mine", tmp_path / "out", "--output", tmp_path / "mined")
    assert (
        code == 0 and "1 line, read" in reported and "1 page cannot be opened again" in reported and "b.png" in reported
    )
    path.unlink()
    code, reported = ocray(capsys, "mine", tmp_path / "out", "--output", tmp_path / "again")
    assert code == 2 and "none of the lines' documents can be opened" in reported and not (tmp_path / "again").exists()


def test_text_from_outside_stays_text(tmp_path, capsys):
    # A file's name has no slash.
    name, text = (hostile(each).replace("/", "") for each in ("file", "text"))
    path = write_page(tmp_path / "scans" / f"{name[:200]}.png", ["Total amount"])
    commit(tmp_path / "out", [record(str(path), [(text, 0.5)])])
    card = json.loads((tmp_path / "out" / "job.json").read_text("utf-8"))
    (tmp_path / "out" / "job.json").write_text(json.dumps(card | {"name": hostile("job")}), "utf-8")
    code, reported = ocray(capsys, "mine", tmp_path / "out", "--output", tmp_path / "mined")
    assert code == 0, reported
    html = (tmp_path / "mined" / "label.html").read_text("utf-8")
    check_shown_as_text(html, ["job"])
    lines = json.loads(html.partition("const LINES = ")[2].partition(";\n")[0])
    assert lines[0]["text"] == " ".join(text.split()) and lines[0]["from"].startswith(name[:200])


def test_labels_are_made_in_a_browser(browser, job, tmp_path):
    mined = tmp_path / "mined"
    arguments = [str(job), "--output", str(mined), "--count", "4", "--max-confidence", "0.7"]
    assert cli.main(["mine", *arguments]) == 0
    files = [line.split("\t")[0] for line in (mined / "labels.tsv").read_text("utf-8").splitlines()]
    with open_page(browser, (mined / "label.html").as_uri(), color_scheme="dark") as page:
        assert page.evaluate("document.getElementById('crop').decode().then(() => true)")
        assert page.input_value("#text") == "Custom3r nane 0" and len(files) == 4
        assert page.inner_text("#count") == "0 / 4"
        page.fill("#text", "  고객   이름 0 ")
        page.press("#text", "Enter")
        page.press("#text", "Shift+Enter")  # illegible
        page.press("#text", "PageDown")  # stays undecided
        assert page.inner_text("#count") == "2 / 4"
        page.check("#korean", force=True)
        assert page.get_by_text("읽을 수 없거나 글자가 아님").is_visible()
        page.wait_for_timeout(500)  # Chromium hands local storage to its main process a moment later
        page.reload()
        assert page.inner_text("#count") == "2 / 4"  # the browser kept it
        with page.expect_download() as download:
            page.click("#save")
        saved = Path(download.value.path()).read_text("utf-8")
        assert download.value.suggested_filename == "labels.tsv"
        assert saved == f"{files[0]}\t고객 이름 0\n{files[1]}\t\n"
        (tmp_path / "other.tsv").write_text(f"{files[2]}\tthird\nunknown.png\tx\n", "utf-8")
        page.set_input_files("#load", tmp_path / "other.tsv")
        expect(page.locator("#count")).to_have_text("3 / 4")
