"""Label files: how lines are parted, encodings, and what is told of rows that cannot be used."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelled_images import labels, left_out, ocray, picture, rows, write_pictures
from trainers.data.importers.label_file import split_label
from trainers.data.importers.rows import RowError, clean_label


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("a.png\t서울 시청", ("a.png", "서울 시청")),
        ("a.png 서울 시청", ("a.png", "서울 시청")),
        ("my scan.JPG 서울", ("my scan.JPG", "서울")),
        ("my scan.png\ta b", ("my scan.png", "a b")),
        ("crop_7 b.png", ("crop_7", "b.png")),
        ("a.png\t", ("a.png", "")),
        ("a.png\ta\tb", ("a.png", "a\tb")),
        ("a.png  x", ("a.png", " x")),
    ],
)
def test_a_line_is_parted(line, parts):
    assert split_label(line) == parts


def test_a_line_without_a_label_is_named():
    with pytest.raises(RowError, match="no tab and no space"):
        split_label("a.png")


def test_good_rows_come_in_and_bad_ones_are_reported(capsys, tmp_path):
    source = tmp_path / "set"
    write_pictures(source / "images", "a.png", "b.png", "c.png", "same.png")
    (source / "images/same.png").write_bytes((source / "images/a.png").read_bytes())
    (source / "images/text.png").write_text("no image")
    (source / "images/half.jpg").write_bytes(picture(9, (64, 64), "JPEG")[:1500])
    (source / "images/empty.png").touch()
    lines = [
        "images/a.png\t가나다 라",
        "images/b.png  공백 ",
        "images/gone.png\t없음",
        "images/c.png\t   ",
        "images/text.png\tx",
        "images/half.jpg\tx",
        "images/empty.png\tx",
        "",
        "images/same.png\t가나다 라",
        "images/c.png\tzero\u200bwidth",
        "images/c.png\ttab\tbed",
        "nothing",
        "images/a.png\t다른 이름",
    ]
    (source / "gt_train.txt").write_text("\n".join(lines), "utf-8")
    code, reported = ocray(capsys, "data", "import", "label_file", source, "--output", tmp_path / "out")
    assert code == 0
    assert f"imported 3 lines, 9 left out (see {tmp_path / 'out' / 'left_out.jsonl'})" in reported
    assert "75% of all rows were left out" in reported
    assert f"{source}/gt_train.txt:3: no such image: images/gone.png" in reported
    assert labels(tmp_path / "out") == {
        "images/a.png": "가나다 라",
        "images/b.png": "공백",
        "images/a.png#2": "다른 이름",
    }
    assert [(row["place"].rpartition(":")[2], row["reason"]) for row in left_out(tmp_path / "out")] == [
        ("3", "no such image"),
        ("4", "empty label"),
        ("5", "no image that can be read"),
        ("6", "image is damaged"),
        ("7", "image is empty"),
        ("9", "duplicate of an earlier row"),
        ("10", "control character in the label"),
        ("11", "control character in the label"),
        ("12", "no tab and no space between path and label"),
    ]
    facts = json.loads((tmp_path / "out/import.json").read_text("utf-8"))
    assert facts["characters"]["가"] == 1 and facts["characters"][" "] == 2
    assert facts["left_out"]["control character in the label"] == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_encodings_of_korean_windows(capsys, tmp_path, encoding):
    write_pictures(tmp_path / "set", "가.png", "b.png")
    # 짜 in cp949 is also valid UTF-8: the file's encoding counts, not the line's.
    (tmp_path / "set/labels.txt").write_bytes("가.png 똠방각하\r\nb.png 짜\r\n".encode(encoding))
    code, _ = ocray(capsys, "data", "import", "label_file", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 0
    assert labels(tmp_path / "out") == {"가.png": "똠방각하", "b.png": "짜"}


def test_one_line_in_no_known_encoding_is_named_and_the_rest_comes_in(capsys, tmp_path):
    write_pictures(tmp_path / "set", "a.png", "b.png")
    (tmp_path / "set/labels.txt").write_bytes("a.png 서울\n".encode() + b"b.png \xff\xff\n" + "b.png 부산\n".encode())
    code, reported = ocray(capsys, "data", "import", "label_file", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 0
    assert "labels.txt:2: neither UTF-8 nor cp949" in reported
    assert labels(tmp_path / "out") == {"a.png": "서울", "b.png": "부산"}


def test_utf16_is_named(capsys, tmp_path):
    write_pictures(tmp_path / "set", "a.png")
    (tmp_path / "set/labels.txt").write_text("a.png 서울\n", "utf-16")
    code, reported = ocray(capsys, "data", "import", "label_file", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 2
    assert "nothing could be read" in reported and "is UTF-16; save it as UTF-8" in reported
    assert not (tmp_path / "out").exists()


def test_decomposed_hangul_is_composed_in_labels_and_found_in_file_names(capsys, tmp_path):
    write_pictures(tmp_path / "set", unicodedata.normalize("NFD", "한글.png"))
    label = unicodedata.normalize("NFD", "각")
    (tmp_path / "set/labels.txt").write_text(f"sub\\..\\한글.png\t{label}\n한글.png\t{label}a", "utf-8")
    (tmp_path / "set/sub").mkdir()
    code, _ = ocray(capsys, "data", "import", "label_file", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 0
    assert sorted(labels(tmp_path / "out").values()) == ["각", "각a"]


def test_images_elsewhere_and_groups_by_pattern(capsys, tmp_path):
    write_pictures(tmp_path / "images", *(f"meter{m}/{n}.png" for m in range(20) for n in range(3)))
    content = "".join(f"meter{m}/{n}.png {m}-{n}\n" for m in range(20) for n in range(3))
    (tmp_path / "gt_x.txt").write_text(content)
    options = ["--images", tmp_path / "images", "--group-pattern", "(meter[0-9]+)/", "--validation", "0.4"]
    source = tmp_path / "gt_x.txt"
    code, _ = ocray(capsys, "data", "import", "label_file", source, "--output", tmp_path / "out", *options)
    assert code == 0
    groups = [{row["group"] for row in rows(tmp_path / "out" / split)} for split in ("train", "validation")]
    assert all(groups) and not groups[0] & groups[1]
    assert len(groups[0] | groups[1]) == 20


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\n")))
def test_any_label_comes_through_or_is_refused(text):
    """What is parted by a tab is the label as it was, then cleaned; nothing else changes it."""
    name, label = split_label(f"a.png\t{text}")
    assert (name, label) == ("a.png", text)
    try:
        clean = clean_label(label)
    except RowError as error:
        assert error.reason in ("empty label", "control character in the label")
    else:
        assert clean == unicodedata.normalize("NFC", text).strip(" ")
        assert clean_label(clean) == clean
        assert "\t" not in clean and "\r" not in clean
