"""CSV tables as people's programs write them: in several encodings and with several separators."""

import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import BinaryIO

from pipelines.documents.access import open_file
from pipelines.sources.document import InputError

# UTF-16 is what spreadsheets call "Unicode text"; CP949 is what they save as "CSV" on Korean Windows.
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_UNMARKED = ("utf-8", "cp949")
_SEPARATORS = ",;\t|"
_CHUNK = 1 << 20


@contextmanager
def open_csv(uri: str) -> Iterator[csv.DictReader]:
    """Rows of a CSV file as dictionaries; names of columns without blanks around them.

    Encoding: UTF-8, UTF-16 with its mark, CP949. Separator: comma, semicolon, tab or bar, whichever parts the first
    row most often, or what a first line `sep=;` says.

    Raises:
        InputError: neither encoding. Whatever the storage raises.
    """
    with open_file(uri) as raw:
        encoding = _encoding(raw, uri)
        with TextIOWrapper(raw, encoding=encoding, newline="") as file:
            header = file.readline()
            if header.lower().startswith("sep="):
                separator = header.strip()[4:5] or ","
                header = file.readline()
            else:
                separator = max(_SEPARATORS, key=header.count)
            names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
            yield csv.DictReader(file, names, delimiter=separator)


def _encoding(raw: BinaryIO, uri: str) -> str:
    """Return the encoding of an open file, by its byte order mark or the first one that decodes all of it; rewind
    it."""
    head = raw.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            raw.seek(0)
            return name
    for name in _UNMARKED:
        raw.seek(0)
        decoder = codecs.getincrementaldecoder(name)()
        try:
            while chunk := raw.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        raw.seek(0)
        return name
    raise InputError(f"{uri}: neither UTF-8, UTF-16 nor CP949; save the table as CSV UTF-8")
