"""Reports of evaluations: the log, the page, and the door for a checkpoint, a run and a bundle."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from playwright.sync_api import expect

from models.bundle import Card, Training
from models.text_recognition.charset import Charset
from ray_apps.cli.main import main as ocray
from tests.browser import open_page
from tests.hostile import check_shown_as_text, hostile
from tests.test_tasks_recognition import TEXTS, config, write_lines
from trainers.core.checkpoint import load_labels, load_weights, save_atomically, strict_load
from trainers.core.config import Config
from trainers.core.evaluate import measure
from trainers.core.export import export_network
from trainers.core.task import Evaluated
from trainers.recognition.metrics import align, comparable, error_rate, recognition_metrics
from trainers.recognition.report import write_reading_report
from trainers.recognition.source import LineSample

pytestmark = pytest.mark.train

TRUE = ["합계 12,000", "A<b>", "같다", "부가세", "사진 없음", "틀림"]
READ = ["합게12,000", "A<b", "같다", "", "", "울럼 x"]
SURE = [0.8, 0.9, 0.99, 0.0, 0.0, 0.95]


class Grey:
    """Grey crops, some of them long."""

    def line(self, index):
        return LineSample(np.full((60, 90 + 900 * (index == 0), 3), 128, np.uint8), TRUE[index])

    def name(self, index):
        return f"crops/{index} & co.png"


def write(folder, pictures=10, decoding=None):
    predictions = {
        "true": np.array(TRUE, object),
        "read": np.array(READ, object),
        "probability": np.array(SURE),
        "used": np.array([True, True, True, True, False, True]),
    }
    used = [text for text, use in zip(TRUE, predictions["used"], strict=True) if use]
    read = [text for text, use in zip(READ, predictions["used"], strict=True) if use]
    evaluated = Evaluated("mine@<2>", "lines data/mine", recognition_metrics(used, read), decoding or {})
    return write_reading_report(folder, evaluated, predictions, Grey(), pictures)


def test_the_log_lists_every_line_worst_first(tmp_path):
    reported = write(tmp_path / "report")
    assert "the worst 5 of 5 lines" in reported
    rows = pq.read_table(tmp_path / "report" / "lines.parquet").to_pylist()
    assert [row["truth"] for row in rows] == ["틀림", "부가세", "A<b>", "합계 12,000", "같다"]
    for row in rows:
        assert row["cer"] == pytest.approx(error_rate(align(comparable(row["truth"]), comparable(row["prediction"]))))
        assert 0 <= row["confidence"] <= 1
    assert rows[1]["confidence"] == 0 and rows[0]["name"] == "crops/5 & co.png"
    with (tmp_path / "report" / "lines.tsv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["truth"] for row in table] == [row["truth"] for row in rows]
    assert list(table[0]) == ["name", "truth", "prediction", "confidence", "cer"]


def test_the_bundles_own_calibration_is_used(tmp_path):
    write(tmp_path, decoding={"calibration": {"scale": 1.0, "offset": -2.0}})
    confidence = {row["truth"]: row["confidence"] for row in pq.read_table(tmp_path / "lines.parquet").to_pylist()}
    assert confidence["A<b>"] == pytest.approx(1 / (1 + np.exp(-(np.log(9) - 2))), rel=1e-4)
    assert "the bundle&#39;s own calibration" in (tmp_path / "report.html").read_text("utf-8")


def test_the_page_is_one_file_and_marks_what_differs(tmp_path):
    write(tmp_path, pictures=4)
    html = (tmp_path / "report.html").read_text("utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith("data:") for link in links)
    assert html.count("<article") == 4 == html.count("data:image/jpeg")
    assert "합<del>계␣</del>12,000" in html and "합<ins>게</ins>12,000" in html
    assert "A&lt;b<del>&gt;</del>" in html and "<ins>울럼␣x</ins>" in html
    assert "mine@&lt;2&gt;" in html and "mine@<2>" not in html
    assert len(re.findall('span lang="ko"', html)) == len(re.findall('span lang="en"', html)) > 30


def test_text_from_outside_stays_text(tmp_path):
    truth, name = hostile("truth"), hostile("name")

    class Named(Grey):
        def name(self, index):
            return name

    predictions = {
        "true": np.array([truth, "a"], object), "read": np.array([truth, hostile("read")], object),
        "probability": np.array([0.9, 0.8]), "used": np.array([True, True]),
    }  # fmt: skip
    evaluated = Evaluated(hostile("model"), hostile("data"), recognition_metrics([truth], [truth]), {})
    write_reading_report(tmp_path, evaluated, predictions, Named(), 10)
    check_shown_as_text((tmp_path / "report.html").read_text("utf-8"), ["model", "data", "name", "truth"])


def test_the_page_in_a_browser(browser, tmp_path):
    write(tmp_path)
    url = (tmp_path / "report.html").as_uri()
    with open_page(browser, url, color_scheme="dark") as page:
        expect(page.locator("#shown")).to_have_text("5 / 5")
        page.fill("#search", "12,0")
        expect(page.locator("article:visible")).to_have_count(1)
        page.fill("#search", "")
        page.select_option("#script", "space")
        expect(page.locator("#shown")).to_have_text("1 / 5")
        assert page.locator("h2 [lang=en]").first.is_visible()
        page.check("#korean", force=True)
        assert page.locator("h2 [lang=ko]").first.is_visible()
        assert not page.locator("h2 [lang=en]").first.is_visible()
    with open_page(browser, url, locale="ko-KR", viewport={"width": 390, "height": 800}) as page:
        assert page.locator("h2 [lang=ko]").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def small(settings: Config) -> Config:
    """Return the same with the recogniser that is exported fastest."""
    blocks = {"architecture": "crnn", "tps": False, "features": "vgg", "sequence": "none"}
    return settings.changed({f"settings.{name}": value for name, value in blocks.items()}, "test")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Return a config with more validation samples than there are lines; an untrained checkpoint of it, and its
    bundle."""
    folder = tmp_path_factory.mktemp("weights")
    Charset("0123456789 ").save(folder / "digits.txt")
    shards = write_lines(folder / "lines", TEXTS)
    settings = small(config(shards, str(folder / "digits.txt"), validation_samples=500))
    (folder / "config.yaml").write_text(settings.to_yaml(), "utf-8")
    torch.manual_seed(0)
    task = settings.build_task()
    network = task.network()
    fields = task.card_fields()
    save_atomically({"weights": network.state_dict(), "labels": fields.labels}, folder / "best.pt")
    card = Card(
        name="untrained", version="1", task="text_recognition", architecture="crnn", input=fields.input,
        decoding=fields.decoding, labels=fields.labels, licence="Apache-2.0", sha256="0" * 64,
        training=Training(data="none", command="none", steps=0),
    )  # fmt: skip
    export_network(task, network, card, folder / "bundle")
    return folder


