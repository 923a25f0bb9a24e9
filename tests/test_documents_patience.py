"""Storage that fails for a while, against a real S3 server behind a proxy that breaks requests."""

import errno
import io

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from common.storage import StorageUnavailable, patience
from common.storage.causes import Cause, cause_of
from pipelines.documents import DocumentCache, InaccessibleDocument, load_page, read_bytes
from pipelines.documents.access import open_file
from pipelines.sources import Document, InputError, list_documents, plan_pages
from tests.documents_made import encoded, multi_page, pdf, picture
from tests.storage_faults import FaultyProxy

pytestmark = pytest.mark.slow

PNG = encoded(picture(), "PNG")


@pytest.fixture
def proxy(s3, s3_server, monkeypatch):
    """Run a proxy in front of the S3 server for all clients of this test; the clients do not retry."""
    with FaultyProxy(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
        monkeypatch.setattr(patience, "_FIRST_WAIT_SECONDS", 0.05)
        monkeypatch.setattr(patience, "_outages", patience._Outages())
        s3fs.S3FileSystem.clear_instance_cache()
        yield proxy
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(proxy, s3):
    put(s3, "scans/a.png", PNG)
    return s3


@pytest.fixture
def lose_patience(monkeypatch):
    """From the call on, patience lasts for a moment."""
    monkeypatch.setattr(patience, "_outages", patience._Outages())
    return lambda: monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.3)


def put(bucket, name, content):
    fsspec.filesystem("s3").pipe_file(f"{bucket}/{name}", content)
    return f"{bucket}/{name}"


@pytest.mark.parametrize("action", ["503", "500", "429", "reset", "truncate", "expired", "unknown-key"])
def test_what_passes_is_waited_for(bucket, proxy, action):
    rule = proxy.fail(action, "GET .*a.png", times=3)
    assert read_bytes(f"{bucket}/scans/a.png") == PNG
    assert rule.hits == 3


def test_an_outage_of_seconds(bucket, proxy, caplog):
    proxy.fail("503", seconds=2)
    assert read_bytes(f"{bucket}/scans/a.png") == PNG
    reported = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(reported) == 1 and "does not answer" in reported[0] and "a.png" in reported[0]


@pytest.mark.parametrize("action", ["404", "403"])
def test_what_stays_is_an_error_at_once(bucket, proxy, action):
    rule = proxy.fail(action, "GET .*a.png")
    with pytest.raises(InaccessibleDocument):
        read_bytes(f"{bucket}/scans/a.png")
    assert rule.hits == 1


def test_a_missing_object_is_no_outage(bucket):
    with pytest.raises(InaccessibleDocument, match="does not exist"):
        read_bytes(f"{bucket}/scans/gone.png")


@pytest.mark.parametrize("action", ["503", "reset", "expired"])
def test_patience_that_runs_out(bucket, proxy, lose_patience, action):
    lose_patience()
    rule = proxy.fail(action, "a.png")
    with pytest.raises(StorageUnavailable, match=r"a\.png: .*run the same command again"):
        read_bytes(f"{bucket}/scans/a.png")
    assert rule.hits
    proxy.heal()
    assert read_bytes(f"{bucket}/scans/a.png") == PNG


@pytest.mark.parametrize("action", ["503", "reset", "truncate"])
def test_reads_in_the_middle_of_a_file(bucket, proxy, action):
    content = bytes(range(256)) * 4096
    uri = put(bucket, "scans/big.bin", content)
    with open_file(uri, block_bytes=64 * 1024) as file:
        assert file.read(10) == content[:10]
        rule = proxy.fail(action, "GET .*big.bin", times=2)
        file.seek(700_000)
        assert file.read(50_000) == content[700_000:750_000]
        assert rule.hits == 2 and file.tell() == 750_000
        assert file.seek(-3, io.SEEK_END) == len(content) - 3 and file.read() == content[-3:]


