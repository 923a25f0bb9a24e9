import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipelines.documents.cache as cache_module
from pipelines.documents import (
    DocumentCache,
    EmptyDocument,
    InaccessibleDocument,
    UnknownFormat,
    UnreadableDocument,
    load_page,
    read_bytes,
)
from tests.documents_made import encoded, multi_page, picture


@pytest.fixture
def fetched(monkeypatch):
    """URIs that were really read, in order."""
    uris = []

    def read(uri):
        uris.append(uri)
        return read_bytes(uri)

    monkeypatch.setattr(cache_module, "read_bytes", read)
    return uris


def write_images(path, values, rows_a_group=3, column="image"):
    pq.write_table(pa.table({column: values, "id": list(range(len(values)))}), path, row_group_size=rows_a_group)
    return str(path)


def test_pages_of_one_document_fetch_it_once(tmp_path, fetched):
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).write_bytes(multi_page([picture(), picture(30, 40)], "TIFF"))
    cache = DocumentCache()
    for name in ("a.tif", "b.tif"):
        assert load_page(cache, str(tmp_path / name), 1, 2).image.shape == (60, 80, 3)
        assert load_page(cache, str(tmp_path / name), 2, 2).image.shape == (30, 40, 3)
    assert len(fetched) == 2


def test_the_cache_is_bounded_and_forgets_the_oldest(tmp_path, fetched):
    content = multi_page([picture(), picture()], "TIFF")
    uris = []
    for name in "abc":
        (tmp_path / name).write_bytes(content)
        uris.append(str(tmp_path / name))
    cache = DocumentCache(max_bytes=2 * len(content))
    for uri in [uris[0], uris[1], uris[0], uris[2]]:
        cache.read(uri)
    assert cache.bytes_held == 2 * len(content)
    cache.read(uris[0])
    cache.read(uris[1])
    assert fetched == [uris[0], uris[1], uris[2], uris[1]]


def test_one_document_larger_than_the_bound_is_kept(tmp_path, fetched):
    (tmp_path / "big.tif").write_bytes(multi_page([picture(), picture()], "TIFF"))
    cache = DocumentCache(max_bytes=10)
    for number in (1, 2):
        load_page(cache, str(tmp_path / "big.tif"), number, 2)
    assert len(fetched) == 1


def test_documents_of_one_page_are_not_kept(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(picture(), "PNG"))
    cache = DocumentCache()
    cache.read(str(tmp_path / "a.png"))
    assert cache.bytes_held == 0


def test_pages_under_an_image_suffix_do_not_go_missing(tmp_path):
    (tmp_path / "scan.png").write_bytes(multi_page([picture(), picture()], "TIFF"))
    with pytest.raises(UnreadableDocument, match=r"a TIFF of 2 pages .* rename it to \.tiff"):
        load_page(DocumentCache(), str(tmp_path / "scan.png"), 1, 1)
    (tmp_path / "one.png").write_bytes(encoded(picture(), "TIFF"))
    assert load_page(DocumentCache(), str(tmp_path / "one.png"), 1, 1).image.shape == (60, 80, 3)


@pytest.mark.parametrize("order", [range(10), [7, 2, 2, 9, 0, 8]])
def test_rows_of_a_parquet_file_in_any_order(tmp_path, order):
    values = [encoded(picture(10 + row, 20), "PNG") for row in range(10)]
    uri = write_images(tmp_path / "images.parquet", values)
    cache = DocumentCache()
    for row in order:
        assert cache.read(f"{uri}#row={row}", row, "image") == values[row]


def test_parquet_structs_with_bytes(tmp_path):
    value = {"bytes": encoded(picture(), "PNG"), "path": "a.png"}
    uri = write_images(tmp_path / "images.parquet", [value, {"bytes": None, "path": "b.png"}])
    assert load_page(DocumentCache(), f"{uri}#row=0", 1, 1, row=0, image_column="image").image.shape == (60, 80, 3)
    with pytest.raises(EmptyDocument):
        DocumentCache().read(f"{uri}#row=1", 1, "image")


def test_bad_parquet_rows(tmp_path):
    uri = write_images(tmp_path / "images.parquet", [None, b"", b"text"])
    cache = DocumentCache()
    for row in (0, 1):
        with pytest.raises(EmptyDocument, match=f"row={row}: column 'image' is null or empty"):
            cache.read(f"{uri}#row={row}", row, "image")
    with pytest.raises(UnknownFormat, match="row=2"):
        cache.read(f"{uri}#row=2", 2, "image")
    with pytest.raises(InaccessibleDocument, match="has 3 rows"):
        cache.read(f"{uri}#row=3", 3, "image")
    with pytest.raises(InaccessibleDocument, match="no column 'photo'; it has image, id"):
        cache.read(f"{uri}#row=0", 0, "photo")


def test_a_parquet_file_that_is_none(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"text")
    with pytest.raises(InaccessibleDocument, match=r"x\.parquet"):
        DocumentCache().read(f"{tmp_path}/x.parquet#row=0", 0, "image")


def test_what_cannot_be_fetched(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.jpg").mkdir()
    for uri, says in [
        (tmp_path / "none.png", "does not exist"),
        (tmp_path / "link.png", "link may point nowhere"),
        (tmp_path / "folder.jpg", "is a folder"),
        ("nosuch://x/y.png", "protocol"),
        ("memory://none.png", "does not exist"),
    ]:
        with pytest.raises(InaccessibleDocument, match=says) as caught:
            read_bytes(str(uri))
        assert str(uri) in str(caught.value)


def test_a_file_without_permission(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InaccessibleDocument, match=r"may not be read.*check its permissions"):
        read_bytes(str(tmp_path / "secret.png"))
