"""The chain of image directories in a TIFF file, read without its pixels (TIFF 6.0; BigTIFF)."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

_NEW_SUBFILE_TYPE = 254
_NO_PAGE = 0b101  # a reduced version of another image; a transparency mask


@dataclass(frozen=True, slots=True)
class Frames:
    """`pages`: 0-based indexes of the frames that are pages. `problem`: why the chain ends early, or empty."""

    pages: list[int]
    problem: str


def read_frames(file: BinaryIO) -> Frames:
    """Walk the directories of an open, seekable TIFF.

    Frames marked as a reduced-resolution version of another (previews, pyramid levels) or as the transparency mask of
    another are no pages, unless all are.
    """
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    count_format, entry_size, offset_format = ("Q", 20, "Q") if big else ("H", 12, "I")
    offset = _unpack(order + offset_format, head[8:16] if big else head[4:8])
    no_page: list[bool] = []
    seen: set[int] = set()
    problem = "" if offset else "it has no image directory"
    while offset:
        if offset in seen:
            problem = f"the directory after frame {len(no_page)} points back"
            break
        seen.add(offset)
        file.seek(offset)
        count = _unpack(order + count_format, file.read(struct.calcsize(count_format)))
        entries = file.read(count * entry_size) if count else b""
        offset_bytes = file.read(struct.calcsize(offset_format))
        if not count or len(entries) < count * entry_size:
            problem = f"the directory of frame {len(no_page) + 1} is cut off"
            break
        no_page.append(_is_no_page(entries, entry_size, order))
        if len(offset_bytes) < struct.calcsize(offset_format):
            problem = f"the chain breaks after frame {len(no_page)}"
            break
        offset = _unpack(order + offset_format, offset_bytes)
    pages = [index for index, without in enumerate(no_page) if not without]
    return Frames(pages or list(range(len(no_page))), problem)


def _is_no_page(entries: bytes, entry_size: int, order: str) -> bool:
    for start in range(0, len(entries), entry_size):
        if struct.unpack_from(order + "H", entries, start)[0] == _NEW_SUBFILE_TYPE:
            value_at = start + (12 if entry_size == 20 else 8)
            return bool(struct.unpack_from(order + "I", entries, value_at)[0] & _NO_PAGE)
    return False


def _unpack(layout: str, data: bytes) -> int:
    """Return the number, or 0 if the file ends before it."""
    return struct.unpack(layout, data)[0] if len(data) == struct.calcsize(layout) else 0
