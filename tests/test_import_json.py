"""AI Hub and COCO JSON: fonts, scenes, broken files."""

import json

import pytest

from tests.labelled_images import labels, left_out, ocray, picture, rows, write_pictures
from trainers.data.importers import json_sets
from trainers.data.importers.rows import LeftOut


def fonts(tmp_path):
    """Return a set of AI Hub's fonts with two files below the JSON's folder, and all that can be wrong with it."""
    write_pictures(tmp_path / "fonts", "01_words/00000001.png", "02_sentences/00000002.png", "01_words/00000003.png")
    write_pictures(tmp_path / "fonts/again", "00000005.png")
    write_pictures(tmp_path / "fonts/other", "00000005.png")
    numbers = ["00000001", "00000002", "00000003", "00000004", "00000005", "00000006"]
    kinds = {"00000001": "단어(어절)", "00000002": "문장", "00000003": "글자(음절)"}
    content = {
        "info": {"name": "한글 손글씨 데이터", "date_created": "2019-08-24 20:06:53"},
        "images": [{"id": n, "width": 24, "height": 8, "file_name": f"{n}.png"} for n in numbers],
        "annotations": [
            {"id": n, "image_id": n, "text": f"글{n}", "attributes": {"type": kinds.get(n, "문장"), "is_aug": False}}
            for n in numbers[:5]
        ]
        + [{"id": "77", "image_id": "99", "text": "x", "attributes": {}}],
        "licenses": [{"name": "AI Hub"}],
    }
    path = tmp_path / "fonts/printed_data_info.json"
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return path


def test_fonts_become_lines(capsys, tmp_path):
    source = fonts(tmp_path)
    code, shown = ocray(capsys, "data", "import", "ai_hub", source, "--output", tmp_path / "out")
    assert code == 0
    assert "imported 2 lines, 4 left out" in shown
    assert "not taken: 1 annotations of type character" in shown
    assert labels(tmp_path / "out") == {"00000001.png": "글00000001", "00000002.png": "글00000002"}
    shown = [(row["place"].removeprefix(f"{source}:"), row["reason"]) for row in left_out(tmp_path / "out")]
    assert shown == [
        ("annotation 77", "annotation of no image"),
        ("image 00000004", "no such image"),
        ("image 00000005", "image is in several folders"),
        ("image 00000006", "image without annotation"),
    ]


def test_characters_are_taken_when_requested(capsys, tmp_path):
    options = ["--output", tmp_path / "out", "--types", "character"]
    assert ocray(capsys, "data", "import", "ai_hub", fonts(tmp_path), *options)[0] == 0
    assert labels(tmp_path / "out") == {"00000003.png": "글00000003"}
    code, shown = ocray(capsys, "data", "import", "ai_hub", tmp_path, "--output", tmp_path / "x", "--types", "syllable")
    assert code == 2 and "unknown type 'syllable'; known: character, word, sentence" in shown


def scene(tmp_path):
    """Return a set with a JSON a scene, labels and images in folders of their own."""
    images = tmp_path / "scenes/원천데이터"
    images.mkdir(parents=True)
    (images / "a.jpg").write_bytes(picture(1, (100, 60), "JPEG"))
    annotations = [
        {"id": 1, "image_id": "A", "text": "간판", "bbox": [10, 10, 40, 12], "attributes": {"class": "word"}},
        {"id": 2, "image_id": "A", "text": "간", "bbox": [10, 10, 20, 12], "attributes": {"class": "character"}},
        {"id": 3, "image_id": "A", "text": "xxx", "bbox": [60, 10, 20, 12], "attributes": {"class": "word"}},
        {"id": 4, "image_id": "A", "text": None, "bbox": [60, 30, 20, 12], "attributes": {"class": "ignored"}},
        {"id": 5, "image_id": "A", "text": "음수", "bbox": [-2, 30, 20, 10], "attributes": {"class": "word"}},
        {"id": 6, "image_id": "A", "text": "밖", "bbox": [200, 30, 20, 10], "attributes": {"class": "word"}},
        {"id": 7, "image_id": "A", "text": "선", "bbox": [20, 30, 20, 0], "attributes": {"class": "word"}},
    ]
    content = {
        "images": [{"id": "A", "width": 100, "height": 60, "file_name": "a.jpg", "type": "sign"}],
        "annotations": annotations,
    }
    (tmp_path / "scenes/라벨링데이터").mkdir()
    (tmp_path / "scenes/라벨링데이터/a.json").write_text(json.dumps(content), "utf-8")
    return tmp_path / "scenes"


