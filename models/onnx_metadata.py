"""Reads the metadata entries of an ONNX file without the onnx package (reading needs no training stack).

An ONNX file is a protocol buffer `ModelProto`; field 14, repeated, holds `StringStringEntryProto` {1: key, 2: value}.
"""

from collections.abc import Iterator

_METADATA_PROPS = 14


def read_metadata(content: bytes) -> dict[str, str]:
    """Metadata of an ONNX file given its bytes.

    Raises:
        ValueError: the bytes are not a protocol buffer.
    """
    entries = {}
    for number, value in _fields(memoryview(content)):
        if number == _METADATA_PROPS:
            entry = {key: bytes(text).decode("utf-8") for key, text in _fields(value)}
            entries[entry.get(1, "")] = entry.get(2, "")
    return entries


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(field number, content) of a message's length-delimited fields; numbers and fixed-size fields are skipped."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("not an ONNX file: a field is longer than the file")
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"not an ONNX file: wire type {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("not an ONNX file: it ends inside a number")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
