"""The two layouts, splits, and data sets that appear whole or not at all."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ray_apps.cli import data
from tests.labelled_images import ocray, picture, rows, write_pictures
from trainers.data import layouts
from trainers.data.importers import image_files, run
from trainers.data.importers.image_files import load_image
from trainers.data.importers.rows import LeftOut, LineFound, PageFound
from trainers.data.importers.run import import_rows
from trainers.data.layouts import LayoutError, Line, Page, Region, SetWriter, layout_of, read_lines, read_pages
from trainers.data.splits import split_of


def found(number: int, text: str = "글", group: str | None = None) -> LineFound:
    return LineFound(f"gt.txt:{number}", f"{number}.png", picture(number), text, "gt.txt", group)


def imported(rows, output, **options):
    return import_rows(rows, output, layout="lines", name="x", source=output / "none", **options)


def split_names(output) -> dict[str, str]:
    return {line.name: split for split in ("train", "validation") for line in read_lines(output / split)}


def test_more_data_moves_no_row_and_another_seed_does(tmp_path):
    imported((found(n) for n in range(60)), tmp_path / "few", validation=0.3, seed=5)
    imported((found(n) for n in reversed(range(90))), tmp_path / "more", validation=0.3, seed=5)
    imported((found(n) for n in range(60)), tmp_path / "other", validation=0.3, seed=6)
    few, more, other = (split_names(tmp_path / name) for name in ("few", "more", "other"))
    assert len(more) == 90 and few.items() <= more.items()
    assert few != other
    assert 8 <= sum(split == "validation" for split in few.values()) <= 28


@given(st.text(), st.floats(0, 1), st.floats(0, 1), st.integers())
def test_a_larger_share_keeps_the_rows_of_a_smaller(key, one, other, seed):
    small, large = sorted((one, other))
    assert split_of(key, 1, seed) == "validation" and split_of(key, 0, seed) == "train"
    if split_of(key, small, seed) == "validation":
        assert split_of(key, large, seed) == "validation"


def test_groups_and_images_with_several_labels_are_never_divided(tmp_path):
    grouped = [found(n, group=f"g{n % 12}") for n in range(48)]
    twice = [found(n, text) for n in range(100, 140) for text in ("a", "b")]
    imported([*grouped, *twice], tmp_path / "out", validation=0.5)
    of_group, of_image = {}, {}
    for split in ("train", "validation"):
        for line in read_lines(tmp_path / "out" / split):
            assert of_group.setdefault(line.group or line.name, split) == split
            assert of_image.setdefault(line.name.partition("#")[0], split) == split
    assert {"train", "validation"} == set(of_group.values())


def test_files_and_row_groups_keep_to_their_sizes(monkeypatch, tmp_path):
    monkeypatch.setattr(layouts, "FILE_BYTES", 4000)
    monkeypatch.setattr(layouts, "GROUP_BYTES", 1500)
    lines = [Line(bytes([n]) * 500, f"t{n}", f"n{n}", None if n % 2 else "g", "s") for n in range(20)]
    with SetWriter(tmp_path, "lines", "made") as writer:
        for line in lines:
            writer.add(line, "train")
        with pytest.raises(TypeError, match="a Page is no row of lines"):
            writer.add(Page(b"", "p", None, "s", ()), "train")
    files = sorted((tmp_path / "train").iterdir())
    assert [file.name for file in files] == [f"made-0000{n}.parquet" for n in range(3)]
    assert [pq.ParquetFile(file).num_row_groups for file in files] == [3, 3, 1]
    assert pq.read_schema(files[0]).equals(layouts.LINES_SCHEMA)
    assert list(read_lines(tmp_path)) == lines
    assert layout_of(tmp_path) == "lines"


def test_pages_come_back_as_they_were(tmp_path):
    pages = [
        Page(b"1", "가", "g", "s", (Region((0, 0.5, 9, 0, 9, 9, 0, 9), "글"), Region((0.0,) * 8, None, True))),
        Page(b"2", "나", None, "s", ()),
    ]
    with SetWriter(tmp_path, "regions", "made") as writer:
        for page in pages:
            writer.add(page, "validation")
    assert list(read_pages(tmp_path)) == pages
    assert pq.read_schema(tmp_path / "validation/made-00000.parquet").equals(layouts.REGIONS_SCHEMA)
    with pytest.raises(LayoutError, match="holds no lines: it has no column text"):
        next(read_lines(tmp_path))


def test_what_is_no_data_set_is_named(tmp_path):
    with pytest.raises(LayoutError, match="no Parquet files there"):
        layout_of(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(LayoutError, match="holds no lines, regions, meters: its columns are a"):
        layout_of(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1PAR1")
    with pytest.raises(LayoutError, match="is not a readable Parquet file"):
        layout_of(tmp_path)


def test_an_interrupted_import_leaves_nothing_and_keeps_what_was_there(tmp_path):
    def broken():
        yield found(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(broken(), tmp_path / "out")
    assert not list(tmp_path.iterdir())
    imported([found(7)], tmp_path / "out", validation=0)
    with pytest.raises(KeyboardInterrupt):
        imported(broken(), tmp_path / "out", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert [row["name"] for row in rows(tmp_path / "out")] == ["7.png"]


def test_an_output_is_replaced_only_on_request_and_only_a_data_set(capsys, tmp_path):
    write_pictures(tmp_path / "set", "a.png", "b.png")
    (tmp_path / "set/labels.txt").write_text("a.png 1\n")
    command = ["data", "import", "label_file", tmp_path / "set/labels.txt", "--output", tmp_path / "out"]
    assert ocray(capsys, *command)[0] == 0
    (tmp_path / "set/labels.txt").write_text("b.png 2\nc.png 3\n")
    code, reported = ocray(capsys, *command)
    assert code == 2 and "holds import.json already" in reported and "--overwrite" in reported
    assert ocray(capsys, *command, "--overwrite")[0] == 0
    assert [row["text"] for row in rows(tmp_path / "out")] == ["2"]
    (tmp_path / "out/thesis.txt").touch()
    code, reported = ocray(capsys, *command, "--overwrite")
    assert code == 2 and "holds thesis.txt, which --overwrite does not delete" in reported
    assert len(rows(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["label_file", "none", "--output", "out"], "none does not exist"),
        (["label_file", ".", "--output", "../out"], "holds no gt_*.txt, gt.txt, labels.txt; name the label file"),
        (["paddleocr", ".", "--output", "../out"], "holds no Label.txt; name the label file"),
        (["ai_hub", ".", "--output", "../out"], "holds no JSON files"),
        (["lmdb", ".", "--output", "../out"], "holds no data.mdb"),
        (["label_file", ".", "--output", "out"], "lies in the source"),
        (["label_file", ".", "--output", "../out", "--group-pattern", "("], "is not a regular expression"),
        (["label_file", ".", "--output", "../out", "--images", "none"], "--images none is not a folder"),
        (["label_file", ".", "--output", "../out", "--validation", "2"], "is not a number between 0 and 1"),
        (["word", ".", "--output", "../out"], "invalid choice: 'word'"),
    ],
)
def test_requests_that_cannot_be_met(capsys, tmp_path, monkeypatch, arguments, reported):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, output = ocray(capsys, "data", "import", *arguments)
    assert code == 2 and reported in output
    assert not list(tmp_path.glob("**/*out*"))


def test_a_source_with_nothing_in_it_has_a_reason(capsys, tmp_path):
    (tmp_path / "labels.txt").write_text("a.png 1\nb.png 2\n")
    code, reported = ocray(
        capsys, "data", "import", "label_file", tmp_path / "labels.txt", "--output", tmp_path / "out"
    )
    assert code == 2
    assert re.search(r"nothing could be read from \S+ \(2 left out\): \S+labels.txt:1: no such image: a.png", reported)


def test_rows_are_taken_one_by_one(monkeypatch, tmp_path):
    """An importer is asked for a row only when the one before it has been dealt with."""
    alive = []
    monkeypatch.setattr(run, "load_image", lambda image: alive.append(1) or load_image(image))

    def rows():
        for number in range(50):
            assert len(alive) == number
            yield found(number)

    assert imported(rows(), tmp_path / "out").imported == 50


def test_exif_is_kept_and_boxes_belong_to_the_turned_page(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = picture(1, (30, 20), "JPEG", exif)
    content, size = load_image(image)
    assert content == image and size == (20, 30)
    region = Region((1, 1, 9, 1, 9, 29, 1, 29), "글")
    page = PageFound("p", "p.jpg", image, (region,), "s", size=(20, 30))
    unturned = PageFound("q", "q.jpg", image, (region,), "s", size=(30, 20))
    bad = LeftOut("r", "told")
    summary = import_rows([page, unturned, bad], tmp_path / "out", layout="regions", name="x", source=tmp_path / "none")
    assert summary.reasons == {"image has another size than its labels": 1, "told": 1}
    assert rows(tmp_path / "out")[0]["image"] == image


def test_an_image_too_large_to_be_one_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(image_files.Image, "MAX_IMAGE_PIXELS", 50)
    summary = imported([found(1), LineFound("b", "b", picture(2, (5, 5)), "x", "s")], tmp_path / "out")
    assert summary.imported == 1 and summary.reasons == {"image is damaged": 1}


def test_one_name_a_row(tmp_path):
    same = [LineFound("p", "a.png", picture(n), "t", "s") for n in range(3)]
    imported([*same, LineFound("p", "a.png#2", picture(9), "t", "s")], tmp_path / "out")
    assert sorted(row["name"] for row in rows(tmp_path / "out")) == ["a.png", "a.png#2", "a.png#2#2", "a.png#3"]


def test_the_report_is_a_line_a_row(tmp_path):
    summary = imported([found(1), found(1), found(2, "")], tmp_path / "out")
    assert summary.examples == ["gt.txt:1: duplicate of an earlier row", "gt.txt:2: empty label"]
    assert len((tmp_path / "out/left_out.jsonl").read_text().splitlines()) == 2


def test_names_that_are_no_unicode_are_spelt_out(tmp_path):
    odd = LineFound("b\udc80:1", "b\udc80.png", picture(1), "글", "b\udc80")
    summary = imported([odd, odd], tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    assert (row["name"], row["source"]) == ("b\\udc80.png", "b\\udc80")
    assert summary.examples == ["b\\udc80:1: duplicate of an earlier row"]
    assert json.loads((tmp_path / "out/left_out.jsonl").read_text())["place"] == "b\udc80:1"


def test_an_interrupted_import(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "import_rows", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    code, reported = ocray(capsys, "data", "import", "lmdb", tmp_path, "--output", tmp_path / "out")
    assert code == 130 and "ocray: interrupted; run the same command to start again" in reported
