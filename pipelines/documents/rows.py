"""URIs of documents that are rows of Parquet files."""

import re

_ROW = re.compile(r"#row=(-1|\d+)\Z")


def row_uri(uri: str, row: int) -> str:
    """URI of one row of a Parquet file, `file.parquet#row=17` (0-based); with row -1 that of a file.

    A file's URI is its own, unless its name ends like a row's: then `#row=-1` says that the file itself is meant.
    """
    return f"{uri}#row={row}" if row >= 0 or _ROW.search(uri) else uri


def base_uri(uri: str, row: int) -> str:
    """URI of the file in whose `row` a document is (-1: the file is the document); `uri` is the document's."""
    return uri.removesuffix(f"#row={row}")


def split_row(uri: str) -> tuple[str, int]:
    """URI of the file and the row in it, the reverse of `row_uri`; row -1 is the file itself."""
    found = _ROW.search(uri)
    return (uri[: found.start()], int(found[1])) if found else (uri, -1)
