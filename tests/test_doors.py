"""The doors as a person at a shell meets them: what is refused, in which words, with which exit code."""

import argparse
import errno
import json
import os
from pathlib import Path

import pytest
from ray.exceptions import RayTaskError

from common.project import VERSION
from ray_apps.cli import doors, status
from ray_apps.cli import main as cli
from ray_apps.cli import ocr as bulk_ocr


def run_cli(capsys, *argv: str) -> tuple[int, str]:
    try:
        code = cli.main(list(argv))
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (["--config", "letters"], "no configuration letters; give a YAML file or one of: documents"),
        (["--export", "docx"], "the documents reader has no export format docx; known: jsonl, text, hocr, alto, pdf"),
        (["--workers", "0"], "'0' is not a whole number above 0"),
        (["--max-error-rate", "2"], "'2' is not a number between 0 and 1"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--languages", "en,xx"], "languages: nothing here reads xx; known: "),
        (["--languages", "en,en"], "languages: en,en; name one or several, each once"),
    ],
)
def test_requests_that_cannot_be_met_are_refused_before_anything_starts(capsys, tmp_path, extra, named):
    code, told = run_cli(capsys, "ocr", "--input", "in", "--output", str(tmp_path / "out"), *extra)
    assert code == doors.BAD_REQUEST
    assert named in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("text_detection: {bundel: x}", "unknown setting text_detection.bundel (did you mean bundle?)"),
        ("deskw: {bundle: deskew@1}", "unknown setting deskw (did you mean deskew?)"),
        ("text_recognition: {bundle: x}", "unknown setting text_recognition.bundle"),
        ("text_recognition: {recognizers: {}}", "text_recognition.recognizers: Dictionary should have at least 1 item"),
        ("text_recognition: {recognizers: {a: [en], b: [ko, en]}}", "en stands twice; name one recogniser for each"),
        ("text_recognition: {recognizers: {a: []}}", "every recogniser needs a language"),
        ("limits: {pdf_dpi: 5}", "limits.pdf_dpi: Input should be greater than or equal to 36"),
        ("[1, 2", "cannot be read as YAML"),
        ("just text", "must hold a mapping"),
    ],
)
def test_a_wrong_configuration_names_the_setting(capsys, tmp_path, content, named):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    code, told = run_cli(capsys, "ocr", "--input", "in", "--output", str(tmp_path / "out"), "--config", str(path))
    assert code == doors.BAD_REQUEST
    assert named in told


def test_status_of_nothing(capsys, tmp_path):
    code, told = run_cli(capsys, "status", str(tmp_path))
    assert code == doors.BAD_REQUEST
    assert f"no job at {tmp_path}" in told


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
    assert status.main([str(tmp_path)]) == doors.OK
    told = capsys.readouterr().out
    assert "stopped without a word" in told
    assert "4 of 10 pages (40.0 %), 1 failed, 1.50 pages/s" in told


def test_a_card_that_is_none(capsys, tmp_path):
    (tmp_path / "job.json").write_text("[]")
    code, told = run_cli(capsys, "status", str(tmp_path))
    assert code == doors.BAD_REQUEST and "is not an ocray job card" in told


def test_help_names_every_door(capsys):
    code, told = run_cli(capsys, "--help")
    assert code == 0
    assert all(name in told for name, _, _ in cli.DOORS)


def test_the_bulk_door_has_the_same_options_both_ways(capsys):
    with pytest.raises(SystemExit):
        bulk_ocr.main(["--help"])
    alone = capsys.readouterr().out
    _, mounted = run_cli(capsys, "ocr", "--help")
    assert alone[alone.index("--input URI [URI ...]\n") :] == mounted[mounted.index("--input URI [URI ...]\n") :]


def test_names_that_are_no_text_are_spelled_from_the_start(tmp_path):
    """They go into job.json, the terminal and the workers' arguments."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    parser = argparse.ArgumentParser()
    bulk_ocr.add_arguments(parser)
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
        (below_a_file, doors.BAD_REQUEST, "/file/out: Not a directory; a file is where a folder should be"),
        (where_a_file_is, doors.BAD_REQUEST, "/out: File exists; a file is where a folder should be"),
        (with_too_long_a_name, doors.BAD_REQUEST, "nnn: File name too long; choose a shorter name"),
        (on_a_full_disk, doors.STORAGE_FULL, "No space left on device; make room; the same command goes on"),
        (on_a_full_disk_of_a_worker, doors.STORAGE_FULL, "/results/pages/part-0.parquet: No space left on device"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(capsys, tmp_path, write, code, named):
    assert doors.answer(lambda folder: write(folder) or 0, tmp_path) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ocray: ") and named in line


def test_a_fault_of_ours_keeps_its_traceback():
    def fault(arguments) -> int:
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        doors.answer(fault, None)


def test_an_output_that_is_a_file_holds_no_job(capsys, tmp_path):
    (tmp_path / "out").write_text("letters")
    code, told = run_cli(capsys, "status", str(tmp_path / "out"))
    assert code == doors.BAD_REQUEST and len(told.splitlines()) == 1


def test_the_version_says_what_it_runs_on(capsys):
    code, told = run_cli(capsys, "--version")
    assert code == 0
    first, second, third = told.splitlines()
    assert first.startswith(f"ocray {VERSION} (")
    assert "Ray 2." in second and "OpenVINO 20" in second
    assert third.rsplit(" ", 1)[1] in ("f32", "bf16")
