"""The documents app with a stage that kills its process on `poison.png` and one that raises on `raising.png`."""

from pipelines.config import DocumentsConfig, load_config
from pipelines.stages.base import StageSpec
from ray_apps import documents_app
from ray_apps.serving.settings import DocumentsSettings
from tests.faults import FaultyConfig, RaisingStage, SuicidalStage


class FaultyApp(FaultyConfig):
    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        specs = super().stages(device, threads)
        return [*specs[:3], StageSpec(RaisingStage, {"victim": "raising.png"}), *specs[3:]]


def build(args: DocumentsSettings):
    documents_app.load_config = _faulty
    return documents_app.build(args)


def _faulty(reference: str) -> DocumentsConfig:
    return FaultyApp.model_validate(load_config(reference).model_dump()).with_fault(SuicidalStage, victim="poison.png")
