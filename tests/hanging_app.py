"""The documents app with a stage that hangs on `hanging.png`, one that takes four seconds over `slow.png`, and one
that kills its process on `poison.png`."""

from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.registry import load_reader
from pipelines.stages.base import StageSpec
from ray_apps.apps import documents as documents_app
from ray_apps.serving.settings import DocumentsSettings
from tests.faults import FaultyReader, HangingStage, SlowStage, SuicidalStage


class HangingApp(FaultyReader):
    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        specs = super().stages(device, threads)
        hanging = StageSpec(HangingStage, {"victim": "hanging.png"})
        return [*specs[:3], hanging, StageSpec(SlowStage, {"victim": "slow.png", "seconds": 4}), *specs[3:]]


def build(args: DocumentsSettings):
    documents_app.load_reader = _hanging
    return documents_app.build(args)


def _hanging(reference: str) -> DocumentsReader:
    return HangingApp(load_reader(reference).settings).with_fault(SuicidalStage, victim="poison.png")
