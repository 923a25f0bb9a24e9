"""Label Studio exports of meters: displays, classes, digits, and how both label files join."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.labelled_images import left_out, ocray, picture, rows
from trainers.data.importers.meter_labels import (
    DigitFound,
    LabelNames,
    clean_reading,
    display_corners,
    kind_of,
    ordered_digits,
)
from trainers.data.importers.rows import RowError
from trainers.data.layouts import Meter
from trainers.data.meter_sample import MeterDigit

SIZE = (200, 100)


def result(kind: str, size=SIZE, **value) -> dict:
    frame = {"original_width": size[0], "original_height": size[1], "image_rotation": 0}
    return {"id": "r", "type": kind, "to_name": "image", "from_name": "x", "value": value, **frame}


def polygon(*points, label="screen") -> dict:
    return result("polygonlabels", points=[list(point) for point in points], polygonlabels=[label])


SCREEN = polygon((20, 40), (80, 40), (80, 60), (20, 60))


def choice(name: str) -> dict:
    return {"type": "choices", "value": {"choices": [name]}}


def rectangle(label: str, x: float, y: float, width: float, height: float, rotation: float = 0, **more) -> dict:
    box = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation}
    return {**result("rectanglelabels", **box, rectanglelabels=[label]), **more}


def task(number: int, image: str, *results: dict, **annotation) -> dict:
    return {"id": number, "data": {"image": image}, "annotations": [{"id": 1, "result": list(results), **annotation}]}


def export(path, *tasks: dict):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tasks))
    return path


def image(path, seed: int = 0, size=SIZE, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(seed, size, **options))


def imported(capsys, source, *options) -> tuple[str, dict[str, Meter]]:
    output = source.parent / "out" if source.is_file() else source.with_name("out")
    code, reported = ocray(capsys, "data", "import", "label_studio", source, "--output", output, *options)
    assert code == 0, reported
    return reported, {row["name"]: Meter.of(row) for row in rows(output)}


def quad(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def test_displays_with_their_classes(capsys, tmp_path):
    spellings = {"Analog": "analog", "digital_illegible": "digital_illegible", "Analog (illegible)": "analog_illegible"}
    tasks = []
    for number, spelling in enumerate(spellings):
        image(tmp_path / f"{number}.jpg", number, kind="JPEG")
        tasks.append(task(number, f"/data/upload/1/abcd1234-{number}.jpg", SCREEN, choice(spelling)))
    upside_down = polygon((80, 60), (20, 60), (20, 40), (80, 40), label="LCD meter")
    image(tmp_path / "3.jpg", 3)
    tasks.append(task(3, "s3://bucket/photos/3.jpg", upside_down))
    image(tmp_path / "4.jpg", 4)
    tasks.append(task(4, "4.jpg", choice("No meter")))
    reported, found = imported(capsys, export(tmp_path / "labels.json", *tasks))
    assert "imported 5 meters" in reported and "taken: 1 'Analog' as analog" in reported
    assert [found[f"{n}.jpg"].meter_class for n in range(5)] == [*spellings.values(), "digital", "none"]
    assert found["0.jpg"].corners.tolist() == [[40, 40], [160, 40], [160, 60], [40, 60]]
    assert found["3.jpg"].corners.tolist() == [[160, 60], [40, 60], [40, 40], [160, 40]]
    assert found["4.jpg"].corners is None and {meter.kind for meter in found.values()} == {"photo"}
    facts = json.loads((tmp_path / "out/import.json").read_text())
    assert facts["understood"]["'Analog (illegible)' as analog_illegible"] == 1
    assert facts["meters"] == {
        "photo": 5, "corners": 4, "class analog": 1, "class digital_illegible": 1, "class analog_illegible": 1,
        "class digital": 1, "class none": 1,
    }  # fmt: skip


def test_digits_of_a_strip_become_a_reading(capsys, tmp_path):
    image(tmp_path / "strip.png")
    digits = [rectangle(str(n), 12 * place + 2, 10, 9, 80) for place, n in enumerate([0, 3, 7, 8, 5])][::-1]
    area = rectangle("Fraction area", 36, 5, 40, 90)
    double = rectangle("9", 14.5, 10, 6, 60)
    _, found = imported(capsys, export(tmp_path / "l.json", task(1, "strip.png", area, double, *digits)))
    (meter,) = found.values()
    assert (meter.kind, meter.meter_class, meter.reading, meter.leading_zeros) == ("strip", None, "037.85", True)
    assert [digit.fraction for digit in meter.digits] == [False] * 3 + [True] * 2
    np.testing.assert_allclose(meter.digits[1].box, quad(28, 10, 46, 90), atol=1e-3)
    assert meter.corners.tolist() == [[0, 0], [200, 0], [200, 100], [0, 100]]


def test_both_label_files_at_once(capsys, tmp_path):
    """Stage 1's photos have the readings of stage 2's strips; a stage 2 on the photo itself is the photo's."""
    image(tmp_path / "in/one/a.jpg", 1)
    image(tmp_path / "in/one/b.jpg", 2)
    image(tmp_path / "in/two/a.jpg", 3, (120, 20))
    first = [task(1, "/data/upload/1/00000000-a.jpg", SCREEN, choice("analog")), task(2, "b.jpg", SCREEN)]
    export(tmp_path / "in/one/labels.json", *first)
    strip = [{**rectangle(str(n), 30 * n, 5, 20, 90), "original_width": 120, "original_height": 20} for n in (1, 2)]
    export(tmp_path / "in/two/labels.json", task(1, "/data/upload/2/11111111-a.jpg", *strip))
    photo = [rectangle(str(n), 20 + 20 * n, 45, 15, 10) for n in (1, 2)]
    export(tmp_path / "in/two/more.json", task(7, "/data/local-files/?d=one%2Fb.jpg", *photo))
    reported, found = imported(capsys, tmp_path / "in", "--images", tmp_path / "in", "--validation", "0.5")
    made = [Meter.of(row) for row in rows(tmp_path / "out")]
    meters = {(meter.name, meter.kind): meter for meter in made}
    assert "imported 3 meters" in reported and set(found) == {"a.jpg", "b.jpg", "a.jpg#2"}
    assert meters["b.jpg", "photo"].reading == "12" and meters["b.jpg", "photo"].corners is not None
    np.testing.assert_allclose(meters["b.jpg", "photo"].digits[0].box, quad(80, 45, 110, 55), atol=1e-3)
    joined = next(meter for meter in made if meter.group == "a" and meter.kind == "photo")
    own = next(meter for meter in made if meter.group == "a" and meter.kind == "strip")
    assert (joined.reading, joined.digits) == ("12", None)
    assert own.reading == "12" and own.meter_class == "analog" and len(own.digits) == 2


