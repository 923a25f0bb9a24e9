"""Which pages of documents are read, and encrypted PDFs."""

import io

import pikepdf
import pytest

from common.config import ConfigError
from common.storage import Storage
from pipelines.documents import DocumentCache, EncryptedDocument, Limits, count_pages, decode_page, read_page
from pipelines.documents.decoders import Decoders
from pipelines.exports.export import export
from pipelines.ledger import Ledger
from pipelines.readers.base import LimitSettings
from pipelines.readers.documents.record import Line, PageRecord
from pipelines.readers.registry import load_reader
from pipelines.source_pages import SourcePages
from pipelines.sources import list_documents, plan_pages
from tests.documents_made import multi_page, pdf, picture

SECRET = Limits(passwords=("wrong", "geheim 1"))


def encrypted() -> bytes:
    return pdf([(72, 72), (144, 72)], password="geheim 1")


@pytest.mark.parametrize(
    ("pages", "selected"),
    [("", [1, 2, 3, 4, 5]), ("2", [2]), ("1-3", [1, 2, 3]), ("4-", [4, 5]), ("5,1-2", [1, 2, 5]), ("7-9", [])],
)
def test_pages_are_selected(pages, selected):
    assert LimitSettings(pages=pages).build().selected(5) == selected


@pytest.mark.parametrize("pages", ["0", "3-1", "0-2"])
def test_a_range_without_a_page_is_refused(pages):
    with pytest.raises(ConfigError, match="there is none; pages count from 1"):
        LimitSettings(pages=pages).build()


@pytest.mark.parametrize("pages", ["a", "1;2", "-3", "1-2-3"])
def test_what_is_no_range_is_refused(pages):
    with pytest.raises(ConfigError, match="pages"):
        load_reader("documents").with_limits(pages=pages)


def test_other_pages_and_passwords_are_the_same_job(tmp_path):
    reader = load_reader("documents")
    other = reader.with_limits(pages="1-3", password_file=str(tmp_path / "passwords.txt"))
    assert other.identity() == reader.identity()
    assert reader.with_limits(pdf_dpi=300).identity() != reader.identity()


def test_selected_pages_alone_are_planned(tmp_path):
    (tmp_path / "a.tif").write_bytes(multi_page([picture()] * 4, "TIFF"))
    (tmp_path / "b.png").write_bytes(b"x")
    documents = list_documents([str(tmp_path)]).documents
    rows = plan_pages(documents, Limits(pages=((1, 1), (3, 9))))
    assert [(row["document_uri"][-5:], row["page_number"], row["page_count"]) for row in rows] == [
        ("a.tif", 1, 4), ("a.tif", 3, 4), ("a.tif", 4, 4), ("b.png", 1, 1),
    ]  # fmt: skip


def test_passwords_are_the_lines_of_a_file(tmp_path):
    file = tmp_path / "passwords.txt"
    file.write_text("\ufefferstes\r\n geheim \r\n\r\n비밀\n", "utf-8")
    assert LimitSettings(password_file=str(file)).build().passwords == ("erstes", " geheim ", "비밀")
    assert "비밀" not in repr(LimitSettings(password_file=str(file)).build())
    with pytest.raises(ConfigError, match=r"the password file .*nowhere\.txt cannot be read"):
        LimitSettings(password_file="nowhere.txt").build()


def test_an_encrypted_pdf_is_opened_by_the_password_that_fits():
    content = encrypted()
    assert count_pages(io.BytesIO(content), "a.pdf", SECRET.passwords) == 2
    assert decode_page(content, "a.pdf", 2, SECRET).image.shape == (200, 400, 3)
    assert read_page(content, "a.pdf", 1, SECRET, "auto").image is not None
    with pytest.raises(EncryptedDocument, match="none of 1 given opens it; name it in --password-file"):
        decode_page(content, "a.pdf", 1, Limits(passwords=("wrong",)))


def test_an_encrypted_pdf_is_planned_and_read_again(tmp_path):
    (tmp_path / "a.pdf").write_bytes(encrypted())
    documents = list_documents([str(tmp_path)]).documents
    assert [row["page_number"] for row in plan_pages(documents, SECRET)] == [1, 2]
    (row,) = plan_pages(documents, Limits())
    assert row["error"]["type"] == "EncryptedDocument"
    pages = SourcePages(SECRET)
    record = PageRecord(page_id="0" * 16, document_uri=str(tmp_path / "a.pdf"), page_number=1, page_count=2)
    assert pages.page(record).shape == (200, 200, 3) and isinstance(pages.documents, DocumentCache)


def test_the_decoders_know_the_passwords():
    decoders = Decoders(most=1)
    try:
        assert decoders.count_pages(encrypted(), "a.pdf", SECRET.passwords) == 2
        page = decoders.read_page(encrypted(), "a.pdf", 1, SECRET, "auto").page
        assert page.image is not None and page.image.shape == (200, 200, 3)
    finally:
        decoders.close()


def test_the_searchable_copy_needs_the_same_password(tmp_path):
    content = encrypted()
    record = PageRecord(
        page_id="0" * 16, document_uri="/in/a.pdf", page_number=1, page_count=2, width=200, height=200, text="word",
        lines=[Line(text="word", confidence=1, polygon=[[9, 9], [99, 9], [99, 29], [9, 29]], language="en")],
    )  # fmt: skip
    Ledger(Storage(str(tmp_path))).commit("part.parquet", [record])
    original = {"load_page": lambda record: None, "load_original": lambda record: content}
    export(str(tmp_path), ["pdf"], passwords=SECRET.passwords, **original)
    (path,) = tmp_path.glob("exports/pdf/*.pdf")
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(path)
    with pikepdf.open(path, password="geheim 1") as made:
        assert len(made.pages) == 2 and "/XObject" in made.pages[0].resources
