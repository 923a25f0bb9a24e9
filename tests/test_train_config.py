"""Training configs: what is wrong is named, with the nearest right name."""

import pytest

from common.config import ConfigError
from tests.tiny_task import TinyTask, tiny_config
from trainers.core.config import load_config, task_class


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_config().to_yaml())
    return path


def test_overrides(config_file):
    config = load_config(config_file, ["train.lr=1e-3", "settings.hidden=16", "data.train={rendered: true}"])
    assert config.train.lr == 1e-3 and config.settings == {"hidden": 16} and config.data.train.rendered
    assert isinstance(tiny_config().build_task(), TinyTask)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.learning_rat=1", "unknown setting train.learning_rat"),
        ("train.warmup_step=1", r"did you mean warmup_steps\?"),
        ("settings.hiden=1", r"unknown setting settings.hiden \(did you mean hidden\?\)"),
        ("data.train={shard: x}", r"data.train.shard \(did you mean shards\?\)"),
        ("scalling.workers=1", r"did you mean scaling\?"),
        ("train.lr=-1", "train.lr: .*greater than 0"),
        ("train.lr=fast", "train.lr: .*'fast'"),
        ("task=deskw", r"no task 'deskw' \(did you mean deskew\?\)"),
        ("task=nowhere:Task", "nowhere"),
        ("train", "KEY=VALUE"),
        ("task.name=x", "task is a value"),
        ("data.train={}", "shards: FOLDER"),
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
