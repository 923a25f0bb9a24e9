"""Training configs: what is wrong is named, with the nearest right name."""

import pytest
import yaml

from common.config import ConfigError
from tests.tiny_task import TinyTask, tiny_config
from trainers.core.config import load_config, task_class


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_config().to_yaml())
    return path


def test_overrides(config_file):
    config = load_config(config_file, ["train.lr=1e-3", "settings.hidden=16", "data.train={kind: rendered_pages}"])
    assert (
        config.train.lr == 1e-3
        and config.settings == {"hidden": 16}
        and config.source("train").kind == "rendered_pages"
    )
    assert isinstance(tiny_config().build_task(), TinyTask)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.learning_rat=1", "unknown setting train.learning_rat"),
        ("train.warmup_step=1", r"did you mean warmup_steps\?"),
        ("settings.hiden=1", r"unknown setting settings.hiden \(did you mean hidden\?\)"),
        ("data.train={kind: page_shards, att: x}", r"data.train.att \(did you mean at\?\); valid here: at, kind"),
        (
            "data.train={kind: page_shard}",
            r"task tiny cannot use 'page_shard' \(did you mean page_shards",
        ),
        ("data.train={kind: line_shards, at: x}", "kinds of source for task tiny: page_shards, rendered_pages"),
        ("data.train={kind: page_shards}", "data.train.at is missing"),
        ("scalling.workers=1", r"did you mean scaling\?"),
        ("train.lr=-1", "train.lr: .*greater than 0"),
        ("train.lr=fast", "train.lr: .*'fast'"),
        ("task=deskw", r"no task 'deskw' \(did you mean deskew\?\)"),
        ("task=nowhere:Task", "nowhere"),
        ("train", "KEY=VALUE"),
        ("task.name=x", "task is a value"),
        ("data.train={}", "data.train.kind is missing; .* page_shards, rendered_pages"),
    ],
)
def test_errors_name_the_key(config_file, override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(config_file, [override])


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(ConfigError, match=r"no training config .*none\.yaml; give a YAML file or one of: deskew"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(ConfigError, match="mapping"):
        load_config(tmp_path / "empty.yaml")
    (tmp_path / "part.yaml").write_text("task: deskew\n")
    with pytest.raises(ConfigError, match="train is missing; card is missing"):
        load_config(tmp_path / "part.yaml")


@pytest.mark.parametrize("name", ["deskew", "orientation"])
def test_tasks_are_found_by_name(name):
    assert task_class(name).name == name


FORMER = [  # task, a source as earlier versions spelled it, and its spelling now
    ("deskew", "{shards: data/pages}", "{kind: page_shards, at: data/pages}"),
    ("deskew", "{shards: a, skews: b.parquet}", "{kind: page_shards, at: a, skews: b.parquet}"),
    ("orientation", "{rendered: true}", "{kind: rendered_pages}"),
    ("recognition", "{lines: a, bucket: 8, balance: 0.5}", "{kind: line_shards, at: a, bucket: 8, balance: 0.5}"),
    ("recognition", "{lines: {a: 10, b: 1}}", "{kind: line_shards, at: {a: 10, b: 1}}"),
    ("recognition", "{rendered_lines: true, balance: 1}", "{kind: rendered_lines, balance: true}"),
    ("recognition", "{rendered_lines: true, texts: b}", "{kind: rendered_lines, texts: b}"),
    ("detection", "{regions: {a: 5, b: 1.5}}", "{kind: region_shards, at: {a: 5, b: 1.5}}"),
    ("detection", "{rendered_regions: true}", "{kind: rendered_regions}"),
    ("meter_screen", "{meters: a, meter_kind: photo}", "{kind: meter_shards, at: a, sample: photo}"),
    (
        "meter_digits",
        "{meters: {a: 6, rendered_strips: 2.5}}",
        "{kind: meter_shards, at: {a: 6, rendered_strips: 2.5}}",
    ),
    # As run folders kept them.
    (
        "deskew",
        "{shards: a, rendered: false, rendered_lines: false, balance: 0.0, rendered_regions: false, bucket: 64}",
        "{kind: page_shards, at: a}",
    ),
    # An override of a former key beside the new spelling.
    ("deskew", "{kind: page_shards, at: a, shards: b}", "{kind: page_shards, at: b}"),
    ("deskew", "{kind: page_shards, at: a, rendered: true}", "{kind: rendered_pages}"),
    ("meter_digits", "{kind: meter_shards, at: a, meter_kind: strip}", "{kind: meter_shards, at: a, sample: strip}"),
]


@pytest.mark.parametrize(("task", "former", "present"), FORMER)
def test_the_former_spelling_of_a_source_shows_the_present_one(config_file, task, former, present):
    with pytest.raises(ConfigError) as error:
        load_config(config_file, [f"task={task}", f"data.validation={former}"])
    assert str(error.value) == (
        f"{config_file}: data.validation is spelled as in earlier versions; write data.validation: {present}"
    )
    config = load_config(config_file, [f"task={task}", f"data.validation={present}"])
    assert config.data.validation == yaml.safe_load(present)
    assert config.source("validation").kind == yaml.safe_load(present)["kind"]


def test_a_former_key_as_an_override():
    with pytest.raises(ConfigError, match=r"write data\.train: {kind: page_shards, at: pages}"):
        load_config("deskew", ["data.train.shards=pages"])
    with pytest.raises(ConfigError, match=r"write data\.train: {kind: meter_shards, at: {a: 2, b: 1}, sample: photo}"):
        load_config("meter_screen", ["data.train.meters={a: 2, b: 1}"])


def test_a_task_takes_the_sources_of_its_own_model():
    wrong = "data.train={kind: line_shards, at: data/lines/train}"
    with pytest.raises(ConfigError, match=r"task deskew cannot use 'line_shards'.*: page_shards, rendered_pages"):
        load_config("deskew", [wrong])
    with pytest.raises(ConfigError, match=r"task meter_digits cannot use 'line_shards'.*: meter_shards$"):
        load_config("meter_digits", [wrong])