def test_the_last_annotation_that_was_not_cancelled_counts(capsys, tmp_path):
    image(tmp_path / "a.png")
    image(tmp_path / "b.png", 1)
    annotations = [
        {"id": 2, "updated_at": "2024-02-01T00:00:00Z", "result": [SCREEN, choice("digital")]},
        {"id": 1, "updated_at": "2024-01-01T00:00:00Z", "result": [SCREEN, choice("analog")]},
        {"id": 3, "updated_at": "2024-03-01T00:00:00Z", "result": [choice("none")], "was_cancelled": True},
    ]
    twice = {"id": 1, "data": {"image": "a.png"}, "annotations": annotations}
    reported, found = imported(capsys, export(tmp_path / "l.json", twice, task(2, "b.png", SCREEN, was_cancelled=True)))
    assert found["a.png"].meter_class == "digital" and len(found) == 1
    assert "not taken: 2 annotations that the annotator cancelled" in reported
    assert "not taken: 1 earlier annotations of an image (the last one counts)" in reported


def test_typed_readings_and_remarks(capsys, tmp_path):
    image(tmp_path / "a.png")
    image(tmp_path / "b.png", 1)

    def typed(text):
        return {"type": "textarea", "value": {"text": [text]}}

    tasks = [task(1, "a.png", SCREEN, typed("00378,54X")), task(2, "b.png", SCREEN, typed("behind dirty glass"))]
    reported, found = imported(capsys, export(tmp_path / "l.json", *tasks))
    assert (found["a.png"].reading, found["b.png"].reading) == ("00378.54x", None)
    assert "not taken: 1 typed texts that are not readings" in reported


