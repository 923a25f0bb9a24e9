"""Strong scaling of the bulk job over nodes: the same pages on one node and on several, with a stand-in reader.

    python -m benchmarks.cluster_scaling --nodes 1 2 3

Nodes are raylets of one CPU each on this machine, beside a head without CPUs. The reader waits instead of computing, so
that three nodes read three times as fast although the machine has fewer cores: what is measured is what planning,
handing out parts, committing and the end of a job cost. Rates count from the first page that is begun; the efficiency
is the rate of `n` nodes over `n` times the rate of one. Rounds take turns.
"""

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from benchmarks.million_pages import write_manifest
from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.page import Page
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.runner import JobOptions, run_job
from pipelines.stages.base import StageSpec


class Waits:
    """A stage that takes as long as reading a page does, and no CPU."""

    name = "waits"

    def __init__(self, seconds: float):
        self.seconds = seconds

    def __call__(self, pages: list[Page[PageRecord]]) -> None:
        time.sleep(self.seconds * len(pages))


class WaitingReader(DocumentsReader):
    """The documents reader without its stages."""

    seconds = 0.3

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        return [StageSpec(Waits, {"seconds": self.seconds})]


def rate(nodes: int, pages: int) -> float:
    """Return pages/s of a job on a new cluster of `nodes`."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
        with tempfile.TemporaryDirectory() as folder:
            manifest, output = Path(folder) / "manifest.parquet", str(Path(folder) / "out")
            write_manifest(manifest, pages)
            result = run_job([str(manifest)], output, WaitingReader(load_reader("documents").settings), JobOptions())
            assert result.ok == len(Ledger(Storage(output)).states()) == pages
            return result.pages_per_second
    finally:
        ray.shutdown()
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--pages", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    rates: dict[int, list[float]] = {count: [] for count in args.nodes}
    for _ in range(args.rounds):
        for count in args.nodes:
            rates[count].append(rate(count, args.pages))
            print(f"{count} nodes: {rates[count][-1]:.2f} pages/s", flush=True)
    first = args.nodes[0]
    for count in args.nodes:
        ratios = [more / one * first / count for more, one in zip(rates[count], rates[first], strict=True)]
        pages_a_second, efficiency = statistics.median(rates[count]), statistics.median(ratios)
        print(f"{count} nodes: {pages_a_second:.2f} pages/s, efficiency {efficiency:.3f}")


if __name__ == "__main__":
    main()
