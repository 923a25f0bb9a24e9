"""What a repeated export may not do: replace a good file by a poorer one, leave half files, or end the process."""

import errno
import logging
import os
import re
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from xml.etree import ElementTree

import numpy as np
import pikepdf
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.storage import Storage
from pipelines.documents import Limits
from pipelines.exports.export import export
from pipelines.exports.store import RecordStore
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import PageRecord
from pipelines.records import PageError
from pipelines.report.job_report import write_report
from pipelines.source_pages import SourcePages
from tests.pages import write_page

XML_FORMATS = ["hocr", "alto"]
NOISE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)


def good(uri="/in/a.png", number=1, count=1, text="") -> PageRecord:
    return PageRecord(
        page_id=f"{text}{number}", document_uri=uri, page_number=number, page_count=count, width=800, height=600,
        text=text, skew_degrees=0.0, orientation_degrees=0,
        lines=[{"text": text, "confidence": 0.9, "polygon": [[9, 9], [99, 9], [99, 29], [9, 29]], "language": "en"}],
    )  # fmt: skip


def bad(uri="/in/a.png", number=1, count=1, message="gone") -> PageRecord:
    error = PageError(stage="decode", type="UnreadableDocument", message=message)
    return PageRecord(
        page_id=f"bad{number}", document_uri=uri, page_number=number, page_count=count, status="error", error=error
    )


def noise(record) -> np.ndarray:
    return NOISE


def gone(record) -> np.ndarray:
    raise FileNotFoundError("gone")


def commit(folder, *records, part="a"):
    Ledger(Storage(str(folder))).commit(f"part-{part}.parquet", list(records))


def exported(folder, pattern="*/*"):
    return {path.name: path.read_bytes() for path in folder.glob(f"exports/{pattern}")}


def images(content_or_path) -> list[int]:
    """Return how many pictures each page of a PDF has."""
    with pikepdf.open(content_or_path) as pdf:
        return [len(page.images) for page in pdf.pages]


def test_a_pdf_with_pictures_outlives_its_source(tmp_path, caplog):
    commit(tmp_path, good(number=1, count=2, text="one"), good(number=2, count=2, text="two"), good("/in/b.png"))
    assert export(str(tmp_path), ["pdf", "text"], load_page=noise) == {"pdf": 2, "text": 2}
    before = exported(tmp_path)

    def partly(record):
        return gone(record) if record.page_number == 2 else NOISE

    assert export(str(tmp_path), ["pdf", "text"], load_page=partly) == {"pdf": 1, "text": 2}
    assert exported(tmp_path) == before
    assert "1 earlier pdf exports are kept" in caplog.text and "/in/a.png" in caplog.text


def test_without_an_earlier_export_the_text_is_written_and_the_lack_told(tmp_path, caplog):
    commit(tmp_path, good(number=1, count=2), good(number=2, count=2), good("/in/b.png"))
    assert export(str(tmp_path), ["pdf"], load_page=gone) == {"pdf": 2}
    assert sorted(images(path) for path in tmp_path.glob("exports/pdf/*")) == [[0], [0, 0]]
    assert "3 pages were exported without their picture; the first: /in/a.png" in caplog.text
    export(str(tmp_path), ["pdf"], load_page=noise)  # the source is back
    assert sorted(images(path) for path in tmp_path.glob("exports/pdf/*")) == [[1], [1, 1]]


def test_a_document_that_failed_altogether_leaves_its_exports(tmp_path, caplog):
    formats = ["pdf", "text", "hocr", "alto"]
    commit(tmp_path, good(text="good"), good("/in/b.png", 1, 2), good("/in/b.png", 2, 2))
    export(str(tmp_path), formats, load_page=noise)
    before = exported(tmp_path)
    commit(tmp_path, bad(), bad("/in/b.png", 1, 2), good("/in/b.png", 2, 2), bad("/in/new.png"))
    counts = export(str(tmp_path), formats, load_page=noise)
    assert counts == dict.fromkeys(formats, 2)  # b, of which a page was read, and what has no earlier export
    after = exported(tmp_path)
    for name, content in before.items():
        assert (after[name] == content) == name.startswith("a-")
    assert len(after) == len(before) + 4 and "earlier alto exports are kept" in caplog.text


def test_a_page_that_is_there_twice_is_exported_once(tmp_path):
    """As outputs of earlier versions have it, whose document had changed."""
    commit(tmp_path, good(text="old"), bad("/in/b.png"), part="a")
    commit(tmp_path, bad(), good("/in/b.png", text="new"), part="b")
    assert [len(document) for document in RecordStore(str(tmp_path), PageRecord).documents()] == [1, 1]
    export(str(tmp_path), ["text", "hocr", "alto", "jsonl"], load_page=noise)
    assert sorted(exported(tmp_path, "text/*").values()) == [b"new\n", b"old\n"]
    for path in [*tmp_path.glob("exports/hocr/*"), *tmp_path.glob("exports/alto/*")]:
        ids = [
            value for element in ElementTree.parse(path).iter() for key, value in element.items() if key.lower() == "id"
        ]
        assert ids and len(ids) == len(set(ids))


