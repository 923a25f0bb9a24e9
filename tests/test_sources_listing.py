import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sources import InputError, list_documents
from tests.documents_made import encoded, picture

PNG = encoded(picture(), "PNG")


def make(folder, *names, content=PNG):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(listing, folder):
    return [os.path.relpath(document.uri, folder) for document in listing]


def test_a_folder_is_read_recursively_and_sorted(tmp_path):
    make(tmp_path, "b.PNG", "a.jpg", "sub/deep/스캔 문서 1.tiff", "sub/c.pdf", "x.webp", "y.bmp")
    make(tmp_path, "notes.txt", "sub/data.csv", "README", ".hidden.png", ".cache/z.png")
    listing = list_documents([str(tmp_path)])
    assert names(listing, tmp_path) == ["a.jpg", "b.PNG", "sub/c.pdf", "sub/deep/스캔 문서 1.tiff", "x.webp", "y.bmp"]
    assert listing.skipped == {"hidden": 2, "suffix .txt": 1, "suffix .csv": 1, "no suffix": 1}
    assert "2 × hidden" in listing.skipped_text()
    assert [document.suffix for document in listing][:2] == [".jpg", ".png"]


def test_size_and_version_come_with_the_listing(tmp_path):
    make(tmp_path, "a.png")
    (before,) = list_documents([str(tmp_path)])
    assert before.size == len(PNG) and before.version.startswith(f"{len(PNG)}-")
    os.utime(tmp_path / "a.png", ns=(1, 1))
    (after,) = list_documents([str(tmp_path / "a.png")])
    assert after.version == f"{len(PNG)}-1" != before.version


def test_the_same_file_twice_counts_once(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "sub/b.png")
    monkeypatch.chdir(tmp_path)
    inputs = [str(tmp_path), "a.png", "./sub/../a.png", f"file://{tmp_path}/a.png", "**/*.png"]
    listing = list_documents(inputs)
    assert names(listing, tmp_path) == ["a.png", "sub/b.png"]
    assert listing.duplicates == 5


def test_the_order_of_inputs_does_not_matter(tmp_path):
    make(tmp_path, "a.png", "b/c.png", "d.png")
    inputs = [str(tmp_path / "d.png"), str(tmp_path / "b"), str(tmp_path / "a.png")]
    assert list_documents(inputs).documents == list_documents(inputs[::-1]).documents


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["1.png", "2.png"]),
        ("?.jpg", ["3.jpg"]),
        ("[12].*", ["1.png", "2.png"]),
        ("**/*.png", ["1.png", "2.png", "s/4.png", "s/t/5.png"]),
        ("*/*.png", ["s/4.png"]),
        ("s/**", ["s/4.png", "s/t/5.png"]),
        ("*", ["1.png", "2.png", "3.jpg"]),
        (".h/*", [".h/6.png"]),
    ],
)
def test_globs(tmp_path, pattern, expected):
    make(tmp_path, "1.png", "2.png", "3.jpg", "s/4.png", "s/t/5.png", ".h/6.png", "7.txt")
    assert names(list_documents([str(tmp_path / pattern)]), tmp_path) == expected


def test_a_name_with_wildcards_is_that_file(tmp_path):
    make(tmp_path, "scan[1].png", "scan1.png")
    assert names(list_documents([str(tmp_path / "scan[1].png")]), tmp_path) == ["scan[1].png"]


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    make(tmp_path, "x.jpg/a.png")
    assert names(list_documents([str(tmp_path)]), tmp_path) == ["x.jpg/a.png"]
    assert names(list_documents([str(tmp_path / "x.jpg")]), tmp_path) == ["x.jpg/a.png"]


def test_an_empty_folder_named_like_an_image_is_reported(tmp_path):
    make(tmp_path, "a.png")
    (tmp_path / "x.jpg").mkdir()
    good, bad = list_documents([str(tmp_path)])
    assert good.error is None
    assert bad.uri.endswith("x.jpg") and bad.error.type == "InaccessibleDocument" and "is a folder" in bad.error.message


def test_links_are_followed_once_and_circles_end(tmp_path):
    make(tmp_path, "real/a.png")
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "zlink").symlink_to(tmp_path / "real")
    assert len(list_documents([str(tmp_path)])) == 1


