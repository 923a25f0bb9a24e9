"""Search spaces: their points, what Optuna and Ray Tune make of them, and what is wrong with a space."""

import json
import warnings

import optuna
import pytest
from pydantic import ValidationError

from common.config import ConfigError
from tuners.space import Parameter, Space

PAIRS = [[0.65, 1.25], [0.45, 1.5]]
MIXED = {
    "train.lr": {"loguniform": [1e-4, 1e-2]},
    "train.global_batch": {"choice": [16, 32]},
    "settings.kind": {"choice": ["a", "b", None, True]},
    "settings.width": {"int": [8, 32], "step": 4, "when": {"settings.kind": "a"}},
    "settings.scale": {"choice": PAIRS, "when": {"settings.kind": ["a", "b"]}},
    "settings.damage": {"uniform": [0.3, 0.9], "when": {"settings.scale": PAIRS[1]}},
    "settings.depth": {"int": [1, 64], "log": True},
}


def make_space(written):
    return Space({name: Parameter.model_validate(parameter) for name, parameter in written.items()})


def finite(written):
    return {name: values for name, values in written.items() if "choice" in values or "step" in values}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def tpe_study():
    sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=5, multivariate=True, group=True, constant_liar=True)
    return optuna.create_study(direction="maximize", sampler=sampler)


def check_point(values):
    """Return a point of MIXED: everything in range, conditional settings there exactly when they apply."""
    assert 1e-4 <= values["train.lr"] <= 1e-2 and values["train.global_batch"] in (16, 32)
    assert 1 <= values["settings.depth"] <= 64
    kind = values["settings.kind"]
    assert ("settings.width" in values) == (kind == "a")
    assert ("settings.scale" in values) == (kind in ("a", "b"))
    assert ("settings.damage" in values) == (values.get("settings.scale") == PAIRS[1])
    assert values.get("settings.width", 8) in range(8, 33, 4)


def test_tpe_searches_a_space_of_every_kind():
    space, study = make_space(MIXED), tpe_study()
    seen = []
    for _ in range(25):
        trial = study.ask()
        values = space.suggest(trial)
        check_point(values)
        study.tell(trial, values["train.lr"])
        seen.append(values)
    assert {json.dumps(values["settings.kind"]) for values in seen} == {'"a"', '"b"', "null", "true"}


def test_past_and_planned_trials_go_through_optuna_unchanged():
    space = make_space(MIXED)
    drawing = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    points = [space.suggest(drawing.ask()) for _ in range(12)]
    study = tpe_study()
    for point in points[:8]:
        reported = json.loads(json.dumps(point))  # as read from a trial's file
        study.add_trial(
            optuna.trial.create_trial(
                params=space.encode(reported), distributions=space.distributions(reported), value=point["train.lr"]
            )
        )
    for point in points[8:]:
        study.enqueue_trial(space.encode(point))
    for point in points[8:]:
        trial = study.ask()
        assert space.suggest(trial) == point
        study.tell(trial, 0.5)
    check_point(space.suggest(study.ask()))
    assert len(study.trials) == 13


def test_the_grid_respects_conditions_and_repeats_nothing():
    space = make_space(finite(MIXED))
    points = space.grid()
    # kind a: 7 widths x 2 scales; b: 2 scales; null and true: one each; all for two batches
    assert len(points) == 2 * (7 * 2 + 2 + 1 + 1)
    assert len({json.dumps(point) for point in points}) == len(points)
    assert points == make_space(finite(MIXED)).grid()
    assert all(("settings.width" in point) == (point["settings.kind"] == "a") for point in points)


def test_stepped_ranges_include_both_ends():
    space = make_space({"settings.a": {"uniform": [0.1, 0.5], "step": 0.2}, "settings.b": {"int": [3, 5]}})
    points = space.grid()
    assert [tuple(point.values()) for point in points[:3]] == [(0.1, 3), (0.1, 4), (0.1, 5)]
    assert {point["settings.a"] for point in points} == {0.1, 0.3, 0.5}
    study = optuna.create_study()
    for point in points:
        study.enqueue_trial(space.encode(point))
        assert space.suggest(study.ask()) == pytest.approx(point)


def test_corners_show_every_choice_and_both_ends():
    points = make_space(MIXED).corners()
    assert len(points) < 10
    for point in points:
        check_point(point)
    shown = {name: [point[name] for point in points if name in point] for name in MIXED}
    for name, extremes in {
        "train.lr": [1e-4, 1e-2],
        "settings.width": [8, 32],
        "settings.damage": [0.3, 0.9],
        "settings.depth": [1, 64],
        "settings.kind": ["a", "b", None, True],
        "settings.scale": PAIRS,
    }.items():
        assert all(extreme in shown[name] for extreme in extremes), name


def test_texts_with_an_exponent_are_numbers():
    space = make_space(
        {"train.lr": {"choice": ["1e-3", 2, "1.5E+2", "fast", "16"]}, "a.b": {"loguniform": ["1e-4", 1]}}
    )
    assert space.parameters["train.lr"].choice == [1e-3, 2, 150.0, "fast", "16"]
    assert space.parameters["a.b"].loguniform == (1e-4, 1.0)


