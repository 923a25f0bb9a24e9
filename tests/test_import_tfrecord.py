"""TFRecord files of meters: the two stages, damaged files, names of features and labels."""

import gzip
import struct

import numpy as np
import pytest

from tests.labelled_images import left_out, ocray, picture, rows
from trainers.data.importers.tfrecord_files import example_class, masked_crc
from trainers.data.layouts import Meter

SIZE = (200, 100)


def record(features: dict) -> bytes:
    """Return a framed tf.train.Example; values are lists of bytes, of floats or of ints."""
    example = example_class()()
    for name, values in features.items():
        feature = example.features.feature[name]
        if values and isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return framed(example.SerializeToString())


def framed(data: bytes) -> bytes:
    header = struct.pack("<Q", len(data))
    return header + struct.pack("<I", masked_crc(header)) + data + struct.pack("<I", masked_crc(data))


def photo(seed: int, label: object = 0, corners=(0.2, 0.4, 0.8, 0.4, 0.8, 0.6, 0.2, 0.6), **more) -> dict:
    return {
        "image": [picture(seed, SIZE)],
        "bbox": [0.4, 0.2, 0.6, 0.8],
        "corners": [float(c) for c in corners],
        "label": [label],
        **more,
    }


def strip(seed: int, places: list[tuple[int, float]], **more) -> dict:
    """Labels with the left side of their boxes, which are a tenth of the strip wide."""
    boxes = [value for _, left in places for value in (0.1, left, 0.9, left + 0.1)]
    labels = [label for label, _ in places]
    return {"image": [picture(seed, SIZE)], "objects/bbox": boxes, "objects/label": labels, **more}


def imported(capsys, source, *options) -> tuple[str, list[Meter]]:
    output = source.parent / "out" if source.is_file() else source.with_name("out")
    code, reported = ocray(capsys, "data", "import", "tfrecord", source, "--output", output, *options)
    assert code == 0, reported
    return reported, [Meter.of(row) for row in rows(output)]


def test_the_checksum_is_that_of_the_format():
    assert masked_crc(b"123456789") == 0xC78AB0E5  # CRC-32C 0xE3069283 (RFC 3720), rotated by 15 bits and offset


def test_stage_1_gives_displays(capsys, tmp_path):
    path = tmp_path / "meters.tfrecord"
    in_px = (160.0, 60.0, 40.0, 60.0, 40.0, 40.0, 160.0, 40.0)  # upside down
    rows_first = (0.4, 0.2, 0.4, 0.8, 0.6, 0.8, 0.6, 0.2)  # y before x: the box tells
    together = {
        "image": [picture(4, SIZE)],
        "bbox": [0.4, 0.2, 0.6, 0.8, *map(float, photo(0)["corners"])],
        "label": [3],
    }
    path.write_bytes(
        record(photo(1, filename=[b"a.jpg"]))
        + record(photo(2, 1, in_px, filename=[b"b.jpg"]))
        + record(photo(3, b"analog illegible", rows_first, filename=[b"c.jpg"]))
        + record(together)
    )
    reported, meters = imported(capsys, path)
    found = {meter.name: meter for meter in meters}
    assert "imported 4 meters" in reported and "taken: 1 'digital illegible' as digital_illegible" in reported
    level = [[40, 40], [160, 40], [160, 60], [40, 60]]
    np.testing.assert_allclose(found["a.jpg"].corners, level, atol=1e-3)
    np.testing.assert_allclose(found["b.jpg"].corners, level[2:] + level[:2], atol=1e-3)
    np.testing.assert_allclose(found["c.jpg"].corners, level, atol=1e-3)
    np.testing.assert_allclose(found["meters/3"].corners, level, atol=1e-3)
    classes = [found[name].meter_class for name in ("a.jpg", "b.jpg", "c.jpg", "meters/3")]
    assert classes == ["analog", "digital", "analog_illegible", "digital_illegible"]


def test_stage_2_gives_digits_and_readings(capsys, tmp_path):
    path = tmp_path / "strips.tfrecord"
    fraction = [0.05, 0.55, 0.95, 0.95]
    example = strip(1, [(7, 0.2), (1, 0.6), (0, 0.0), (5, 0.4), (9, 0.8)])
    example["objects/bbox"] += fraction
    example["objects/label"] += [10]
    path.write_bytes(record(example))
    _, (meter,) = imported(capsys, path)
    assert (meter.kind, meter.reading, meter.meter_class) == ("strip", "075.19", None)
    assert [digit.fraction for digit in meter.digits] == [False, False, False, True, True]
    np.testing.assert_allclose(meter.digits[1].box, [[40, 10], [60, 10], [60, 90], [40, 90]], atol=1e-3)
    assert meter.corners.tolist() == [[0, 0], [200, 0], [200, 100], [0, 100]]


