"""Exports in shards: in this process, and side by side on Ray."""

import json

import pytest
import ray

from common.errors import ExitCode
from common.storage import Storage
from pipelines.documents import Limits
from pipelines.exports import shards
from pipelines.exports.export import export
from pipelines.exports.shards import shards_of
from pipelines.exports.store import RecordStore
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import PageRecord
from pipelines.records import page_id
from pipelines.source_pages import SourcePages
from ray_apps.cli.main import main as ocray
from tests.documents_made import multi_page, picture

SIZES = [1, 3, 1, 1, 2]  # pages of the documents


def record(uri: str, number: int, count: int) -> PageRecord:
    line = {"text": f"{number} of {uri[-5:]}", "confidence": 0.9, "polygon": [[9, 9], [99, 9], [99, 29], [9, 29]]}
    return PageRecord(
        page_id=page_id(uri, "v", number), document_uri=uri, page_number=number, page_count=count, width=800,
        height=600, text=line["text"], skew_degrees=0.0, orientation_degrees=0, lines=[line | {"language": "en"}],
    )  # fmt: skip


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / "out"
    book = Ledger(Storage(str(folder)))
    for number, pages in enumerate(SIZES):
        (tmp_path / f"{number}.tif").write_bytes(multi_page([picture()] * pages, "TIFF"))
        uri = str(tmp_path / f"{number}.tif")
        book.commit(f"part-{number}.parquet", [record(uri, page, pages) for page in range(1, pages + 1)])
    (folder / "job.json").write_text('{"identity": {}, "state": "finished", "config": {"reader": "documents"}}')
    return folder


def written(output) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in sorted((output / "exports").rglob("*"))
        if path.is_file()
    }


def test_documents_stay_whole_and_in_order(output, monkeypatch):
    documents = RecordStore(str(output), PageRecord).documents()
    (whole,) = shards_of(documents)
    assert [len(document) for document in whole.documents] == SIZES and (whole.number, whole.count) == (1, 1)
    monkeypatch.setattr(shards, "PAGES_A_SHARD", 3)
    parts = list(shards_of(documents))
    assert [[len(document) for document in part.documents] for part in parts] == [[1, 3], [1, 1], [2]]
    assert [(part.number, part.count) for part in parts] == [(1, 3), (2, 3), (3, 3)]
    monkeypatch.setattr(shards, "PAGES_A_SHARD", 1)
    parts = list(shards_of(documents))
    assert [part.count for part in parts] == [8] * 8 and [part.number for part in parts] == list(range(1, 9))
    assert [len(d) for part in parts for d in part.documents] == SIZES


def test_shards_are_what_the_whole_is(output, monkeypatch):
    pages = SourcePages(Limits())
    formats = ["jsonl", "text", "pdf"]
    assert export(str(output), formats, load_page=pages.page) == {"jsonl": 1, "text": 5, "pdf": 5}
    whole = written(output)
    monkeypatch.setattr(shards, "PAGES_A_SHARD", 3)
    assert not ray.is_initialized()
    assert export(str(output), formats, load_page=pages.page) == {"jsonl": 3, "text": 5, "pdf": 5}
    parts = written(output)
    names = [f"jsonl/pages-0000{number}-of-00003.jsonl" for number in (1, 2, 3)]
    assert [name for name in parts if name.startswith("jsonl")] == names, "the file of the whole is gone"
    assert b"".join(parts[name] for name in names) == whole["jsonl/pages.jsonl"]
    texts = {name: content for name, content in whole.items() if name.startswith("text")}
    assert {name: content for name, content in parts.items() if name.startswith("text")} == texts


def test_shards_on_ray(local_ray, output, monkeypatch, caplog):
    (output.parent / "3.tif").unlink()
    pages = SourcePages(Limits())
    export(str(output), ["jsonl", "pdf"], load_page=pages.page, load_original=pages.original)
    lines = written(output)["jsonl/pages.jsonl"]
    monkeypatch.setattr(shards, "PAGES_A_SHARD", 2)
    caplog.clear()
    counts = export(str(output), ["jsonl", "pdf"], load_page=pages.page, load_original=pages.original)
    assert counts == {"jsonl": 4, "pdf": 4}, "a PDF is kept whose picture is gone"
    assert "1 earlier pdf exports are kept" in caplog.text and "3.tif" in caplog.text
    assert b"".join(content for name, content in written(output).items() if name.startswith("jsonl")) == lines


def test_many_pages_are_exported_on_a_ray(local_ray, output, monkeypatch, capsys):
    monkeypatch.setattr(shards, "PAGES_A_SHARD", 4)
    connected = []
    monkeypatch.setattr("ray_apps.cli.export_records.connect", connected.append)
    assert ocray(["export-records", str(output), "--export", "jsonl"]) == ExitCode.OK
    assert connected == [], "few parts need no Ray"
    monkeypatch.setattr("ray_apps.cli.export_records._MANY_PARTS", 3)
    assert ocray(["export-records", str(output), "--export", "jsonl"]) == ExitCode.OK
    assert connected == [None]
    assert ocray(["export-records", str(output), "--export", "jsonl", "--address", "there:1"]) == ExitCode.OK
    assert connected == [None, "there:1"]
    assert capsys.readouterr().out.count("exported 2 jsonl") == 3
    assert ocray(["export-records", str(output), "--report"]) == ExitCode.OK
    assert connected == [None, "there:1", None], "the report of many parts is put together on Ray, too"
    rows = [json.loads(line) for name, text in written(output).items() for line in text.splitlines()]
    assert len(rows) == sum(SIZES)
