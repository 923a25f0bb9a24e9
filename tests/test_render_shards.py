import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ray_apps.cli.main import main as ocray
from tests.render_fonts import font_set
from trainers.data.encoding import encode_page
from trainers.render import render_page
from trainers.render.shards import contact_sheet, render_shards


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    fonts = font_set(tmp_path)
    monkeypatch.setattr("trainers.render.page.system_fonts", lambda: fonts)
    return fonts


def test_shards_hold_the_pages_of_their_seeds(fonts, tmp_path):
    paths = render_shards(tmp_path / "out", count=5, seed=9, split="validation", rows=2)
    assert [p.name for p in paths] == [f"validation-9-0000{i}.parquet" for i in range(3)]
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert [row["seed"] for row in rows] == [0, 1, 2, 3, 4]
    for row in rows:
        page = render_page((9, row["seed"]), fonts=fonts, split="validation")
        image = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        assert row["kind"] == page.kind and image.shape == page.image.shape
        assert np.abs(image.astype(int) - page.image).mean() < 6


def test_a_second_run_does_only_what_is_missing(fonts, tmp_path, monkeypatch):
    out = tmp_path / "out"
    paths = render_shards(out, count=4, seed=1, split="train", rows=2)
    before = {path: path.read_bytes() for path in paths}
    paths[1].unlink()
    rendered = []

    def counted(seed, **options):
        rendered.append(seed)
        return render_page(seed, **options)

    monkeypatch.setattr("trainers.render.shards.render_page", counted)
    render_shards(out, count=4, seed=1, split="train", rows=2)
    assert rendered == [(1, 2), (1, 3)]
    assert {path: path.read_bytes() for path in paths} == before


def test_an_interrupted_shard_leaves_no_file(fonts, tmp_path, monkeypatch):
    def broken(seed, **options):
        if seed == (1, 3):
            raise KeyboardInterrupt
        return render_page(seed, **options)

    monkeypatch.setattr("trainers.render.shards.render_page", broken)
    with pytest.raises(KeyboardInterrupt):
        render_shards(tmp_path / "out", count=4, seed=1, split="train", rows=2)
    assert [p.name for p in (tmp_path / "out").glob("*")] == ["train-1-00000.parquet"]


def test_encode_takes_the_smaller_form_and_keeps_grey_grey():
    flat = np.full((200, 200, 3), 255, dtype=np.uint8)
    assert Image.open(io.BytesIO(encode_page(flat))).mode == "L"
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert Image.open(io.BytesIO(encode_page(noise))).format == "JPEG"
    flat[50:60] = (255, 0, 0)
    picture = Image.open(io.BytesIO(encode_page(flat)))
    assert (picture.format, picture.mode) == ("PNG", "RGB")


def test_counts_are_checked(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        render_shards(tmp_path, count=0, seed=0, split="train")


def test_contact_sheet():
    pages = [np.zeros((90, 30, 3), np.uint8), np.full((20, 80, 3), 255, np.uint8), np.zeros((10, 10, 3), np.uint8)]
    assert contact_sheet(pages, columns=2, cell=50).size == (100, 100)


def test_the_command_renders_pages_and_regions(fonts, tmp_path):
    sheet, pages, regions = tmp_path / "sheet.png", tmp_path / "pages", tmp_path / "regions"
    arguments = ["--count", "2", "--seed", "3", "--split", "validation"]
    assert ocray(["render", "pages", *arguments, "--sheet", str(sheet), "--kind", "card", "--degrade"]) == 0
    assert Image.open(sheet).size == (8 * 300, 300)
    assert ocray(["render", "pages", *arguments, "--out", str(pages)]) == 0
    assert [path.name for path in pages.iterdir()] == ["validation-3-00000.parquet"]
    assert ocray(["render", "regions", *arguments, "--out", str(regions)]) == 0
    assert [path.name for path in regions.iterdir()] == ["regions-validation-3-00000.parquet"]
    images = [pq.read_table(folder)["image"].to_pylist() for folder in (pages, regions)]
    assert images[0] == images[1] and len(images[0]) == 2