def test_json_min(capsys, tmp_path):
    image(tmp_path / "a.png")
    image(tmp_path / "b.png", 1)

    def flat(item):
        return {**item["value"], "original_width": 200, "original_height": 100}

    digits = [flat(rectangle("4", 10, 10, 20, 80)), flat(rectangle("2", 50, 10, 20, 80))]
    tasks = [
        {"image": "/data/upload/1/a.png", "id": 5, "screen": [flat(SCREEN)], "choice": "analog", "annotator": 1},
        {"image": "/data/upload/1/b.png", "id": 6, "digits": digits, "lead_time": 3.5},
    ]
    _, found = imported(capsys, export(tmp_path / "min.json", *tasks))
    assert found["a.png"].meter_class == "analog" and found["a.png"].corners.tolist()[0] == [40, 40]
    assert (found["b.png"].reading, found["b.png"].kind) == ("42", "strip")


def test_labels_fit_the_image_as_it_is_seen(capsys, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image(tmp_path / "turned.jpg", 0, (100, 200), kind="JPEG", exif=exif)  # seen as 200 × 100
    image(tmp_path / "unturned.jpg", 1, (100, 200), kind="JPEG")
    image(tmp_path / "smaller.jpg", 2, (100, 50), kind="JPEG")
    names = ("turned", "unturned", "smaller")
    tasks = [task(n, f"{name}.jpg", SCREEN, choice("analog")) for n, name in enumerate(names)]
    _, found = imported(capsys, export(tmp_path / "l.json", *tasks))
    assert found["turned.jpg"].corners.tolist() == [[40, 40], [160, 40], [160, 60], [40, 60]]
    assert found["smaller.jpg"].corners.tolist() == [[20, 20], [80, 20], [80, 30], [20, 30]]
    (reported,) = left_out(tmp_path / "out")
    assert reported["place"].endswith("task 1") and "labels for 200 × 100" in reported["detail"]


def test_what_cannot_be_used_is_named_and_the_rest_is_imported(capsys, tmp_path):
    for number in range(12):
        image(tmp_path / f"{number}.png", number)
    image(tmp_path / "a/twice.png", 20)
    image(tmp_path / "b/twice.png", 21)
    (tmp_path / "damaged.png").write_bytes(picture(1)[:-30])
    turned = {**SCREEN, "image_rotation": 90}
    tasks = [
        (task(0, "0.png", SCREEN, choice("analog")), None),
        (task(1, "1.png", polygon((1, 1), (50, 1), (50, 50))), "no polygon of four or more points"),
        (task(2, "2.png", polygon((1, 1), (50, 1), (50, 1), (1, 1))), "region without area"),
        (task(3, "3.png", SCREEN, choice("gas")), "unknown label"),
        (task(4, "4.png", SCREEN, choice("analog"), choice("digital")), "several classes for one image"),
        (task(5, "5.png", choice("analog")), "neither display nor digits are marked"),
        (task(6, "6.png"), "annotation without labels"),
        (task(7, "7.png", turned), "image turned in Label Studio"),
        (task(8, "missing.png", SCREEN), "no such image"),
        (task(9, "twice.png", SCREEN), "image is in several folders"),
        (task(10, "damaged.png", SCREEN), "image is damaged"),
        ({"id": 11, "data": {"image": "8.png"}, "annotations": []}, "task without annotation"),
        ({"id": 12, "data": {"sound": "a.wav"}, "annotations": [{"result": [SCREEN]}]}, "task without an image"),
        ({"id": 13, "x": 1}, "no Label Studio task with annotations"),
        ("text", "no Label Studio task"),
        (task(15, "9.png", polygon((150, 150), (180, 150), (180, 180), (150, 180))), "display outside the image"),
        (task(16, "10.png", rectangle("analog", 1, 1, 50, 50)), "rectangle is not a digit, fraction area or display"),
        (task(17, "11.png", result("polygonlabels", points=3, polygonlabels=["screen"])), "no polygon [[x, y], …]"),
    ]
    source = export(tmp_path / "l.json", *(task for task, _ in tasks))
    reported, found = imported(capsys, source)
    assert set(found) == {"0.png"} and "Traceback" not in reported
    reasons = {row["place"].rpartition("task ")[2]: row["reason"] for row in left_out(tmp_path / "out")}
    for number, (_, reason) in enumerate(tasks):
        assert (reason is None) == (str(number) not in reasons)
        assert reason is None or reasons[str(number)].startswith(reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"images": [], "annotations": []}', "not JSON with a list of items"),
        ("", "not JSON with a list of items"),
        ("[]", "it is empty"),
        ("[1, 2", "no Label Studio task: 1"),
    ],
)
def test_what_is_no_export_is_reported(capsys, tmp_path, content, reason):
    (tmp_path / "x.json").write_text(content)
    code, reported = ocray(capsys, "data", "import", "label_studio", tmp_path / "x.json", "--output", tmp_path / "out")
    assert code == 2 and reason in reported


