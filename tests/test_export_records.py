"""Exports and reports of a job that was read before, written by the command line without reading its pages."""

import json

import pytest

from common.errors import ExitCode
from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import PageRecord
from ray_apps.cli.main import main as ocray
from tests.pages import write_page

BOX = [[9, 9], [99, 9], [99, 29], [9, 29]]


def record(document_uri: str) -> PageRecord:
    return PageRecord(
        page_id=document_uri.encode().hex()[-16:], document_uri=document_uri, page_number=1, page_count=1, width=800,
        height=600, text="영수증", skew_degrees=0.0, orientation_degrees=0,
        lines=[{"text": "영수증", "confidence": 0.9, "polygon": BOX, "language": "ko"}],
    )  # fmt: skip


@pytest.fixture
def output(tmp_path):
    """Return the output of a finished job with one page that can be opened, and one that is gone."""
    write_page(tmp_path / "there.png", ["receipt"])
    folder = tmp_path / "out"
    records = [record(str(tmp_path / name)) for name in ("there.png", "gone.png")]
    Ledger(Storage(str(folder))).commit("part-a.parquet", records)
    card = {"name": "night", "identity": {}, "state": "finished", "config": {"reader": "documents"}}
    (folder / "job.json").write_text(json.dumps(card))
    return folder


def test_exports_and_report_are_written_again(output, capsys, caplog):
    assert ocray(["export-records", str(output), "--export", "text,pdf", "--report"]) == ExitCode.OK
    assert capsys.readouterr().out == f"report {output}/report.html\nexported 2 text, 2 pdf\n"
    texts = [path.read_text("utf-8") for path in (output / "exports" / "text").iterdir()]
    assert len(texts) == 2 and all("영수증" in text for text in texts)
    assert len(list((output / "exports" / "pdf").iterdir())) == 2
    assert "1 pages were exported without their picture" in caplog.text
    assert "night" in (output / "report.html").read_text("utf-8")


def test_only_what_is_named_is_written(output):
    assert ocray(["export-records", str(output), "--export", "jsonl"]) == ExitCode.OK
    assert not (output / "report.html").exists()
    assert [path.name for path in (output / "exports").iterdir()] == ["jsonl"]


def test_an_unfinished_job_is_named_so(output, capsys):
    card = json.loads((output / "job.json").read_text())
    (output / "job.json").write_text(json.dumps(card | {"state": "incomplete"}))
    assert ocray(["export-records", str(output), "--export", "text"]) == ExitCode.OK
    assert "the job is incomplete: this is what it has read so far" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to write; give --export FORMATS, --sink KIND:PLACE or --report"),
        (["--export", "docx"], "no export format docx; known: jsonl, text, md, csv, hocr, alto, pdf"),
    ],
)
def test_what_cannot_be_written_is_refused(output, capsys, options, message):
    assert ocray(["export-records", str(output), *options]) == ExitCode.BAD_REQUEST
    assert message in capsys.readouterr().err
    assert not (output / "exports").exists()


def test_a_folder_without_a_job(tmp_path, capsys):
    assert ocray(["export-records", str(tmp_path), "--report"]) == ExitCode.BAD_REQUEST
    assert f"no job at {tmp_path}" in capsys.readouterr().err


def test_a_job_without_records(tmp_path, capsys):
    card = {"name": "night", "identity": {}, "state": "running", "config": {"reader": "documents"}}
    (tmp_path / "job.json").write_text(json.dumps(card))
    assert ocray(["export-records", str(tmp_path), "--report"]) == ExitCode.BAD_REQUEST
    assert "holds no records yet" in capsys.readouterr().err
