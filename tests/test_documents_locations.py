"""URIs: every name a listing gives leads back to its file, whatever characters are in it."""

import json
import os
import unicodedata
import zipfile

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from common.storage.locations import is_uri, local_path, open_filesystem, spelled, split_chain
from pipelines.documents import DocumentCache, Limits, load_page, read_bytes
from pipelines.documents.rows import base_uri, row_uri, split_row
from pipelines.exports.publish import document_name, document_stem
from pipelines.readers.documents.record import PageRecord
from pipelines.records import MANIFEST_SCHEMA
from pipelines.source_pages import SourcePages
from pipelines.sources import list_documents, plan_pages
from tests.documents_made import encoded, picture

ODD_KEYS = [
    "x.png",
    "x.png::y.png",
    "zip::a.png",
    "::a.png",
    "a::/b.png",
    "a::s3://b.png",
    "a#b.png",
    "a#row=3.png",
    "x#row=3",
    "x#row=-1",
    "x.parquet#row=3",
    "x.parquet#row=3#row=4",
    "100%.png",
    "a%20b.png",
    "a%2Fb.png",
    "a b+c&d=e.png",
    "a?b.png",
    "a?x=1&y.png",
    "[1].png",
    "a*.png",
    "a//b.png",
    "~a.png",
    "{a}.png",
    "\\a.png",
    "한글 문서.png",
    unicodedata.normalize("NFD", "한글.png"),
]


def read_back(*inputs):
    """Each document's own content (its width says which it is), by all ways that lead to it: from the manifest's row,
    and from its record alone."""
    rows = plan_pages(list_documents(list(inputs)))
    assert [row["error"] for row in rows] == [None] * len(rows)
    rows = pa.Table.from_pylist(rows, MANIFEST_SCHEMA).to_pylist()
    pages = SourcePages(Limits())
    cache, widths = DocumentCache(), []
    for row in rows:
        image = load_page(cache, row["document_uri"], 1, 1, row=row["row"], image_column=row["image_column"]).image
        record = PageRecord(page_id="a", document_uri=row["document_uri"], page_number=1, page_count=1)
        assert pages.page(record).shape == image.shape
        widths.append(image.shape[1])
    assert len({row["document_uri"] for row in rows}) == len({document_stem(row["document_uri"]) for row in rows})
    return sorted(widths)


def content(number):
    return encoded(picture(40, 50 + number), "PNG")


def expected(count):
    return [50 + number for number in range(count)]


@pytest.fixture(params=["s3", "memory", "local"])
def folder(request, tmp_path):
    """URI of an empty folder."""
    if request.param == "s3":
        s3fs.S3FileSystem.clear_instance_cache()
        return f"{request.getfixturevalue('s3')}/scans"
    return f"memory://{tmp_path.name}" if request.param == "memory" else str(tmp_path)


def fill(folder, names):
    filesystem, root = open_filesystem(folder)
    names = [name for name in names if local_path(folder) is None or "//" not in name]
    for number, name in enumerate(names):
        path = f"{root}/{name}"
        if local_path(folder) is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content(number))
        else:
            filesystem.pipe_file(path, content(number))
    return names


def test_odd_names_are_read_as_themselves(folder):
    names = fill(folder, [name for name in ODD_KEYS if name.endswith(".png")])
    assert read_back(folder) == expected(len(names))


def test_odd_names_that_are_given_one_by_one(folder):
    names = fill(folder, [name for name in ODD_KEYS if "#row=" not in name])
    assert read_back(*(f"{folder}/{name}" for name in names)) == expected(len(names))


def test_odd_names_in_a_manifest(folder):
    names = fill(folder, [name for name in ODD_KEYS if name.endswith(".png") and not is_uri(name)])
    filesystem, root = open_filesystem(folder)
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"uri": names}), buffer)
    filesystem.pipe_file(f"{root}/list.parquet", buffer.getvalue().to_pybytes())
    assert read_back(f"{folder}/list.parquet") == expected(len(names))


