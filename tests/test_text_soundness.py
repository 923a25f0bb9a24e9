"""Which texts of PDFs can be what their pages show."""

import pytest

from pipelines.documents.text_soundness import doubt_about, problem_of

ENGLISH = "The quick brown fox jumps over the lazy dog and runs through the field.\n" * 3
KOREAN = "본 보고서는 상반기에 실시한 설비 점검의 결과를 정리한 것이다.\n" * 3
GERMAN = "Donaudampfschifffahrtsgesellschaft Rechtsschutzversicherungsgesellschaften und mehr davon"
CODES = "ATX-4471-B HDMI RGB LED PCB SMD 4.7K 10K 22K QFP LQFP48 STM32F103 BGA\n" * 2
RECEIPT = "아메리카노 2 9,000\n카페라떼 1 5,000\n합계 14,000원\nVISA 1234-56**\n"
CHINESE = "本报告总结了上半年设备检查的结果检查对象为泵站阀门计量器和配电盘" * 3
JAPANESE = "本報告書は上半期に実施した設備点検の結果をまとめたものである" * 3
RUSSIAN = "Настоящий отчёт содержит результаты проверки оборудования за первое полугодие. " * 2
THAI = "รายงานนี้สรุปผลการตรวจสอบอุปกรณ์ในช่วงครึ่งปีแรก" * 3


@pytest.mark.parametrize(
    "text", [ENGLISH, KOREAN, GERMAN, RECEIPT, CHINESE, JAPANESE, RUSSIAN, THAI, "7", "12,500\n1,000"]
)
def test_texts_of_pages_are_sound(text):
    assert problem_of(text) == "" and doubt_about(text) == ""


def test_codes_may_be_gibberish():
    assert problem_of(CODES) == "" and doubt_about(CODES)


@pytest.mark.parametrize(
    "broken",
    ["\ue012\ue034\ue056 text", "\ufffd\ufffd some text \ufffd", "a\x01b\x02c\x03d\x04", "\u0378\u0379 abc \u0380"],
)
def test_characters_without_a_meaning_are_a_problem(broken):
    assert "have no meaning" in problem_of(broken)


def test_a_few_symbols_of_a_font_are_none():
    assert problem_of(ENGLISH + "\uf0b7\uf0b7") == ""  # bullets of a symbol font


def test_characters_that_a_font_does_not_map_are_a_problem():
    assert "33% of its characters have no meaning" in problem_of(ENGLISH, unmapped=100, characters=300)


def test_words_that_are_not_separated_are_a_problem():
    assert problem_of("".join(ENGLISH.split())) == "its words are not separated"
    assert problem_of("".join(KOREAN.split())) == "its words are not separated"
    assert problem_of("https://example.com/a/very/long/address/without/any/space?query=1") == ""


def test_no_text_is_a_problem():
    assert problem_of(" \n") == "it is empty"


def shifted(text: str, by: int) -> str:
    return "".join(chr(ord(c) + by) if not c.isspace() else c for c in text)


@pytest.mark.parametrize("by", [-29, 3, 7, 29])
def test_letters_that_stand_for_others_raise_a_doubt(by):
    gibberish = shifted(ENGLISH, by)
    assert problem_of(gibberish) or doubt_about(gibberish)


def test_hangul_that_stands_for_others_raises_a_doubt():
    assert doubt_about(shifted(KOREAN.replace(".", ""), 5))
