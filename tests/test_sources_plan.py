import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.documents import DocumentCache, DocumentError, Limits, load_page
from pipelines.records import MANIFEST_SCHEMA, page_id
from pipelines.sources import list_documents, plan_pages
from tests.documents_made import encoded, multi_page, pdf, picture, png_header


def plan(*inputs, limits=None):
    return plan_pages(list_documents([str(given) for given in inputs]), limits)


def test_one_row_a_page(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(picture(), "PNG"))
    (tmp_path / "b.tif").write_bytes(multi_page([picture()] * 3, "TIFF"))
    (tmp_path / "c.pdf").write_bytes(pdf([(72, 72)] * 2))
    rows = plan(tmp_path)
    assert [(row["document_uri"][-5:], row["page_number"], row["page_count"]) for row in rows] == [
        ("a.png", 1, 1), ("b.tif", 1, 3), ("b.tif", 2, 3), ("b.tif", 3, 3), ("c.pdf", 1, 2), ("c.pdf", 2, 2)
    ]  # fmt: skip
    assert all(row["error"] is None for row in rows)
    assert rows[2]["page_id"] == page_id(rows[2]["document_uri"], rows[2]["version"], 2)
    assert len({row["page_id"] for row in rows}) == 6
    assert pa.Table.from_pylist(rows, MANIFEST_SCHEMA).to_pylist() == rows


def test_images_are_not_opened(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"whatever")
    documents = list_documents([str(tmp_path)])
    (tmp_path / "a.jpg").unlink()
    assert plan_pages(documents)[0]["page_count"] == 1


def test_a_wrong_suffix_does_not_hide_what_a_document_is(tmp_path):
    (tmp_path / "a.pdf").write_bytes(encoded(picture(), "PNG"))
    (tmp_path / "scan").write_bytes(multi_page([picture()] * 2, "TIFF"))
    assert [row["page_count"] for row in plan(tmp_path / "a.pdf", tmp_path / "scan")] == [1, 2, 2]


BAD = {
    "empty.png": (b"", "EmptyDocument", "0 bytes"),
    "empty.pdf": (b"", "EmptyDocument", "0 bytes"),
    "secret.pdf": (pdf([(72, 72)], password="x"), "EncryptedDocument", "password"),
    "broken.pdf": (b"%PDF-1.4 rubbish", "UnreadableDocument", "broken PDF"),
    "broken.tif": (b"II*\0\xff\xff\0\0", "UnreadableDocument", "damaged TIFF"),
    "text.tif": (b"plain text", "UnknownFormat", "plain text"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_document_that_cannot_be_opened_is_one_error_row(tmp_path, name):
    content, kind, says = BAD[name]
    (tmp_path / name).write_bytes(content)
    (row,) = plan(tmp_path)
    assert (row["page_number"], row["page_count"]) == (1, 0)
    assert row["error"]["stage"] == "plan" and row["error"]["type"] == kind
    assert name in row["error"]["message"] and says in row["error"]["message"]
    pa.Table.from_pylist([row], MANIFEST_SCHEMA)


def test_errors_of_the_listing_are_kept(tmp_path):
    (tmp_path / "a.docx").write_bytes(b"x")
    (row,) = plan(tmp_path / "a.docx")
    assert row["error"]["type"] == "UnknownFormat"


def test_a_document_that_vanished_or_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "a.pdf").write_bytes(pdf([(72, 72)]))
    documents = list_documents([str(tmp_path)])
    (tmp_path / "a.pdf").unlink()
    assert plan_pages(documents)[0]["error"]["type"] == "InaccessibleDocument"


def test_a_document_over_the_size_limit(tmp_path):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(3 * 2**20)
    (row,) = plan(tmp_path, limits=Limits(max_document_mib=2))
    assert row["error"]["type"] == "PageTooLarge" and "split it" in row["error"]["message"]


def test_rows_of_parquet_images(tmp_path):
    values = [encoded(picture(), "PNG"), multi_page([picture()] * 2, "TIFF"), None, b"text", pdf([(72, 72)])]
    pq.write_table(pa.table({"image": values}), tmp_path / "images.parquet")
    rows = plan(tmp_path / "images.parquet")
    found = [(row["row"], row["page_number"], row["page_count"], (row["error"] or {}).get("type")) for row in rows]
    assert found == [
        (0, 1, 1, None), (1, 1, 2, None), (1, 2, 2, None), (2, 1, 0, "EmptyDocument"), (3, 1, 0, "UnknownFormat"),
        (4, 1, 1, None),
    ]  # fmt: skip
    assert rows[1]["document_uri"] == f"{tmp_path}/images.parquet#row=1" and rows[1]["image_column"] == "image"


def test_every_bad_input_at_once_costs_no_good_page(tmp_path):
    """From listing to pixels, as a job does it."""
    jpeg, good = encoded(picture(200, 300), "JPEG"), encoded(picture(), "PNG")
    files = {
        "좋은 문서 1.png": good, "z.png": good, "cut.jpg": jpeg[: len(jpeg) // 2], "empty.webp": b"",
        "text.png": b"text", "huge.png": png_header(60_000, 60_000), "dot.bmp": encoded(picture(1, 1), "BMP"),
        **{name: content for name, (content, _, _) in BAD.items()},
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "x.jpg").mkdir()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    cache, outcome = DocumentCache(), {}
    for row in plan(tmp_path, tmp_path / "z.png"):
        name = row["document_uri"].rpartition("/")[2]
        assert name not in outcome
        outcome[name] = (row["error"] or {}).get("type") or _read(cache, row)
    assert outcome == {
        "좋은 문서 1.png": (60, 80, 3), "z.png": (60, 80, 3), "dot.bmp": (1, 1, 3), "cut.jpg": "UnreadableDocument",
        "empty.webp": "EmptyDocument", "text.png": "UnknownFormat", "huge.png": "PageTooLarge",
        "x.jpg": "InaccessibleDocument", "gone.jpg": "InaccessibleDocument",
        **{name: kind for name, (_, kind, _) in BAD.items()},
    }  # fmt: skip


def _read(cache, row):
    keys = ("document_uri", "page_number", "page_count", "row", "image_column")
    try:
        return load_page(cache, **{key: row[key] for key in keys}).image.shape
    except DocumentError as error:
        return type(error).__name__
