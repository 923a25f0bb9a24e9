"""What trainings see and come to: samples of every shipped config, and two small trainings with their bundles.

Everything is made from drawn data (see `tests.golden.drawn`), in this process, in f32 on the CPU with one thread.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.project import config_folder
from tests.golden.drawn import SPLITS, write_sets
from tests.render_fonts import font_set
from tests.tiny_task import tiny_config
from trainers.core.checkpoint import load_weights
from trainers.core.config import Config, load_config
from trainers.core.export import export_run
from trainers.core.launch import launch
from trainers.core.runs import Run
from trainers.render import render_page
from trainers.render.lines import RenderedLines
from trainers.render.meters import render_photo, render_strip

CONFIGS = sorted(path.stem for path in config_folder("train").glob("*.yaml"))
_SAMPLES = 2  # of each split
_LISTED = 40  # arrays of whole numbers up to this size are kept as they are
_NOT_KEPT = {"time", "samples_per_second", "eta_seconds"}  # of a report
_DESKEW = [  # slow and undamaged: what CPUs compute differently in the last digits stays there
    "train.total_steps=6", "train.global_batch=4", "train.warmup_steps=2", "train.precision=fp32",
    "train.validation_samples=8", "train.validate_every=3", "train.log_every=1", "train.lr=1e-4",
    "settings.width=4", "settings.damage=0", "data.processes=0", "logging.tensorboard=false",
    "logging.mlflow=false",
]  # fmt: skip


def made(folder: Path) -> dict[str, Any]:
    """Everything that `training.json` holds; files are made below a new folder."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _made(folder)
    finally:
        torch.set_num_threads(threads)


def _made(folder: Path) -> dict[str, Any]:
    write_sets(folder / "drawn")
    (folder / "fonts").mkdir()
    return {
        "samples": {name: _samples(_on_drawn_data(name, folder / "drawn")) for name in CONFIGS},
        "rendered": _rendered(folder / "fonts"),
        "trainings": {
            "tiny": _trained(_tiny(), folder / "tiny"),
            "deskew": _trained(_on_drawn_data("deskew", folder / "drawn", _DESKEW), folder / "deskew"),
        },
    }


def _on_drawn_data(name: str, drawn: Path, changes: list[str] | None = None) -> Config:
    """Return a shipped config that reads the drawn set of its kind in the place of its own data."""
    data = load_config(name).data
    overrides = []
    for split in SPLITS:
        source = getattr(data, split)
        sets = {"page_shards": "pages", "line_shards": "lines", "region_shards": "regions"}
        drawn_set = sets.get(source["kind"], "photos" if source.get("sample") == "photo" else "strips")
        overrides.append(f"data.{split}.at={drawn / drawn_set / split}")
    return load_config(name, [*overrides, *(changes or [])])


def _tiny() -> Config:
    lengths = {"total_steps": 12, "validate_every": 6, "log_every": 1}
    return tiny_config(train=lengths, scaling={"workers": 1}, settings={"dropout": 0.2})


def _samples(config: Config) -> dict[str, list[dict[str, Any]]]:
    task = config.build_task()
    return {split: [_described(task.sample(index, split)) for index in range(_SAMPLES)] for split in SPLITS}


def _described(sample: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: _array(np.asarray(value)) for name, value in sample.items()}


def _array(array: np.ndarray) -> dict[str, Any]:
    """Shape, type and figures of an array: its values where they are few whole numbers, else their mean and spread."""
    found: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.dtype.kind in "iub" and array.size <= _LISTED:
        return found | {"values": array.tolist()}
    if array.size:
        found |= {"mean": round(float(array.mean()), 3), "spread": round(float(array.std()), 3)}
    return found


def _rendered(folder: Path) -> dict[str, Any]:
    """Return a page, a line and two meters that `trainers.render` draws in fonts of the tests' own."""
    fonts = font_set(folder)
    page = render_page(7, split="train", fonts=fonts)
    line = RenderedLines("train", 0, fonts=fonts).line(7)
    meters = {
        "photo": render_photo((0, 7), split="train", fonts=fonts),
        "strip": render_strip((0, 7), split="train", fonts=fonts),
    }
    found: dict[str, Any] = {
        "page": {"image": _array(page.image), "lines": [line.text for line in page.lines]},
        "line": {"image": _array(line.image), "text": line.text},
    }
    for name, meter in meters.items():
        found[name] = {"image": _array(meter.image), "class": meter.meter_class, "reading": meter.reading}
    return found


def _trained(config: Config, folder: Path) -> dict[str, Any]:
    """Every report of a training, and its bundle: the card, and figures of its weights, which are the EMA's."""
    outcome = launch(config, folder, use_ray=False, command="ocray train kept")
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text("utf-8").splitlines()]
    bundle = export_run(Run(folder), folder.with_name(f"{folder.name}-bundle"))
    card = json.loads((bundle.folder / "bundle.json").read_text("utf-8"))
    return {
        "reports": [{key: value for key, value in line.items() if key not in _NOT_KEPT} for line in lines],
        "outcome": {"step": outcome.step, "finished": outcome.finished, "best_step": outcome.best_step},
        "files": sorted(path.name for path in bundle.folder.iterdir()),
        "weights": {
            name: {"shape": list(weight.shape), "mean": weight.mean().item(), "spread": weight.std().item()}
            for name, weight in load_weights(bundle.folder).items()
        },
        "card": {key: value for key, value in card.items() if key != "sha256"},
    }
