"""TIFF files that Pillow does not write: colour planes apart, transparency masks, uncommon samples."""

import struct
from io import BytesIO

import numpy as np
import pytest

from pipelines.documents import UnreadableDocument, count_pages
from tests.documents_made import decoded


def tiff(*frames: tuple[dict[int, tuple[str, list[int]]], bytes]) -> bytes:
    """Return an uncompressed little-endian TIFF of frames, given as (tags, samples), in one strip a colour plane."""
    content = b"II*\0" + bytes(4)
    link = 4
    for tags, samples in frames:
        at, content = len(content), content + samples
        planes = tags.get(277, ("H", [1]))[1][0]
        each = len(samples) // planes
        strips = {273: ("I", [at + plane * each for plane in range(planes)]), 279: ("I", planes * [each])}
        entries = b""
        for tag, (kind, values) in sorted({**tags, **strips}.items()):
            data = struct.pack(f"<{len(values)}{kind}", *values)
            if len(data) > 4:
                data, content = struct.pack("<I", len(content)), content + data
            entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + data.ljust(4, b"\0")
        content += bytes(len(content) % 2)
        content = content[:link] + struct.pack("<I", len(content)) + content[link + 4 :]
        link = len(content) + 2 + len(entries)
        content += struct.pack("<H", len(entries) // 12) + entries + bytes(4)
    return content


def colours(bits: int) -> dict[int, tuple[str, list[int]]]:
    """Return the tags of a TIFF of 9 x 6 RGB pixels."""
    return {
        256: ("I", [9]), 257: ("I", [6]), 258: ("H", 3 * [bits]), 259: ("H", [1]), 262: ("H", [2]), 277: ("H", [3]),
        278: ("I", [6]), 284: ("H", [2]),
    }  # fmt: skip


def test_separate_planes_are_read_right_or_refused():
    planes = np.arange(3 * 6 * 9, dtype=np.uint8).reshape(3, 6, 9)
    page = decoded(tiff((colours(8), planes.tobytes())), "planes.tif")
    np.testing.assert_array_equal(page, np.moveaxis(planes, 0, 2))
    with pytest.raises(UnreadableDocument, match=r"separate colour planes .* save it with 8 bits"):
        decoded(tiff((colours(16), (planes.astype("<u2") * 257).tobytes())), "planes.tif")


def test_a_transparency_mask_is_no_page():
    planes = np.full((3, 6, 9), 7, np.uint8)
    mask = {256: ("I", [9]), 257: ("I", [6]), 258: ("H", [1]), 262: ("H", [4]), 254: ("I", [4]), 278: ("I", [6])}
    content = tiff((colours(8), planes.tobytes()), (mask, bytes(12)))
    assert count_pages(BytesIO(content), "masked.tif") == 1
    assert decoded(content, "masked.tif").tolist() == np.full((6, 9, 3), 7).tolist()


def test_what_no_library_knows_is_told_without_an_address_in_memory():
    floats = {**colours(8), 258: ("H", [24, 24, 24])}
    with pytest.raises(UnreadableDocument, match=r"unreadable TIFF, .* save it with 8 bits") as refused:
        decoded(tiff((floats, bytes(3 * 6 * 9 * 3))), "odd.tif")
    assert "0x" not in str(refused.value)
