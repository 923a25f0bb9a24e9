"""The report: figures, charts, and the page in a real browser."""

import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest

from common.storage import Storage
from common.svg import nice_ticks
from pipelines.exports.store import RecordStore
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import Line, PageRecord
from pipelines.readers.documents.summary import WORST_PAGES, summarize
from pipelines.records import PageError, page_id
from pipelines.report import charts
from pipelines.report.job_report import write_report
from pipelines.report.summary import LISTED_ERRORS, SAMPLED_PAGES, Histogram
from tests.hostile import check_shown_as_text, hostile

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def good(number: int, confidence: float = 0.9, skew: float = 1.0, orientation: int = 0) -> PageRecord:
    uri = f"/scans/쪽 {number}.png"
    return PageRecord(
        page_id=page_id(uri, "v", 1), document_uri=uri, page_number=1, page_count=1, width=300, height=400,
        skew_degrees=skew, skew_confidence=0.8, orientation_degrees=orientation, orientation_confidence=0.99,
        text="줄 <1>\n둘", timings_ms={"decode": 10.0, "text_recognition": 100.0 + number}, device="CPU",
        lines=[
            Line(text=text, confidence=confidence, polygon=[[20, y], [99, y], [99, y + 9], [20, y + 9]], language="ko")
            for text, y in (("줄 <1>", 30), ("둘", 80))
        ],
    )  # fmt: skip


def bad(number: int, kind: str = "UnreadableDocument") -> PageRecord:
    uri = f"/scans/broken <{number}>.png"
    error = PageError(stage="decode", type=kind, message="ends & early")
    return PageRecord(
        page_id=page_id(uri, "v", 1), document_uri=uri, page_number=1, page_count=1, status="error", error=error
    )


def white(record: PageRecord) -> np.ndarray:
    return np.full((record.height, record.width, 3), 250, np.uint8)


def commit(folder, records: list[PageRecord], size: int = 10) -> RecordStore:
    ledger = Ledger(Storage(str(folder)))
    for start in range(0, len(records), size):
        part = records[start : start + size]
        ledger.commit(ledger.part_name([record.page_id for record in part]), part)
    return RecordStore(str(folder), PageRecord)


def write_many(folder) -> None:
    """Write a report of two pages each of many documents, of empty ones, and of more errors than are listed."""
    pages = [good(i % 70, 0.5 + i / 300, i / 10, 90 * (i % 4)) for i in range(140)]
    pages = [page.model_copy(update={"page_id": page_id(page.document_uri, "v", i)}) for i, page in enumerate(pages)]
    empty = good(200).model_copy(update={"lines": [], "text": ""})
    commit(folder, [*pages, empty, *(bad(i, f"Kind{i % 3}") for i in range(LISTED_ERRORS + 90))])
    write_report(str(folder), load_page=white)


def test_one_pass_counts_everything(tmp_path):
    records = [good(i, confidence=0.5 + i / 100, skew=i / 10, orientation=90 * (i % 4)) for i in range(40)]
    empty = good(100).model_copy(update={"lines": [], "text": ""})
    summary = summarize(commit(tmp_path, [*records, empty, *(bad(i) for i in range(3)), bad(9, "EmptyDocument")]))
    assert (summary.documents, summary.ok, summary.failed, summary.lines, summary.without_text) == (45, 41, 4, 80, 1)
    assert summary.orientation == {0: 11, 90: 10, 180: 10, 270: 10}
    assert summary.error_groups == {("decode", "UnreadableDocument"): 3, ("decode", "EmptyDocument"): 1}
    assert summary.timings["text_recognition"].total == 41
    assert summary.timings["text_recognition"].quantile(0.5) == pytest.approx(120, rel=0.05)
    assert summary.line_confidence.total == 80 and summary.skew.total == 41
    assert [record.page_id for record in summary.worst] == [record.page_id for record in records[:WORST_PAGES]]
    expected = sorted(record.page_id for record in [*records, empty])[:SAMPLED_PAGES]
    assert [record.page_id for record in summary.sampled] == expected


def test_the_report_of_a_job_in_shards_is_that_of_the_whole(tmp_path, monkeypatch):
    write_many(tmp_path)
    whole = (tmp_path / "report.html").read_text("utf-8")
    monkeypatch.setattr("pipelines.report.summary.PARTS_A_SHARD", 3)
    write_report(str(tmp_path), load_page=white)
    assert (tmp_path / "report.html").read_text("utf-8") == whole


