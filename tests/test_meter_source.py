"""Meters of own tables and of the layout: imported, read back, mixed."""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.labelled_images import left_out, ocray, picture, rows
from trainers.data.layouts import METERS_SCHEMA, LayoutError, Line, Meter, SetWriter, layout_of, read_lines, read_meters
from trainers.data.meter_sample import MeterDigit, MeterSample, reading_of
from trainers.meter.source import MetersError, MeterShards, MeterShardsSettings, RenderedMeters

CORNERS = [[10.0, 20.0], [90.0, 20.0], [90.0, 40.0], [10.0, 40.0]]


def parquet(capsys, path, table: dict, *options) -> tuple[str, dict[str, Meter]]:
    pq.write_table(pa.table(table), path)
    output = path.with_suffix(".out")
    options = ["--layout", "meters", "--output", output, *options]
    code, reported = ocray(capsys, "data", "import", "parquet", path, *options)
    assert code == 0, reported
    return reported, {row["name"]: Meter.of(row) for row in rows(output)}


def shade(level: int, kind: str = "PNG", **options) -> bytes:
    """Return a grey image of 100 × 50 px, told apart by its level."""
    buffer = io.BytesIO()
    Image.new("RGB", (100, 50), (level,) * 3).save(buffer, kind, **options)
    return buffer.getvalue()


def write(folder, name: str, meters: list[Meter]) -> str:
    with SetWriter(folder, "meters", name) as writer:
        for meter in meters:
            writer.add(meter, "train")
    return str(folder)


def meter(level: int, kind="photo", **fields) -> Meter:
    return Meter(shade(level), f"{kind} {level}", None, "s", kind, "analog", **fields)


def test_photos_with_corners_and_readings(capsys, tmp_path):
    table = {
        "image": [picture(n, (100, 50)) for n in range(3)],
        "name": ["a", "b", "c"],
        "reading": ["13.1", "495", None],
        "corners": [CORNERS, CORNERS[2:] + CORNERS[:2], None],
        "split": ["train", "val", "train"],
    }
    options = [
        "--meter-class",
        "analog",
        "--split-column",
        "split",
        "--leading-zeros-dropped",
        "--fraction-digits",
        "3",
    ]
    reported, found = parquet(capsys, tmp_path / "photos.parquet", table, *options)
    assert "train 2 · validation 1" in reported and "corners 2" in reported
    assert [found[name].reading for name in "abc"] == ["13.100", "495.000", None]
    assert found["b"].corners.tolist() == CORNERS[2:] + CORNERS[:2] and found["c"].corners is None
    assert {(m.kind, m.meter_class, m.leading_zeros) for m in found.values()} == {("photo", "analog", False)}
    (kept,) = rows(tmp_path / "photos.out/validation")
    assert kept["name"] == "b"


def test_single_digits_with_positions(capsys, tmp_path):
    labels = ["3.7", "0.0", "9.9", "8", "10.0", "-1", "N", None]
    groups = [f"g{n % 2}" for n in range(len(labels))]
    images = [picture(n, (20, 32)) for n in range(len(labels))]
    table = {"image": images, "name": list("abcdefgh"), "label": labels, "group": groups}
    _, found = parquet(capsys, tmp_path / "digits.parquet", table, "--position-column", "label")
    digits = {name: (m.digits[0].character, m.digits[0].position) for name, m in found.items() if m.digits}
    assert digits == {
        "a": ("3", pytest.approx(3.7)), "b": ("0", 0.0), "c": ("9", pytest.approx(9.9)), "d": ("8", None),
    }  # fmt: skip
    assert (found["a"].kind, found["a"].reading, found["a"].group) == ("strip", "3", "g0")
    assert found["h"].digits is None and found["h"].reading is None
    reasons = [row["reason"] for row in left_out(tmp_path / "digits.out")]
    assert reasons == ["position is not from 0 to below 10"] * 2 + ["position is not a number"]
    of_split = {split: {m.group for m in read_meters(path)} for split in ("train", "validation")
                if (path := tmp_path / "digits.out" / split).exists()}  # fmt: skip
    assert len(of_split) == 1 or not of_split["train"] & of_split["validation"]