def test_scenes_become_pages(capsys, tmp_path):
    options = ["--layout", "regions", "--output", tmp_path / "out", "--validation", "0"]
    code, shown = ocray(capsys, "data", "import", "ai_hub", scene(tmp_path), *options)
    assert code == 0
    assert "imported 1 pages, 2 left out" in shown and "4 regions, 2 of them to ignore" in shown
    (page,) = rows(tmp_path / "out")
    assert [(r["text"], r["ignore"]) for r in page["regions"]] == [
        ("간판", False),
        (None, True),
        (None, True),
        ("음수", False),
    ]
    assert page["regions"][0]["quad"] == [10, 10, 50, 10, 50, 22, 10, 22]
    reasons = {row["reason"]: row["place"] for row in left_out(tmp_path / "out")}
    assert reasons["region without area"].endswith("a.json:annotation 7")
    assert reasons["region outside the image, or mostly so"].endswith("a.json:image A region 4")


def test_scenes_become_lines_by_cutting(capsys, tmp_path):
    code, shown = ocray(capsys, "data", "import", "ai_hub", scene(tmp_path), "--output", tmp_path / "out")
    assert code == 0
    assert "not taken: 2 regions that are illegible or without text" in shown
    lines = rows(tmp_path / "out")
    assert {(row["text"], row["group"]) for row in lines} == {("간판", "a.jpg"), ("음수", "a.jpg")}
    assert {row["name"] for row in lines} == {"a.jpg#0", "a.jpg#3"}


def test_a_page_falls_to_the_split_of_its_lines(capsys, tmp_path):
    for layout in ("lines", "regions"):
        for number in range(8):
            folder = tmp_path / f"{layout}{number}"
            source = scene(folder)
            (source / "원천데이터/a.jpg").rename(source / f"원천데이터/{number}.jpg")
            path = source / "라벨링데이터/a.json"
            path.write_text(path.read_text().replace("a.jpg", f"{number}.jpg"))
            options = ["--layout", layout, "--validation", "0.5", "--output", folder / "out"]
            assert ocray(capsys, "data", "import", "ai_hub", source, *options)[0] == 0
    for number in range(8):
        splits = [
            [p.name for p in (tmp_path / f"{la}{number}/out").iterdir() if p.is_dir()] for la in ("lines", "regions")
        ]
        assert splits[0] == splits[1]


def coco(tmp_path, **image):
    write_pictures(tmp_path / "coco")
    (tmp_path / "coco/p.png").write_bytes(picture(2, (100, 60)))
    polygon = [50, 40, 10, 40, 10, 20, 50, 20]  # from the bottom right, counter-clockwise or not
    mask = {"counts": [1], "size": [60, 100]}
    annotations = [
        {"id": 1, "image_id": 7, "segmentation": [polygon], "attributes": {"text": "둘"}},
        {"id": 2, "image_id": 7, "bbox": [60, 10, 20, 10], "segmentation": mask, "caption": "셋"},
        {"id": 3, "image_id": 7, "bbox": [60, 30, 20, 10], "utf8_string": "넷", "legibility": "illegible"},
        {"id": 4, "image_id": 7, "bbox": [60, 45, 20, 10]},
        {"id": 5, "image_id": 7, "segmentation": [[1, 2, 3, 4]], "text": "x"},
        {"id": 6, "image_id": 7, "text": "no place"},
        {"id": 7, "image_id": 7, "bbox": [10, 45, 20, 10], "text": "a\nb"},
    ]
    images = [{"id": 7, "file_name": "p.png", "width": 100, "height": 60, **image}, {"id": 8, "file_name": "p.png"}]
    path = tmp_path / "coco/instances.json"
    path.write_text(json.dumps({"annotations": annotations, "images": images, "categories": []}))
    return path


