"""Training under Ray: the same samples and the same result as without it."""

import pytest
import torch

from tests.tiny_task import TinySettings, TinyTask, tiny_config
from trainers.core.checkpoint import load_state
from trainers.core.feed import PlainFeed, Share
from trainers.core.launch import launch, train_worker
from trainers.core.runs import Run, RunError

pytestmark = [pytest.mark.usefixtures("local_ray"), pytest.mark.train]

SMALL = {"total_steps": 24, "validate_every": 24, "checkpoint_every": 8, "log_every": 8}


def ray_batches(share: Share) -> tuple[list, list]:
    """All batches of the Ray feed, as a train worker sees them."""
    from trainers.core.ray_feed import RayFeed

    feed = RayFeed(TinyTask(TinySettings(), {}, 0), share)
    return list(feed.training(3, 16)), list(feed.validation())


def test_feeds_are_equal():
    import ray

    for rank in (0, 1):
        share = Share(4, 11, rank, world_size=2)
        plain = PlainFeed(TinyTask(TinySettings(), {}, 0), share)
        # In a worker, where it runs in earnest: its threads would outlive this process's connection to Ray.
        training, validation = ray.get(ray.remote(num_cpus=0.5)(ray_batches).remote(share))
        for expected, given in ((plain.training(3, 16), training), (plain.validation(), validation)):
            for batch, other in zip(expected, given, strict=True):
                assert batch.keys() == other.keys()
                assert all(torch.equal(batch[name], other[name]) for name in batch)


def test_two_workers_one_of_them_killed_give_the_one_worker_result(tmp_path):
    plain = launch(tiny_config(train=SMALL), tmp_path / "one", use_ray=False)
    killed = {"kill_at_call": 13, "killed": str(tmp_path / "killed")}
    both = launch(tiny_config(train=SMALL, settings=killed), tmp_path / "two")
    assert (tmp_path / "killed").exists()
    assert both.finished and both.metrics == plain.metrics and both.best_step == plain.best_step
    one, two = (load_state(Run(tmp_path / name).checkpoint / "last.pt") for name in ("one", "two"))
    for part in ("network", "ema"):
        for name, tensor in one[part].items():
            torch.testing.assert_close(two[part][name], tensor, rtol=1e-4, atol=1e-6)
    steps = [line for line in (tmp_path / "two" / "progress.jsonl").read_text().splitlines() if "train/loss" in line]
    assert len(steps) >= 3
    with pytest.raises(RunError, match="finished run"):
        launch(tiny_config(train=SMALL, settings=killed), tmp_path / "two")


def failed_training(folder: str) -> dict:
    """Return what a worker returns whose gradients are not finite at step 2."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    config = tiny_config(train=SMALL, settings={"bad_step": 2})
    result = TorchTrainer(
        train_worker,
        train_loop_config={"config": config.model_dump(), "stop_after_minutes": None},
        scaling_config=ScalingConfig(num_workers=0),  # in the calling process
        run_config=RunConfig(storage_path=folder, name="bad"),
    ).fit()
    return result.return_value


def test_what_would_fail_again_is_returned_so_that_it_is_not_tried_again(tmp_path):
    import ray

    # In a worker: the feed's threads, left behind by the failure, would outlive this process's connection to Ray and
    # end the process without a word.
    returned = ray.get(ray.remote(num_cpus=0.5)(failed_training).remote(str(tmp_path)))
    assert "step 2: the gradients are not finite" in returned["error"]


def test_too_many_workers_are_refused(tmp_path):
    with pytest.raises(RunError, match="needs 6 CPUs"):
        launch(tiny_config(scaling={"workers": 8}), tmp_path / "many")
