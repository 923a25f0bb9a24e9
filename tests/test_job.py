"""The card of a job: what makes two runs the same job, and what becomes of it when storage fails."""

import json
import os

import pytest

from common.storage import OutputError, Storage
from pipelines.job import JobCard, JobError, place, read_card
from pipelines.readers.registry import load_reader


def opened(output, inputs, reader=None, overwrite=False) -> JobCard:
    reader = reader or load_reader("documents")
    return JobCard.open(Storage(str(output)), inputs=inputs, reader=reader, device="cpu", hosts=1, overwrite=overwrite)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["{folder}/scans"], ["{folder}/scans/"]),
        (["{folder}/scans"], ["{folder}/other/../scans"]),
        (["{folder}/scans"], ["file://{folder}/scans"]),
        (["{folder}/a", "{folder}/b"], ["{folder}/b", "{folder}/a", "{folder}/a"]),
        (["s3://bucket/scans"], ["s3a://bucket/scans/"]),
    ],
)
def test_the_same_places_are_the_same_job(tmp_path, one, other):
    one, other = ([given.format(folder=tmp_path) for given in inputs] for inputs in (one, other))
    opened(tmp_path / "out", one)
    assert opened(tmp_path / "out", other).content["runs"] == 2


def test_the_same_name_elsewhere_is_another_job(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name / "scans").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "first")
    opened(tmp_path / "out", ["scans"])
    monkeypatch.chdir(tmp_path / "second")
    with pytest.raises(JobError, match=r"inputs were \['.*first/scans'\], now \['.*second/scans'\]"):
        opened(tmp_path / "out", ["scans"])
    monkeypatch.chdir(tmp_path / "first")
    assert opened(tmp_path / "out", [f"{tmp_path}/first/scans"]).content["runs"] == 2


def test_places_are_absolute_and_text():
    assert place("scans") == f"{os.getcwd()}/scans"
    assert place("memory://x/") == "memory://x"
    assert place(os.fsdecode(b"/caf\xe9/")) == "file:///caf%E9"


def test_a_raised_reading_version_is_another_job_and_changed_code_is_not(tmp_path, monkeypatch):
    reader = load_reader("documents")
    opened(tmp_path / "out", ["/scans"])
    card = json.loads((tmp_path / "out" / "job.json").read_text())
    (tmp_path / "out" / "job.json").write_text(json.dumps(card | {"code": "another digest"}))
    assert opened(tmp_path / "out", ["/scans"]).content["runs"] == 2
    version = reader.reading_version
    monkeypatch.setattr(type(reader), "reading_version", version + 1)
    with pytest.raises(
        JobError, match=rf"reads otherwise: reading version was {version}, now {version + 1}.*--overwrite"
    ):
        opened(tmp_path / "out", ["/scans"])


def test_a_status_that_cannot_be_written_is_reported_once_and_written_when_it_can(tmp_path, caplog):
    card = opened(tmp_path / "out", ["/scans"])
    (tmp_path / "out").rename(tmp_path / "away")
    (tmp_path / "out").write_text("a file")
    for pages in range(3):
        card.save(counts={"done": pages})
    (reported,) = caplog.records
    assert "job.json cannot be written: File exists; a file is where a folder should be" in reported.getMessage()
    with pytest.raises(OutputError, match="a file is where a folder should be"):
        card.close("finished")
    card.close_after(RuntimeError("of the job"))  # what ended the job is told, not this
    (tmp_path / "out").unlink()
    card.save(counts={"done": 7})
    assert read_card(Storage(str(tmp_path / "out")))["counts"] == {"done": 7}


def test_how_a_run_ended(tmp_path):
    for error, state in ((KeyboardInterrupt(), "interrupted"), (RuntimeError("\x1b[36mred\x1b[39m"), "failed")):
        card = opened(tmp_path / state, ["/scans"])
        card.close_after(error)
        found = read_card(Storage(str(tmp_path / state)))
        assert found["state"] == state and "\x1b" not in found["failure"] and found["finished"]