def test_a_link_to_nowhere_in_a_folder_is_an_error_document(tmp_path):
    make(tmp_path, "a.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    good, bad = list_documents([str(tmp_path)])
    assert good.error is None
    assert (bad.error.stage, bad.error.type) == ("plan", "InaccessibleDocument")
    assert "link may point nowhere" in bad.error.message


def test_a_folder_inside_that_cannot_be_listed_is_an_error_document(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "locked/b.png")
    refuse_listing(monkeypatch, tmp_path / "locked")
    good, bad = list_documents([str(tmp_path)])
    assert good.error is None and bad.uri == str(tmp_path / "locked")
    assert "may not be read" in bad.error.message
    with pytest.raises(InputError, match=r"locked: may not be read.*permissions"):
        list_documents([str(tmp_path / "locked")])


def refuse_listing(monkeypatch, folder):
    """chmod 000 does not stop root, whom tests may run as."""
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path) == str(folder):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


def test_a_glob_tells_of_a_folder_it_could_not_look_into(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "locked/b.png")
    refuse_listing(monkeypatch, tmp_path / "locked")
    assert [document.error is None for document in list_documents([f"{tmp_path}/**/*.png"])] == [True, False]


def test_a_link_to_nowhere_of_another_suffix_is_skipped(tmp_path):
    make(tmp_path, "a.png")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "nowhere.txt")
    assert list_documents([str(tmp_path)]).skipped == {"suffix .txt": 1}


def test_the_output_inside_the_input_is_passed_over(tmp_path):
    make(tmp_path, "a.png", "out/exports/a.pdf", "output.png")
    listing = list_documents([str(tmp_path)], exclude=f"{tmp_path}/out/")
    assert names(listing, tmp_path) == ["a.png", "output.png"] and listing.skipped == {"in the output folder": 1}
    pq.write_table(pa.table({"document_uri": ["gone.png"]}), tmp_path / "out" / "part.parquet")
    assert len(list_documents([str(tmp_path)], exclude=f"{tmp_path}/out", image_column="image")) == 2


