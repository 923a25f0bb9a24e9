"""The command line as users meet it: what it refuses, with which message and exit code."""

import argparse
import errno
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ray.exceptions import RayTaskError

from common import cli as command
from common.errors import ExitCode, ExpectedError
from common.project import VERSION
from pipelines.sources import InputError
from ray_apps.cli import failures, ocr
from ray_apps.cli import main as cli


def run_cli(capsys, *argv: str) -> tuple[int, str]:
    try:
        code = cli.main(list(argv))
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def execute(run) -> int:
    return command.execute(run, if_interrupted="", explain=failures.explain, clean_up=failures.end_ray)


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (["--config", "letters"], "no configuration letters; give a YAML file or one of: documents"),
        (
            ["--export", "docx"],
            "the documents reader has no export format docx; known: jsonl, text, md, csv, hocr, alto, pdf",
        ),
        (["--workers", "0"], "'0' is not a whole number above 0"),
        (["--max-error-rate", "2"], "'2' is not a number between 0 and 1"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--languages", "en,xx"], "languages: nothing here reads xx; known: "),
        (["--languages", "en,en"], "languages: en,en; name one or several, each once"),
    ],
)
def test_requests_that_cannot_be_met_are_refused_before_anything_starts(capsys, tmp_path, extra, named):
    code, reported = run_cli(capsys, "ocr", "--input", "in", "--output", str(tmp_path / "out"), *extra)
    assert code == ExitCode.BAD_REQUEST
    assert named in reported
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("text_detection: {bundel: x}", "unknown setting text_detection.bundel (did you mean bundle?)"),
        ("deskw: {bundle: deskew@1}", "unknown setting deskw (did you mean deskew?)"),
        ("text_recognition: {bundle: x}", "unknown setting text_recognition.bundle"),
        ("text_recognition: {recognizers: {}}", "text_recognition.recognizers: Dictionary should have at least 1 item"),
        ("text_recognition: {recognizers: {a: [en], b: [ko, en]}}", "en occurs twice; name one recogniser for each"),
        ("text_recognition: {recognizers: {a: []}}", "every recogniser needs a language"),
        ("limits: {pdf_dpi: 5}", "limits.pdf_dpi: Input should be greater than or equal to 36"),
        ("[1, 2", "cannot be read as YAML"),
        ("just text", "must hold a mapping"),
    ],
)
def test_a_wrong_configuration_names_the_setting(capsys, tmp_path, content, named):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    code, reported = run_cli(capsys, "ocr", "--input", "in", "--output", str(tmp_path / "out"), "--config", str(path))
    assert code == ExitCode.BAD_REQUEST
    assert named in reported


def test_status_of_nothing(capsys, tmp_path):
    code, reported = run_cli(capsys, "status", str(tmp_path))
    assert code == ExitCode.BAD_REQUEST
    assert f"no job at {tmp_path}" in reported


def test_status_of_a_job_that_was_killed(capsys, tmp_path):
    card = {
        "name": "night",
        "state": "running",
        "identity": {},
        "updated": "2026-01-01T00:00:00+00:00",
        "started": "2026-01-01T00:00:00+00:00",
        "counts": {"pages": 10, "done": 4, "error": 1},
        "pages_per_second": 1.5,
        "eta_seconds": 4,
        "fingerprint": "abc",
        "device": "cpu",
    }
    (tmp_path / "job.json").write_text(json.dumps(card))
    assert cli.main(["status", str(tmp_path)]) == ExitCode.OK
    reported = capsys.readouterr().out
    assert "process probably killed" in reported
    assert "4 of 10 pages (40.0 %), 1 failed, 1.50 pages/s" in reported


def test_a_card_that_is_none(capsys, tmp_path):
    (tmp_path / "job.json").write_text("[]")
    code, reported = run_cli(capsys, "status", str(tmp_path))
    assert code == ExitCode.BAD_REQUEST and "is not an ocray job card" in reported


def test_help_lists_every_command(capsys):
    code, text = run_cli(capsys, "--help")
    assert code == ExitCode.OK
    words = " ".join(text.split())
    assert all(f" {name} {command.summary}" in words for name, command in cli.COMMANDS.items())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_its_help(capsys, name):
    code, text = run_cli(capsys, name, "--help")
    assert code == ExitCode.OK
    assert text.startswith(f"usage: ocray {name} ")


def test_without_a_command(capsys):
    code, text = run_cli(capsys)
    assert code == ExitCode.BAD_REQUEST and "COMMAND" in text


@pytest.mark.parametrize(
    ("name", "hint"), [("orc", "did you mean ocr?"), ("quantise", "did you mean quantize?"), ("fly", "known: ocr, ")]
)
def test_an_unknown_command(capsys, name, hint):
    code, text = run_cli(capsys, name, "--input", "in")
    assert code == ExitCode.BAD_REQUEST
    assert text.startswith(f"ocray: unknown command {name}; {hint}")


