"""Word and character F1 of pages, counted as documented."""

import pytest

from benchmarks.page_text_f1 import TextScore, characters, words
from trainers.detection.metrics import F1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Total: TOTAL 12.50", {"total": 2, "12": 1, "50": 1}),
        ("ﬁne  ①", {"fine": 1, "1": 1}),
        ("가격 가격_표", {"가격": 1, "가격_표": 1}),
        ("--- ", {}),
    ],
)
def test_words(text, expected):
    assert dict(words(text)) == expected


def test_characters_leave_spaces_out():
    assert dict(characters("A a\tＡ.\n")) == {"a": 3, ".": 1}


def test_f1_is_over_the_sum_of_pages():
    score = TextScore()
    score.add("b a", "a b")  # order does not matter
    score.add("x", "a a a")
    assert (score.words.matched, score.words.found, score.words.true) == (2, 3, 5)
    assert score.words.precision == pytest.approx(2 / 3)
    assert score.words.recall == pytest.approx(2 / 5)
    assert score.words.value == pytest.approx(4 / 8)


def test_repeats_count_as_often_as_they_are_there():
    score = TextScore()
    score.add("a a a", "a a b")
    assert score.words.matched == 2


def test_nothing_read():
    assert F1().value == F1().precision == F1().recall == 0.0