def test_a_report_is_put_together_on_ray(local_ray, tmp_path, monkeypatch):
    write_many(tmp_path)
    whole = (tmp_path / "report.html").read_text("utf-8")
    monkeypatch.setattr("pipelines.report.summary.PARTS_A_SHARD", 5)
    monkeypatch.setattr("pipelines.report.summary.shared_pass", None)  # of this process, where nothing is read
    monkeypatch.setattr("pipelines.readers.documents.summary.shared_pass", None)
    write_report(str(tmp_path), load_page=white)
    assert (tmp_path / "report.html").read_text("utf-8") == whole


def test_thousands_of_errors_are_counted_and_the_first_are_listed(tmp_path):
    count = LISTED_ERRORS + 700
    commit(tmp_path, [bad(i) for i in range(count)], size=200)
    write_report(str(tmp_path), load_page=white)
    html = (tmp_path / "report.html").read_text("utf-8")
    assert f"The first {LISTED_ERRORS} of {count:,} are listed; 700 more" in html
    assert f'<td class="n">{count:,}</td>' in html
    assert html.count("ends &amp; early") == LISTED_ERRORS


@pytest.mark.parametrize("values", [np.array([5.0]), np.linspace(0, 10, 1001), np.array([0.0, 0.0, 10.0])])
def test_quantiles_are_within_a_bin(values):
    histogram = Histogram(np.linspace(0, 10, 101))
    histogram.add(values)
    for share in (0.1, 0.5, 0.9):
        assert histogram.quantile(share) == pytest.approx(np.quantile(values, share, method="inverted_cdf"), abs=0.11)


def test_a_histogram_is_trimmed_to_its_values():
    histogram = Histogram(np.linspace(-180, 180, 1441))
    histogram.add(np.array([-3.1, 0.2, 4.9, np.nan, 500.0]))
    assert histogram.total == 4  # NaN is no value, 500 counts in the last bin
    trimmed = histogram.trimmed(40)
    assert trimmed.total == 4 and len(trimmed.counts) <= 41
    assert trimmed.edges[0] <= -3.1 and trimmed.edges[-1] == 180


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-13.2, 37), (0, 3), (0, 12_345), (0, 0.004), (44.5, 45)])
def test_ticks_are_round_and_few(low, high):
    ticks = nice_ticks(low, high, 6)
    assert 2 <= len(ticks) <= 8 and low - 1e-6 <= ticks[0] and ticks[-1] <= high + 1e-6
    assert np.ptp(np.diff(ticks)) < 1e-6


def test_charts_are_whole_svg():
    axis = charts.Axis("a < b", "가")
    histogram = Histogram(np.linspace(0, 1, 21))
    histogram.add(np.array([0.1, 0.5, 0.99]))
    bars = charts.bars([charts.Bar("decode & read", 10, 8, 20, 0.5)], axis)
    for chart in (charts.histogram(histogram, axis, axis), charts.columns([("0°", 3), ("90°", 0)], axis, axis), bars):
        ElementTree.fromstring(chart)


def test_values_that_are_not_known_are_said_so(tmp_path):
    commit(tmp_path, [good(1)])
    write_report(str(tmp_path), load_page=white)
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "unknown" in html and "알 수 없음" in html and "Every page was read." in html


def test_a_source_that_is_gone_costs_only_its_picture(tmp_path):
    def gone(record: PageRecord) -> np.ndarray:
        raise FileNotFoundError(record.document_uri)

    commit(tmp_path, [good(1)])
    write_report(str(tmp_path), load_page=gone)
    assert "Picture not available" in (tmp_path / "report.html").read_text("utf-8")


JOB = {
    "name": "<scans>", "created": "2026-01-02T03:04:05+00:00", "finished": "2026-01-02T03:05:05+00:00",
    "fingerprint": "abc123", "inputs": ["/scans/a b", "s3://bucket/x"], "versions": {"ray": "2.60.0"},
    "models": {"deskew": "deskew@1"}, "wall_seconds": 60.0, "pages_per_second": 12.5, "state": "finished", "hosts": 2,
}  # fmt: skip


