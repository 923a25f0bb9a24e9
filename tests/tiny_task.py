"""A task small enough to train in a test: which quarter of a circle does a noisy 2-D point lie in?"""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from trainers.core.config import Config
from trainers.core.task import CardFields, Export, Task, TaskSettings
from trainers.pages.source import PAGE_SOURCES, PageSource

GRID = {"train.lr": {"grid": [0.001, 0.01, 0.03, 0.1]}}


class TinySettings(TaskSettings):
    hidden: int = 8
    dropout: float = 0.0
    bad_step: int | None = None  # the first sample of this training step (at batch 8) is not a number
    kill_at_call: int | None = None  # this call of loss() kills its process, once:
    killed: str | None = None  # a file made then
    step_seconds: float = 0.0  # so long does a step take at least


class TinyTask(Task[TinySettings, PageSource]):
    name = "tiny"
    Settings = TinySettings
    source_kinds = PAGE_SOURCES  # which it does not look at
    best_metric = "accuracy"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.calls = 0

    def network(self):
        return TinyNetwork(self.settings.hidden, self.settings.dropout)

    def sample(self, index, split):
        rng = self.rng(split, index)
        point = rng.normal(size=2).astype(np.float32)
        label = np.int64((point[0] > 0) + 2 * (point[1] > 0))
        if self.settings.bad_step is not None and split == "train" and index == 8 * self.settings.bad_step:
            point = point * np.float32(np.nan)
        return {"point": point, "label": label}

    def loss(self, network, batch):
        self.calls += 1
        if self.calls == self.settings.kill_at_call and not os.path.exists(self.settings.killed):
            with open(self.settings.killed, "x"):
                os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.settings.step_seconds)
        logits = network(batch["point"])
        loss = nn.functional.cross_entropy(logits, batch["label"])
        return loss, {"accuracy": (logits.argmax(1) == batch["label"]).float().mean().detach()}

    def predict(self, network, batch):
        return {"right": (network(batch["point"]).argmax(1) == batch["label"]).cpu().numpy()}

    def metrics(self, predictions):
        return {"accuracy": float(predictions["right"].mean()), "samples": float(len(predictions["right"]))}

    def export(self):
        return Export(example={"point": torch.zeros(2, 2)}, outputs=["logits"])

    def card_fields(self):
        return CardFields("tiny perceptron", input={"size": 2}, labels=["0", "1", "2", "3"])


def tiny_config(**changes):
    """Return a config of the task; `train.lr=0.1`-like changes as `train={"lr": 0.1}`."""
    config = {
        "task": "tests.tiny_task:TinyTask",
        "train": {
            "total_steps": 60,
            "global_batch": 8,
            "lr": 0.01,
            "warmup_steps": 5,
            "ema_decay": 0.9,
            "precision": "fp32",  # two workers are one worker up to rounding
            "validation_samples": 50,
            "validate_every": 30,
            "log_every": 10,
            "checkpoint_every": 20,
        },
        "data": {"processes": 0},
        "scaling": {"workers": 2, "cpus_per_worker": 0.5, "cpus_per_data_task": 0.25},
        "logging": {"tensorboard": False, "mlflow": False},
        "card": {
            "name": "tiny",
            "version": "1",
            "licence": "Apache-2.0",
            "data": "points made",
            "validation_data": "other points made",
        },
    }
    for section, values in changes.items():
        config[section] = config.get(section, {}) | values
    return Config.model_validate(config)


def sweep_file(folder: Path, training: dict | None = None, **sweep) -> Path:
    """Return a sweep of the tiny task: 4 validations a trial of 48 steps, one worker that makes its own samples."""
    config = tiny_config(
        scaling={"workers": 1, "cpus_per_worker": 0.5, "data_tasks": 0},
        train={"total_steps": 48},
        **{"settings": training or {}},
    )
    path = folder / "tiny.yaml"
    content = {"config": config.model_dump(), "space": GRID, "search": "grid", "budget": {"validations": 4}}
    path.write_text(yaml.safe_dump(content | sweep, sort_keys=False), "utf-8")
    return path


class TinyNetwork(nn.Module):
    def __init__(self, hidden: int, dropout: float):
        super().__init__()
        self.first = nn.Linear(2, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(hidden, 4)

    def forward(self, point):
        return self.last(self.dropout(torch.relu(self.norm(self.first(point)))))
