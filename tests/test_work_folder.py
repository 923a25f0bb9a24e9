import subprocess
import sys

import pytest

from common import work_folder
from common.work_folder import WorkFolder


class ToyError(Exception):
    pass


class Toy(WorkFolder):
    kind, option, marker, error = "toy", "--toy", "toy.yaml", ToyError


def test_a_new_folder_is_made_and_one_with_work_continues(tmp_path):
    toy = Toy(tmp_path / "a" / "toy")
    with toy.held():
        assert not toy.exists
        (toy.folder / "toy.yaml").write_text("")
    with toy.held():
        assert toy.exists
    with toy.held(overwrite=True):
        assert not toy.exists and toy.folder.is_dir()


def test_other_files_are_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    reported = "is not empty and holds no toy; give another folder with --toy"
    with pytest.raises(ToyError, match=reported), Toy(tmp_path).held(overwrite=True):
        raise AssertionError
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_one_process_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(work_folder, "_TRIES", 1)
    holding = """
import pathlib, sys
from common.work_folder import WorkFolder
class Toy(WorkFolder):
    kind, option, marker, error = "toy", "--toy", "toy.yaml", Exception
with Toy(pathlib.Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", holding, str(tmp_path / "toy")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ToyError, match="another process works in"), Toy(tmp_path / "toy").held():
            raise AssertionError
        other.stdin.close()
    with Toy(tmp_path / "toy").held():
        pass
