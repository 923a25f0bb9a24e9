"""Importers are found by their modules alone: a new format is one file."""

import importlib
import sys

import pytest

from tests.labelled_images import labels, ocray, write_pictures
from trainers.data import importers as package
from trainers.data.importers.importer import Importer, importers

TOY = '''
"""Toy format: one image per line of index.toy, its label given by an option."""

from trainers.data.importers.importer import Importer
from trainers.data.importers.rows import LineFound


def _read(options):
    for name in (options.source / "index.toy").read_text().split():
        yield LineFound(f"{options.source}:{name}", name, options.images / name, options.text, str(options.source))


IMPORTER = Importer(
    help="a toy format",
    layouts=("lines",),
    read=_read,
    add_arguments=lambda parser: parser.add_argument("--text", required=True, help="label of all images"),
)
'''


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


def test_a_module_is_all_that_a_new_format_needs(a_module, capsys, tmp_path):
    a_module("toy", TOY)
    write_pictures(tmp_path / "images", "a.png", "b.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "index.toy").write_text("a.png b.png")
    command = ("data", "import", "toy", tmp_path / "set", "--images", tmp_path / "images", "--text", "서울")
    code, text = ocray(capsys, *command, "--output", tmp_path / "out")
    assert code == 0, text
    assert labels(tmp_path / "out") == {"a.png": "서울", "b.png": "서울"}


def test_its_help_is_listed(a_module, capsys):
    a_module("toy", TOY)
    code, text = ocray(capsys, "data", "import", "--help")
    assert code == 0
    assert "a toy format" in text


def test_something_else_called_importer_is_named(a_module):
    a_module("toy", "IMPORTER = 3\n")
    with pytest.raises(TypeError, match=r"importers\.toy\.IMPORTER is a int, not an Importer"):
        importers()
