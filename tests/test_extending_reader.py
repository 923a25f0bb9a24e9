"""A reader that is added as docs/extending.md says runs bulk jobs and is served; no file of ocray is edited for it."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from common.config import ConfigError
from pipelines import readers
from pipelines.readers import registry
from tests.served import deployment, served

ROOT = Path(__file__).parent.parent


def section() -> str:
    text = (ROOT / "docs/extending.md").read_text("utf-8")
    return text.partition("\n## Add a reader\n")[2].partition("\n## ")[0]


def write_reader(folder: Path) -> None:
    """Save what the section says to save."""
    saved = re.findall(r"[Ss]ave it as\s+`([\w.]+)`.*?```\w+\n(.*?)```", section(), re.DOTALL)
    assert [name for name, _ in saved] == ["brightness.py", "brightness.yaml", "brightness_app.py"]
    for name, content in saved:
        (folder / name).write_text(textwrap.dedent(content), "utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write the reader's files, a grey page and a broken one, and return their folder."""
    folder = tmp_path_factory.mktemp("added")
    write_reader(folder)
    (folder / "in").mkdir()
    assert cv2.imwrite(str(folder / "in" / "grey.png"), np.full((40, 60), 102, np.uint8))
    (folder / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


@pytest.fixture
def imported(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("brightness", None)


def ocray(folder: Path, *arguments: str) -> str:
    """Output of a command that finds the reader."""
    command = [sys.executable, "-m", "ray_apps", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.ray
def test_it_runs_a_bulk_job(folder):
    command = ["ocr", "--config", "brightness.yaml", "--input", "in/", "--output", "out", "--export", "jsonl"]
    assert "1 pages read, 1 failed, 2 of 2 in this run" in ocray(folder, *command)
    grey = pq.read_table(folder / "out" / "pages", filters=[("status", "=", "ok")]).to_pylist()[0]
    assert grey["brightness"] == pytest.approx(0.4) and (grey["width"], grey["height"]) == (60, 40)
    lines = [json.loads(line) for line in (folder / "out/exports/jsonl/pages.jsonl").read_text().splitlines()]
    assert {line["status"]: line["brightness"] for line in lines} == {"ok": pytest.approx(0.4), "error": None}
    assert "broken.png" in (folder / "out/report.html").read_text("utf-8")
    assert json.loads((folder / "out/job.json").read_text())["config"]["reader"] == "brightness:BrightnessReader"

    assert "2 of 2 pages (100.0 %), 1 failed" in ocray(folder, "status", "out")
    assert "0 of 2 in this run" in ocray(folder, *command)


@pytest.mark.ray
def test_it_is_served(folder):
    def edit(app):
        app.update(name="brightness", import_path="brightness_app:build")
        app["args"] = {"reader": str(folder / "brightness.yaml"), "stages": {"reader": ["decode", "brightness"]}}
        deployment(app, "reader")["autoscaling_config"]["max_replicas"] = 1

    grey, broken = ((folder / "in" / name).read_bytes() for name in ("grey.png", "broken.png"))
    with served(folder / "served", "meters", edit, PYTHONPATH=f"{folder}{os.pathsep}{ROOT}") as app:
        answer = app.post("v1/brightness", grey, name="grey.png").json()
        assert answer["document"]["page_count"] == 1
        (page,) = answer["pages"]
        assert page["brightness"] == pytest.approx(0.4) and list(page["timings_ms"]) == ["decode", "brightness"]
        refused = app.post("v1/brightness", broken, name="broken.png")
        assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
        assert "/v1/brightness" in app.get("openapi.json").json()["paths"]
        assert app.get("v1/models").json() == []


def test_a_folder_of_readers_is_one(imported, tmp_path, monkeypatch):
    (tmp_path / "brightness").mkdir()
    (tmp_path / "brightness" / "reader.py").write_text((imported / "brightness.py").read_text())
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path)])
    assert registry.reader_names() == ("brightness", "documents", "meters")
    (tmp_path / "here.yaml").write_text("reader: brightness")
    reader = registry.load_reader(tmp_path / "here.yaml")
    assert [spec.stage.name for spec in reader.stages()] == ["decode", "brightness"]
    assert reader.bundles() == {} and reader.conclude is not None


def test_what_is_no_reader_is_named(imported, tmp_path):
    for reference, message in {
        "letters": "reader is 'letters'; known: documents, meters, or module:Class",
        "nowhere:Reader": r"reader nowhere:Reader cannot be imported \(No module named 'nowhere'\); put the folder",
        "brightness:Reeder": "reader brightness:Reeder cannot be imported",
        "brightness:BrightnessStage": "reader brightness:BrightnessStage is not a Reader",
    }.items():
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"reader": reference}))
        with pytest.raises(ConfigError, match=f"mine.yaml: {message}"):
            registry.load_reader(tmp_path / "mine.yaml")
    with pytest.raises(ConfigError, match="the job's reader nowhere:Reader cannot be imported"):
        registry.job_reader({"config": {"reader": "nowhere:Reader"}})


def test_an_unknown_setting_is_named(imported, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"reader": "brightness:BrightnessReader", "limit": {}}))
    with pytest.raises(ConfigError, match=re.escape("unknown setting limit (did you mean limits?)")):
        registry.load_reader(tmp_path / "mine.yaml")