def test_the_top_level_imports_no_command():
    """So `ocray --help` is quick, and `ocray ocr` works without the training packages."""
    code = (
        "import sys\n"
        "from ray_apps.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'ray', 'torch', 'cv2', 'pyarrow', 'pydantic', 'numpy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_a_missing_training_package_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in [name for name in sys.modules if name.startswith(("trainers.core", "ray_apps.cli.train"))]:
        monkeypatch.delitem(sys.modules, module)
    code, text = run_cli(capsys, "train", "deskew")
    assert code == ExitCode.CANNOT_START
    assert text == "ocray: torch is not installed; training needs the extra: pip install 'ocray[train]'\n"


def test_a_missing_module_of_ours_is_a_fault():
    error = ModuleNotFoundError("No module named 'trainers.nothing'", name="trainers.nothing")
    assert cli._explain(cli.COMMANDS["train"], error) is None


def test_a_command_is_noted_as_it_was_typed(monkeypatch):
    noted = []
    monkeypatch.setattr(ocr, "run", lambda args: noted.append(args.command_line) or ExitCode.OK)
    argv = ["ocr", "--input", "a b", "c*.png", "--output", "out", "--max-error-rate", "0.1", "--retry-failed"]
    assert cli.main(argv) == ExitCode.OK
    assert noted == ["ocray ocr --input 'a b' 'c*.png' --output out --max-error-rate 0.1 --retry-failed"]
    assert shlex.split(noted[0])[1:] == argv


@pytest.mark.parametrize(
    ("typed", "resumes", "step"),
    [
        ("ocray train deskew", True, "run the same command to resume"),
        ("ocray train deskew --overwrite", True, "run the same command without --overwrite to resume"),
        ("ocray data import lmdb x --overwrite", False, "run the same command to start again"),
    ],
)
def test_the_next_step_after_an_interrupt(typed, resumes, step):
    assert command.next_step(typed, resumes) == step


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (command.positive, "7", 7),
        (command.positive, "0", None),
        (command.positive, "-1", None),
        (command.positive, "²", None),
        (command.positive_number, "0.5", 0.5),
        (command.positive_number, "0", None),
        (command.positive_number, "nan", None),
        (command.positive_number, "inf", None),
        (command.share, "0", 0.0),
        (command.share, "1.01", None),
        (command.share, "nan", None),
        (command.pair, "a=b=c", ("a=b", "c")),
        (command.pair, "a=", None),
        (command.pair, "a", None),
    ],
)
def test_argument_types(read, text, value):
    if value is None:
        with pytest.raises(argparse.ArgumentTypeError, match="is not"):
            read(text)
    else:
        assert read(text) == value


def test_names_that_are_no_text_are_spelled_from_the_start(tmp_path):
    """They go into job.json, the terminal and the workers' arguments."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    parser = argparse.ArgumentParser()
    ocr.add_arguments(parser)
    args = parser.parse_args(["--input", odd, "s3://bucket/a::b%.png", "--output", odd])
    assert args.input == [f"file://{tmp_path}/caf%E9", "s3://bucket/a::b%.png"] and args.output == args.input[0]


def below_a_file(folder: Path) -> None:
    (folder / "file").write_text("")
    os.makedirs(folder / "file" / "out")


def where_a_file_is(folder: Path) -> None:
    (folder / "out").write_text("")
    os.mkdir(folder / "out")


def with_too_long_a_name(folder: Path) -> None:
    os.mkdir(folder / ("n" * 300))


def on_a_full_disk(folder: Path) -> None:
    with open("/dev/full", "w") as file:
        file.write("x")


def on_a_full_disk_of_a_worker(folder: Path) -> None:
    cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/results/pages/part-0.parquet")
    raise RayTaskError("StageGroup", "a long traceback", cause).as_instanceof_cause()


@pytest.mark.parametrize(
    ("write", "code", "named"),
    [
        (below_a_file, ExitCode.BAD_REQUEST, "/file/out: Not a directory; a file is where a folder should be"),
        (where_a_file_is, ExitCode.BAD_REQUEST, "/out: File exists; a file is where a folder should be"),
        (with_too_long_a_name, ExitCode.BAD_REQUEST, "nnn: File name too long; choose a shorter name"),
        (
            on_a_full_disk,
            ExitCode.STORAGE_FULL,
            "No space left on device; make room, then run the same command to resume",
        ),
        (on_a_full_disk_of_a_worker, ExitCode.STORAGE_FULL, "/results/pages/part-0.parquet: No space left on device"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(capsys, tmp_path, write, code, named):
    assert execute(lambda: write(tmp_path) or 0) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ocray: ") and named in line


def in_a_worker(folder: Path) -> None:
    raise RayTaskError("list_documents", "a long traceback", InputError("s3://bucket: no access")).as_instanceof_cause()


def test_an_expected_failure_of_a_worker_is_one_line(capsys, tmp_path):
    assert execute(lambda: in_a_worker(tmp_path)) == ExitCode.BAD_REQUEST
    assert capsys.readouterr().err == "ocray: s3://bucket: no access\n"


def test_an_unexpected_error_keeps_its_traceback():
    def fault() -> int:
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        execute(fault)


def test_an_output_that_is_a_file_holds_no_job(capsys, tmp_path):
    (tmp_path / "out").write_text("letters")
    code, reported = run_cli(capsys, "status", str(tmp_path / "out"))
    assert code == ExitCode.BAD_REQUEST and len(reported.splitlines()) == 1


def test_the_version_says_what_it_runs_on(capsys):
    code, reported = run_cli(capsys, "--version")
    assert code == 0
    first, second, third = reported.splitlines()
    assert first.startswith(f"ocray {VERSION} (")
    assert "Ray 2." in second and "OpenVINO 20" in second
    assert third.rsplit(" ", 1)[1] in ("f32", "bf16")


def expected_errors(kind: type = ExpectedError) -> set[type]:
    return {kind}.union(*(expected_errors(below) for below in kind.__subclasses__()))


def test_every_expected_error_has_an_exit_code():
    assert {kind.exit_code for kind in expected_errors()} <= set(ExitCode) - {ExitCode.OK}
