import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.documents import InaccessibleDocument, Limits
from pipelines.readers.documents.record import PageRecord
from pipelines.source_pages import SourcePages
from tests.pages import write_page


def record(uri: str, page_count: int = 1) -> PageRecord:
    return PageRecord(page_id="a", document_uri=uri, page_number=1, page_count=page_count)


def test_a_page_and_its_file(tmp_path):
    path = write_page(tmp_path / "한 글.png", ["Hello"])
    pages = SourcePages(Limits())
    np.testing.assert_array_equal(pages.page(record(str(path))), cv2.imread(str(path))[..., ::-1])
    assert pages.original(record(str(path))) == path.read_bytes()


def test_a_row_of_a_parquet_file(tmp_path):
    content = [write_page(tmp_path / f"{name}.png", [name]).read_bytes() for name in ("one", "two")]
    pq.write_table(pa.table({"scan": content}), tmp_path / "scans.parquet")
    pages = SourcePages(Limits(), image_column="scan")
    second = record(f"{tmp_path}/scans.parquet#row=1")
    assert pages.original(second) == content[1]
    assert pages.page(second).shape == (400, 640, 3)


def test_a_document_that_is_gone(tmp_path):
    with pytest.raises(InaccessibleDocument):
        SourcePages(Limits()).page(record(str(tmp_path / "gone.png")))
