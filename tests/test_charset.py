"""Charsets: files, encoding, and what becomes of labels."""

import unicodedata

import pytest

from models.text_recognition.charset import RULES, Charset, CharsetError, charset


@pytest.mark.parametrize(("name", "syllables"), [("ko_ksx1001", 2350), ("ko_common", 2810), ("ko_full", 11172)])
def test_packaged_charsets(name, syllables):
    korean = charset(name)
    assert sum("가" <= character <= "힣" for character in korean.characters) == syllables
    assert korean.name == name and korean.classes == len(korean) + 1
    for text in (
        "가격 1,234원 (VAT 포함) ~!@#$%^&*",
        "₩㎡㎏℃①⑳㈜※·…→■□○●★☆“”‘’「」『』〈〉《》【】",
        "ㅋㅋ ㅠㅠ ㄱㅣ",
        "金 七拾壹億六千參百萬원整 ㉮",
    ):
        assert korean.decode(korean.encode(text)) == text
        assert korean.label(text).decision == "keep"
    assert korean.characters[0] == " " and all(chr(code) in korean for code in range(0x20, 0x7F))


def test_the_smaller_one_is_in_the_larger():
    assert set(charset("ko_ksx1001").characters) < set(charset("ko_common").characters)
    assert set(charset("ko_common").characters) < set(charset("ko_full").characters)
    assert charset("ko_common").label("이제 봣는데 떄문에 증폭됬다").decision == "keep"
    assert charset("ko_ksx1001").label("똠방각하").outside == "똠"
    assert charset("ko_full").label("똠방각하").decision == "keep"


def test_classes_begin_behind_the_blank():
    letters = Charset("ab ")
    assert letters.encode("b a").tolist() == [2, 3, 1]
    assert letters.decode([0, 2, 2, 0, 3, 1]) == "bb a"
    with pytest.raises(CharsetError, match=r"'c' \(U\+0063\), U\+3000 of"):
        letters.encode("ac\u3000c")


@pytest.mark.parametrize(
    ("text", "label", "decision", "outside"),
    [
        ("가격", "가격", "keep", ""),
        ("가격", "가격", "map", ""),
        ("\u1100\u1161 \u1100", "가 ㄱ", "map", ""),
        ("Ｎｏ．７\u3000（주）", "No.7 (주)", "map", ""),
        ("a\u200bb\ufeff", "ab", "map", ""),
        ("ｱ–ㆍ", "ｱ–·", "leave out", "ｱ"),
        ("漢字 漢", "漢字 漢", "leave out", "漢字"),
        ("", "", "leave out", ""),
        ("   ", "", "leave out", ""),
        ("합계  3,000", "합계 3,000", "map", ""),
        (" 가\u3000 나 ", "가 나", "map", ""),
    ],
)
def test_labels_are_kept_mapped_or_left_out(text, label, decision, outside):
    result = charset("ko_full").label(text)
    assert (result.text, result.outside) == (label, outside)
    # Decomposed syllables are composed before anything is compared.
    assert result.decision == (
        "keep" if decision == "map" and unicodedata.normalize("NFC", text) == label else decision
    )


def test_rules_apply_only_to_what_the_charset_lacks():
    assert charset("ko_full").label("“가” – 10㎡").text == "“가” – 10㎡"
    ascii_only = Charset([chr(code) for code in range(0x20, 0x7F)] + list("가²"))
    assert ascii_only.label("“가” – 10㎡…").text == '"가" - 10m²...'
    assert Charset("ab").label("㎡").text == "㎡"  # half a rule would change what is said


def test_rules_end():
    for character in RULES:
        text, turns = character, 0
        while any(c in RULES for c in text):
            text, turns = "".join(RULES.get(c, c) for c in text), turns + 1
            assert turns < 5, character
        assert unicodedata.normalize("NFC", text) == text


def test_survey_counts_and_names():
    survey = charset("ko_ksx1001").survey(["가", "７", "漢字", "漢", ""])
    assert dict(survey.decisions) == {"keep": 1, "map": 1, "leave out": 3}
    assert survey.outside == {"漢": 2, "字": 1}
    assert str(survey) == (
        "5 labels: 1 kept, 1 mapped by rule, 3 left out; "
        "characters outside the charset (2): '漢' (U+6F22) 2 ×, '字' (U+5B57) 1 ×"
    )


def test_files_come_back(tmp_path):
    path = tmp_path / "mine.txt"
    Charset("a \u3000가#U+").save(path)
    assert path.read_text("utf-8").split("\n") == ["a", "U+0020", "U+3000", "가", "#", "U", "+", ""]
    assert charset(path).characters == tuple("a \u3000가#U+")
    path.write_bytes("﻿a\r\nb\r\n".encode())
    assert charset(str(path)).characters == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\nbc\n", r"line 2: 'bc' is not one character; write the space as U\+0020"),
        ("a\n\nb\n", "line 2: '' is not one character"),
        ("a\nb\na\n", r"line 3: 'a' \(U\+0061\) occurs twice"),
        ("U+110000\n", "is not a code point"),
        ("U+0007\n", r"U\+0007 is not a character of text"),
        ("U+212B\n", "is not NFC"),
        ("", "is empty"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_text(content, "utf-8")
    with pytest.raises(CharsetError, match=message):
        charset(path)


def test_no_such_charset(tmp_path):
    with pytest.raises(CharsetError, match=r"neither packaged \(ko_common, ko_full, ko_ksx1001\) nor a file"):
        charset("ko_half")
    (tmp_path / "latin.txt").write_bytes(b"\xff\n")
    with pytest.raises(CharsetError, match="is not UTF-8"):
        charset(tmp_path / "latin.txt")