@pytest.mark.parametrize("reference", ["best.pt", "bundle"])
def test_the_command_reports_on_a_checkpoint_and_a_bundle(weights, tmp_path, capsys, reference):
    arguments = [str(weights / reference), "--config", str(weights / "config.yaml"), "--report", str(tmp_path / "r")]
    assert ocray(["evaluate", *arguments, "--pictures", "3"]) == 0
    captured = capsys.readouterr()
    figures = json.loads(captured.out)
    assert figures["samples"] == len(TEXTS)  # each line once, though the config asks for 500
    assert f"the worst 3 of {len(TEXTS)} lines" in captured.err
    rows = pq.read_table(tmp_path / "r" / "lines.parquet").to_pylist()
    assert sorted(row["truth"] for row in rows) == sorted(TEXTS)
    assert [row["name"] for row in rows if row["truth"] == TEXTS[2]] == ["2"]
    other = write_lines(tmp_path / "other", ["404", "7"])
    assert ocray(["evaluate", *arguments, "--set", f"data.validation={{kind: line_shards, at: {other}}}"]) == 0
    assert len(pq.read_table(tmp_path / "r" / "lines.parquet")) == 2


def test_labels_that_differ_are_refused(weights, tmp_path, capsys):
    Charset("0123456789").save(tmp_path / "fewer.txt")
    arguments = [str(weights / "bundle"), "--config", str(weights / "config.yaml")]
    assert ocray(["evaluate", *arguments, "--set", f"settings.charset={tmp_path / 'fewer.txt'}"]) == 2
    assert "untrained@1 has other labels (11) than the config (10)" in capsys.readouterr().err


def test_a_task_without_a_report_is_reported(tmp_path, capsys):
    path = Path(__file__).parent.parent / "configs" / "train" / "deskew.yaml"
    arguments = ["deskew@1", "--config", str(path), "--report", str(tmp_path / "r")]
    assert ocray(["evaluate", *arguments]) == 2
    assert "task deskew has no report" in capsys.readouterr().err


def test_an_exported_recogniser_can_be_trained_on(weights):
    """`train.initial_weights` takes a bundle as it takes a run: all weights and labels are in it."""
    settings = small(config(str(weights / "lines"), str(weights / "digits.txt")))
    measured = measure(str(weights / "best.pt"), settings)
    network = measured.task.network()
    labels = load_labels(weights / "bundle")
    adapted, reported = measured.task.adapt_weights(network, load_weights(weights / "bundle"), labels, "bundle")
    strict_load(network, adapted, "bundle")
    assert "the charset is the same" in reported
    trained = load_weights(weights / "best.pt")
    assert all(torch.equal(network.state_dict()[name], trained[name]) for name in adapted)
