import argparse

import numpy as np
import pytest

from common.errors import ExitCode
from pipelines.documents import Limits
from pipelines.estimate import Estimate, count_pages, mean, read_sample
from pipelines.sources import list_documents, plan_pages
from pipelines.watchdog import PageLimits
from ray_apps.cli.main import main as ocray
from ray_apps.cli.plan import cores_of
from tests.documents_made import pdf
from tests.faults import RaisingStage, SuicidalStage, bare
from tests.tiny_documents import numbered_tiny_pages


def test_the_mean_of_a_sample_and_its_spread():
    values = np.random.default_rng(1).normal(10, 2, 400)
    found = mean(values)
    assert found.value == pytest.approx(values.mean())
    error = 1.645 * 2 / 20  # of a mean of 400, nine times in ten
    assert found.low == pytest.approx(found.value - error, abs=0.03)
    assert found.high == pytest.approx(found.value + error, abs=0.03)
    assert mean([3.0]) == Estimate(3.0, 3.0, 3.0)


def test_products_of_estimates_hold_both_ranges():
    assert Estimate(2, 1, 4).times(3) == Estimate(6, 3, 12)
    assert Estimate(2, 1, 4).times(Estimate(10, 5, 20)) == Estimate(20, 5, 80)


def test_pages_are_counted_exactly_where_all_documents_are_opened(tmp_path):
    numbered_tiny_pages(tmp_path, 5)
    (tmp_path / "a.pdf").write_bytes(pdf([(72, 72)] * 3))
    pages = count_pages(list(list_documents([str(tmp_path)])), Limits(), 4)
    assert pages.count == Estimate(8, 8, 8) and (pages.opened, pages.to_open) == (1, 1)
    assert len({(row["document_uri"], row["page_number"]) for row in pages.sample}) == 4
    assert count_pages(list(list_documents([str(tmp_path)])), Limits(), 4) == pages, "the same sample each time"


def test_pages_of_many_documents_are_estimated(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.estimate._OPENED_DOCUMENTS", 20)
    numbered_tiny_pages(tmp_path, 10)
    for number in range(40):
        (tmp_path / f"{number}.pdf").write_bytes(pdf([(72, 72)] * (1 + number % 3)))
    pages = count_pages(list(list_documents([str(tmp_path)])), Limits(), 1000)
    assert (pages.opened, pages.to_open) == (20, 40)
    assert 10 + 40 < pages.count.low < pages.count.value < pages.count.high < 10 + 120
    assert pages.count.low < 10 + 79 < pages.count.high


def sample(folder, count=4):
    numbered_tiny_pages(folder, count)
    return plan_pages(list_documents([str(folder)]))


def test_a_sample_is_read_in_a_process_of_its_own(tiny_reader, tmp_path):
    read = list(read_sample(tiny_reader, sample(tmp_path), PageLimits()))
    assert [record.text.split("\n")[0] for _, record in read] == [f"PAGE {number}" for number in range(4)]
    assert all(0 < seconds < 30 for seconds, _ in read)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_page_that_ends_the_process_costs_the_estimate_one_page(tmp_path, victim):
    reader = bare(SuicidalStage, victim=f"page0{victim}.png")
    read = [record is None for _, record in read_sample(reader, sample(tmp_path), PageLimits())]
    assert read == [number == victim for number in range(4)]


@pytest.mark.parametrize(
    ("machine", "cores"),
    [
        ("16", 16),
        ("c7i.4xlarge", 16),
        ("m7i.large", 2),
        ("c7i.xlarge", 4),
        ("c7g.16xlarge", 64),
        ("n2-standard-16", 16),
        ("c3-highcpu-22", 22),
        ("a2-highgpu-1g", None),
        ("Standard_D16s_v5", 16),
        ("Standard_F8-2", 8),
        ("c7i.metal-24xl", None),
        ("0", None),
        ("big", None),
    ],
)
def test_cores_of_machines(machine, cores):
    if cores is None:
        with pytest.raises(argparse.ArgumentTypeError, match="give their number"):
            cores_of(machine)
    else:
        assert cores_of(machine) == cores


def test_a_plan_on_the_command_line(tiny_reader_yaml, tmp_path, capsys):
    numbered_tiny_pages(tmp_path, 6)
    (tmp_path / "notes.xyz").write_text("skipped")
    asked = ["plan", "--input", str(tmp_path), "--config", str(tiny_reader_yaml), "--sample", "3"]
    assert ocray([*asked, "--nodes", "2", "--machine", "c7i.xlarge", "--price", "3600", "--speed", "2"]) == ExitCode.OK
    said = capsys.readouterr().out
    assert "1 file skipped: 1 × suffix .xyz" in said
    assert "6 documents, 6 pages\n" in said and "3 pages read here, cores 2 times as fast" in said
    assert "2 machines of 4 cores: about 0 s" in said and "per million pages" in said


def test_a_sample_that_cannot_be_read_is_an_error(tiny_reader_yaml, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"no picture")
    asked = ["plan", "--input", str(tmp_path), "--config", str(tiny_reader_yaml)]
    assert ocray(asked) == ExitCode.FAILED
    said = capsys.readouterr()
    assert "1 of 1 pages of the sample cannot be read" in said.out and "a.png" in said.out
    assert "no page of the sample could be read" in said.err


def test_failed_pages_are_shown_and_the_others_count(tmp_path):
    reader = bare(RaisingStage, victim="page00.png")
    read = list(read_sample(reader, sample(tmp_path, 2), PageLimits()))
    assert [record.status for _, record in read] == ["error", "ok"]
