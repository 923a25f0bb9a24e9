"""LMDB, PaddleOCR and Parquet in; LMDB and PaddleOCR out; and the way round."""

import csv
import io
import json

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.labelled_images import labels, left_out, ocray, picture, rows, write_pictures
from trainers.data import exporters
from trainers.data.exporters import export_lmdb, export_paddleocr
from trainers.data.importers import lmdb as lmdb_importer
from trainers.data.importers import paddleocr
from trainers.data.importers.rows import LineFound, RowError, clean_label
from trainers.data.layouts import Line, Meter, Page, Region, SetWriter, read_lines, read_pages


def write_lmdb(folder, pairs: dict[bytes, bytes]):
    folder.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(folder), map_size=2**24) as store, store.begin(write=True) as transaction:
        for key, value in pairs.items():
            transaction.put(key, value)


def test_lmdb_becomes_lines(capsys, tmp_path):
    pairs = {
        b"num-samples": b"9",
        b"image-000000001": picture(1),
        b"label-000000001": "하나".encode(),
        b"image-000000002": picture(2),
        b"image-000000003": picture(3),
        b"label-000000003": "셋".encode("cp949"),
        b"image-000000004": b"no image",
        b"label-000000004": b"four",
    }
    write_lmdb(tmp_path / "set", pairs)
    code, _ = ocray(capsys, "data", "import", "lmdb", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 0
    assert labels(tmp_path / "out") == {"000000001": "하나"}
    reported = [(row["place"].rpartition(":")[2], row["reason"]) for row in left_out(tmp_path / "out")]
    assert reported[:4] == [
        ("num-samples", "fewer samples than num-samples"),
        ("label-000000002", "key missing in the LMDB"),
        ("label-000000003", "label is not UTF-8"),
        ("label-000000004", "no image that can be read"),
    ]


def test_several_lmdbs_below_a_folder(capsys, tmp_path):
    for number, name in enumerate(("MJ/MJ_train", "ST")):
        one = {b"num-samples": b"1", b"image-000000001": picture(number), b"label-000000001": name.encode()}
        write_lmdb(tmp_path / "training" / name, one)
    assert ocray(capsys, "data", "import", "lmdb", tmp_path / "training", "--output", tmp_path / "out")[0] == 0
    assert labels(tmp_path / "out") == {"MJ/MJ_train/000000001": "MJ/MJ_train", "ST/000000001": "ST"}


@pytest.mark.parametrize(
    ("pairs", "reported"),
    [
        ({b"image-000000001": b"x"}, "LMDB without num-samples"),
        ({b"num-samples": b"many"}, "num-samples is not a number: b'many'"),
        ({b"num-samples": b"0"}, "nothing could be read from"),
    ],
)
def test_an_lmdb_that_cannot_be_used_is_a_clear_error(capsys, tmp_path, pairs, reported):
    write_lmdb(tmp_path / "set", pairs)
    code, output = ocray(capsys, "data", "import", "lmdb", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 2 and reported in output
    (tmp_path / "set/data.mdb").write_bytes(b"nothing of the kind")
    code, output = ocray(capsys, "data", "import", "lmdb", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 2 and "no LMDB that can be read" in output


def paddle_project(folder):
    """Return a project as PPOCRLabel leaves it: paths in Label.txt begin with the folder's own name."""
    write_pictures(folder, "crop_img/a_0.png", "crop_img/a_1.png")
    gradient = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    Image.fromarray(gradient).save(folder / "a.png")
    marks = [
        {"transcription": "서울", "points": [[10, 10], [90, 10], [90, 30], [10, 30]], "difficult": False},
        {"transcription": "###", "points": [[10, 40], [90, 40], [90, 60], [10, 60]], "difficult": False},
        {"transcription": "", "points": [[10, 70], [90, 70], [90, 90], [10, 90]]},
        {"transcription": "굽은 글", "points": [[100, 10], [140, 10], [180, 10], [180, 30], [140, 30], [100, 30]]},
        {"transcription": "셋", "points": [[1, 1], [2, 2], [3, 1]]},
        {"transcription": "뒤집힘", "points": [[180, 90], [100, 90], [100, 70], [180, 70]]},
    ]
    content = [f"{folder.name}/a.png\t{json.dumps(marks, ensure_ascii=False)}", f"{folder.name}/b.png\t[]", "a.png\t{"]
    (folder / "Label.txt").write_text("\n".join(content) + "\n", "utf-8")
    (folder / "Cache.cach").write_text(f"{folder.name}/a.png\t[]\n")
    (folder / "fileState.txt").write_text(f"{folder / 'a.png'}\t1\n")
    texts = 'crop_img/a_0.png\t서울 시\n["crop_img/a_1.png", "crop_img/none.png"]\t굽은\ncrop_img/a_0.png\n'
    (folder / "rec_gt.txt").write_text(texts, "utf-8")
    return folder


def test_paddleocr_detection_becomes_pages(capsys, tmp_path):
    source = paddle_project(tmp_path / "project")
    code, _ = ocray(capsys, "data", "import", "paddleocr", source, "--output", tmp_path / "out")
    assert code == 0
    (page,) = rows(tmp_path / "out")
    assert [(r["text"], r["ignore"]) for r in page["regions"]] == [
        ("서울", False),
        (None, True),
        (None, False),
        ("굽은 글", False),
        ("뒤집힘", False),
    ]
    assert page["regions"][3]["quad"] == pytest.approx([100, 10, 180, 10, 180, 30, 100, 30], abs=0.01)
    assert page["regions"][4]["quad"] == [180, 90, 100, 90, 100, 70, 180, 70]  # read upside down: order kept
    reported = [(row["place"].rpartition(":")[2], row["reason"]) for row in left_out(tmp_path / "out")]
    assert reported == [
        ("1 region 4", "no polygon of four or more points"),
        ("2", "no such image"),
        ("3", "no JSON list of regions with points"),
    ]


def test_paddleocr_recognition_becomes_lines(capsys, tmp_path):
    source = paddle_project(tmp_path / "project")
    options = ["--layout", "lines", "--output", tmp_path / "out"]
    assert ocray(capsys, "data", "import", "paddleocr", source, *options)[0] == 0
    assert labels(tmp_path / "out") == {"crop_img/a_0.png": "서울 시", "crop_img/a_1.png": "굽은"}
    reported = [row["reason"] for row in left_out(tmp_path / "out")]
    assert reported == ["no such image", "no tab between path and label"]


def test_paddleocr_detection_is_cut_to_lines(capsys, tmp_path):
    source = paddle_project(tmp_path / "project")
    options = ["--layout", "lines", "--output", tmp_path / "out"]
    assert ocray(capsys, "data", "import", "paddleocr", source / "Label.txt", *options)[0] == 0
    cut = {line.text: line for line in lines_of(tmp_path / "out")}
    assert set(cut) == {"서울", "굽은 글", "뒤집힘"}
    assert {line.group for line in cut.values()} == {"project/a.png"}
    upright, turned = (decoded(cut[text].image).astype(int) for text in ("서울", "뒤집힘"))
    assert upright.shape[:2] == turned.shape[:2] == (20, 80)
    assert np.abs(upright[10, :, 0] - np.arange(10, 90)).max() <= 4
    assert np.abs(turned[10, :, 0] - np.arange(180, 100, -1)).max() <= 4


def test_lines_cannot_become_pages(capsys, tmp_path):
    source = paddle_project(tmp_path / "project") / "rec_gt.txt"
    code, reported = ocray(capsys, "data", "import", "paddleocr", source, "--output", tmp_path / "out")
    assert code == 2 and "import it with --layout lines" in reported


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_own_tables(capsys, tmp_path, ending):
    write_pictures(tmp_path, "img/a.png", "img/b.png")
    records = [
        ("img/a.png", '따옴표 "a", b', "m1"),
        ("img/b.png", "둘\n줄", "m2"),
        ("img/b.png", "", "m2"),
        ("", "x", ""),
    ]
    path = tmp_path / f"mine.{ending}"
    if ending == "csv":
        with path.open("w", encoding="cp949", newline="") as file:
            csv.writer(file).writerows([("사진", "값", "meter"), *records])
    else:
        pq.write_table(
            pa.table(dict(zip(("사진", "값", "meter"), map(list, zip(*records, strict=True)), strict=True))), path
        )
    columns = ["--image-column", "사진", "--text-column", "값", "--group-column", "meter"]
    code, _ = ocray(capsys, "data", "import", "parquet", path, "--output", tmp_path / "out", *columns)
    assert code == 0
    (row,) = rows(tmp_path / "out")
    assert (row["name"], row["text"], row["group"]) == ("img/a.png", '따옴표 "a", b', "m1")
    reported = [row["reason"] for row in left_out(tmp_path / "out")]
    assert reported == ["control character in the label", "empty label", "no image in this row"]
    code, reported = ocray(capsys, "data", "import", "parquet", path, "--output", tmp_path / "new")
    assert code == 2 and "has no column image, text; it has 사진, 값, meter" in reported


def test_images_within_tables(capsys, tmp_path):
    images = [{"bytes": picture(1), "path": "x/1.png"}, {"bytes": picture(2), "path": None}, None]
    pq.write_table(pa.table({"image": images, "text": ["one", "two", "three"]}), tmp_path / "hub.parquet")
    pq.write_table(pa.table({"image": [picture(3)], "text": [3.5]}), tmp_path / "fractions.parquet")
    pq.write_table(pa.table({"image": [picture(4), b""], "text": [70, 4]}), tmp_path / "numbers.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    code, _ = ocray(capsys, "data", "import", "parquet", tmp_path, "--output", f"{tmp_path}.out")
    assert code == 0
    out = tmp_path.with_name(tmp_path.name + ".out")
    assert labels(out) == {"x/1.png": "one", "hub/2": "two", "numbers/1": "70"}
    reported = [row["reason"] for row in left_out(out)]
    assert reported == [
        "file cannot be read",
        "text column holds no text",
        "no image in this row",
        "image is empty",
    ]


# The way round


def lines_of(location) -> list[Line]:
    return list(read_lines(location))


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def write_lines(folder, texts: list[str], split="train") -> None:
    with SetWriter(folder, "lines", "made") as writer:
        for number, text in enumerate(texts):
            writer.add(Line(picture(number), text, f"n{number}", None, "made"), split)


def round_trip(rows_found) -> list[tuple[bytes, str]]:
    """Images and cleaned texts of lines found."""
    pairs = []
    for found in rows_found:
        assert isinstance(found, LineFound), found
        image = found.image if isinstance(found.image, bytes) else found.image.read_bytes()
        pairs.append((image, clean_label(found.text)))
    return pairs


def is_label(text: str) -> bool:
    try:
        return clean_label(text) == text
    except RowError:
        return False


label_texts = st.text(min_size=1, max_size=12).filter(is_label) | st.sampled_from(
    ["a b", '"', '["a.png"]', "###", "\\", "'가'", "ㄱ ₩ ㎡ ①", "[]", '[{"points": 1}]', "#", "a.png", "\u3000a\u00a0b"]
)


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(label_texts, min_size=1, max_size=8))
def test_labels_survive_lmdb_and_paddleocr(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("trip")
    write_lines(folder / "set", texts)
    expected = [(picture(number), text) for number, text in enumerate(texts)]
    export_lmdb(folder / "set", folder / "lmdb")
    assert round_trip(lmdb_importer.read(folder / "lmdb/train")) == expected
    export_paddleocr(folder / "set", folder / "paddle")
    assert round_trip(paddleocr.read(folder / "paddle/train", "lines")) == expected


def test_lines_go_out_and_come_back(capsys, tmp_path):
    write_lines(tmp_path / "set", [f"줄 {n}" for n in range(30)])
    with SetWriter(tmp_path / "set", "lines", "more") as writer:
        writer.add(Line(picture(99, kind="JPEG"), "검증", "v", "g", "made"), "validation")
        writer.add(Line(picture(98), "탭\t", "w", "g", "made"), "validation")
    for kind in ("lmdb", "paddleocr"):
        code, reported = ocray(capsys, "data", "export", kind, tmp_path / "set", "--output", tmp_path / kind)
        assert code == 0
        assert "exported 31 rows" in reported and "(train 30 · validation 1)" in reported
        assert "left out: 1 control character in the label" in reported
        for split, share in (("train", 0), ("validation", 1)):
            options = ["--validation", share, "--output", tmp_path / f"{kind}-{split}"]
            options += ["--layout", "lines"] if kind == "paddleocr" else []
            assert ocray(capsys, "data", "import", kind, tmp_path / kind / split, *options)[0] == 0
            before, after = lines_of(tmp_path / "set" / split), lines_of(tmp_path / f"{kind}-{split}")
            kept = [line for line in before if line.text != "탭\t"]
            assert [(line.image, line.text) for line in kept] == [(line.image, line.text) for line in after]


def test_an_lmdb_grows_as_it_must(monkeypatch, tmp_path):
    monkeypatch.setattr(exporters, "_MAP_BYTES", 2**16)
    with SetWriter(tmp_path / "set", "lines", "big") as writer:
        for number in range(4):
            noise = np.random.default_rng(number).integers(0, 256, 2**20, np.uint8).tobytes()
            writer.add(Line(noise, f"{number}", f"{number}", None, ""), "train")
    done = export_lmdb(tmp_path / "set", tmp_path / "out")
    assert done.rows["train"] == 4
    with lmdb.open(str(tmp_path / "out/train"), readonly=True, lock=False) as store:
        assert store.stat()["entries"] == 9


def test_regions_go_out_and_come_back(capsys, tmp_path):
    regions = (
        Region((1.5, 2, 20.25, 3, 20, 9, 1, 8), "가 나"),
        Region((1, 10, 20, 10, 20, 19, 1, 19), None),
        Region((1, 20, 20, 20, 20, 29, 1, 29), None, ignore=True),
    )
    with SetWriter(tmp_path / "set", "regions", "made") as writer:
        writer.add(Page(picture(1, (40, 40)), "p", None, "made", regions), "train")
        writer.add(Page(picture(2, (40, 40)), "q", None, "made", ()), "train")
    assert ocray(capsys, "data", "export", "paddleocr", tmp_path / "set", "--output", tmp_path / "out")[0] == 0
    options = ["--validation", "0", "--output", tmp_path / "back"]
    assert ocray(capsys, "data", "import", "paddleocr", tmp_path / "out/train", *options)[0] == 0
    before, after = list(read_pages(tmp_path / "set")), list(read_pages(tmp_path / "back"))
    assert [(p.image, p.regions) for p in before] == [(p.image, p.regions) for p in after]
    code, reported = ocray(capsys, "data", "export", "lmdb", tmp_path / "set", "--output", tmp_path / "no")
    assert code == 2 and "holds regions, LMDB holds lines" in reported


def test_meters_are_not_exported(capsys, tmp_path):
    with SetWriter(tmp_path / "set", "meters", "made") as writer:
        writer.add(Meter(picture(1, (40, 40)), "m", None, "made", "photo", "analog"), "train")
    code, reported = ocray(capsys, "data", "export", "paddleocr", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 2 and "holds meters; PaddleOCR's label files hold lines and regions" in reported
    code, reported = ocray(capsys, "data", "export", "lmdb", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 2 and "holds meters, LMDB holds lines" in reported
