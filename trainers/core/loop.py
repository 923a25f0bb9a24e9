"""The training loop: the only one, plain torch, without Ray.

Data-parallel over processes when `world_size` > 1 (the caller has set up the process group), bf16 autocast where the
device has it, AdamW under a cosine with linear warm-up, gradient clipping, an exponential moving average (EMA) of the
weights that is what is validated and exported, validation, and checkpoints from which a run resumes exactly: on a CPU
a training that was killed and resumed ends with bit-identical weights.

Exactness needs no saved generator states: every step seeds torch from (seed, step, rank), samples are functions of
their index, and the learning rate is a function of the step.
"""

import copy
import ctypes
import math
import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from common.errors import ExitCode, ExpectedError
from trainers.core.checkpoint import (
    BEST_FILE,
    LAST_FILE,
    load_labels,
    load_state,
    load_weights,
    save_atomically,
    strict_load,
)
from trainers.core.config import TrainSettings
from trainers.core.feed import Feed, KeptValidation, PlainFeed, Share
from trainers.core.reporters import Reporter
from trainers.core.task import Batch, Task

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class TrainingError(ExpectedError):
    """A training that cannot continue; the message says why and at which step."""

    exit_code = ExitCode.FAILED


@dataclass
class Outcome:
    """How a training ended."""

    step: int
    finished: bool  # False: stopped early by `stop_after_minutes`; start again to resume
    metrics: dict[str, float] = field(default_factory=dict)  # of the last validation
    best: float | None = None
    best_step: int = 0


