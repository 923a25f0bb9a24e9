"""Metadata of ONNX files, read without the onnx package."""

import pytest

from models.bundle import load_bundle
from models.onnx_metadata import read_metadata


def field(number: int, content: bytes) -> bytes:
    length, size = len(content), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def entry(key: str, value: str) -> bytes:
    return field(14, field(1, key.encode()) + field(2, value.encode()))


def test_entries_among_other_fields():
    content = b"\x08\x0a" + field(7, b"graph" * 100) + entry("author", "me") + entry("character", "a\nb\n가" * 90)
    assert read_metadata(content) == {"author": "me", "character": "a\nb\n가" * 90}


def test_no_entries():
    assert read_metadata(b"\x08\x0a") == {}


def test_charset_of_ppocrv6():
    characters = read_metadata(load_bundle("ppocrv6-rec@small").network)["character"].split("\n")
    assert len(characters) == 18708 and set("aZ09中あ") <= set(characters)


@pytest.mark.parametrize("content", [b"\x72\xff\x01ab", b"\xff" * 12, b"\x77", b"\x72"])
def test_not_an_onnx_file(content):
    with pytest.raises(ValueError, match="not an ONNX file"):
        read_metadata(content)
