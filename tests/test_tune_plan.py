"""Sweeps: what a trial trains, what the tuned config says, and what is refused before anything starts."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from common.config import ConfigError
from tests.tiny_task import tiny_config
from trainers.core.config import parse_config
from tuners.ledger import open_sweep
from tuners.plan import Plan, load_sweep

CONFIGS = Path(__file__).parent.parent / "configs" / "tune"
LR = {"loguniform": [1e-3, 1e-1]}
WIDE = {"train.lr": LR, "settings.hidden": {"choice": [4, 8]}, "train.global_batch": {"choice": [4, 8, 16]}}


@pytest.fixture
def pages(tmp_path):
    """Two files of 30 and 20 pages, which nobody looks at."""
    (tmp_path / "pages").mkdir()
    for name, count in (("a", 30), ("b", 20)):
        pq.write_table(pa.table({"image": [b"x"] * count}), tmp_path / "pages" / f"{name}.parquet")
    return str(tmp_path / "pages")


@pytest.fixture
def sweep_file(tmp_path):
    """Write a sweep beside its training config, which trains 60 steps of 8 with 5 of warm-up."""
    (tmp_path / "train").mkdir()
    config = tiny_config(scaling={"workers": 1}, logging={"tensorboard": True})
    (tmp_path / "train" / "tiny.yaml").write_text(config.to_yaml())
    (tmp_path / "tune").mkdir()

    def write(**content):
        path = tmp_path / "tune" / "tiny.yaml"
        content = {"config": "../train/tiny.yaml", "space": WIDE, "trials": 4} | content
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


def test_defaults_are_the_tasks_and_the_training_configs(sweep_file):
    plan = load_sweep(sweep_file())
    assert (plan.metric, plan.mode, plan.samples, plan.validations, plan.host) == ("accuracy", "max", 480, 10, "actor")
    assert load_sweep(sweep_file(), ["scaling.workers=2"]).host == "trainer"


@pytest.mark.parametrize("batch", [4, 8, 16])
def test_every_trial_sees_the_budget_whatever_its_batch(sweep_file, batch):
    plan = load_sweep(sweep_file(budget={"samples": 1000, "validations": 5}))
    config = plan.trial_config({"train.lr": 0.02, "settings.hidden": 4, "train.global_batch": batch})
    train = config.train
    assert train.lr == 0.02 and config.settings["hidden"] == 4
    assert 0 <= train.total_steps * batch - 1000 < batch
    assert train.warmup_steps == round(train.total_steps * 5 / 60)
    assert math.ceil(train.total_steps / train.validate_every) == 5
    assert train.validate_every * batch >= 1000 / 5  # the first validation reaches the first fifth
    assert train.checkpoint_every == train.log_every == train.validate_every
    assert not config.logging.tensorboard and not config.logging.mlflow


@pytest.mark.parametrize(("steps", "validations"), [(3, 10), (11, 10), (47, 10), (100, 1)])
def test_never_more_validations_than_requested(sweep_file, steps, validations):
    plan = load_sweep(sweep_file(budget={"samples": steps * 8, "validations": validations}))
    train = plan.trial_config({}).train
    assert train.total_steps == steps
    assert 1 <= math.ceil(steps / train.validate_every) <= validations


def test_epochs_are_counted_in_the_shards(sweep_file, pages, tmp_path):
    path = sweep_file(budget={"epochs": 3}, set={"data.train": {"kind": "page_shards", "at": pages}})
    plan = load_sweep(path)
    assert (plan.samples, plan.validations) == (150, 3)
    assert (half := load_sweep(path, ["budget.epochs=0.5"])).samples == 25 and half.validations == 10
    pages_and_more = f"data.train.at={{{pages}: 10, {pages}/b.parquet: 1}}"
    lines = load_sweep(CONFIGS / "recognition_lr.yaml", [pages_and_more, "budget.epochs=3"])
    assert lines.samples == 3 * (50 + 20)
    kept = plan.to_yaml()
    Path(pages).rename(tmp_path / "elsewhere")
    assert Plan.from_yaml(kept) == plan  # a sweep goes on with the samples that it began with
    with pytest.raises(ConfigError, match=r"budget\.epochs: .*no Parquet files"):
        load_sweep(path)
    with pytest.raises(ConfigError, match=r"data\.train.*budget\.samples"):
        load_sweep(path, ["data.train={kind: rendered_pages}"])


def test_sources_in_the_former_spelling_show_the_present_one(sweep_file, pages, tmp_path):
    path = sweep_file(set={"data.train.shards": pages})
    present = rf"data\.train is spelled .* write data\.train: {{kind: page_shards, at: {pages}}}"
    with pytest.raises(ConfigError, match=f"{path}: .*{present}"):
        load_sweep(path)
    plan = load_sweep(sweep_file(set={"data.train": {"kind": "page_shards", "at": pages}}))
    folder = tmp_path / "sweep"
    with open_sweep(folder, plan):
        pass
    kept = folder / "sweep.yaml"
    former = kept.read_text().replace(f"kind: page_shards\n      at: {pages}", f"shards: {pages}")
    kept.write_text(former)
    with pytest.raises(ConfigError, match=f"{kept}: .*{present}"), open_sweep(folder, plan):
        pass


def test_the_tuned_config_trains_as_many_samples_as_before(sweep_file):
    plan = load_sweep(sweep_file(budget={"samples": 100}, set={"train.validation_samples": 20}))
    same = plan.tuned_config({"train.lr": 0.05, "settings.hidden": 4})
    assert same == plan.base.changed({"train.lr": 0.05, "settings.hidden": 4}, "")
    assert same.train.total_steps == 60 and same.train.validation_samples == 20 and same.logging.tensorboard
    larger = plan.tuned_config({"train.global_batch": 16}).train
    assert (larger.total_steps, larger.warmup_steps, larger.global_batch) == (30, 2, 16)
    kept = plan.tuned_config({"train.global_batch": 16, "train.warmup_steps": 7}).train
    assert (kept.total_steps, kept.warmup_steps) == (30, 7)
    assert parse_config(yaml.safe_load(same.to_yaml()), "best.yaml") == same


def test_how_trials_are_hosted_is_not_the_tuned_configs(sweep_file):
    usual = load_sweep(sweep_file()).base
    path = sweep_file(set={"scaling.data_tasks": 0, "logging.mlflow": False, "train.seed": 3})
    plan = load_sweep(path)
    assert plan.base.scaling.data_tasks == 0 and not plan.base.logging.mlflow
    for one in (plan, Plan.from_yaml(plan.to_yaml())):
        tuned = one.tuned_config({"train.lr": 0.05})
        assert tuned.scaling == usual.scaling and tuned.logging == usual.logging
        assert tuned.train.seed == 3
    assert plan.differences(load_sweep(path, ["scaling.data_tasks=1"])) == []


def test_a_sweep_is_kept_whole(sweep_file):
    space = WIDE | {
        "settings.dropout": {"uniform": [0, 0.5], "when": {"settings.hidden": [8]}},
        "train.clip_norm": {"int": [1, 9], "step": 2},
        "settings.bad_step": {"choice": [None, 1000]},
    }
    plan = load_sweep(
        sweep_file(
            space=space, search="tpe", scheduler={"kind": "asha", "reduction": 2}, hours=1.5, set={"train.lr": 0.5}
        ),
        ["space.train.lr=null"],
    )
    kept = plan.to_yaml()
    again = Plan.from_yaml(kept)
    assert again == plan and again.to_yaml() == kept and plan.differences(again) == []
    assert again.base.train.lr == 0.5 and again.settings.scheduler.reduction == 2
    assert again.space.corners() == plan.space.corners()


@pytest.mark.parametrize(
    ("override", "different"),
    [
        ("trials=9", []),
        ("hours=3", []),
        ("max_concurrent=1", []),
        ("patience=3", []),
        ("logging.mlflow=true", []),
        ("scaling.cpus_per_worker=2", []),
        ("data.processes=3", []),
        ("card.note=x", []),
        ("settings.dropout=0.0", []),  # the default
        ("settings.dropout=0.1", ["config.settings.dropout"]),
        ("train.weight_decay=0.1", ["config.train.weight_decay"]),
        ("data.validation={kind: rendered_pages}", ["config.data.validation"]),
        ("space.train.lr={loguniform: [1e-3, 1e-2]}", ["space.train.lr"]),
        ("space.train.lr=null", ["space.train.lr"]),
        ("scheduler=asha", ["scheduler.grace", "scheduler.kind", "scheduler.reduction"]),
        ("budget.samples=100", ["budget.samples"]),
        ("budget.samples=480", []),  # the default
        ("search=tpe", ["search"]),
        ("host=trainer", ["host"]),
        ("seed=1", ["seed"]),
    ],
)
def test_what_keeps_a_sweep_from_going_on(sweep_file, override, different):
    path = sweep_file()
    assert load_sweep(path, [override]).differences(load_sweep(path)) == different


def test_overrides(sweep_file, tmp_path):
    path = sweep_file(scheduler="asha")
    plan = load_sweep(
        path,
        ["scheduler.grace=0.5", "trials=8", "space.train.lr={uniform: [1e-4, 1e-2]}", "settings.dropout=0.25"],
    )
    assert plan.settings.scheduler.kind == "asha" and plan.settings.scheduler.grace == 0.5
    assert plan.settings.trials == 8 and plan.space.parameters["train.lr"].uniform == (1e-4, 1e-2)
    assert plan.base.settings["dropout"] == 0.25
    assert load_sweep(path, ["scheduler.kind=none"]).settings.scheduler.kind == "none"
    other = tmp_path / "other.yaml"
    other.write_text(tiny_config(train={"total_steps": 7}, scaling={"workers": 1}).to_yaml())
    assert load_sweep(path, [f"config={other}"]).samples == 56


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"space": {}}, "nothing is searched"),
        ({"space": None}, "nothing is searched"),
        ({"trial": 3}, r"unknown setting trial \(did you mean trials\?\)"),
        (
            {"space": {"train.lr": {"unifrm": [1, 2]}}},
            r"unknown setting space\.train\.lr\.unifrm \(did you mean uniform\?\)",
        ),
        ({"space": {"train.lr": {"uniform": [2, 1]}}}, r"space\.train\.lr: low 2 is not below high 1"),
        ({"space": {"settings.hiden": {"choice": [1]}}}, r"unknown setting settings\.hiden \(did you mean hidden\?\)"),
        ({"space": {"train.beta": {"choice": [1]}}}, r"unknown setting train\.beta \(did you mean beta2\?\)"),
        ({"space": {"train.beta2": {"uniform": [0.9, 1.5]}}}, r"train\.beta2: .*less than 1 \(it is 1\.5\)"),
        ({"space": {"settings.hidden": {"choice": [4, "many"]}}}, r"settings\.hidden: .*'many'"),
        ({"space": {"trian.lr": LR}}, r"only settings\.\* and train\.\* .*did you mean train\?"),
        ({"space": {"scaling.workers": {"choice": [1, 2]}}}, r"space\.scaling\.workers: only"),
        ({"space": {"train.total_steps": {"int": [10, 20]}}}, r"total_steps cannot be searched: .*budget\.epochs"),
        ({"set": {"train.lr": 0.1}}, r"train\.lr is both searched and set; --set space\.train\.lr=null"),
        ({"set": {"train.lrr": 0.1}}, r"did you mean lr\?"),
        ({"space": {"train.lr": {"grid": [1, 2]}}}, "grid needs search: grid; write choice"),
        ({"search": "grid"}, r"space\.train\.lr: loguniform has no end"),
        ({"trials": None}, "search: random has no end; give trials or hours"),
        ({"metric": "samples"}, "mode is missing"),
        ({"scheduler": {"kind": "asha", "quantile": 0.2}}, "quantile does not belong to kind asha"),
        ({"scheduler": "hyperband"}, r"scheduler\.kind: .*'asha'"),
        ({"scheduler": {"kind": "asha", "reduction": 1}}, r"scheduler\.reduction: .*greater than 1"),
        ({"budget": {"epochs": 1, "samples": 100}}, "epochs or samples, not both"),
        ({"budget": {"epochs": 1}}, r"use budget\.samples"),
        ({"config": "../train/none.yaml"}, "none.yaml cannot be read"),
        ({"config": None}, "config is missing"),
        ({"host": "actor", "set": {"scaling.workers": 2}}, "host: actor trains with one worker"),
        ({"set": {"scaling.workers": 3}}, "global_batch 4 does not divide among 3 workers"),
    ],
)
def test_what_is_refused(sweep_file, content, message):
    path = sweep_file(**content)
    with pytest.raises(ConfigError, match=message) as error:
        load_sweep(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"search": "tpe"}, "search: tpe does not go with scheduler pbt"),
        ({"host": "trainer"}, "host: actor"),
        ({"set": {"scaling.workers": 2}}, "scaling.workers: 1"),
        ({"set": {}}, "needs scaling.data_tasks: 0"),
        ({"max_concurrent": 2}, "max_concurrent does not go with scheduler pbt"),
        ({"trials": 1}, "the size of its population"),
        ({"trials": None, "hours": 1}, "the size of its population"),
        ({"space": WIDE}, r"space\.settings\.hidden changes the network"),
        ({"space": {"train.global_batch": {"choice": [4, 8]}}}, r"space\.train\.global_batch: .*during training"),
        (
            {"space": {"train.lr": LR, "settings.dropout": {"choice": [0.1], "when": {"train.lr": 1}}}},
            "hardly ever a given value",
        ),
        (
            {
                "space": {
                    "train.beta2": {"choice": [0.9, 0.98]},
                    "train.lr": LR | {"when": {"train.beta2": 0.9}},
                }
            },
            "PBT cannot search a conditional",
        ),
    ],
)
def test_what_pbt_cannot_do(sweep_file, content, message):
    fine = {"space": {"train.lr": LR, "settings.dropout": {"uniform": [0, 0.5]}}, "scheduler": "pbt"}
    fine["set"] = {"scaling.data_tasks": 0}
    assert load_sweep(sweep_file(**fine)).population
    with pytest.raises(ConfigError, match=message):
        load_sweep(sweep_file(**fine | content))


def test_values_that_clash_need_a_condition(pages):
    found = [f"data.train.at={pages}", "space.settings.architecture={choice: [glyphnet, mobilevit_xxs]}"]
    with pytest.raises(ConfigError, match="width belongs to architecture glyphnet"):
        load_sweep(CONFIGS / "orientation.yaml", found)
    width = "space.settings.width={choice: [12, 24], when: {settings.architecture: glyphnet}}"
    assert load_sweep(CONFIGS / "orientation.yaml", ["space.settings.width=null", *found, width])


def test_another_metric(sweep_file):
    plan = load_sweep(sweep_file(metric="median_error", mode="min"))
    assert (plan.metric, plan.mode) == ("median_error", "min")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sweeps_are_sound(path, pages):
    plan = load_sweep(path, [f"data.train.at={pages}", f"data.validation.at={pages}"])
    for point in plan.space.corners():
        task_config = plan.tuned_config(point)
        assert task_config.train.total_steps * task_config.train.global_batch >= (
            plan.base.train.total_steps * plan.base.train.global_batch
        )
    assert Plan.from_yaml(plan.to_yaml()) == plan
    assert len(path.read_text().splitlines()) <= 20
