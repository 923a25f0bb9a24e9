import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ray_apps.cli.main import main as ocray
from tests.render_fonts import font_set
from trainers.data.layouts import METERS_SCHEMA, read_meters
from trainers.render.meters import render_photo, render_strip
from trainers.render.meters.shards import contact_sheet, render_shards


@pytest.fixture(autouse=True)
def fonts(tmp_path, monkeypatch):
    fonts = font_set(tmp_path)
    monkeypatch.setattr("trainers.render.meters.desk.system_fonts", lambda: fonts)
    return fonts


def test_shards_hold_the_strips_of_their_seeds(tmp_path):
    paths = render_shards(tmp_path / "out", 5, 9, "validation", "strip", rows=2)
    assert [p.name for p in paths] == [f"strips-validation-9-0000{i}.parquet" for i in range(3)]
    assert all(pq.read_schema(path).equals(METERS_SCHEMA) for path in paths)
    for number, meter in enumerate(read_meters(tmp_path / "out")):
        sample = render_strip((9, number), "validation")
        image = np.asarray(Image.open(io.BytesIO(meter.image)))
        assert meter.name == f"rendered-strip-validation-9-0000000{number}" and meter.kind == "strip"
        assert (meter.reading, meter.meter_class, meter.group) == (sample.reading, sample.meter_class, None)
        assert image.shape == sample.image.shape and np.abs(image.astype(int) - sample.image).mean() < 8
        assert np.array_equal(meter.corners, sample.corners) and meter.leading_zeros
        for held, drawn in zip(meter.digits, sample.digits, strict=True):
            assert (held.character, held.fraction) == (drawn.character, drawn.fraction)
            assert held.position == (None if drawn.position is None else pytest.approx(drawn.position, abs=1e-5))
            assert np.array_equal(held.box, drawn.box)


def test_a_second_run_does_only_what_is_missing(tmp_path, monkeypatch):
    paths = render_shards(tmp_path / "out", 3, 1, "train", "strip", rows=2)
    before = paths[0].read_bytes()
    paths[1].unlink()
    made = []

    def counted(kind, seed, number, split):
        made.append(number)
        return render_strip((seed, number), split)

    monkeypatch.setattr("trainers.render.meters.shards.sample", counted)
    render_shards(tmp_path / "out", 4, 1, "train", "strip", rows=2)
    assert made == [2, 3] and paths[0].read_bytes() == before


def test_the_command_writes_a_sheet_and_shards(tmp_path):
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    arguments = ["--count", "3", "--seed", "4", "--sheet", str(sheet), "--out", str(out)]
    assert ocray(["render", "meters", "photo", *arguments]) == 0
    assert Image.open(sheet).size == (6 * 330, 350)
    table = pq.read_table(out)
    assert table.num_rows == 3 and set(table["kind"].to_pylist()) == {"photo"}


def test_the_sheet_marks_the_first_corner(fonts):
    photo = next(p for n in range(20) if (p := render_photo((2, n), fonts=fonts)).meter_class == "analog")
    sheet = np.asarray(contact_sheet([photo], columns=1, cell=(400, 420)))
    assert sheet.shape == (420, 400, 3)
    factor = min(394 / photo.image.shape[1], 398 / photo.image.shape[0])
    x, y = (photo.corners[0] * factor).round().astype(int) + 3
    assert tuple(sheet[y, x]) == (255, 0, 0)
