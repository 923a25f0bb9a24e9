"""The model of docs/extending.md trains, is evaluated and exported as its text says."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.test_train_data import png
from trainers.core.config import load_config
from trainers.core.evaluate import evaluate
from trainers.core.export import export_run
from trainers.core.launch import launch
from trainers.core.runs import Run

TEXT = (Path(__file__).parent.parent / "docs" / "extending.md").read_text("utf-8")
SECTION = TEXT.split("## Add a model\n")[1].split("\n## ")[0]


def code(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", SECTION, re.DOTALL).group(1)


@pytest.mark.train
def test_a_model_is_added_by_its_text(tmp_path, monkeypatch):
    (tmp_path / "sharpness_task.py").write_text(code("python"), "utf-8")
    (tmp_path / "sharpness.yaml").write_text(code("yaml"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    pages = tmp_path / "pages.parquet"
    pq.write_table(pa.table({"image": [png(value) for value in range(0, 250, 50)]}), pages)
    short = ["train.total_steps=4", "train.global_batch=4", "train.validation_samples=8", "train.validate_every=2"]
    quiet = ["data.processes=0", "logging.tensorboard=false", "logging.mlflow=false", "train.precision=fp32"]
    data = [f"data.{split}.at={pages}" for split in ("train", "validation")]
    overrides = ["task=sharpness_task:SharpnessTask", *short, *quiet, *data]
    config = load_config(tmp_path / "sharpness.yaml", overrides)
    outcome = launch(config, tmp_path / "run", use_ray=False)
    assert outcome.finished and 0 < outcome.metrics["mean_error"] < 3
    bundle = export_run(Run(tmp_path / "run"), tmp_path / "bundle")
    assert bundle.card.task == "sharpness" and bundle.card.input == {"side": 128}
    of_run = evaluate(str(tmp_path / "run"), config)["mean_error"]
    assert evaluate(str(tmp_path / "bundle"), config)["mean_error"] == pytest.approx(of_run, abs=1e-4)
