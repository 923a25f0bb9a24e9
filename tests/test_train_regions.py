"""Sources of pages with regions: shards, rendered pages, several together, and the renderer's shards of them."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.render_fonts import font_set
from trainers.data.image_shards import SourceError
from trainers.data.layouts import REGIONS_SCHEMA, layout_of, read_pages
from trainers.detection.source import (
    MixedRegions,
    RegionShards,
    RegionShardsSettings,
    RenderedRegions,
    RenderedRegionsSettings,
)
from trainers.render import render_page
from trainers.render.canvas import RenderedLine
from trainers.render.page import RenderedPage
from trainers.render.regions import MARGIN, page_regions
from trainers.render.shards import render_shards


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    fonts = font_set(tmp_path)
    monkeypatch.setattr("trainers.render.page.system_fonts", lambda: fonts)
    return fonts


def write(path, pages: list[list[dict]], level: int = 0) -> str:
    """Return a file of small pages, each a grey of its own, with these regions."""
    path.parent.mkdir(exist_ok=True)
    rows = []
    for number, regions in enumerate(pages):
        buffer = io.BytesIO()
        Image.new("RGB", (20, 10), (level + number,) * 3).save(buffer, "PNG")
        rows.append({"image": buffer.getvalue(), "name": str(number), "group": None, "source": "x", "regions": regions})
    pq.write_table(pa.Table.from_pylist(rows, REGIONS_SCHEMA), path)
    return str(path.parent)


def region(x: float, ignore: bool = False) -> dict:
    return {"quad": [x, 1, x + 5, 1, x + 5, 4, x, 4], "text": None, "ignore": ignore}


def test_shards_give_pages_with_their_regions(tmp_path):
    folder = write(tmp_path / "a" / "a.parquet", [[region(1)], [], [region(2), region(9, ignore=True)]])
    source = RegionShardsSettings(at=folder).open("validation", 0)
    for index, (xs, ignore) in enumerate([([1], [False]), ([], []), ([2, 9], [False, True])] * 2):
        page = source.regions(index)
        assert page.image.shape == (10, 20, 3) and page.image[0, 0, 0] == index % 3
        assert page.quads.shape == (len(xs), 4, 2) and page.quads.dtype == np.float32
        assert page.quads[:, 0, 0].tolist() == xs and page.ignore.tolist() == ignore
    shuffled = RegionShards(folder, shuffle_seed=1)
    for index in range(9):  # regions stay with their page in any order
        page = shuffled.regions(index)
        assert len(page.quads) == {0: 1, 1: 0, 2: 2}[int(page.image[0, 0, 0])]


def test_several_folders_share_as_set(tmp_path):
    old = write(tmp_path / "old" / "a.parquet", [[region(1)]] * 5)
    new = write(tmp_path / "new" / "a.parquet", [[region(2)]] * 2)
    source = RegionShardsSettings(at={old: 4, new: 1}).open("train", 3)
    assert isinstance(source, MixedRegions)
    firsts = [float(source.regions(index).quads[0, 0, 0]) for index in range(500)]
    assert 70 <= firsts.count(2.0) <= 130
    assert firsts == [float(source.regions(index).quads[0, 0, 0]) for index in range(500)]


def test_what_is_no_set_of_regions_is_named(tmp_path):
    Image.new("RGB", (4, 4)).save(buffer := io.BytesIO(), "PNG")
    pq.write_table(pa.table({"image": [buffer.getvalue()]}), tmp_path / "pages.parquet")
    with pytest.raises(SourceError, match=r"pages.parquet has no column regions: import pages .*--layout regions"):
        RegionShards(str(tmp_path))
    with pytest.raises(SourceError, match="no Parquet files"):
        RegionShards(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"at": {}}, "the shares must be above 0"),
        ({"at": {"a": -1}}, "the shares must be above 0"),
        ({"at": "a", "texts": "b"}, "texts"),
        ({}, "at"),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        RegionShardsSettings(**wrong)


def test_runs_of_a_row_are_one_region_with_air_around_its_ink():
    def line(text, *box):
        left, top, right, bottom = box
        return RenderedLine(text, np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32))

    side = RenderedLine("side", np.array([[90, 60], [90, 20], [98, 20], [98, 60]], np.float32))
    lines = [line("Total", 0, 10, 30, 20), side, line("1,200", 36, 10, 60, 20), line("next", 10, 40, 40, 50)]
    found = page_regions(RenderedPage(np.zeros((80, 100, 3), np.uint8), "form", lines))
    assert [region.text for region in found] == ["Total 1,200", "next", "side"]
    air = MARGIN * 10
    np.testing.assert_allclose(found[0].quad, [0, 10 - air, 60 + air, 10 - air, 60 + air, 20 + air, 0, 20 + air])
    assert found[2].quad == tuple(side.polygon.reshape(-1).tolist())


def test_rendered_pages(fonts):
    source = RenderedRegionsSettings().open("validation", 5)
    assert isinstance(source, RenderedRegions)
    one, again, other = source.regions(2), source.regions(2), source.regions(3)
    assert (one.image == again.image).all() and (one.quads == again.quads).all() and not one.ignore.any()
    assert one.image.shape != other.image.shape or (one.image != other.image).any()
    height, width = one.image.shape[:2]
    assert len(one.quads) > 0 and one.quads.min() >= 0 and (one.quads.max(axis=(0, 1)) <= (width, height)).all()


def test_rendered_shards_of_regions(fonts, tmp_path):
    (path,) = render_shards(tmp_path / "out", count=2, seed=9, split="validation", regions=True)
    assert path.name == "regions-validation-9-00000.parquet" and layout_of(path) == "regions"
    for number, page in enumerate(read_pages(path)):
        rendered = render_page((9, number), fonts=fonts, split="validation")
        assert page.name == f"validation-9-{number:07d}-{rendered.kind}"
        assert list(page.regions) == page_regions(rendered)