def test_control_characters_in_keys_and_messages(tmp_path):
    uri = "s3://bucket/ctrl\x01 bell\x07.png"
    commit(tmp_path, good(uri, 1, 2), bad(uri, 2, 2, "a \x08 b"))
    export(str(tmp_path), ["text", "hocr", "alto", "pdf"], load_page=noise)
    for path in [*tmp_path.glob("exports/hocr/*"), *tmp_path.glob("exports/alto/*")]:
        assert "ctrl\ufffd bell" in path.read_text("utf-8")
        ElementTree.parse(path)
    (path,) = tmp_path.glob("exports/pdf/*")
    assert images(path) == [1, 0]


@pytest.mark.parametrize("image_column", [None, "scan"])
def test_rows_of_a_parquet_file_have_their_pictures(tmp_path, image_column):
    """Whether or not the column was named, and beside a file that is called as a row is."""
    contents = [write_page(tmp_path / f"{name}.png", [name]).read_bytes() for name in ("one", "two")]
    columns = {"id": [1, 2], "scan": contents} | ({"other": [b"", b""]} if image_column else {})
    pq.write_table(pa.table(columns), tmp_path / "im.parquet")
    plain = write_page(tmp_path / "a#row=3.png", ["three"], width=700)
    records = [good(f"{tmp_path}/im.parquet#row={row}") for row in (0, 1)]
    records = [record.model_copy(update={"width": 640, "height": 400}) for record in records]
    commit(tmp_path / "out", *records, good(str(plain)).model_copy(update={"width": 700, "height": 400}))
    pages = SourcePages(Limits(), image_column)
    assert pages.page(records[1]).shape == (400, 640, 3) and pages.original(records[1]) == contents[1]
    export(str(tmp_path / "out"), ["pdf"], load_page=pages.page, load_original=pages.original)
    assert [images(path) for path in (tmp_path / "out").glob("exports/pdf/*")] == [[1]] * 3
    write_report(str(tmp_path / "out"), load_page=pages.page)
    assert "Picture not available" not in (tmp_path / "out" / "report.html").read_text("utf-8")


@contextmanager
def small_disk(folder, kib: int):
    """Return a file system of `kib` at `folder`, or where none may be mounted a limit on the size of files; else a
    skip."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            yield errno.ENOSPC
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kib * 1024, hard))
    try:
        yield errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("pages", [1, 70])  # the second goes through chunks in a temporary folder
def test_a_full_disk_is_an_error_and_leaves_nothing_behind(tmp_path, pages):
    with small_disk(tmp_path / "out", 200) as number:
        commit(tmp_path / "out", *(good(number=page, count=pages) for page in range(1, pages + 1)))
        with pytest.raises(OSError) as reported:
            export(str(tmp_path / "out"), ["pdf", "text", "alto"], load_page=noise)
        assert reported.value.errno == number
        files = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert files == ["part-a.parquet"]


def test_a_full_disk_does_not_end_the_process(tmp_path):
    """With 0 bytes left qpdf's own clean-up fails too."""
    script = """
import sys
from tests.test_exports_kept import export, noise
try:
    export(sys.argv[1], ["pdf"], load_page=noise)
except OSError as error:
    print(error.errno)
"""
    with small_disk(tmp_path / "out", 64) as number:
        commit(tmp_path / "out", good())
        for left in (0, 4096):
            free = os.statvfs(tmp_path / "out")
            filler = bytes(free.f_bavail * free.f_bsize - left) if number == errno.ENOSPC else b""
            (tmp_path / "out" / "filler").write_bytes(filler)
            ended = subprocess.run(
                [sys.executable, "-c", script, tmp_path / "out"], capture_output=True, text=True, check=False
            )
            assert (ended.returncode, ended.stdout.strip()) == (0, str(number)), ended.stderr
            (tmp_path / "out" / "filler").unlink()


def test_a_name_tells_the_row_and_not_a_file_that_ends_like_one(tmp_path):
    from pipelines.exports.publish import document_name, document_stem

    assert document_name("/in/im.parquet#row=3") == "im.parquet#row=3"
    assert re.fullmatch(r"im_row3-\w{8}", document_stem("/in/im.parquet#row=3"))
    assert document_name("/in/a#row=3.png") == "a#row=3.png"
    assert re.fullmatch(r"a_row_3-\w{8}", document_stem("/in/a#row=3.png"))
    assert document_name("/in/x#row=3#row=-1") == "x#row=3"


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog):
    caplog.set_level(logging.WARNING)
