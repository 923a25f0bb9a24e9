"""Bulk jobs on a cluster of several real nodes: nodes that are lost, join, or see other files than the rest."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.storage import Storage
from pipelines import attempts
from pipelines.job import IncompleteJob, read_card
from pipelines.ledger import Ledger
from pipelines.placement import PlacementError
from pipelines.readers.registry import load_reader
from pipelines.runner import JobOptions, run_job
from pipelines.shared_paths import NotShared, check_same_output
from pipelines.watchdog import PageLimits
from tests.faults import DevicesReader, FaultyReader, HoggingStage, LosingStage, PlaceStage, SlowStage, bare
from tests.nodes import another_node, can_hide_folders, cluster
from tests.pages import numbered_pages
from tests.tiny_documents import numbered_tiny_pages, tiny_text

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]
PAGES = 20


@pytest.fixture(scope="module")
def nodes():
    with cluster(workers=2) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    numbered_pages(folder, PAGES)
    return folder


def rows(output: Path) -> list[str]:
    return Ledger(Storage(str(output))).states()["page_id"].to_pylist()


def assert_complete(output: Path, result) -> None:
    found = rows(output)
    assert len(found) == len(set(found)) == PAGES
    assert (result.pages, result.ok, result.error) == (PAGES, PAGES, 0)
    assert read_card(Storage(str(output)))["state"] == "finished"


def test_pages_are_read_on_labelled_nodes(nodes, scans, tmp_path):
    spot = nodes.add_node(num_cpus=1, labels={"ray.io/market-type": "spot"})
    try:
        nodes.wait_for_nodes()
        options = JobOptions(node_labels={"ray.io/market-type": "spot"})
        result = run_job([str(scans)], str(tmp_path / "out"), bare(PlaceStage, victim=""), options)
        assert_complete(tmp_path / "out", result)
        read = pq.read_table(tmp_path / "out" / "pages", columns=["device"])["device"].to_pylist()
        assert set(read) == {spot.node_id}
    finally:
        nodes.remove_node(spot, allow_graceful=False)


def test_labels_that_no_node_has_are_refused(nodes, scans, tmp_path):
    options = JobOptions(node_labels={"ray.io/market-type": "none"})
    with pytest.raises(PlacementError, match=r"its nodes labelled ray\.io/market-type=none have 0"):
        run_job([str(scans)], str(tmp_path / "out"), bare(PlaceStage, victim=""), options)


def test_gpus_and_cpus_read_side_by_side(nodes, scans, tmp_path):
    """The node decides, and the record says. Two actors share the GPU (which is one on paper)."""
    gpu_node = nodes.add_node(num_cpus=2, num_gpus=1)
    try:
        nodes.wait_for_nodes()
        reader = DevicesReader(load_reader("documents").settings)
        options = JobOptions(device="auto", gpu_fraction=0.5)
        assert_complete(tmp_path / "out", run_job([str(scans)], str(tmp_path / "out"), reader, options))
        read = pq.read_table(tmp_path / "out" / "pages", columns=["device"])["device"].to_pylist()
        places = {(device, node == gpu_node.node_id) for device, node in map(str.split, read)}
        assert places == {("cuda", True), ("cpu", False)}
        assert read_card(Storage(str(tmp_path / "out")))["device"] == "auto"
    finally:
        nodes.remove_node(gpu_node, allow_graceful=False)


def test_auto_is_the_cpu_where_there_is_no_gpu(nodes, scans, tmp_path):
    reader = DevicesReader(load_reader("documents").settings)
    result = run_job([str(scans)], str(tmp_path / "out"), reader, JobOptions(device="auto"))
    assert_complete(tmp_path / "out", result)
    read = pq.read_table(tmp_path / "out" / "pages", columns=["device"])["device"].to_pylist()
    assert {device.split()[0] for device in read} == {"cpu"}


def test_a_page_that_takes_all_memory_costs_one_page(nodes, scans, tmp_path):
    options = JobOptions(page_limits=PageLimits(memory_mib=200))
    result = run_job([str(scans)], str(tmp_path / "out"), bare(HoggingStage, victim="page07.png"), options)
    assert (result.ok, result.error) == (PAGES - 1, 1) and len(rows(tmp_path / "out")) == PAGES
    table = pq.read_table(tmp_path / "out" / "pages", columns=["document_uri", "status", "error"]).to_pylist()
    (failed,) = [row for row in table if row["status"] == "error"]
    assert failed["document_uri"].endswith("page07.png") and failed["error"]["type"] == "PageTooLarge"


def test_the_book_of_attempts_lives_with_the_driver(nodes):
    book = attempts.Attempts()
    home = book._book.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id())
    assert ray.get(home) == ray.get_runtime_context().get_node_id()
    assert (book.begin("batch"), book.begin("batch")) == (False, True)


def test_rows_that_are_not_in_the_output_are_missed_and_read_again(nodes, scans, tmp_path):
    """The end of a job compares its output with its pages, whatever workers say."""
    output = tmp_path / "out"
    losing = bare(LosingStage, victim="page10.png", output=str(output))
    with pytest.raises(
        IncompleteJob, match=rf"\d+ of {PAGES} pages are not in {output}.*run the same command"
    ) as reported:
        run_job([str(scans)], str(output), losing, JobOptions())
    lacking = PAGES - len(rows(output))
    assert str(reported.value).startswith(f"{lacking} of") and 0 < lacking < PAGES
    assert read_card(Storage(str(output)))["state"] == "incomplete"
    again = run_job([str(scans)], str(output), bare(SlowStage, seconds=0), JobOptions())
    assert again.read_now == lacking
    assert_complete(output, again)


@pytest.mark.skipif(not can_hide_folders(), reason="a node with a file system of its own needs root")
def test_folders_that_a_node_has_to_itself_are_refused(nodes, scans, tmp_path):
    private = tmp_path / "private"
    numbered_pages(private / "in", 3)
    read = bare(SlowStage, seconds=0)
    with another_node(nodes.address, "127.0.0.6", private):
        with pytest.raises(
            NotShared, match=rf"output {private}/out is not the same folder on node 127\.0\.0\.6.*s3://"
        ):
            run_job([str(scans)], str(private / "out"), read, JobOptions())
        with pytest.raises(NotShared, match=rf"{private}/in/page00\.png is not there on node 127\.0\.0\.6.*s3://"):
            run_job([str(private / "in")], str(tmp_path / "out"), read, JobOptions())
        assert not (tmp_path / "out" / "job.json").exists()
        assert not list(tmp_path.rglob(".probe-*")), "probes are cleared away"
        assert_complete(tmp_path / "out", run_job([str(scans)], str(tmp_path / "out"), read, JobOptions()))


def test_a_worker_on_a_node_that_joined_later_looks_for_the_output_itself(tmp_path):
    (tmp_path / "job.json").write_text("{}")
    check_same_output(Storage(str(tmp_path)), "job.json")
    with pytest.raises(NotShared, match=rf"{tmp_path}/elsewhere is not the same folder on node .*, which joined later"):
        check_same_output(Storage(f"{tmp_path}/elsewhere"), "job.json")


def test_a_lost_node_is_a_lost_worker_even_with_the_book_on_it(nodes, tiny_reader, tmp_path, monkeypatch):
    """And a node that joins in the middle is made use of; each page says what it says in a quiet run."""
    output = tmp_path / "out"
    numbered_tiny_pages(tmp_path / "in", PAGES)
    reader = FaultyReader(tiny_reader.settings).with_fault(SlowStage, seconds=0.5)
    lost = nodes.add_node(num_cpus=1)
    there = NodeAffinitySchedulingStrategy(lost.node_id, soft=False)
    monkeypatch.setattr(attempts, "NodeAffinitySchedulingStrategy", lambda *_, **__: there)
    with ExitStack() as joined:

        def lose_one_and_add_one():
            while len(rows(output)) < 4:
                time.sleep(0.2)
            nodes.remove_node(lost, allow_graceful=False)
            joined.enter_context(another_node(nodes.address, "127.0.0.8"))

        changes = threading.Thread(target=lose_one_and_add_one, daemon=True)
        changes.start()
        result = run_job([str(tmp_path / "in")], str(output), reader, JobOptions())
        changes.join()
    assert_complete(output, result)
    read = pq.read_table(output / "pages", columns=["document_uri", "text"]).to_pylist()
    texts = {Path(row["document_uri"]).name: row["text"] for row in read}
    assert texts == {f"page{number:02}.png": tiny_text(number) for number in range(PAGES)}