def test_a_file_that_changes_while_it_is_read(bucket, proxy):
    uri = put(bucket, "scans/big.bin", bytes(1 << 20))
    with open_file(uri) as file:
        file.read(10)
        put(bucket, "scans/big.bin", b"x" * (1 << 20))
        file.seek(700_000)
        with pytest.raises(InaccessibleDocument, match="changed while it was read"):
            proxy.fail("503", "GET .*big.bin", times=1)
            file.read(10)


def test_rows_of_a_parquet_file(bucket, proxy, lose_patience):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"image": [PNG, None, PNG * 2]}), buffer, row_group_size=1)
    uri = put(bucket, "images.parquet", buffer.getvalue())
    cache = DocumentCache()
    assert cache.read(f"{uri}#row=0", 0, "image") == PNG
    proxy.fail("503", "images.parquet", times=2)
    assert cache.read(f"{uri}#row=2", 2, "image") == PNG * 2
    lose_patience()
    proxy.fail("503", "images.parquet")
    cache = DocumentCache()
    with pytest.raises(StorageUnavailable):
        cache.read(f"{uri}#row=2", 2, "image")
    proxy.heal()
    assert cache.read(f"{uri}#row=2", 2, "image") == PNG * 2


def test_listing_waits_too(bucket, proxy):
    rules = [proxy.fail("503", "list-type=2", times=2), proxy.fail("reset", "HEAD", times=1)]
    assert [document.uri for document in list_documents([f"{bucket}/scans"])] == [f"{bucket}/scans/a.png"]
    assert [rule.hits for rule in rules] == [2, 1]


@pytest.mark.parametrize("given", ["scans", "scans/", "scans/*.png", "scans/a.png", ""])
def test_a_listing_that_fails_does_not_say_that_nothing_is_there(bucket, proxy, lose_patience, given):
    lose_patience()
    proxy.fail("503")
    with pytest.raises(InputError, match="does not answer"):
        list_documents([f"{bucket}/{given}"])


def test_credentials_that_expired_before_the_start_are_an_error_at_once(bucket, proxy):
    rule = proxy.fail("expired")
    with pytest.raises(InputError, match=r"credentials .*renew"):
        list_documents([f"{bucket}/scans/a.png"])
    assert 2 <= rule.hits <= 4  # the answer to HEAD has no words; a GET that brings them


def test_a_manifest_of_objects(bucket, proxy, lose_patience):
    uri = put(bucket, "list.csv", f"uri\n{bucket}/scans/a.png\n{bucket}/scans/gone.png\n".encode())
    rule = proxy.fail("503", "HEAD .*a.png", times=2)
    a, gone = list_documents([uri])
    assert a.error is None and a.version and gone.error.type == "InaccessibleDocument" and rule.hits == 2
    lose_patience()
    proxy.fail("503", "HEAD .*a.png")
    a, gone = list_documents([uri])
    assert a.error.type == "StorageUnavailable" and gone.error.type == "InaccessibleDocument"
    assert plan_pages([a])[0]["error"]["type"] == "StorageUnavailable"


@pytest.mark.parametrize(
    ("name", "content"),
    [("b.tif", multi_page([picture()] * 3, "TIFF")), ("b.pdf", pdf([(72, 72)] * 3)), ("b", pdf([(72, 72)] * 3))],
    ids=["b.tif", "b.pdf", "b"],  # a PDF is never the same twice, and processes that share tests name them alike
)
def test_planning(bucket, proxy, lose_patience, name, content):
    put(bucket, f"many/{name}", content)
    documents = list_documents([f"{bucket}/many/{name}"])
    rule = proxy.fail("503", f"GET .*{name}", times=2)
    assert len(plan_pages(documents)) == 3 and rule.hits == 2
    lose_patience()
    proxy.fail("503", f"(GET|HEAD) .*{name}")
    (row,) = plan_pages(documents)
    assert (row["page_count"], row["error"]["type"]) == (0, "StorageUnavailable")
    with pytest.raises(StorageUnavailable):
        load_page(DocumentCache(), row["document_uri"], 2, 3)