def test_a_manifest_made_of_records(folder):
    """`document_uri` of records names the same documents, rows of Parquet files too."""
    filesystem, root = open_filesystem(folder)
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": [content(0), content(1)]}), buffer)
    filesystem.pipe_file(f"{root}/x.parquet", buffer.getvalue().to_pybytes())
    filesystem.pipe_file(f"{root}/y.parquet#row=1", content(2))
    filesystem.pipe_file(f"{root}/a#row=1", content(3))
    first = list_documents([f"{folder}/x.parquet", f"{folder}/a#row=1"]).documents
    buffer = pa.BufferOutputStream()
    uris = [document.uri for document in first]
    pq.write_table(pa.table({"document_uri": [*uris, f"{folder}/y.parquet#row=1"]}), buffer)
    filesystem.pipe_file(f"{root}/list.parquet", buffer.getvalue().to_pybytes())
    again = list_documents([f"{folder}/list.parquet"]).documents
    assert [document for document in again if "y.parquet" not in document.uri] == first
    (key,) = (document for document in again if "y.parquet" in document.uri)
    assert key.row == -1 and key.base_uri.endswith("/y.parquet#row=1") and read_bytes(key.base_uri) == content(2)
    filesystem.rm_file(f"{root}/x.parquet")
    gone = [document for document in list_documents([f"{folder}/list.parquet"]) if document.row >= 0]
    assert [document.error.type for document in gone] == ["InaccessibleDocument"] * 2


def test_a_parquet_row_and_a_file_of_that_name(folder):
    filesystem, root = open_filesystem(folder)
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": [content(0), content(1)]}), buffer)
    filesystem.pipe_file(f"{root}/x.parquet", buffer.getvalue().to_pybytes())
    filesystem.pipe_file(f"{root}/a#row=1", content(2))
    (row0, row1) = list_documents([f"{folder}/x.parquet"])
    assert row1.uri.endswith("/x.parquet#row=1") and row0.row == 0
    (plain,) = list_documents([f"{folder}/a#row=1"])
    assert plain.uri.endswith("/a#row=1#row=-1") and plain.row == -1 and plain.base_uri.endswith("/a#row=1")
    assert read_back(f"{folder}/x.parquet", f"{folder}/a#row=1") == expected(3)


@pytest.mark.parametrize("uri", ["/a.png", "s3://b/a#row=3", "/a#row=-1", "/a#row=3#row=-1", "/a#row=x", "/a#row="])
@pytest.mark.parametrize("row", [-1, 0, 17])
def test_rows_and_back(uri, row):
    assert split_row(row_uri(uri, row)) == (uri, row)
    assert base_uri(row_uri(uri, row), row) == uri


@pytest.mark.parametrize(
    ("uri", "links"),
    [
        ("s3://b/x.png::y.png", ["s3://b/x.png::y.png"]),
        ("zip://a.png::s3://b/c::d.zip", ["zip://a.png", "s3://b/c::d.zip"]),
        ("zip://a::b.png::/tmp/one.zip", ["zip://a::b.png", "/tmp/one.zip"]),
        ("zip://a.png::one.zip", ["zip://a.png", "one.zip"]),
        ("zip://a.png::zip://b.zip::/c.zip", ["zip://a.png", "zip://b.zip", "/c.zip"]),
        ("simplecache::s3://b/c.png", ["simplecache://", "s3://b/c.png"]),
        ("zip://a::simplecache::s3://b/c.zip", ["zip://a", "simplecache://", "s3://b/c.zip"]),
        ("/tmp/a::b.png", ["/tmp/a::b.png"]),
        ("zip::a.png", ["zip::a.png"]),
    ],
)
def test_chains(uri, links):
    assert split_chain(uri) == links


def make_zip(path, names, first=0):
    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names, first):
            archive.writestr(name, content(number))


def test_members_of_archives_in_a_manifest(tmp_path):
    make_zip(tmp_path / "one.zip", ["a.png", "in/b::c.png"])
    make_zip(tmp_path / "two::2.zip", ["a.png"], first=2)
    rows = [
        f"zip://a.png::{tmp_path}/one.zip",
        f"zip://in/b::c.png::{tmp_path}/one.zip",
        f"zip://a.png::{tmp_path}/two::2.zip",
        f"zip://a.png::{tmp_path}/none.zip",
        f"zip://none.png::{tmp_path}/one.zip",
    ]
    (tmp_path / "list.csv").write_text("uri\n" + "\n".join(rows))
    listing = list_documents([str(tmp_path / "list.csv")])
    errors = {document.uri: document.error.type for document in listing if document.error}
    assert errors == {rows[3]: "InaccessibleDocument", rows[4]: "InaccessibleDocument"}
    assert read_back(*rows[:3]) == expected(3)
    assert [document.uri for document in listing if not document.error] == sorted(rows[:3])


