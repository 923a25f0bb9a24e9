"""Scripts of letters, and the language that a line is told to be in."""

import pytest

from models.bundle import load_bundle
from models.text_recognition.languages import bundle_languages, line_languages, script

PP = "zh+en+ja+de+fr"
KOREAN = "ko+en"


@pytest.mark.parametrize(
    ("characters", "expected"),
    [
        ("aZéßøＡ", "latin"),
        ("한ㅋ㈜", "hangul"),
        ("かナｶー", "kana"),
        ("漢㐂", "han"),
        ("Жя", "cyrillic"),
        ("ω", "greek"),
        ("7①₩㎡.、。・-♥ ", None),
    ],
)
def test_scripts_of_letters(characters, expected):
    assert {character: script(character) for character in characters} == dict.fromkeys(characters, expected)


@pytest.mark.parametrize(
    ("text", "read_by", "requested", "expected"),
    [
        ("합계 12,000원", KOREAN, ("ko", "en"), "ko"),
        ("Total 12.00", PP, ("ko", "en"), "en"),
        ("총 KRW", KOREAN, ("ko", "en"), "en"),  # three letters against a syllable
        ("영수증 No.", KOREAN, ("ko", "en"), "ko"),
        ("12,000", PP, ("ko", "en"), "ko"),
        ("12,000", PP, ("en", "ko"), "en"),
        ("TOTAL", KOREAN, ("ko",), "ko"),
        ("合計", PP, ("ko", "en"), "ko"),
        ("合計", PP, ("ko", "zh"), "zh"),
        ("合計", PP, ("ko", "ja"), "ja"),
        ("合計", PP, ("en",), "en"),
        ("合計です", PP, ("zh", "ja"), "ja"),
        ("ﾃｽﾄ", PP, ("zh", "en"), "zh"),
        ("Straße", PP, ("en", "de"), "en"),
        ("Straße", PP, ("ko", "de"), "de"),
        ("Straße", PP, ("sv", "de"), "de"),  # its recogniser reads no Swedish
        ("", PP, ("ja", "en"), "ja"),
    ],
)
def test_the_language_of_a_line(text, read_by, requested, expected):
    assert line_languages([text], [read_by], requested) == [expected]


def test_ideographs_are_japanese_where_the_page_has_kana():
    assert line_languages(["合計", "ありがとう", "TOTAL"], [PP] * 3, ("zh", "ja", "en")) == ["ja", "ja", "en"]
    assert line_languages(["合計", "謝謝", "TOTAL"], [PP] * 3, ("zh", "ja", "en")) == ["zh", "zh", "en"]
    assert line_languages(["合計", "ありがとう"], [PP] * 2, ("zh",)) == ["zh", "zh"]
    assert line_languages([], [], ("en",)) == []


def test_languages_of_bundles():
    assert {"zh", "en", "ja", "de"} <= set(bundle_languages(load_bundle("ppocrv6-rec@small")))
    assert bundle_languages(load_bundle("deskew@1")) == ()
