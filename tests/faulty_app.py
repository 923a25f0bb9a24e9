"""The documents app with a stage that kills its process on `poison.png`, one that raises on `raising.png`, and one that
takes a third of a second over `slow.png`, so that readers are busy."""

from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.registry import load_reader
from pipelines.stages.base import StageSpec
from ray_apps.apps import documents as documents_app
from ray_apps.serving.settings import DocumentsSettings
from tests.faults import FaultyReader, RaisingStage, SlowStage, SuicidalStage


class FaultyApp(FaultyReader):
    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        specs = super().stages(device, threads)
        raising = StageSpec(RaisingStage, {"victim": "raising.png"})
        return [*specs[:3], raising, StageSpec(SlowStage, {"victim": "slow.png", "seconds": 0.3}), *specs[3:]]


def build(args: DocumentsSettings):
    documents_app.load_reader = _faulty
    return documents_app.build(args)


def _faulty(reference: str) -> DocumentsReader:
    return FaultyApp(load_reader(reference).settings).with_fault(SuicidalStage, victim="poison.png")