def test_a_pipe_in_a_folder_is_skipped(tmp_path):
    make(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    listing = list_documents([str(tmp_path)])
    assert len(listing) == 1 and listing.skipped == {"not a regular file": 1}


def test_a_named_file_of_an_unknown_format_is_an_error_document(tmp_path):
    make(tmp_path, "letter.docx", "scan")
    letter, scan = list_documents([str(tmp_path / "letter.docx"), str(tmp_path / "scan")])
    assert letter.error.type == "UnknownFormat" and ".docx" in letter.error.message
    assert scan.error is None  # no suffix: its content decides


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("missing", "missing: does not exist"),
        ("missing/*.png", "does not exist"),
        ("empty", "empty: no document in it.*png, jpg"),
        ("*.tif", r"\*\.tif: no document in it"),
        ("texts", r"skipped: 2 × suffix \.txt, 1 × hidden"),
        ("tables", "tables are read when they are named themselves"),
        ("dangling.png", "does not exist"),
    ],
)
def test_inputs_without_documents(tmp_path, given, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    make(tmp_path, "texts/a.txt", "texts/b.txt", "texts/.c.png", "tables/list.csv")
    with pytest.raises(InputError, match=says):
        list_documents([str(tmp_path / given)])


def test_no_input_and_unknown_protocols():
    with pytest.raises(InputError, match="no input"):
        list_documents([])
    with pytest.raises(InputError, match=r"nosuch://a/b: .*protocol"):
        list_documents(["nosuch://a/b"])


def test_any_fsspec_uri(tmp_path):
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in ("a.png", "sub/b.png", "c.txt", ".d.png"):
        memory.pipe_file(f"/{tmp_path.name}/{name}", PNG)
    folder = f"memory://{tmp_path.name}"
    listing = list_documents([folder, f"{folder}/**/*.png", f"{folder}/a.png"])
    assert [document.uri.rpartition(tmp_path.name)[2] for document in listing] == ["/a.png", "/sub/b.png"]
    assert listing.duplicates == 3 and listing.skipped["hidden"] == 2 and listing.skipped["suffix .txt"] == 1
    assert all(document.size == len(PNG) and document.version for document in listing)


def test_documents_in_a_zip(tmp_path):
    import zipfile

    from pipelines.documents import read_bytes

    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.writestr("in/a.png", PNG)
    (document,) = list_documents([f"zip://in::{tmp_path}/scans.zip"])
    assert document.uri == f"zip://in/a.png::{tmp_path}/scans.zip"
    assert read_bytes(document.uri) == PNG


def test_a_csv_manifest(tmp_path):
    make(tmp_path, "scans/a.png", "scans/b 한글.png", "scans/c.docx")
    other = tmp_path / "other.png"
    other.write_bytes(PNG)
    (tmp_path / "scans" / "list.csv").write_text(
        f"﻿id,uri,version\n1,a.png,\n2,b 한글.png,v7\n3,,\n4,{other},\n5,gone.png,\n6,c.docx,\n7,a.png,\n", "utf-8"
    )
    listing = list_documents([str(tmp_path / "scans" / "list.csv")])
    assert names(listing, tmp_path) == [
        "other.png",
        "scans/a.png",
        "scans/b 한글.png",
        "scans/c.docx",
        "scans/gone.png",
    ]
    errors = [document.error.type if document.error else None for document in listing]
    assert errors == [None, None, None, "UnknownFormat", "InaccessibleDocument"]
    assert listing.documents[2].version == "v7"
    assert listing.duplicates == 1 and listing.skipped == {"empty manifest row": 1}


@pytest.mark.parametrize("column", ["uri", "document_uri", "path"])
def test_a_parquet_manifest(tmp_path, column):
    make(tmp_path, "a.png", "b.png")
    pq.write_table(pa.table({column: ["a.png", f"file://{tmp_path}/b.png"]}), tmp_path / "list.parquet")
    assert names(list_documents([str(tmp_path / "list.parquet")]), tmp_path) == ["a.png", "b.png"]


def test_a_parquet_file_of_images_has_a_document_a_row(tmp_path):
    pq.write_table(pa.table({"id": list(range(12)), "photo": [PNG] * 12}), tmp_path / "images.parquet")
    listing = list_documents([str(tmp_path / "images.parquet")])
    assert [document.row for document in listing] == list(range(12))
    last = listing.documents[-1]
    assert last.uri == f"{tmp_path}/images.parquet#row=11" and last.base_uri == f"{tmp_path}/images.parquet"
    assert last.image_column == "photo" and last.version


def test_tables_by_glob_and_in_folders(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(pa.table({"image": [PNG, PNG], "path": ["x", "y"]}), tmp_path / name)
    assert len(list_documents([str(tmp_path / "*.parquet")], image_column="image")) == 4
    assert len(list_documents([str(tmp_path)], image_column="image")) == 4


@pytest.mark.parametrize(
    ("columns", "image_column", "says"),
    [
        ({"x": [1]}, None, "neither a column of images nor one of URIs"),
        ({"a": [b"1"], "b": [b"2"]}, None, "which column holds the images.*--image-column"),
        ({"image": [b"1"], "path": ["a"]}, None, "which column"),
        ({"image": [b"1"]}, "photo", "no column 'photo'; it has image"),
        ({"image": ["text"]}, "image", "is string, not encoded images"),
    ],
)
def test_tables_that_are_neither(tmp_path, columns, image_column, says):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=says):
        list_documents([str(tmp_path / "t.parquet")], image_column=image_column)


def test_broken_tables(tmp_path):
    make(tmp_path, "t.parquet", "list.csv", content=b"\xff\xfe rubbish")
    (tmp_path / "plain.csv").write_text("a.png\nb.png\n")
    for name, says in [("t.parquet", "table cannot be read"), ("list.csv", "table"), ("plain.csv", "header.*a.png")]:
        with pytest.raises(InputError, match=rf"{name}: .*{says}"):
            list_documents([str(tmp_path / name)])


def test_what_is_passed_over_is_reported_in_lines_for_people(tmp_path):
    make(tmp_path, "a.png", *(f"photo{number}.tga" for number in range(3)), "notes.txt")
    listing = list_documents([str(tmp_path), str(tmp_path / "a.png")])
    assert listing.notes() == [
        "4 files skipped: 3 × suffix .tga, 1 × suffix .txt",
        "1 document named more than once, read once",
    ]
    assert list_documents([str(tmp_path / "a.png")]).notes() == []


def test_many_reasons_are_reported_in_one_line_of_some_length(tmp_path):
    make(tmp_path, "a.png", *(f"a.{number:03}" for number in range(50)))
    (note,) = list_documents([str(tmp_path)]).notes()
    assert note.startswith("50 files skipped: 1 × suffix") and note.endswith(", 38 × others")
