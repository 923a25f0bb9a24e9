"""Markdown and CSV of records."""

import csv
import io

from pipelines.exports.markdown import MarkdownWriter
from pipelines.exports.publish import Document
from pipelines.exports.table_csv import TableCsvWriter
from pipelines.exports.tree import build_page
from pipelines.readers.documents.record import Block, Line, PageRecord
from pipelines.records import PageError
from pipelines.stages.layout import lay_out

BOX = [[0.0, 0.0], [100.0, 0.0], [100.0, 20.0], [0.0, 20.0]]


def record(*blocks: tuple[str, list[str]], **changes) -> PageRecord:
    """Return a page of blocks (kind, rows); a title's kind is followed by its level."""
    page = PageRecord(page_id="0" * 16, document_uri="/a.png", page_number=1, page_count=1, **changes)
    for number, (kind, rows) in enumerate(blocks):
        name, _, level = kind.partition(" ")
        page.blocks.append(Block(kind=name, level=int(level) if level else None))
        page.lines += [
            Line(text=text, confidence=1, polygon=BOX, language="en", block=number, row=row)
            for row, text in enumerate(rows)
        ]
    return page


def written(writer_type, *records: PageRecord) -> str:
    stream = io.BytesIO()
    writer = writer_type(stream, Document("/a.png", len(records)))
    for page in records:
        writer.add(build_page(page))
    writer.finish()
    return stream.getvalue().decode()


def table_page() -> PageRecord:
    """Return a page with a table whose cells are read from lines."""
    page = PageRecord(page_id="0" * 16, document_uri="/a.png", page_number=2, page_count=2, width=800, height=1000)
    cells = [["Item", "Count", "Price"], ["Pump | big", "", "-1,250"], ["=SUM(A1)", "2", "합계 <b>"]]
    lines = [
        Line(
            text=text,
            confidence=1,
            polygon=[[x, y], [x + 9 * len(text), y], [x + 9 * len(text), y + 20], [x, y + 20]],
            language="en",
        )
        for row, texts in enumerate(cells)
        for x, y, text in [(60.0 + 200 * place, 300.0 + 34 * row, text) for place, text in enumerate(texts) if text]
    ]
    rows = [[0, 1, 2], [3, 4], [5, 6, 7]]
    lay_out(page, lines, [rows])
    return page


def test_a_page_is_laid_out_into_its_record():
    page = table_page()
    assert [block.kind for block in page.blocks] == ["table"]
    (table,) = page.tables
    assert table.grid == [["Item", "Count", "Price"], ["Pump | big", "", "-1,250"], ["=SUM(A1)", "2", "합계 <b>"]]
    assert page.text == "Item\tCount\tPrice\nPump | big\t\t-1,250\n=SUM(A1)\t2\t합계 <b>"
    assert [(line.block, line.row, line.column) for line in page.lines][3:5] == [(0, 1, 0), (0, 1, 2)]
    assert table.cells[0].polygon == [[60, 300], [96, 300], [96, 320], [60, 320]]


def test_headings_paragraphs_and_lists():
    page = record(
        ("header", ["Running head"]),
        ("title 1", ["Annual", "report"]),
        ("text", ["The inspec-", "tion covered *all* pumps", "of the North-", "East"]),
        ("list", ["1. First item", "goes on", "2) Second", "• third", "※fourth"]),
        ("text", ["1. is no list", "here"]),
        ("page_number", ["- 7 -"]),
    )
    assert written(MarkdownWriter, page) == (
        "<!-- page 1 -->\n\n# Annual report\n\nThe inspection covered \\*all\\* pumps of the North- East\n\n"
        "1. First item goes on\n2. Second\n- third\n- fourth\n\n\\1. is no list here\n\n"
    )


def test_a_table_is_a_table():
    assert written(MarkdownWriter, table_page()) == (
        "<!-- page 2 -->\n\n| Item | Count | Price |\n| --- | --- | --- |\n| Pump \\| big |  | -1,250 |\n"
        "| =SUM(A1) | 2 | 합계 \\<b\\> |\n\n"
    )


def test_a_failed_page_is_a_comment():
    error = PageError(stage="decode", type="ValueError", message="broken --> here")
    failed = record(status="error", error=error)
    text = written(MarkdownWriter, failed)
    assert text.startswith("<!-- page 1 could not be read: decode: ValueError: broken") and text.count("-->") == 1
    assert written(TableCsvWriter, failed) == "\ufeff"


def test_tables_as_csv():
    text = written(TableCsvWriter, record(("text", ["no table"])), table_page())
    assert text.startswith("\ufeff")  # so that Excel reads it as UTF-8
    assert list(csv.reader(io.StringIO(text[1:]))) == [
        ["2", "1", "Item", "Count", "Price"],
        ["2", "1", "Pump | big", "", "-1,250"],
        ["2", "1", "'=SUM(A1)", "2", "합계 <b>"],  # no formula
    ]


def test_a_page_whose_lines_are_blank_has_no_text():
    page = PageRecord(page_id="0" * 16, document_uri="/a.png", page_number=1, page_count=1, width=400, height=300)
    lay_out(page, [Line(text="   ", confidence=0.9, polygon=BOX, language="en")], [[[0]]])
    assert (page.text, page.lines, page.blocks) == ("", [], [])
