import random
import re

import pytest

from trainers.render.texts import values
from trainers.render.texts.characters import ALL_SYLLABLES, KS_SYLLABLES, SYMBOLS, printable, tidy
from trainers.render.texts.lines import LONGEST, SHARES, LineTexts, cut, text_split
from trainers.render.texts.source import TextSource, shipped_texts

FIGURE = r"\d{1,3}(,\d{3})*"
SPOKEN = "[일이삼사오육칠팔구십백천만억壹貳參四五六七八九拾百千萬億]+"


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (values.price, FIGURE),
        (values.amount, rf".*({FIGURE}|\d\.\d\d).*|일?금 ?{SPOKEN}원정?|{SPOKEN} 원"),
        (values.business_number, r".*\d{3}-\d{2}-\d{5}\)?"),
        (values.phone, r".*(\d{4}|080)-\d{4}|.*0\d{1,2}\D{0,2}\d{3,4}\D?\d{4}"),
        (values.address, r".*[가-힣].*"),
        (values.date, r".*(\d{2}|\d[월분]|요일 .*시).*"),
        (values.code, r".*[\dA-Z].*"),
        (values.web, r"[@#]\w[\w.]*|.*\w+(\.\w+)+.*"),
        (values.measure, r".*\d.*"),
        (values.person, r".*[가-힣*].*"),
        (values.number, r"[-+]?\d[\d ,.%/:-]*"),
        (values.latin_word, r"[a-z]+"),
    ],
    ids=lambda item: getattr(item, "__name__", ""),
)
def test_values_have_their_form(make, pattern):
    rng = random.Random(0)
    made = [make(rng) for _ in range(1500)]
    wrong = [text for text in made if not re.fullmatch(pattern, text)]
    assert not wrong[:5]
    assert len(set(made)) > 200 and all(printable(text) for text in made)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "일"),
        (10, "일십"),
        (12_300, "일만이천삼백"),
        (100_000_000, "일억"),
        (30_050_007, "삼천오만칠"),
        (9_999_9999_9999_9999, "구천구백구십구조구천구백구십구억구천구백구십구만구천구백구십구"),
    ],
)
def test_numbers_are_spelled(number, text):
    assert values.spoken(number) == text


@pytest.mark.parametrize("number", [0, -3, 10**16])
def test_numbers_beyond_spelling(number):
    with pytest.raises(ValueError, match="no spelling"):
        values.spoken(number)


PATTERNS = {
    "sentence": r".*\S.*",
    "phrase": r".*[가-힣].*",
    "marked": r".*(㈜|㈔|㈐|\(주\)|\(유\)|\(사\)|주식회사).*|([①-⑮㉠-㉰㈀-㈎⑴⑵⑶ⓐⓑⅠ-Ⅴ]|\W|\d|[가-바]\.|제\d+조).*",
    "table": r".+",
    "mixed": r"(?=.*[가-힣]).*([A-Za-z0-9]|원|정).*",
    "english": r"[^가-힣]*[A-Za-z0-9][^가-힣]*",
    "punctuated": r".*\W.*",
    "receipt": r".*([가-힣]|\d|TOTAL|VAT|CASH|CARD|=|-).*",
    "symbols": r".*[^가-힣0-9A-Za-z ].*",
    "rare": r"[가-힣]+( [가-힣]+){0,2}",
}


@pytest.fixture(scope="module")
def many():
    texts, rng = LineTexts(shipped_texts(), "train"), random.Random(1)
    return [texts.draw(rng) for _ in range(8000)]


@pytest.mark.parametrize("kind", list(SHARES))
def test_every_kind_is_drawn_in_its_form(kind, many):
    drawn = [text for text, k in many if k == kind]
    assert 0.7 < len(drawn) / len(many) / SHARES[kind] < 1.35
    assert not [text for text in drawn if not re.fullmatch(PATTERNS.get(kind, r".+"), text)][:5]
    assert all(1 <= len(t) <= LONGEST and tidy(t) == t and text_split(t) == "train" for t in drawn)


def test_shares_are_whole():
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_tidy_and_printable():
    assert tidy("\u1112\u1161\u11ab\u00a0글\t ") == "한 글"
    assert printable("한 글 ₩1") and not printable("a\u200b") and not printable("😀") and not printable("e\u0301\u0301")


def test_cut_takes_whole_words_in_a_row():
    rng = random.Random(0)
    sentence = "하나 둘 셋 넷 다섯 여섯 일곱 여덟 아홉 열 열하나 열둘 열셋 열넷 열다섯 열여섯 열일곱"
    words = sentence.split()
    pieces = [cut(rng, sentence).split() for _ in range(500)]
    assert all(any(words[i : i + len(p)] == p for i in range(len(words))) for p in pieces)
    lengths = sorted(len(" ".join(p)) for p in pieces)
    assert lengths[0] == 1 and 30 <= lengths[-1] <= LONGEST and lengths[450] <= 27
    assert len(cut(rng, "가" * 90)) == LONGEST


def test_rare_syllables_cover_a_charset():
    allowed = KS_SYLLABLES[::10]
    texts, rng = LineTexts(shipped_texts(), "train", allowed + " "), random.Random(0)
    seen = {c for _ in range(2500) for c in texts.draw(rng)[0]}
    assert seen >= set(allowed) and seen <= set(allowed) | {" "}
    assert len(KS_SYLLABLES) == 2350 and len(ALL_SYLLABLES) == 11172 and len(set(SYMBOLS)) >= 150


def test_balance_prefers_what_sentences_lack():
    common = "가나다라마"
    source = TextSource(f"{common} {common} {common}{i}" for i in range(3000))
    charset = common + "".join(c for c in KS_SYLLABLES[100::450] if c not in common) + " 0123456789"

    def share(balance: bool) -> float:
        texts, rng = LineTexts(source, "train", charset, balance), random.Random(0)
        rare = "".join(t for t, kind in (texts.draw(rng) for _ in range(800)) if kind == "rare").replace(" ", "")
        return sum(c in common for c in rare) / len(rare)

    assert share(balance=False) > 0.35 and share(balance=True) < 0.1


def test_the_share_of_rare_syllables_is_as_requested():
    texts, rng = LineTexts(shipped_texts(), "train", rare=0.5), random.Random(0)
    kinds = [kind for _, kind in (texts.draw(rng) for _ in range(600))]
    assert 0.42 < kinds.count("rare") / 600 < 0.58 and 0.1 < kinds.count("sentence") / 600 < 0.23


def test_a_charset_leaves_out_kinds_that_it_cannot_write():
    texts, rng = LineTexts(shipped_texts(), "validation", "0123456789-"), random.Random(0)
    kinds = {kind for _, kind in (texts.draw(rng) for _ in range(300))}
    assert {"number", "phone", "business_number"} <= kinds and not kinds & {"sentence", "rare", "english", "person"}