def test_a_folder_of_tensorflow_datasets(capsys, tmp_path):
    folder = tmp_path / "set/meters/1.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "features.json").write_text("{}")
    (folder / "objects-label.labels.txt").write_text("fraction\n" + "\n".join("0123456789") + "\n")
    (folder / "label.labels.txt").write_text("digital\nanalog\n")
    (folder / "meters-train.tfrecord-00000-of-00002").write_bytes(record(strip(1, [(4, 0.0), (3, 0.5)])))
    (folder / "meters-train.tfrecord-00001-of-00002").write_bytes(record(photo(2, 1)))
    (folder / "meters-test.tfrecord-00000-of-00001").write_bytes(gzip.compress(record(photo(3, 0))))
    _, meters = imported(capsys, tmp_path / "set")
    assert {(meter.kind, meter.meter_class, meter.reading) for meter in meters} == {
        ("strip", None, "32"),
        ("photo", "analog", None),
        ("photo", "digital", None),
    }
    (kept,) = rows(tmp_path / "out/validation")
    assert kept["meter_class"] == "digital"


def test_other_names_of_features_and_labels(capsys, tmp_path):
    path = tmp_path / "mine.tfrecord"
    example = photo(1, b"gas")
    path.write_bytes(record({f"my/{name}": values for name, values in example.items()}))
    code, reported = ocray(capsys, "data", "import", "tfrecord", path, "--output", tmp_path / "x")
    assert code == 2 and "record without an image: its features are my/bbox, my/corners, my/image, my/label" in reported
    options = [f"--feature={name}=my/{name}" for name in ("image", "corners", "bbox")]
    _, (meter,) = imported(capsys, path, *options, "--feature", "class=my/label", "--label", "gas=digital")
    assert meter.meter_class == "digital" and meter.corners is not None
    options = ["--output", tmp_path / "x", "--feature", "image=my/image", "--feature", "corners=my/points"]
    code, reported = ocray(capsys, "data", "import", "tfrecord", path, *options)
    assert code == 2 and "record without my/points" in reported
    options = ["--output", tmp_path / "x", "--feature", "klass=x"]
    code, reported = ocray(capsys, "data", "import", "tfrecord", path, *options)
    assert code == 2 and "unknown key klass; known: image, name" in reported


def test_damaged_records_are_named_and_the_rest_is_imported(capsys, tmp_path):
    path = tmp_path / "bad.tfrecord"
    damaged = bytearray(record(photo(2)))
    damaged[200] ^= 1
    records = [
        (record(photo(1)), None),
        (bytes(damaged), "record is damaged"),
        (framed(b"\xff\xff\xff"), "record is not a tf.train.Example"),
        (record(photo(3, 9)), "label without a name"),
        (record(photo(4, b"gas")), "unknown label"),
        (record({**photo(5), "image": [b"no image"]}), "no image that can be read"),
        (record({**photo(6), "corners": [0.1, 0.2]}), "corners that are not eight numbers"),
        (record(photo(7, corners=(0.2,) * 8)), "region without area"),
        (record({**photo(8), "corners": [float("nan")] * 8}), "corners that are not eight numbers"),
        (record({**strip(9, [(1, 0.1)]), "objects/bbox": [0.1]}), "objects without a box each"),
        (record({"image": [picture(10, SIZE)]}), "neither display nor digits are labelled"),
        (
            record({name: v for name, v in photo(13).items() if name != "corners"}),
            "neither display nor digits are labelled",
        ),
        (record({"name": [b"x"]}), "record without an image"),
        (record({}), "record without an image"),
        (record(photo(11)), None),
        (record(photo(12))[:-100], "file ends within a record"),
    ]
    path.write_bytes(b"".join(content for content, _ in records))
    reported, meters = imported(capsys, path)
    assert sorted(meter.name for meter in meters) == ["bad/0", "bad/14"] and "Traceback" not in reported
    reasons = {int(row["place"].rpartition("record ")[2]): row["reason"] for row in left_out(tmp_path / "out")}
    assert reasons == {number: reason for number, (_, reason) in enumerate(records) if reason}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"PAR1 is another format", "no TFRecord from here on"),
        (b"short", "file ends within a record"),
        (gzip.compress(record(photo(1)))[:-20], "file cannot be read from here on"),
    ],
    ids=["empty", "another format", "short", "cut off"],
)
def test_what_is_no_tfrecord_is_reported(capsys, tmp_path, content, reason):
    (tmp_path / "x.tfrecord").write_bytes(content)
    code, reported = ocray(capsys, "data", "import", "tfrecord", tmp_path / "x.tfrecord", "--output", tmp_path / "out")
    assert code == 2 and reason in reported and "Traceback" not in reported


def test_a_folder_without_records(capsys, tmp_path):
    (tmp_path / "set").mkdir()
    code, reported = ocray(capsys, "data", "import", "tfrecord", tmp_path / "set", "--output", tmp_path / "out")
    assert code == 2 and "holds no TFRecord files" in reported
