"""Where words are put in the crop of a line."""

import numpy as np
import pytest

from models.text_recognition.word_places import word_places

HEIGHT, PITCH = 40, 20


def drawn(
    text: str, paper: int = 255, ink: int = 0, margin: int = 12
) -> tuple[np.ndarray, list[list[int]], list[float]]:
    """Return a crop in which each character is a bar 14 px wide every 20 px, where its words are, and where its
    characters are."""
    width = 2 * margin + PITCH * len(text)
    crop = np.full((HEIGHT, width, 3), paper, np.uint8)
    words, places = [], []
    for number, character in enumerate(text):
        left = margin + PITCH * number
        places.append((left + 7) / width)
        if character.isspace():
            continue
        crop[8:32, left : left + 14] = ink
        if number == 0 or text[number - 1].isspace():
            words.append([left, left + 14])
        words[-1][1] = left + 14
    return crop, words, places


def check(text: str, crop: np.ndarray, words: list[list[int]], places: list[float], abs: float = 1.5) -> None:
    found = np.array(word_places(text, tuple(places), crop)) * crop.shape[1]
    np.testing.assert_allclose(found, words, atol=abs)


@pytest.mark.parametrize("text", ["one", "two words", "a b c d", "합계 348,700원 포함"])
@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (10, 240), (200, 90)])
def test_words_begin_and_end_with_their_ink(text, paper, ink):
    check(text, *drawn(text, paper, ink))


def test_places_need_not_be_exact():
    crop, words, places = drawn("two more words")
    rng = np.random.default_rng(0)
    check("two more words", crop, words, [place + rng.uniform(-6, 6) / crop.shape[1] for place in places])


def test_a_rule_under_the_text_and_noise_do_not_matter():
    crop, words, places = drawn("two words")
    noisy = np.clip(crop.astype(int) + np.random.default_rng(0).normal(0, 8, crop.shape), 0, 255).astype(np.uint8)
    noisy[34:36] = 0
    check("two words", noisy, words, places)


def test_what_stands_beside_the_line_is_no_part_of_it():
    crop, words, places = drawn("two words", margin=40)
    crop[:, 2:5] = 0  # a border of the table
    check("two words", crop, words, places)


def test_words_that_touch_are_parted_between_their_characters():
    crop, _, places = drawn("ab cd")
    crop[8:32, 12:110] = 0
    (_, end), (start, _) = word_places("ab cd", tuple(places), crop)
    assert end == pytest.approx(start, abs=0.01) and places[1] < end < places[3]


def test_places_of_another_text_are_not_used():
    crop, _, places = drawn("two words")
    assert word_places("two word", tuple(places), crop) == []
    assert word_places("", (), crop) == [] and word_places("  ", (0.1, 0.2), crop) == []
    assert word_places("a", (0.5,), np.zeros((1, 1, 3), np.uint8)) != []
