"""Label files as text: UTF-8, with or without byte order mark, or cp949, which Korean Windows wrote for long."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from trainers.data.importers.rows import LeftOut

_LONGEST_LINE = 64 * 2**20
_CHUNK = 2**20
_UNREADABLE = "neither UTF-8 nor cp949"


class TextError(Exception):
    """A file that is no text; the message says why, without the file's name."""


def numbered_lines(path: Path) -> Iterator[tuple[int, str] | LeftOut]:
    """Line number (from 1) and text of each line that is not blank; `LeftOut` for a line in another encoding.

    The encoding is the file's: UTF-8 if all of it is, else whichever of UTF-8 and cp949 fits more lines. Choosing line
    by line would misread short cp949 words that happen to be valid UTF-8.

    Raises:
        TextError: UTF-16, or no text at all.
    """
    encoding = _line_encoding(path)
    for number, raw in _raw_lines(path):
        try:
            line = raw.decode(encoding)
        except UnicodeDecodeError:
            yield LeftOut(f"{path}:{number}", _UNREADABLE)
            continue
        if line.strip():
            yield number, line


def stream_encoding(path: Path) -> str:
    """`utf-8-sig` or `cp949`, whichever decodes the whole file, read in pieces. Raises TextError: neither does."""
    _refuse_utf16(path)
    if (failed_at := _undecodable_line(path, "utf-8-sig")) is None:
        return "utf-8-sig"
    if _undecodable_line(path, "cp949") is None:
        return "cp949"
    raise TextError(f"line {failed_at} is {_UNREADABLE}; save the file as UTF-8")


def _undecodable_line(path: Path, encoding: str) -> int | None:
    """Return the first line that is not in this encoding, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                return line + error.object.count(b"\n", 0, error.start)
            line += chunk.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return line
    return None


def _line_encoding(path: Path) -> str:
    _refuse_utf16(path)
    bad = {encoding: 0 for encoding in ("utf-8-sig", "cp949")}
    for encoding in bad:
        for _, raw in _raw_lines(path):
            try:
                raw.decode(encoding)
            except UnicodeDecodeError:
                bad[encoding] += 1
        if not bad[encoding]:
            return encoding
    return min(bad, key=bad.__getitem__)


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_LONGEST_LINE):
            number += 1
            if len(raw) == _LONGEST_LINE:
                raise TextError(f"line {number} is longer than {_LONGEST_LINE // 2**20} MB: this is not a label file")
            yield number, raw.rstrip(b"\r\n")


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise TextError("is UTF-16; save it as UTF-8")