def train(
    task: Task,
    settings: TrainSettings,
    *,
    reporter: Reporter,
    checkpoint_dir: Path,
    feed: Feed | None = None,
    device: str | torch.device = "cpu",
    stop_after_minutes: float | None = None,
    changeable: Collection[str] = (),
) -> Outcome:
    """Train until `settings.total_steps`, from the checkpoint in `checkpoint_dir` if there is one.

    Args:
        reporter: called on every rank at the same steps, with the same values.
        checkpoint_dir: rank 0 writes `last.pt` (everything needed to resume) and `best.pt` (the best validated EMA
            weights) here; every rank reads them when it resumes.
        feed: this worker's batches; its share says which of how many workers this is. By default the only worker, which
            makes its samples in this process.
        stop_after_minutes: save and return early after about that long (a machine that is lent for a while).
        changeable: settings that may differ from the checkpoint's (population-based training changes them on the way).

    Raises:
        TrainingError: loss or gradients are not finite, or the global batch does not divide among the workers.
        WeightsError: initial weights or a checkpoint do not fit the network.
    """
    if feed is None:
        feed = KeptValidation(PlainFeed(task, Share(settings.global_batch, settings.validation_samples)))
    rank, world_size = feed.share.rank, feed.share.world_size
    if settings.global_batch % world_size:
        raise TrainingError(f"train.global_batch {settings.global_batch} does not divide among {world_size} workers")
    device = torch.device(device)
    if device.type == "cpu":
        _keep_freed_memory()
    torch.manual_seed(settings.seed)
    network = task.network()
    if settings.initial_weights and not (checkpoint_dir / LAST_FILE).is_file():
        _load_initial(task, network, settings.initial_weights, announce=rank == 0)
    network.to(device)
    ema = copy.deepcopy(network).eval().requires_grad_(False)
    optimizer = make_optimizer(network, settings, task.rate_factors())
    outcome = Outcome(step=0, finished=False)
    if (checkpoint_dir / LAST_FILE).is_file():
        outcome = _resume(checkpoint_dir / LAST_FILE, task, settings, network, ema, optimizer, changeable)
    parallel = _data_parallel(network, device, world_size)

    begun = saved = time.monotonic()
    first_step = outcome.step
    reporter.started(first_step)
    sums: dict[str, torch.Tensor] = {}
    logged_step, logged = first_step, begun
    parallel.train()
    for step, batch in enumerate(feed.training(first_step, settings.total_steps), start=first_step):
        torch.manual_seed(settings.seed + 1_000_003 * (step * world_size + rank + 1))
        rate = learning_rate(step, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with _autocast(device, settings):
            loss, values = task.loss(parallel, to_device(batch, device))
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        # The norm is of averaged gradients, so every worker sees a bad one in the same step and none is left waiting.
        if not torch.isfinite(norm):
            raise TrainingError(
                f"step {step}: the gradients are not finite (loss {loss.item():g}, learning rate {rate:g}); nothing "
                "of this step was kept. Lower train.lr, lengthen train.warmup_steps or look at the samples of this step"
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        done = outcome.step = step + 1
        update_ema(ema, network, settings.ema_decay, done)
        for name, value in {"loss": loss, **values}.items():
            sums[name] = sums.get(name, 0.0) + torch.as_tensor(value, device=device).detach().double()

        last = done == settings.total_steps
        stop = save_due = False
        if last or done % settings.log_every == 0:
            now = time.monotonic()
            save_due = now - saved > 60 * settings.checkpoint_minutes
            stop = stop_after_minutes is not None and now - begun > 60 * stop_after_minutes
            means, save_due, stop = _agree(sums, save_due, stop, done - logged_step, world_size, device)
            speed = (done - logged_step) / max(now - logged, 1e-9)
            progress = {f"train/{name}": value for name, value in means.items()}
            progress |= {"train/lr": rate, "train/grad_norm": norm.item()}
            progress["samples_per_second"] = speed * settings.global_batch
            progress["eta_seconds"] = (settings.total_steps - done) / speed
            reporter.log(done, progress)
            sums, logged_step, logged = {}, done, now
        pause = time.monotonic()  # validating and saving do not count as time of training
        if last or done % settings.validate_every == 0:
            outcome.metrics = task.metrics(predictions(task, ema, feed, device, settings))
            reporter.log(done, {f"validation/{name}": value for name, value in outcome.metrics.items()})
            if _is_better(outcome, task):
                outcome.best, outcome.best_step = outcome.metrics[task.best_metric], done
                if rank == 0:
                    best = {"weights": ema.state_dict(), "step": done, "metrics": outcome.metrics, "task": task.name}
                    save_atomically(best | {"labels": task.card_fields().labels}, checkpoint_dir / BEST_FILE)
        if last or stop or save_due or done % settings.checkpoint_every == 0:
            if rank == 0:
                save_atomically(_state(outcome, task, settings, network, ema, optimizer), checkpoint_dir / LAST_FILE)
            reporter.saved(done, checkpoint_dir, outcome.metrics)
            saved = time.monotonic()
        logged += time.monotonic() - pause
        if stop and not last:
            return outcome
    outcome.finished = True
    return outcome


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Linear warm-up from lr / warmup_steps to lr, then half a cosine to lr × final_lr_fraction at the last step."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    span = max(1, settings.total_steps - 1 - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (step - settings.warmup_steps) / span)))
    return settings.lr * (settings.final_lr_fraction + (1 - settings.final_lr_fraction) * cosine)


def make_optimizer(
    network: nn.Module, settings: TrainSettings, factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """AdamW; biases and normalisation parameters (fewer than two axes) are not decayed.

    Args:
        factors: beginning of parameters' names → their learning rate in units of the training's; 1 for all others.
    """
    factors = factors or {}
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {(True, 1.0): [], (False, 1.0): []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            factor = next((factor for start, factor in factors.items() if name.startswith(start)), 1.0)
            groups.setdefault((parameter.ndim > 1, factor), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": settings.weight_decay * decayed, "factor": factor}
            for (decayed, factor), parameters in groups.items()
        ],
        lr=settings.lr,
        betas=(0.9, settings.beta2),
    )


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move `ema` towards `network`. The decay grows from 0.1 to its value, so that early weights are soon forgotten."""
    decay = min(decay, (1 + step) / (10 + step))
    target, source = ema.state_dict(), network.state_dict()
    floating = [name for name, value in target.items() if value.is_floating_point()]
    lerp = torch._foreach_lerp_  # pyright: ignore[reportPrivateImportUsage]  # one kernel for all; torch.optim uses it
    lerp([target[name] for name in floating], [source[name] for name in floating], 1 - decay)
    for name in target.keys() - set(floating):
        target[name].copy_(source[name])


@torch.no_grad()
def predictions(
    task: Task, network: nn.Module, feed: Feed, device: torch.device, settings: TrainSettings
) -> dict[str, np.ndarray]:
    """Return the results of `task.predict` for all workers' validation batches, in sample order; the same on every
    worker."""
    network.eval()
    results = []
    with _autocast(device, settings):
        results.extend(task.predict(network, to_device(batch, device)) for batch in feed.validation())
    if feed.share.world_size > 1:
        gathered: list[list[dict[str, np.ndarray]] | None] = [None] * feed.share.world_size
        dist.all_gather_object(gathered, results)
        results = [result for worker in gathered for result in worker or []]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Copy the batch to the device; copies from pinned memory do not block."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def _load_initial(task: Task, network: nn.Module, source: str, announce: bool) -> None:
    weights, labels = task.published_weights(source) or (load_weights(source), load_labels(source))
    weights, message = task.adapt_weights(network, weights, labels, source)
    strict_load(network, weights, source)
    if message and announce:
        print(message, flush=True)


def _autocast(device: torch.device, settings: TrainSettings):
    has = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16) if has and settings.precision == "auto" else nullcontext()


def _keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next step. Activations come and go by the hundred MB; given back to the
    system each time, page faults took half of a CPU step. Nothing happens with another C library."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _data_parallel(network: nn.Module, device: torch.device, world_size: int) -> nn.Module:
    if world_size == 1:
        return network
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return DistributedDataParallel(network, device_ids=[device])
    return DistributedDataParallel(network)


def _agree(
    sums: Mapping[str, torch.Tensor], save_due: bool, stop: bool, steps: int, world_size: int, device: torch.device
) -> tuple[dict[str, float], bool, bool]:
    """Means over steps and workers; save and stop when any worker's clock says so, on all workers in the same step."""
    values = torch.stack([*sums.values(), *torch.tensor([save_due, stop], dtype=torch.float64, device=device)])
    if world_size > 1:
        dist.all_reduce(values)
    *totals, save_votes, stop_votes = values.tolist()
    means = {name: total / (steps * world_size) for name, total in zip(sums, totals, strict=True)}
    return means, save_votes > 0, stop_votes > 0


def _is_better(outcome: Outcome, task: Task) -> bool:
    if task.best_metric not in outcome.metrics:
        raise TrainingError(f"task {task.name}: metrics() gave no {task.best_metric!r}, but {sorted(outcome.metrics)}")
    value = outcome.metrics[task.best_metric]
    if outcome.best is None:
        return True
    return value > outcome.best if task.best_mode == "max" else value < outcome.best


def _state(
    outcome: Outcome,
    task: Task,
    settings: TrainSettings,
    network: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> dict[str, Any]:
    return {
        "task": task.name,
        "labels": task.card_fields().labels,
        "fixed": settings.fixed(),
        "step": outcome.step,
        "metrics": outcome.metrics,
        "best": outcome.best,
        "best_step": outcome.best_step,
        "network": network.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": optimizer.state_dict(),
    }


def _resume(
    path: Path,
    task: Task,
    settings: TrainSettings,
    network: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    changeable: Collection[str],
) -> Outcome:
    state = load_state(path)
    if state["task"] != task.name:
        raise TrainingError(f"{path} is a checkpoint of task {state['task']!r}, not of {task.name!r}")
    labels = task.card_fields().labels
    if state.get("labels", labels) != labels:
        raise TrainingError(f"{path}: this run was started with other labels; give the old ones, or start another run")
    fixed = settings.fixed()
    changed = sorted(name for name in fixed.keys() - set(changeable) if state["fixed"].get(name) != fixed[name])
    if changed:
        raise TrainingError(
            f"{path}: this run was started with other values of {', '.join('train.' + name for name in changed)}; a "
            "resumed run must keep them. Give the old values, or start a run of another name"
        )
    strict_load(network, state["network"], path)
    strict_load(ema, state["ema"], path)
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    optimizer.load_state_dict(state["optimizer"])
    for group, own in zip(optimizer.param_groups, groups, strict=True):
        group.update(own)  # moments come from the checkpoint, decay and betas from the settings
    return Outcome(state["step"], False, state["metrics"], state["best"], state["best_step"])