def test_a_broken_export_is_used_up_to_where_it_breaks(capsys, tmp_path):
    image(tmp_path / "a.png")
    source = export(tmp_path / "l.json", task(1, "a.png", SCREEN), task(2, "b.png", SCREEN))
    source.write_text(source.read_text()[:-40])
    reported, found = imported(capsys, source)
    assert set(found) == {"a.png"} and "not valid JSON from here on" in reported


def test_names_can_be_given_a_meaning(capsys, tmp_path):
    image(tmp_path / "a.png")
    image(tmp_path / "b.png", 1)
    tasks = [
        task(1, "a.png", SCREEN, choice("Счётчик")),
        task(2, "b.png", rectangle("1", 5, 5, 20, 90), rectangle("logo", 60, 5, 20, 90)),
    ]
    source = export(tmp_path / "l.json", *tasks)
    _, found = imported(capsys, source, "--label", "счётчик=analog", "--label", "logo=ignore")
    assert found["a.png"].meter_class == "analog" and found["b.png"].reading == "1"
    options = ["--output", tmp_path / "y", "--label", "a=b"]
    code, reported = ocray(capsys, "data", "import", "label_studio", source, *options)
    assert code == 2 and "unknown meaning 'b'; known: analog" in reported


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("Analogue", "analog"), ("digital", "digital"), ("illegible analog", "analog_illegible"),
        ("Digital / unreadable", "digital_illegible"), ("analog-screen", "analog"), ("7", "7"), ("X", "x"),
        ("illegible", "x"), ("comma", "fraction"), ("fraction_area", "fraction"), ("Display", "display"),
        ("meter screen", "display"), ("background", "none"),
    ],
)  # fmt: skip
def test_spellings(name, meaning):
    assert LabelNames().meaning(name) == meaning


@pytest.mark.parametrize("name", ["", "10", "gas", "analog digital", "0123"])
def test_unknown_names_are_refused(name):
    with pytest.raises(RowError, match="unknown label"):
        LabelNames().meaning(name)


