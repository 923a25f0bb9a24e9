"""Against a real S3 server (moto's), with nothing but the usual environment variables."""

import csv
import io

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from pipelines.documents import DocumentCache, InaccessibleDocument, load_page, read_bytes
from pipelines.sources import InputError, list_documents, plan_pages
from tests.documents_made import encoded, multi_page, pdf, picture

PNG = encoded(picture(), "PNG")
FILES = {
    "scans/a.png": PNG,
    "scans/sub/b c 한글.tif": multi_page([picture(), picture(30, 40)], "TIFF"),
    "scans/sub/c.pdf": pdf([(72, 72)] * 2),
    "scans/notes.txt": b"text",
    "scans/.hidden/d.png": PNG,
    "scans-other/e.png": PNG,
}


@pytest.fixture
def bucket(s3):
    filesystem = fsspec.filesystem("s3")
    for name, content in FILES.items():
        filesystem.pipe_file(f"{s3}/{name}", content)
    return s3


def names(listing, bucket):
    return [document.uri.removeprefix(f"{bucket}/") for document in listing]


@pytest.mark.parametrize("prefix", ["scans", "scans/"])
def test_a_prefix_is_listed_with_its_etags(bucket, prefix):
    listing = list_documents([f"{bucket}/{prefix}"])
    assert names(listing, bucket) == ["scans/a.png", "scans/sub/b c 한글.tif", "scans/sub/c.pdf"]
    assert listing.skipped == {"hidden": 1, "suffix .txt": 1}
    assert listing.documents[0].size == len(PNG)
    assert len(listing.documents[0].version) == 32 and '"' not in listing.documents[0].version


def test_bucket_object_and_globs_agree(bucket):
    whole = list_documents([bucket])
    assert len(whole) == 4
    (one,) = list_documents([f"{bucket}/scans/a.png"])
    (globbed,) = list_documents([f"{bucket}/scans/*.png"])
    assert one == globbed == whole.documents[1]
    deep = list_documents([f"{bucket}/**/*.png", f"{bucket}/scans/a.png"])
    assert names(deep, bucket) == ["scans-other/e.png", "scans/a.png"] and deep.duplicates == 1


@pytest.mark.parametrize("given", ["many", "many/", "many/*.png", "many/**/*.png", "many/p*"])
def test_a_listing_of_several_pages(s3, given, monkeypatch):
    filesystem = fsspec.filesystem("s3")
    for number in range(7):
        filesystem.pipe_file(f"{s3}/many/page{number}.png", PNG)
    filesystem.pipe_file(f"{s3}/many/deep/page.png", PNG)
    filesystem.call_s3("put_object", Bucket=s3.removeprefix("s3://"), Key="many/folder/", Body=b"")
    pages = []
    call_s3 = s3fs.S3FileSystem.call_s3

    def three_at_once(self, method, *args, **kwargs):
        pages.append(method)
        return call_s3(self, method, *args, MaxKeys=3, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "call_s3", three_at_once)
    listing = list_documents([f"{s3}/{given}"])
    flat = [f"many/page{number}.png" for number in range(7)]
    deep = [] if given in ("many/*.png", "many/p*") else ["many/deep/page.png"]
    assert names(listing, s3) == deep + flat
    assert len(pages) >= 3 and set(pages) == {"list_objects_v2"}
    (one,) = list_documents([f"{s3}/many/page0.png"])
    assert one in listing.documents


def test_globs_are_those_of_fsspec(bucket):
    filesystem = fsspec.filesystem("s3")
    root = bucket.removeprefix("s3://")
    for pattern in (
        "scans/*",
        "scans/**",
        "scans/*.png",
        "**/*.png",
        "*/*.png",
        "scans*/e.png",
        "scans/s*/c.pd[fg]",
        "s*",
    ):
        expected = [name for name in filesystem.glob(f"{root}/{pattern}") if filesystem.isfile(name)]
        expected = [name for name in expected if name.endswith(("png", "tif", "pdf")) and "/." not in name]
        try:
            found = [document.uri.removeprefix("s3://") for document in list_documents([f"{bucket}/{pattern}"])]
        except InputError:
            found = []
        assert found == sorted(expected), pattern


def test_new_objects_are_seen(bucket):
    before = len(list_documents([bucket]))
    fsspec.filesystem("s3").pipe_file(f"{bucket}/scans/new.png", PNG)
    assert len(list_documents([bucket])) == before + 1


def test_plan_and_read(bucket):
    rows = plan_pages(list_documents([f"{bucket}/scans"]))
    assert [(row["page_number"], row["page_count"]) for row in rows] == [(1, 1), (1, 2), (2, 2), (1, 2), (2, 2)]
    cache = DocumentCache()
    shapes = [load_page(cache, row["document_uri"], row["page_number"], row["page_count"]).image.shape for row in rows]
    assert shapes == [(60, 80, 3), (60, 80, 3), (30, 40, 3), (200, 200, 3), (200, 200, 3)]


def test_manifests_name_objects(bucket):
    uris = [f"{bucket}/scans/a.png", "scans/sub/c.pdf", f"{bucket}/scans/gone.png", f"{bucket}/scans/sub"]
    text = io.StringIO()
    csv.writer(text).writerows([["uri"], *([uri] for uri in uris)])
    fsspec.filesystem("s3").pipe_file(f"{bucket}/list.csv", text.getvalue().encode())
    listing = list_documents([f"{bucket}/list.csv"])
    assert names(listing, bucket) == ["scans/a.png", "scans/gone.png", "scans/sub", "scans/sub/c.pdf"]
    assert [document.error is None for document in listing] == [True, False, False, True]
    assert listing.documents[0] == list_documents([f"{bucket}/scans/a.png"]).documents[0]
    assert "does not exist" in listing.documents[1].error.message
    assert "is a folder" in listing.documents[2].error.message


def test_parquet_images(bucket):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": [PNG] * 5}), buffer, row_group_size=2)
    fsspec.filesystem("s3").pipe_file(f"{bucket}/images.parquet", buffer.getvalue())
    rows = plan_pages(list_documents([f"{bucket}/images.parquet"]))
    assert [row["document_uri"] for row in rows] == [f"{bucket}/images.parquet#row={row}" for row in range(5)]
    cache = DocumentCache()
    for row in rows:
        assert load_page(cache, row["document_uri"], 1, 1, row=row["row"], image_column="image").image.shape == (
            60,
            80,
            3,
        )


@pytest.mark.parametrize(
    ("name", "says"),
    [("nothing", "does not exist"), ("nothing/", "no document"), ("none/*.png", "no document")],
)
def test_missing_inputs(bucket, name, says):
    with pytest.raises(InputError, match=says):
        list_documents([f"{bucket}/{name}"])


def test_missing_bucket_and_object(bucket):
    with pytest.raises(InputError, match=r"s3://no-such-bucket-ocray"):
        list_documents(["s3://no-such-bucket-ocray/scans"])
    with pytest.raises(InaccessibleDocument, match="does not exist"):
        read_bytes(f"{bucket}/scans/gone.png")


def test_missing_credentials_are_reported(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(InputError, match="credentials"):
            list_documents([f"{bucket}/scans"])
    finally:
        s3fs.S3FileSystem.clear_instance_cache()


def test_the_region_variable_is_honoured(s3):
    from common.storage.locations import open_filesystem

    filesystem, _ = open_filesystem(f"{s3}/x")
    filesystem.ls(s3)
    assert filesystem.s3.meta.region_name == "eu-central-1"