def test_what_pbt_draws_and_multiplies_stays_in_the_space():
    written = {
        "train.lr": {"loguniform": [1e-4, 1e-2]},
        "settings.a": {"int": [2, 4]},
        "settings.b": {"choice": PAIRS},
        "settings.c": {"int": [5, 13], "step": 4},
        "settings.d": {"uniform": [0.5, 1.0]},
    }
    space = make_space(written)
    domains = space.tune_domains()
    assert {domains["settings.a"].sample() for _ in range(60)} == {2, 3, 4}
    assert all(1e-4 <= domains["train.lr"].sample() <= 1e-2 for _ in range(20))
    assert domains["settings.b"] == PAIRS and domains["settings.c"] == [5, 9, 13]
    values = {"train.lr": 0.012, "settings.a": 5, "settings.b": PAIRS[0], "settings.c": 8, "settings.d": 0.6, "x": 1}
    clipped = {"train.lr": 0.01, "settings.a": 4, "settings.b": PAIRS[0], "settings.c": 9, "settings.d": 0.6, "x": 1}
    assert space.clip(values) == clipped
    with pytest.raises(ConfigError, match=r"settings\.width: PBT cannot search a conditional"):
        make_space(MIXED).tune_domains()
    with pytest.raises(ConfigError, match=r"train\.lr: PBT cannot search a grid"):
        make_space({"train.lr": {"grid": [1, 2]}}).tune_domains()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"choice": []}, "nothing to try"),
        ({"grid": [1, 2, 1.0]}, "1.0 occurs twice"),
        ({"choice": [{"a": 1}]}, "is not a number, text"),
        ({"uniform": [1, 1]}, "low 1 is not below high 1"),
        ({"uniform": [0, float("nan")]}, "finite number"),
        ({"loguniform": [0, 1]}, "low 0 has no logarithm"),
        ({"int": [0, 8], "log": True}, "low 0 has no logarithm"),
        ({"int": [1, 8.5]}, "fractional part"),
        ({"int": [8, 33], "step": 4}, "not a whole number of steps of 4"),
        ({"int": [1, 2], "step": 0.5}, "not a whole number of steps"),
        ({"loguniform": [1, 2], "step": 0.5}, "step belongs to"),
        ({"uniform": [1, 2], "log": True}, "write loguniform"),
        ({"uniform": [1, 2], "choice": [3]}, "exactly one of"),
        ({}, "exactly one of"),
        ({"uniformm": [1, 2]}, "uniformm"),
    ],
)
def test_what_is_wrong_with_a_setting(written, message):
    with pytest.raises(ValidationError, match=message):
        Parameter.model_validate(written)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "nothing is searched"),
        ({"a.x": {"choice": [1]}, "a.y": {"choice": [1], "when": {"a.z": 1}}}, r"a\.y\.when: a\.z is not searched"),
        ({"a.y": {"choice": [1], "when": {"a.x": 1}}, "a.x": {"choice": [1]}}, "is not written before"),
        ({"a.x": {"choice": [1], "when": {"a.x": 1}}}, "is not written before"),
        ({"a.x": {"choice": [1, 2]}, "a.y": {"choice": [1], "when": {"a.x": [1, 3]}}}, r"a\.x is never 3"),
        ({"a.x": {"int": [1, 5]}, "a.y": {"choice": [1], "when": {"a.x": 6}}}, r"a\.x is never 6"),
        ({"a.x": {"uniform": [1, 5]}, "a.y": {"choice": [1], "when": {"a.x": 2}}}, "hardly ever a given value"),
        (
            {
                "a.x": {"choice": [1, 2]},
                "a.y": {"choice": [1], "when": {"a.x": 1}},
                "a.z": {"choice": [1], "when": {"a.y": 1, "a.x": 2}},
            },
            r"a\.z\.when: never true, because a\.x",
        ),
    ],
)
def test_what_is_wrong_with_a_space(written, message):
    with pytest.raises(ConfigError, match=message):
        make_space(written)


def test_a_grid_has_an_end():
    with pytest.raises(ConfigError, match=r"space\.train\.lr: loguniform has no end"):
        make_space(MIXED).grid()
    with pytest.raises(ConfigError, match="more than 10,000 points"):
        make_space({"a.x": {"int": [1, 1000]}, "a.y": {"int": [1, 10**9]}}).grid()


def test_a_choice_that_is_no_longer_there():
    with pytest.raises(ValueError, match=r"48 is none of \[16, 32\]"):
        make_space(MIXED).encode({"train.global_batch": 48})


def test_the_point_of_a_training_config():
    space = Space(
        {
            "train.lr": Parameter(loguniform=(1e-4, 1e-2)),
            "settings.scale": Parameter(choice=[[0.5, 1.5], [0.8, 1.2]]),
            "settings.depth": Parameter(int=(2, 8), step=2, when={"settings.scale": [0.5, 1.5]}),
        }
    )
    config = {"train.lr": 0.003, "settings.scale": (0.8, 1.2), "settings.depth": 3, "train.seed": 0}
    assert space.point_of(config) == {"train.lr": 0.003, "settings.scale": [0.8, 1.2]}
    assert space.point_of(config | {"settings.scale": [0.5, 1.5]}) is None  # depth 3 is no step of 2
    assert space.point_of(config | {"settings.scale": [0.5, 1.5], "settings.depth": 4})["settings.depth"] == 4
    assert space.point_of(config | {"train.lr": 0.1}) is None
