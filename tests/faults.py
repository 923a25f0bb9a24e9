"""Failures to inject: stages and readers that break in one named way, importable by Ray workers."""

import os
import signal
import time
from pathlib import Path

import ray
import yaml
from typing_extensions import Self

from pipelines.page import Page
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.registry import load_reader
from pipelines.stages.base import StageSpec


class RaisingStage:
    """Raises on every page whose document is called `victim`."""

    name = "raising"

    def __init__(self, victim: str):
        self.victim = victim

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            if page.record.document_uri.endswith(self.victim):
                raise RuntimeError(f"cannot read {self.victim}")


class SuicidalStage:
    """Kills its own process (as a crash in native code does) on the page whose document is called `victim`: every
    time, or only the first time when a `once` marker file is given."""

    name = "suicidal"

    def __init__(self, victim: str, once: str | None = None):
        self.victim = victim
        self.once = Path(once) if once else None

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            if not page.record.document_uri.endswith(self.victim):
                continue
            if self.once and self.once.exists():
                continue
            if self.once:
                self.once.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class FaultyReader(DocumentsReader):
    """The documents reader with a faulty stage between orientation and text."""

    _fault: StageSpec

    def with_fault(self, stage: type, **kwargs) -> Self:
        self._fault = StageSpec(stage, kwargs)
        return self

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        specs = super().stages(device, threads)
        return [*specs[:3], self._fault, *specs[3:]]


class HangingStage:
    """Hangs, as native code can, on the page whose document is called `victim` (on every page when it is empty): for so
    many seconds."""

    name = "hanging"

    def __init__(self, victim: str = "", seconds: float = 10_000):
        self.victim, self.seconds = victim, seconds

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            if page.record.document_uri.endswith(self.victim):
                time.sleep(self.seconds)


class SlowStage(HangingStage):
    """Takes its time."""

    name = "slow"


class PlaceStage(RaisingStage):
    """Records the node that reads a page as its device."""

    name = "place"

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            page.record.device = ray.get_runtime_context().get_node_id()


class DeviceStage:
    """Records the device that it was made for, and the node."""

    name = "device"

    def __init__(self, device: str):
        self.device = device

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            page.record.device = f"{self.device} {ray.get_runtime_context().get_node_id()}"
            time.sleep(0.3)


class HoggingStage(RaisingStage):
    """Takes memory without end over the page whose document is called `victim`."""

    name = "hogging"

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            if page.record.document_uri.endswith(self.victim):
                held = []
                while True:
                    held.append(b"x" * (16 * 2**20))
                    time.sleep(0.02)


class LosingStage(RaisingStage):
    """Deletes what is committed in `output`, as a disk that is another one does, at the page called `victim`."""

    name = "losing"

    def __init__(self, victim: str, output: str):
        super().__init__(victim)
        self.output = Path(output)

    def __call__(self, pages: list[Page]) -> None:
        for page in pages:
            if page.record.document_uri.endswith(self.victim):
                while not (parts := list(self.output.glob("pages/*.parquet"))):
                    time.sleep(0.1)
                for part in parts:
                    part.unlink()


class BareReader(FaultyReader):
    """Decoding and a faulty stage: for what a job does with its pages, whatever is read from them."""

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        return [DocumentsReader.stages(self, device, threads)[0], self._fault]


class DevicesReader(DocumentsReader):
    """Decoding and a stage that records its device."""

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        decode = DocumentsReader.stages(self, "cpu", threads)[0]
        return [decode, StageSpec(DeviceStage, {"device": device}, gpu=device != "cpu")]


def bare(stage: type, **kwargs) -> BareReader:
    """Return a reader that decodes and then calls `stage`."""
    return BareReader(load_reader("documents").settings).with_fault(stage, **kwargs)


class SlowReader(BareReader):
    """A reader for `--config`, see `slow_reader_yaml`: each page takes a while."""

    _fault = StageSpec(SlowStage, {"seconds": 0.4})


def slow_reader_yaml(folder: Path) -> Path:
    """Write the configuration of `SlowReader`."""
    path = folder / "slow.yaml"
    reader = f"{SlowReader.__module__}:{SlowReader.__name__}"
    path.write_text(yaml.safe_dump(load_reader("documents").settings.model_dump() | {"reader": reader}))
    return path
