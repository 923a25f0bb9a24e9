"""Reading order on made-up pages: lines are boxes of a given width at a given place."""

import numpy as np
import pytest

from models.geometry import transform_points, turn_matrix
from models.layout.reading_order import reading_order

HEIGHT = 20


def box(x: float, y: float, width: float, height: float = HEIGHT) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def flat(polygons: list[np.ndarray]) -> list[int]:
    return [index for block in reading_order(polygons) for row in block for index in row]


def shuffled(polygons: list[np.ndarray], seed: int = 0) -> list[int]:
    """Return the order found when the lines come shuffled, as indices into the unshuffled list."""
    places = np.random.default_rng(seed).permutation(len(polygons))
    return [int(places[index]) for index in flat([polygons[place] for place in places])]


ONE_COLUMN = [box(50, 40 + 26 * i, 500 if i % 4 < 3 else 230) for i in range(12)]
LEFT = [box(50, 100 + 26 * i, 380) for i in range(10)]
RIGHT = [box(470, 100 + 26 * i, 380) for i in range(10)]
HEADER = [box(150, 20, 600, 34)]
FOOTER = [box(60, 420, 780)]


@pytest.mark.parametrize(
    "polygons",
    [ONE_COLUMN, LEFT + RIGHT, HEADER + LEFT + RIGHT, HEADER + LEFT + RIGHT + FOOTER],
    ids=["one column", "two columns", "header and two columns", "header, two columns, footer"],
)
@pytest.mark.parametrize("degrees", [0.0, 1.0, -1.5, 3.0])
def test_running_text(polygons, degrees):
    matrix, _ = turn_matrix(900, 500, degrees)
    turned = [transform_points(matrix, polygon) for polygon in polygons]
    assert shuffled(turned) == list(range(len(polygons)))


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("pitch", [20, 20.5, 21, 22, 23, 25, 28, 32])
def test_columns_at_any_leading(columns, pitch):
    """Boxes are a little higher than the type: at ordinary leading they touch, or overlap."""
    rng = np.random.default_rng(round(pitch * 10) + columns)
    polygons = HEADER + [
        box(50 + 320 * column, 80 + pitch * line + rng.uniform(-1, 1), rng.uniform(220, 290) if line % 5 else 120)
        for column in range(columns)
        for line in range(20)
    ]
    assert shuffled(polygons) == list(range(len(polygons)))


def test_notes_in_the_margin_of_tightly_set_text():
    text = [box(50, 40 + 21 * line, 520) for line in range(24)]
    notes = [box(610, 124 + 18 * line, 190, 16) for line in range(5)]
    assert shuffled(text + notes) == list(range(29))


def test_columns_whose_lines_do_not_align():
    right = [box(470, 111 + 31 * i, 380) for i in range(8)]
    assert shuffled(LEFT + right) == list(range(18))


def test_short_last_line_stays_in_its_column():
    left = [*LEFT[:9], box(50, 100 + 26 * 9, 90)]
    assert shuffled(left + RIGHT) == list(range(20))


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("width", [380, 90])
def test_a_short_paragraph_beside_running_text_stays_in_its_column(first, width):
    """Too few lines to be running text by themselves, at the height of lines of the other column."""
    left = [box(50, 100 + 26 * i, 380 if i < first - 1 else width) for i in range(first)]
    left += [box(50, 130 + 26 * (first + i), 380) for i in range(8)]
    right = [box(470, 100 + 26 * i, 380) for i in range(12)]
    assert shuffled(left + right) == list(range(len(left + right)))


def test_two_sections_of_columns():
    second = [box(60, 400, 700, 30)] + [box(x, 460 + 26 * i, 350) for x in (50, 470) for i in range(4)]
    polygons = LEFT + RIGHT + second
    assert shuffled(polygons) == list(range(len(polygons)))


def test_table_is_read_row_by_row():
    cells = [box(x, 40 + 36 * row, 90) for row in range(5) for x in (40, 220, 400, 580)]
    blocks = reading_order(cells)
    assert [row for block in blocks for row in block] == [[4 * r, 4 * r + 1, 4 * r + 2, 4 * r + 3] for r in range(5)]


def test_receipt_items_stand_with_their_prices():
    title = [box(120, 20, 260, 26)]
    items = [line for i in range(6) for line in (box(40, 80 + 28 * i, 240 + 10 * (i % 3)), box(420, 82 + 28 * i, 60))]
    rows = [row for block in reading_order(title + items) for row in block]
    assert rows == [[0]] + [[1 + 2 * i, 2 + 2 * i] for i in range(6)]


def test_paragraphs_are_blocks():
    polygons = [box(50, y, 500) for y in (40, 66, 92, 160, 186, 212)]
    assert reading_order(polygons) == [[[0], [1], [2]], [[3], [4], [5]]]


def test_no_lines_and_one_line():
    assert reading_order([]) == []
    assert reading_order([box(1, 2, 3)]) == [[[0]]]


def test_every_line_comes_once():
    rng = np.random.default_rng(3)
    polygons = [box(*rng.uniform(0, 800, 2), *rng.uniform(5, 300, 1), rng.uniform(8, 60)) for _ in range(200)]
    assert sorted(flat(polygons)) == list(range(200))


def test_a_row_of_thousands_is_one_row():
    cells = [np.array([[x, 0], [x + 30, 0], [x + 30, 12], [x, 12]], float) for x in range(0, 120_000, 40)]
    assert reading_order(cells) == [[list(range(3000))]]