def test_a_manifest_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("in/a.png", content(0))
        archive.writestr("in/list.csv", "uri\na.png\n")
    assert read_back(f"zip://in/list.csv::{tmp_path}/one.zip") == [50]


def test_an_archive_named_by_a_relative_path(tmp_path, monkeypatch):
    make_zip(tmp_path / "one.zip", ["a.png"])
    monkeypatch.chdir(tmp_path)
    (document,) = list_documents(["zip://::one.zip"])
    assert document.uri == f"zip://a.png::{tmp_path}/one.zip"
    assert document_name(document.uri) == "a.png" and document_stem(document.uri).startswith("a-")


def test_an_archive_whose_name_has_wildcards(tmp_path):
    make_zip(tmp_path / "one[1].zip", ["in/a.png"])
    assert read_back(f"zip://in::{tmp_path}/one[1].zip") == [50]


def test_a_cache_over_a_bucket(tmp_path):
    fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/a.png", content(0))
    (document,) = list_documents([f"simplecache::memory://{tmp_path.name}"])
    assert read_bytes(document.uri) == content(0)


BAD_NAMES = [b"caf\xe9.png", "영수증.png".encode("cp949"), b"\xff\xfe.png", b"ctrl\x01.png", b"line\nbreak.png"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_no_text(tmp_path, name):
    """Bytes of old code pages, control characters: read, under a spelling that is text."""
    with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
        file.write(content(0))
    (tmp_path / "good.png").write_bytes(content(1))
    bad = next(document for document in list_documents([str(tmp_path)]) if "good" not in document.uri)
    assert bad.uri.isprintable() and bad.uri.encode() and json.dumps(bad.uri)
    assert local_path(bad.uri) == os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    assert document_name(bad.uri).endswith(".png") and document_stem(bad.uri)
    assert read_back(str(tmp_path)) == expected(2)
    assert read_back(bad.uri) == read_back(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)) == [50]


def test_the_spelling_is_no_other_files(tmp_path):
    """A file that is called as another one is spelled."""
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        file.write(content(0))
    (tmp_path / "caf%E9.png").write_bytes(content(1))
    assert read_back(str(tmp_path)) == expected(2)
    assert spelled(str(tmp_path / "caf%E9.png")) == str(tmp_path / "caf%E9.png")


def test_folders_tables_and_archives_with_such_names(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + "/영수증".encode("cp949"))
    os.mkdir(folder)
    with open(f"{folder}/100%25.png", "wb") as file:
        file.write(content(0))
    make_zip(f"{folder}/one.zip", ["a.png"], first=1)
    with open(f"{folder}/images.parquet", "wb") as file:
        pq.write_table(pa.table({"image": [content(2)]}), file)
    with open(f"{folder}/list.csv", "w") as file:
        file.write("uri\n100%25.png\n")
    assert read_back(folder) == read_back(f"{folder}/list.csv") == read_back(f"{folder}/*.png") == [50]
    assert read_back(f"zip://a.png::{folder}/one.zip") == [51]
    assert read_back(f"{folder}/images.parquet") == [52]


@pytest.mark.parametrize(("on_disk", "requested"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_in_another_unicode_form(tmp_path, on_disk, requested):
    """As macOS writes names, and as people type them."""
    folder = tmp_path / unicodedata.normalize(on_disk, "문서 é")
    folder.mkdir()
    (folder / unicodedata.normalize(on_disk, "스캔.png")).write_bytes(content(0))
    typed = f"{tmp_path}/{unicodedata.normalize(requested, '문서 é')}"
    (tmp_path / "list.csv").write_text(f"uri\n{unicodedata.normalize(requested, '문서 é/스캔.png')}\n", "utf-8")
    given = [f"{typed}/{unicodedata.normalize(requested, '스캔.png')}", typed, f"{typed}/*.png", f"{tmp_path}/list.csv"]
    found = [list_documents([each]).documents for each in given]
    assert all(documents == found[0] for documents in found) and found[0][0].error is None
    assert read_back(*given) == [50]


def test_file_uris(tmp_path):
    (tmp_path / "e f.png").write_bytes(content(0))
    (tmp_path / "100%.png").write_bytes(content(1))
    (tmp_path / "as%20is.png").write_bytes(content(2))
    uris = [f"file://{tmp_path}/e%20f.png", f"file://{tmp_path}/100%.png", f"file://{tmp_path}/as%20is.png"]
    assert read_back(*uris) == expected(3)
    assert read_back(f"file://{tmp_path}/e f.png") == [50]
