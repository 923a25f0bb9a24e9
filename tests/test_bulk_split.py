"""Stages in two actor pools, as with GPUs: the same records as fused into one."""

import pytest

from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.placement import PlacementError
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import PageRecord
from pipelines.records import table_to_records
from pipelines.runner import JobOptions, run_job
from pipelines.stages.base import StageSpec
from tests.tiny_documents import numbered_tiny_pages

pytestmark = pytest.mark.usefixtures("local_ray")  # which has a GPU on paper


class SplitReader(DocumentsReader):
    """The documents reader whose networks ask for a GPU but run on the CPU."""

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        decode, *networks = super().stages(device, threads)
        return [decode, *(StageSpec(spec.stage, spec.kwargs, spec.batch_size, gpu=True) for spec in networks)]


def records(output) -> list[dict]:
    ledger = Ledger(Storage(str(output)))
    tables = [ledger.read_part(part) for part in ledger.parts()]
    rows = [record.model_dump() for table in tables for record in table_to_records(table, PageRecord)]
    for row in rows:
        del row["timings_ms"]
    return sorted(rows, key=lambda row: row["document_uri"])


def test_split_pools_give_the_same_records(tiny_reader, tmp_path):
    numbered_tiny_pages(tmp_path / "in", 5)
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    split = SplitReader(tiny_reader.settings)
    for config, name in ((tiny_reader, "fused"), (split, "split")):
        run_job([str(tmp_path / "in")], str(tmp_path / name), config, JobOptions())
    assert len(records(tmp_path / "fused")) == 6
    assert records(tmp_path / "fused") == records(tmp_path / "split")


def test_more_gpus_than_there_are(tiny_reader, tmp_path):
    numbered_tiny_pages(tmp_path / "in", 1)
    config = SplitReader(tiny_reader.settings)
    with pytest.raises(PlacementError, match="need at least 2 GPU at once, the cluster has 1; use --device cpu"):
        run_job([str(tmp_path / "in")], str(tmp_path / "out"), config, JobOptions(gpu_fraction=2))
    assert not (tmp_path / "out").exists()
