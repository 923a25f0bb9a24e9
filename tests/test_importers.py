"""Importers are found by their modules alone; the one that the documentation shows works as it is printed."""

import importlib
import re
import sys

import pytest

from common.project import ROOT
from tests.labelled_images import labels, ocray, write_pictures
from trainers.data import importers as package
from trainers.data.importers.importer import Importer, importers

DOCUMENTED = next(
    code
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "docs/extending.md").read_text("utf-8"), re.DOTALL)
    if "IMPORTER = " in code
)


@pytest.fixture
def a_module(monkeypatch, tmp_path):
    """Put a module into the importers' package, as a file in their folder would be."""

    def put(name: str, text: str) -> None:
        (tmp_path / "more").mkdir(exist_ok=True)
        (tmp_path / "more" / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / "more")])
        importlib.invalidate_caches()
        added.append(name)

    added: list[str] = []
    yield put
    for name in added:
        sys.modules.pop(f"{package.__name__}.{name}", None)
        package.__dict__.pop(name, None)


def test_formats_that_come_with_ocray():
    found = importers()
    assert list(found) == [
        *("ai_hub", "coco", "label_file", "label_studio", "lmdb", "paddleocr", "parquet", "tfrecord"),
    ]
    assert all(isinstance(importer, Importer) and importer.layouts for importer in found.values())


def test_the_importer_of_the_documentation_is_one_file(a_module, capsys, tmp_path):
    a_module("json_lines", DOCUMENTED)
    write_pictures(tmp_path / "set", "a.png", "b.png")
    lines = ('{"file": "a.png", "text": "서울", "font": "serif"}', '{"file": "b.png", "text": "부산"}', "[]", "no JSON")
    (tmp_path / "set/labels.jsonl").write_text("\n".join(lines), "utf-8")
    command = ("data", "import", "json_lines", tmp_path / "set/labels.jsonl")
    code, text = ocray(capsys, *command, "--output", tmp_path / "all")
    assert code == 0, text
    assert labels(tmp_path / "all") == {"a.png": "서울", "b.png": "부산"}
    assert "left out: 2 not an object with file and text" in text
    code, text = ocray(capsys, *command, "--output", tmp_path / "some", "--font", "serif")
    assert code == 0, text
    assert labels(tmp_path / "some") == {"a.png": "서울"}


def test_its_help_is_listed(a_module, capsys):
    a_module("json_lines", DOCUMENTED)
    code, text = ocray(capsys, "data", "import", "--help")
    assert code == 0
    assert "JSON Lines with file and text" in text


def test_something_else_called_importer_is_named(a_module):
    a_module("three", "IMPORTER = 3\n")
    with pytest.raises(TypeError, match=r"importers\.three\.IMPORTER is a int, not an Importer"):
        importers()
