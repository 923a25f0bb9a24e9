"""CSV of tables, as spreadsheets open it."""

import csv
import io
from typing import BinaryIO

from pipelines.exports.publish import Document
from pipelines.exports.tree import Page
from pipelines.exports.writer import DocumentWriter

_BOM = "\ufeff".encode()  # without it Excel takes UTF-8 for the system's old code page
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class TableCsvWriter(DocumentWriter[Page]):
    """One CSV file a document with all its tables: in each row the page, the number of the table on it, and the cells.

    A cell that a spreadsheet would take for a formula begins with an apostrophe, numbers aside.
    """

    name = "csv"
    suffix = ".csv"

    def __init__(self, stream: BinaryIO, document: Document):
        super().__init__(stream, document)
        stream.write(_BOM)

    def add(self, page: Page) -> None:
        rows = io.StringIO()
        writer = csv.writer(rows)
        for number, table in enumerate(page.record.tables, 1):
            for cells in table.grid:
                writer.writerow([page.record.page_number, number, *map(_harmless, cells)])
        self.stream.write(rows.getvalue().encode())


def _harmless(cell: str) -> str:
    if not cell.startswith(_FORMULA) or cell.lstrip("+-").replace(",", "").replace(".", "").isdigit():
        return cell
    return f"'{cell}"