def test_polygons_of_more_points_become_the_quad_around_them():
    tilted = np.array([[50, 40], [150, 60], [146, 92], [44, 70]], np.float32)
    on_edges = [tilted[0], (tilted[0] + tilted[1]) / 2, tilted[1], tilted[2], (tilted[2] + tilted[3]) / 2, tilted[3]]
    np.testing.assert_allclose(display_corners(on_edges), tilted, atol=0.01)
    cut = [(10, 0), (90, 0), (100, 10), (100, 40), (90, 50), (10, 50), (0, 40), (0, 10)]  # corners cut off
    np.testing.assert_allclose(display_corners(cut), quad(0, 0, 100, 50), atol=0.01)
    stepped = [(100, 0), (100, 50), (60, 50), (60, 45), (0, 45), (0, 0)]  # from the upper right of a sideways meter
    found = display_corners(stepped)
    assert found[0].tolist() == [100, 0] and found[1, 1] == pytest.approx(50, abs=4)


def digit(character: str, left: float, width: float = 10, confidence=None, top: float = 0) -> DigitFound:
    return DigitFound(character, quad(left, top, left + width, top + 20), confidence)


def test_digits_are_read_along_the_display():
    """A meter that hangs upside down, its boxes drawn level: each box begins at the digit's own top left."""
    found = [digit("1", 60), digit("2", 40), digit("3", 20)]
    corners = quad(10, -5, 80, 25)[[2, 3, 0, 1]]
    digits, reading, _ = ordered_digits(found, [quad(15, 0, 35, 20)], corners)
    assert reading == "12.3" and digits[2].fraction
    assert digits[0].box.tolist() == [[70, 20], [60, 20], [60, 0], [70, 0]]
    turned = [DigitFound(d.character, d.quad[[2, 3, 0, 1]]) for d in found]  # boxes that tell it themselves
    assert ordered_digits(turned, [], None)[1] == "123"


def test_overlapping_digits_leave_one():
    sure = [digit("1", 0), digit("2", 20, confidence=0.4), digit("5", 22, width=8, confidence=0.9, top=5)]
    assert ordered_digits(sure, [], None)[1:] == ("15", 1)
    large = [digit("1", 0), digit("2", 20, width=12), digit("5", 22, width=8)]
    assert ordered_digits(large, [], None)[1:] == ("12", 1)


def test_gaps_between_digits_are_unreadable_places():
    found = [digit("1", 0), digit("2", 20), digit("3", 40), digit("4", 80), digit("5", 100)]
    digits, reading, _ = ordered_digits(found, [quad(75, 0, 130, 20)], None)
    assert reading == "123x.45" and digits[3].box is None
    spaced = [digit("1", 0), digit("2", 20), digit("3", 40), digit("4", 68), digit("5", 88)]  # before the fraction
    assert ordered_digits(spaced, [], None)[1] == "12345"
    with pytest.raises(RowError, match="are before the others: 12"):
        ordered_digits(found[:2], [quad(-5, 0, 12, 20)], None)


@pytest.mark.parametrize(
    ("text", "digits", "reading"),
    [("13.1", 3, "13.100"), ("495", 0, "495"), (" 0 12,5 ", 0, "012.5"), ("495", 3, "495.000"), ("X1.x", 0, "x1.x")],
)
def test_readings(text, digits, reading):
    assert clean_reading(text, digits) == reading


@pytest.mark.parametrize("text", ["", "12.", "1.2.3", "-5", "12 m3", "."])
def test_what_is_no_reading(text):
    with pytest.raises(RowError):
        clean_reading(text)


def test_tall_digits_are_those_of_a_strip():
    digits = (MeterDigit("1", box=quad(0, 0, 10, 40)),)
    assert kind_of(None, digits, 100) == "strip" and kind_of(None, digits, 200) == "photo"
    assert kind_of(quad(0, 0, 50, 50), digits, 100) == "photo" and kind_of(None, None, 100) == "photo"
