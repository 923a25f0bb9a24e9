"""What blocks are, on made-up pages: lines are boxes of a given width at a given place."""

import numpy as np
import pytest

from models.layout.reading_order import reading_order
from models.layout.structure import Block, page_structure

HEIGHT = 20


class Sheet:
    """A page that lines are put on."""

    def __init__(self):
        self.polygons: list[np.ndarray] = []
        self.texts: list[str] = []

    def line(self, text: str, x: float, y: float, width: float | None = None, height: float = HEIGHT) -> None:
        width = 11 * len(text) * height / HEIGHT if width is None else width
        self.polygons.append(np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32))
        self.texts.append(text)

    def paragraph(self, y: float, rows: int = 4, x: float = 60) -> None:
        for row in range(rows):
            self.line(f"running text of a paragraph, row {row}", x, y + 26 * row, 600)

    def table(self, rows: list[list[str]], y: float, pitch: float = 34, x: float = 60, column: float = 150) -> None:
        for row, cells in enumerate(rows):
            for place, text in enumerate(cells):
                for number, part in enumerate(text.split("\n") if text else []):
                    self.line(part, x + column * place, y + pitch * row + 22 * number)

    def read(self, height: float = 1400) -> list[Block]:
        return page_structure(self.polygons, self.texts, reading_order(self.polygons), height)

    def grid(self, block: Block) -> list[list[str]]:
        rows = 1 + max(cell.row for cell in block.cells)
        grid = [[""] * block.columns for _ in range(rows)]
        for cell in block.cells:
            grid[cell.row][cell.column] = "\n".join(self.texts[line] for line in cell.lines)
        return grid


def kinds(blocks: list[Block]) -> list[str]:
    return [block.kind for block in blocks]


def test_no_lines_and_one_line():
    assert page_structure([], [], [], 100) == []
    sheet = Sheet()
    sheet.line("alone", 50, 600)
    (block,) = sheet.read()
    assert (block.kind, block.rows) == ("text", [[0]])


def test_every_line_comes_once():
    rng = np.random.default_rng(0)
    for _ in range(30):
        sheet = Sheet()
        for number in range(40):
            x, y, width = rng.uniform(0, 900), rng.uniform(0, 1300), rng.uniform(20, 500)
            sheet.line(f"line {number}", x, y, width, rng.uniform(12, 40))
        blocks = sheet.read()
        assert sorted(line for block in blocks for line in block.lines) == list(range(40))
        for block in blocks:
            assert sorted(line for cell in block.cells for line in cell.lines) in ([], sorted(block.lines))


def test_titles_are_larger_than_the_text():
    sheet = Sheet()
    sheet.line("Annual report", 60, 150, height=48)
    sheet.paragraph(260)
    sheet.line("1. Pumps", 60, 420, height=34)
    sheet.paragraph(490)
    sheet.line("Valves of the north", 60, 650, height=28)
    sheet.paragraph(710)
    blocks = sheet.read()
    assert [(block.kind, block.level) for block in blocks if block.kind != "text"] == [
        ("title", 1), ("title", 2), ("title", 3),
    ]  # fmt: skip


def test_a_large_number_is_no_title():
    sheet = Sheet()
    sheet.line("12,500", 60, 150, height=48)
    sheet.paragraph(260)
    assert kinds(sheet.read()) == ["text", "text"]


def test_headers_footers_and_page_numbers_stand_at_the_edges():
    sheet = Sheet()
    sheet.line("District of the North", 60, 30)
    sheet.paragraph(200)
    sheet.paragraph(420)
    sheet.line("Confidential", 60, 1340)
    sheet.line("- 12 / 40 -", 500, 1370)
    assert kinds(sheet.read()) == ["header", "text", "text", "footer", "page_number"]