@pytest.fixture
def report(tmp_path):
    commit(tmp_path, [*(good(i, skew=37.0 * (i % 2), orientation=180 * (i % 2)) for i in range(6)), bad(1)])
    (tmp_path / "job.json").write_text(json.dumps(JOB), "utf-8")
    write_report(str(tmp_path), load_page=white)
    return tmp_path / "report.html"


def test_the_file_needs_nothing_else(report):
    html = report.read_text("utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert "url(" not in html and "@import" not in html
    assert "&lt;scans&gt;" in html and "<scans>" not in html
    assert "ocray ocr --input &#39;/scans/a b&#39; s3://bucket/x" in html and "--retry-failed" in html
    body = html[html.index("<body>") :]
    assert body.count('lang="ko"') == body.count('lang="en"') > 0


def test_text_from_outside_stays_text(tmp_path):
    """Names of documents, what was read, errors, and every text of the job's card."""
    line = Line(text=hostile("line"), confidence=0.9, polygon=[[0, 0], [9, 0], [9, 9], [0, 9]], language="en")
    page = good(1).model_copy(update={"document_uri": f"/scans/{hostile('page')}", "lines": [line]})
    page = page.model_copy(update={"device": hostile("device"), "timings_ms": {hostile("stage"): 5.0}})
    error = PageError(stage=hostile("where"), type=hostile("type"), message=hostile("message"))
    broken = bad(1).model_copy(update={"document_uri": hostile("broken"), "error": error})
    commit(tmp_path, [page, broken])
    card = {name: hostile(name) for name in ("name", "state", "created", "fingerprint")}
    card |= {"inputs": [hostile("input")], "models": {hostile("model"): hostile("bundle")}}
    card |= {"versions": {"ray": hostile("version")}, "skipped": {hostile("reason"): 2}}
    (tmp_path / "job.json").write_text(json.dumps(card), "utf-8")

    def gone(record: PageRecord) -> np.ndarray:
        raise OSError(hostile("picture"))

    write_report(str(tmp_path), load_page=gone)
    shown = ["page", "line", "device", "stage", "where", "type", "message", "broken", "picture", "input", "reason"]
    shown += ["name", "state", "created", "fingerprint", "model", "bundle", "version"]
    check_shown_as_text((tmp_path / "report.html").read_text("utf-8"), shown)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_it_works_in_a_browser(report, tmp_path):
    """A script added to the page uses it as a person would, and leaves what it saw in the page's title."""
    probe = """<script>
      const shown = s => [...document.querySelectorAll(s)].filter(e => getComputedStyle(e).display !== "none").length;
      document.querySelector("#korean").click();
      const korean = [shown("h2 [lang=ko]"), shown("h2 [lang=en]")];
      document.querySelector("#english").click();
      const english = [shown("h2 [lang=ko]"), shown("h2 [lang=en]")];
      document.querySelector("#sampled .view").click();
      const drawn = document.querySelector("#sampled use").getBoundingClientRect().width > 20;
      document.title = JSON.stringify({korean, english, drawn, open: document.querySelector("dialog").open,
        sections: [...document.querySelectorAll("section")].map(s => s.id),
        wide: document.documentElement.scrollWidth > innerWidth});
    </script></body>"""
    probed = tmp_path / "probed.html"
    probed.write_text(report.read_text("utf-8").replace("</body>", probe), "utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900", "--dump-dom", probed.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    seen = json.loads(re.search(r"<title>(.*?)</title>", done.stdout, re.S)[1].replace("&quot;", '"'))
    assert seen["korean"] == [5, 0] and seen["english"] == [0, 5]
    assert seen["drawn"] and seen["open"] and not seen["wide"]
    assert seen["sections"] == ["overview", "stages", "distributions", "errors", "worst", "sampled"]


def test_skipped_files_are_shown(tmp_path):
    card = {"identity": {}, "skipped": {"suffix .heic": 500, "hidden": 2}, "duplicates": 3}
    (tmp_path / "job.json").write_text(json.dumps(card))
    commit(tmp_path, [good(1)])
    write_report(str(tmp_path), load_page=white)
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "500 × suffix .heic" in html and "2 × hidden" in html and "3 named twice" in html