def test_tables_as_csv(capsys, tmp_path):
    (tmp_path / "img").mkdir()
    (tmp_path / "img/a.png").write_bytes(picture(1, (100, 50)))
    records = [
        ("img/a.png", "00012,5", json.dumps(CORNERS), "LCD"),
        ("img/a.png", "12", "[1", "LCD"),
        ("", "1", "", ""),
    ]
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "value", "corners", "type"), *records])
    options = ["--image-column", "file", "--reading-column", "value", "--meter-class-column", "type"]
    output = tmp_path / "out"
    options += ["--layout", "meters", "--output", output]
    assert ocray(capsys, "data", "import", "parquet", tmp_path / "mine.csv", *options)[0] == 0
    (made,) = (Meter.of(row) for row in rows(output))
    assert (made.reading, made.meter_class, made.corners.tolist()) == ("00012.5", "digital", CORNERS)
    assert [row["reason"] for row in left_out(output)] == ["column holds no JSON list", "no image in this row"]


def test_rows_that_cannot_be_used(capsys, tmp_path):
    faults = {
        "reading": ("12 m3", "reading is not a number"),
        "corners": (CORNERS[:3], "no polygon of four or more points"),
        "split": ("later", "unknown split"),
        "meter_class": ("gas", "unknown label"),
        "kind": ("film", "unknown kind"),
        "digits": ([{"character": "12"}], "unknown character of a digit"),
        "image": (picture(9)[:-30], "image is damaged"),
    }
    good = {
        "reading": "1",
        "corners": CORNERS,
        "split": "train",
        "meter_class": "analog",
        "kind": "photo",
        "digits": None,
    }
    records = [{**good, "image": picture(0, (100, 50))}]
    for number, (field, (value, _)) in enumerate(faults.items(), 1):
        records.append({**good, "image": picture(number, (100, 50)), field: value})
    table = pa.Table.from_pylist(records).to_pydict()
    _, found = parquet(capsys, tmp_path / "x.parquet", table, "--split-column", "split")
    assert len(found) == 1
    assert [row["reason"] for row in left_out(tmp_path / "x.out")] == [reason for _, reason in faults.values()]
    options = ["--layout", "meters", "--output", tmp_path / "y", "--position-column", "label"]
    code, reported = ocray(capsys, "data", "import", "parquet", tmp_path / "x.parquet", *options)
    assert code == 2 and "has no column label; it has reading, corners" in reported


def test_a_data_set_is_divided_anew(capsys, tmp_path):
    digits = (
        MeterDigit("1", 1.5, np.array(CORNERS, np.float32) / 2),
        MeterDigit("x", fraction=True),
    )
    fields = {"corners": np.array(CORNERS, np.float32), "reading": "1.x", "leading_zeros": False, "digits": digits}
    folder = write(tmp_path / "in", "made", [meter(1, **fields), meter(2, "strip"), meter(3)])
    options = ["--layout", "meters", "--validation", "1", "--output", tmp_path / "out"]
    code, _ = ocray(capsys, "data", "import", "parquet", folder, *options)
    assert code == 0
    old, new = ({m.name: m for m in read_meters(place)} for place in (folder, tmp_path / "out/validation"))
    assert old.keys() == new.keys()
    for name in ("photo 1", "photo 3"):
        assert new[name].record() == {**old[name].record(), "source": new[name].source}
    assert new["strip 2"].corners.tolist() == [[0, 0], [100, 0], [100, 50], [0, 50]]
    assert pq.read_schema(next((tmp_path / "out").rglob("*.parquet"))).equals(METERS_SCHEMA)


def test_the_layout_is_reported_by_its_columns(tmp_path):
    folder = write(tmp_path / "a", "made", [meter(1)])
    assert layout_of(folder) == "meters"
    with pytest.raises(LayoutError, match="holds no lines"):
        next(read_lines(folder))
    with (
        SetWriter(tmp_path / "b", "meters", "x") as writer,
        pytest.raises(TypeError, match="a Line is no row of meters"),
    ):
        writer.add(Line(b"", "a", "a", None, "s"), "train")


