"""Manifests as people's programs write them."""

import pytest

from pipelines.sources import InputError, list_documents
from tests.documents_made import encoded, picture

PNG = encoded(picture(), "PNG")


@pytest.fixture
def names(tmp_path):
    """Two documents whose names the manifest gives."""
    names = ["영수증 1.png", "b,c;d.png"]
    for name in names:
        (tmp_path / name).write_bytes(PNG)
    return sorted(str(tmp_path / name) for name in names)


def listed(tmp_path, content: bytes):
    (tmp_path / "list.csv").write_bytes(content)
    return [document.uri for document in list_documents([str(tmp_path / "list.csv")]) if document.error is None]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_separators(tmp_path, names, encoding, separator, end):
    rows = [["id", "uri"], ["1", "영수증 1.png"], ["2", '"b,c;d.png"']]
    text = end.join(separator.join(row) for row in rows) + end
    assert listed(tmp_path, text.encode(encoding)) == names


@pytest.mark.parametrize("header", ["uri", "URI", " Path ", "Document_URI", "sep=;\nid;uri", "sep=,\nid,uri"])
def test_headers(tmp_path, names, header):
    separator = header[4:5] if header.startswith("sep=") else ","
    before = f"1{separator}" if header.startswith("sep=") else ""
    assert listed(tmp_path, f'{header}\n{before}영수증 1.png\n{before}"b,c;d.png"\n'.encode()) == names


def test_a_cp949_letter_after_much_ascii(tmp_path, names):
    text = "uri,note\n" + f"none.png,{'x' * 1000}\n" * 2000 + "영수증 1.png,\n"
    assert listed(tmp_path, text.encode("cp949")) == [name for name in names if "영수증" in name]


def test_no_known_encoding(tmp_path):
    with pytest.raises(InputError, match="save the table as CSV UTF-8"):
        listed(tmp_path, b"uri\ncaf\xff\xff.png\n")


def test_a_row_with_a_nul_is_one_bad_row(tmp_path, names):
    (tmp_path / "list.csv").write_bytes("uri\na\0b.png\n영수증 1.png\n".encode())
    bad, good = sorted(list_documents([str(tmp_path / "list.csv")]), key=lambda document: document.error is None)
    assert good.uri in names and bad.error.type == "InaccessibleDocument"
    assert bad.uri.isprintable()