def test_coco_becomes_pages(capsys, tmp_path):
    options = ["--output", tmp_path / "out", "--validation", "1"]
    code, _ = ocray(capsys, "data", "import", "coco", coco(tmp_path), *options)
    assert code == 0
    (page,) = rows(tmp_path / "out/validation")
    assert [(r["text"], r["ignore"]) for r in page["regions"]] == [
        ("둘", False),
        ("셋", False),
        ("넷", True),
        (None, False),
        (None, False),  # its label has a line break: reported, the place stays
    ]
    assert page["regions"][0]["quad"] == [10, 20, 50, 20, 50, 40, 10, 40]
    assert [row["reason"] for row in left_out(tmp_path / "out")] == [
        "no polygon of four or more points",
        "annotation without bbox and segmentation",
        "control character in the label",
        "image without annotation",
    ]


def test_labels_for_another_size_are_refused(capsys, tmp_path):
    source = coco(tmp_path, width=200, height=120)
    code, shown = ocray(capsys, "data", "import", "coco", source, "--output", tmp_path / "out")
    assert code == 2
    assert "100 × 60 px as it is seen (EXIF applied), labels for 200 × 120" in shown


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"images": [{"id": 1, "file_name": "p.png"}], "annotations": [{"id": 1,', "not valid JSON from here on"),
        ('{"images": [{"id": 1}], "categories": []}', "not JSON with images and annotations: no annotations in it"),
        ("[1, 2]", "not valid JSON from here on: expected {, found ["),
        ("", "not valid JSON from here on: expected {, found the end of the file"),
        ('{"images": [3, {"file_name": "x"}], "annotations": [{"id": 1}]}', "image without an id: 3"),
        (
            '{"images": [{"id": 1}], "annotations": [{"id": 1, "image_id": 1, "bbox": 3}]}',
            "no box [x, y, width, height]: 3",
        ),
    ],
)
def test_broken_json_is_reported_and_never_a_crash(capsys, tmp_path, content, reason):
    (tmp_path / "x.json").write_text(content)
    code, shown = ocray(capsys, "data", "import", "coco", tmp_path / "x.json", "--output", tmp_path / "out")
    assert code == 2
    assert reason in shown and "Traceback" not in shown


def test_what_is_before_a_break_is_imported(capsys, tmp_path):
    path = coco(tmp_path)
    path.write_text('{"images": [{"id": 7, "file_name": "p.png"}], ' + path.read_text()[1:-60])
    code, shown = ocray(capsys, "data", "import", "coco", path, "--output", tmp_path / "out")
    assert code == 0
    assert "imported 1 pages" in shown and "not valid JSON from here on" in shown


@pytest.mark.parametrize("chunk", [1, 7, 64, 10_000])
def test_json_is_read_in_pieces_of_any_size(monkeypatch, tmp_path, chunk):
    monkeypatch.setattr(json_sets, "_CHUNK", chunk)
    images = [{"id": n, "x": [1.5, -2e3, {"가": 'a"]}'}]} for n in range(9)]
    content = {"n": 12345, "annotations": [{"id": 4, "image_id": "8", "t": True}], "images": images, "last": []}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content, indent=2), "utf-8")
    found = list(json_sets.joined(path))
    assert [image for image, _ in found] == images
    assert found[8][1] == content["annotations"]
    assert not any(isinstance(item, LeftOut) for item in found)


def test_korean_json_of_old_windows(capsys, tmp_path):
    path = fonts(tmp_path)
    path.write_bytes(path.read_text("utf-8").encode("cp949"))
    assert ocray(capsys, "data", "import", "ai_hub", path, "--output", tmp_path / "out")[0] == 0
    assert labels(tmp_path / "out")["00000001.png"] == "글00000001"
