"""Configurations: what is wrong is named, with the nearest right name and what to do."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from common.config import ConfigError, Settings, assign, find_yaml, parse_assignment, read_yaml, validate


class Lines(Settings):
    kind: Literal["lines"]
    at: str
    balance: float = Field(default=0, ge=0, le=1)


class Pages(Settings):
    kind: Literal["pages"]
    at: str
    skews: str | None = None


class Loop(Settings):
    lr: float = Field(gt=0)
    steps: int = 10

    @model_validator(mode="after")
    def _even(self):
        if self.steps % 2:
            raise ValueError("steps must be even")
        return self


class Whole(Settings):
    loop: Loop
    note: Loop | None = None
    train: Annotated[Lines | Pages, Field(discriminator="kind")] | None = None
    either: str | dict[str, float] | None = None
    plain: Lines | Loop | None = None
    named: dict[str, Loop] | None = None
    several: list[Loop] | None = None


LOOP = {"lr": 0.1}


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (
            {"loop": {"lr": 1, "stpes": 2}},
            r"unknown setting loop\.stpes \(did you mean steps\?\); valid here: lr, steps",
        ),
        ({"loop": LOOP, "looop": 1}, r"unknown setting looop \(did you mean loop\?\); valid here: either, loop, named"),
        ({"loop": LOOP, "zzz": 1}, r"unknown setting zzz; valid here: either, loop"),
        ({"loop": LOOP, "note": {"lr": 1, "stpes": 2}}, r"unknown setting note\.stpes \(did you mean steps\?\)"),
        (
            {"loop": LOOP, "named": {"a.b": {"lr": 1, "rl": 2}}},
            r"unknown setting named\.a\.b\.rl \(did you mean lr\?\)",
        ),
        ({"loop": LOOP, "several": [LOOP, {"lr": 1, "stepz": 1}]}, r"unknown setting several\.1\.stepz \(did you mean"),
        # A union: the names of the branch that was chosen, and no name that the user did not write.
        (
            {"loop": LOOP, "train": {"kind": "lines", "at": "a", "skews": "b"}},
            r"^c\.yaml: unknown setting train\.skews; valid here: at, balance, kind$",
        ),
        (
            {"loop": LOOP, "train": {"kind": "pages", "at": "a", "skew": "b"}},
            r"^c\.yaml: unknown setting train\.skew \(did you mean skews\?\); valid here: at, kind, skews$",
        ),
        (
            {"loop": LOOP, "train": {"kind": "lines", "at": "a", "balance": 3}},
            r"train\.balance: Input should be less than or equal to 1 \(it is 3\)",
        ),
        (
            {"loop": LOOP, "train": {"kind": "line", "at": "a"}},
            r"^c\.yaml: train\.kind is 'line' \(did you mean lines\?\); valid here: lines, pages$",
        ),
        ({"loop": LOOP, "train": {"at": "a"}}, r"^c\.yaml: train\.kind is missing; valid here: lines, pages$"),
        ({"loop": LOOP, "either": 3}, r"^c\.yaml: either: Input should be a valid string \(it is 3\); either: "),
        ({"loop": LOOP, "plain": {"lr": 1, "stepz": 2}}, r"unknown setting plain\.stepz \(did you mean steps\?\)"),
        ({}, r"^c\.yaml: loop is missing$"),
        ({"loop": {"lr": 0}, "zzz": 1}, r"loop\.lr: Input should be greater than 0 \(it is 0\); unknown setting zzz"),
        ({"loop": {"lr": 1, "steps": 3}}, r"^c\.yaml: loop: steps must be even \(it is {'lr': 1, 'steps': 3}\)$"),
        ([], r"^c\.yaml: Input should be a valid dictionary"),
    ],
)
def test_every_problem_is_named_with_its_key_and_the_nearest_right_one(content, reported):
    with pytest.raises(ConfigError, match=reported):
        validate(Whole, content, "c.yaml")


def test_keys_below_another_one_are_named_in_full():
    with pytest.raises(ConfigError, match=r"^a\.yaml: unknown setting settings\.rl \(did you mean lr\?\)"):
        validate(Loop, {"lr": 1, "rl": 1}, "a.yaml", "settings.")
    assert validate(Loop, {"lr": "1e-3"}, "a.yaml").lr == 1e-3  # as YAML 1.1 reads it: text


def test_a_value_too_long_to_read_is_left_out_of_the_message():
    with pytest.raises(ConfigError) as caught:
        validate(Loop, {"lr": "x" * 1000}, "a.yaml")
    assert len(str(caught.value)) < 200


def test_a_config_is_a_file_or_the_name_of_one_that_comes_with_the_project(tmp_path, monkeypatch):
    folder = tmp_path / "configs"
    folder.mkdir()
    for name in ("documents", "meters"):
        (folder / f"{name}.yaml").write_text("a: 1")
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own.yml"
    own.write_text("b: {c: 1}")
    (tmp_path / "meters").write_text("not it")
    assert find_yaml("meters", folder, "configuration") == folder / "meters.yaml"
    assert read_yaml(find_yaml(own, folder, "configuration")) == {"b": {"c": 1}}
    for wrong in ("meter", "gone.yaml"):
        with pytest.raises(ConfigError, match=f"no configuration {wrong}; give a YAML file or one of: documents, met"):
            find_yaml(wrong, folder, "configuration")


@pytest.mark.parametrize(
    ("content", "reported"),
    [
        (b"a: [", "cannot be read as YAML: while parsing"),
        (b"\xff\xfe\x00", "cannot be read as YAML"),
        (b"- a", "x.yaml: a sweep is a mapping"),
    ],
)
def test_a_file_that_holds_no_mapping_is_named(tmp_path, content, reported):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=reported) as caught:
        read_yaml(path, "a sweep is a mapping")
    assert str(path) in str(caught.value)


def test_overrides_change_nested_mappings():
    content = {"train": None, "card": {"name": "a"}, "seed": 1}
    for override in ("train.lr=1.5", "card.version='2'", "data.train={kind: lines}", "seed="):
        assign(content, *parse_assignment(override))
    assert content == {
        "train": {"lr": 1.5}, "card": {"name": "a", "version": "2"}, "data": {"train": {"kind": "lines"}}, "seed": None,
    }  # fmt: skip
    with pytest.raises(ConfigError, match="write it as KEY=VALUE"):
        parse_assignment("train.lr")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        parse_assignment("train.lr=[")
    with pytest.raises(ConfigError, match=r"card\.name\.first: name is a value, not a group"):
        assign(content, "card.name.first", 1)