@pytest.mark.parametrize("text", ["7", "- 7 -", "Page 7", "7/12", "7 쪽", "p. 7", "Page 64 of 99"])
def test_page_numbers(text):
    sheet = Sheet()
    sheet.paragraph(200)
    sheet.line(text, 400, 1360)
    assert kinds(sheet.read()) == ["text", "page_number"]


def test_text_that_goes_on_to_the_edge_is_no_footer():
    sheet = Sheet()
    sheet.paragraph(1270, rows=5)
    assert kinds(sheet.read()) == ["text"]


@pytest.mark.parametrize("mark", ["• ", "- ", "1. ", "가. ", "(1) ", "① ", "※"])
def test_lists_begin_with_bullets_or_numbers(mark):
    sheet = Sheet()
    sheet.paragraph(200)
    for row in range(3):
        sheet.line(f"{mark}item {row}", 60, 400 + 26 * row)
    assert kinds(sheet.read()) == ["text", "list"]


PRICES = [["Item", "Count", "Price"], ["Pump", "3", "1,250"], ["Valve", "", "40"], ["", "Total", "1,290"]]


@pytest.mark.parametrize("pitch", [22, 26, 34, 60])
@pytest.mark.parametrize("degrees", [0.0, 1.0])
def test_a_table_keeps_its_empty_cells(pitch, degrees):
    sheet = Sheet()
    sheet.paragraph(200)
    sheet.table(PRICES, 400, pitch)
    sheet.paragraph(400 + 4 * pitch + 60)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    sheet.polygons = [(polygon @ np.array([[cos, sin], [-sin, cos]])).astype(np.float32) for polygon in sheet.polygons]
    blocks = sheet.read()
    assert kinds(blocks) == ["text", "table", "text"]
    assert sheet.grid(blocks[1]) == PRICES


def test_numbers_to_the_right_under_headings_to_the_left_are_one_column():
    sheet = Sheet()
    for row, cells in enumerate(PRICES[:3]):
        for place, text in enumerate(cells):
            x = 60 + 200 * place
            sheet.line(text, x if row == 0 else x + 140 - 11 * len(text), 400 + 34 * row)
    (block,) = sheet.read()
    assert sheet.grid(block) == PRICES[:3]


def test_the_second_line_of_a_cell_is_no_row():
    rows = [["Name", "Address", "Phone"], ["Kim", "12 Harbour Road\nPort Ellis", "555"], ["Lee", "7 Hill", "556"]]
    sheet = Sheet()
    sheet.table(rows, 400, pitch=64, column=220)
    (block,) = sheet.read()
    assert sheet.grid(block) == rows


def test_a_heading_over_two_columns_spans_them():
    sheet = Sheet()
    sheet.line("2025", 220, 400)
    sheet.line("all of the year 2026", 360, 400, 250)
    sheet.table([["Pump", "3", "4", "5"], ["Valve", "6", "7", "8"]], 434)
    (block,) = sheet.read()
    (wide,) = [cell for cell in block.cells if cell.column_span == 2]
    assert (wide.row, wide.column, block.columns) == (0, 2, 4)


def test_items_and_prices_of_a_receipt_are_a_table():
    sheet = Sheet()
    for row in range(5):
        sheet.line(f"item {row}", 60, 400 + 26 * row)
        sheet.line(f"{row},500", 460 - 11 * row, 400 + 26 * row, 66)
    (block,) = sheet.read()
    assert block.kind == "table" and block.columns == 2 and len(block.cells) == 10


def test_two_columns_of_running_text_are_no_table():
    sheet = Sheet()
    for x in (50, 470):
        for row in range(10):
            sheet.line("running text", x, 100 + 26 * row, 380)
    assert kinds(sheet.read()) == ["text", "text"]


def test_a_long_table_takes_no_time_to_speak_of():
    sheet = Sheet()
    sheet.table([[f"{row}", "abc", "12", "", "99"] for row in range(400)], 0, pitch=30)
    (block,) = sheet.read(height=13_000)
    assert (block.columns, len(block.rows)) == (4, 400)