def test_shards_give_samples(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    box = np.array(CORNERS, np.float32)
    digits = (MeterDigit("7", 7.25, box, True), MeterDigit("x"))
    turned = Meter(shade(9, "JPEG", exif=exif), "turned", "g", "s", "strip", None, box, "7.x", False, digits)
    folder = write(tmp_path / "a", "made", [meter(1), turned])
    source = MeterShards(folder)
    assert len(source) == 2 and [source.name(index) for index in range(3)] == ["photo 1", "turned", "photo 1"]
    sample = source.meter(1)
    assert isinstance(sample, MeterSample) and sample.image.shape == (100, 50, 3) and sample.image.dtype == np.uint8
    assert (sample.kind, sample.meter_class, sample.reading, sample.leading_zeros) == ("strip", None, "7.x", False)
    assert sample.corners.dtype == np.float32 and sample.corners.tolist() == CORNERS
    assert (sample.digits[0].position, sample.digits[0].fraction, sample.digits[1].box) == (7.25, True, None)
    assert sample.digits[0].box.tolist() == CORNERS and sample.group == "g"
    assert source.meter(0).digits is None and source.meter(0).corners is None


def test_one_kind_alone_and_in_another_order_each_pass(tmp_path):
    folder = write(tmp_path / "a", "made", [meter(n, "strip" if n % 2 else "photo") for n in range(12)])
    source = MeterShards(folder, kind="strip", shuffle_seed=3)
    passes = [[int(source.meter(6 * turn + n).image[0, 0, 0]) for n in range(6)] for turn in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == [1, 3, 5, 7, 9, 11]
    assert passes[0] != passes[1]
    photos = write(tmp_path / "b", "made", [meter(1)])
    with pytest.raises(MetersError, match="no meters of kind strip"):
        MeterShards(photos, kind="strip")


def test_what_cannot_be_opened_or_decoded_is_named(tmp_path):
    bad = Meter(b"no image", "odd", None, "s", "photo", "analog")
    cut = Meter(picture(1)[:-30], "cut", None, "s", "photo", "analog")
    source = MeterShards(write(tmp_path / "a", "made", [bad, cut, meter(1)]))
    for index, name in enumerate(("odd", "cut")):
        with pytest.raises(MetersError, match=f"meter {name} cannot be used"):
            source.meter(index)
    assert source.meter(2).image.shape == (50, 100, 3)
    with pytest.raises(MetersError, match="no Parquet files there"):
        MeterShards(str(tmp_path / "none"))
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "x.parquet")
    with pytest.raises(MetersError, match="holds no meters: it has no column name, group"):
        MeterShards(str(tmp_path / "x.parquet"))


def test_several_folders_share_as_set(tmp_path):
    one = write(tmp_path / "one", "made", [meter(n) for n in range(5)])
    other = write(tmp_path / "other", "made", [meter(100 + n) for n in range(5)])
    mixed = MeterShardsSettings(at={one: 3, other: 1}).open("train", 0)
    levels = np.array([mixed.meter(index).image[0, 0, 0] for index in range(400)])
    assert 0.68 < (levels < 100).mean() < 0.82
    assert mixed.name(7) == f"photo {levels[7]}"
    assert isinstance(MeterShardsSettings(at=one).open("validation", 0), MeterShards)


def test_rendered_meters_come_from_their_index():
    source = MeterShardsSettings(at="rendered_strips", sample="strip").open("train", 5)
    assert isinstance(source, RenderedMeters)
    sample, again = source.meter(3), source.meter(3)
    assert sample.kind == "strip" and (sample.image == again.image).all() and sample.reading == again.reading
    assert source.name(3) == "strip rendered for train with seed 5: 3"
    with pytest.raises(ValueError, match="rendered_photos holds no sample of kind strip"):
        MeterShardsSettings(at={"rendered_strips": 1, "rendered_photos": 1}, sample="strip")


def test_meters_in_files_are_counted(tmp_path):
    folder = write(tmp_path / "a", "made", [meter(n) for n in range(5)])
    assert MeterShardsSettings(at={folder: 1, "rendered_photos": 3}).count() == 5
    assert MeterShardsSettings(at="rendered_photos").count() is None


def test_readings_of_digits():
    one, x, fraction = MeterDigit("1"), MeterDigit("x"), MeterDigit("5", fraction=True)
    assert reading_of([one, x]) == "1x" and reading_of([one, fraction]) == "1.5" and reading_of([fraction]) == "5"