class Refusing(io.FileIO):
    """A local file whose reads fail with `number` as long as `Refusing.left` is above 0."""

    number, left = errno.EIO, 0

    def readinto(self, buffer):
        self._refuse()
        return super().readinto(buffer)

    def read(self, size=-1):
        self._refuse()
        return super().read(size)

    def _refuse(self):
        if Refusing.left > 0:
            Refusing.left -= 1
            raise OSError(self.number, "injected")


@pytest.fixture
def mount(monkeypatch):
    """Local files are opened as `Refusing`."""
    monkeypatch.setattr(patience, "_FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(Refusing, "left", 0)
    monkeypatch.setattr("pipelines.documents.access.open", lambda path, mode, **_: Refusing(path, "r"), raising=False)
    return Refusing


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN])
def test_a_network_mount(tmp_path, mount, monkeypatch, number):
    monkeypatch.setattr(mount, "number", number)
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    mount.left = 3
    assert read_bytes(str(path)) == PNG and mount.left == 0
    mount.left = 3
    with open_file(str(path)) as file:
        assert file.read() == PNG and mount.left == 0


@pytest.mark.parametrize("name", ["a.pdf", "a.tif"])
def test_a_mount_that_fails_while_pages_are_counted(tmp_path, mount, lose_patience, name):
    """PDFium reads through C, where an exception would be lost and the PDF called broken."""
    path = tmp_path / name
    path.write_bytes(pdf([(72, 72)] * 3) if name == "a.pdf" else multi_page([picture()] * 3, "TIFF"))
    document = Document(str(path), suffix=path.suffix)
    mount.left = 2
    assert [row["page_count"] for row in plan_pages([document])] == [3, 3, 3]
    lose_patience()
    mount.left = 10**6
    (row,) = plan_pages([document])
    assert row["error"]["type"] == "StorageUnavailable"


def test_permanent_errors_of_a_disk(tmp_path):
    with pytest.raises(InaccessibleDocument, match="does not exist"):
        read_bytes(str(tmp_path / "gone"))
    with pytest.raises(InaccessibleDocument, match="is a folder"):
        read_bytes(str(tmp_path))


def test_a_storage_that_used_up_patience_is_tried_once_until_it_answers(lose_patience, monkeypatch):
    monkeypatch.setattr(patience, "_FIRST_WAIT_SECONDS", 0.02)
    requested = []

    def ask(answer):
        requested.append(1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def attempts(uri, answer):
        requested.clear()
        if isinstance(answer, Exception):
            with pytest.raises(StorageUnavailable):
                patience.patiently(lambda: ask(answer), uri)
        else:
            assert patience.patiently(lambda: ask(answer), uri) is answer
        return len(requested)

    lose_patience()
    busy = OSError(errno.EBUSY, "slow down")
    assert attempts("s3://bucket/a.png", busy) > 1
    assert attempts("s3://bucket/b.png", busy) == attempts("zip://c.png::s3://bucket/c.zip", busy) == 1
    assert attempts("s3://other/a.png", busy) > 1
    assert attempts("s3://bucket/d.png", b"") == 1
    assert attempts("s3://bucket/e.png", busy) > 1


def test_the_variable_sets_how_long(monkeypatch):
    assert patience.patience() == 300
    monkeypatch.setenv(patience.PATIENCE_VARIABLE, "2.5")
    assert patience.patience() == 2.5


def test_the_innermost_exception_decides():
    busy = OSError(errno.EBUSY, "slow down")
    missing = FileNotFoundError("a")
    missing.__cause__ = busy  # as fsspec's HTTP file system says of any failure
    assert cause_of(missing) is Cause.NO_ANSWER
    assert cause_of(FileNotFoundError("a")) is Cause.MISSING
    assert cause_of(PermissionError("a")) is Cause.FORBIDDEN
    assert cause_of(ValueError("a")) is Cause.OTHER
