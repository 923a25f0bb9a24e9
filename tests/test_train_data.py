"""Pages for training, and batches without Ray."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tests.tiny_task import TinySettings, TinyTask
from trainers.core.feed import KeptValidation, PlainFeed, Share, chunks
from trainers.data.image_shards import SourceError
from trainers.pages.source import PageShards


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 6), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def shards(tmp_path):
    """Two files of 3 and 2 pages; the page's colour is its number."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for stem, numbers in (("a", range(3)), ("b", range(3, 5))):
        table = pa.table({"name": [f"{n}.png" for n in numbers], "image": [png(n) for n in numbers]})
        pq.write_table(table, folder / f"{stem}.parquet")
    return folder


def colours(pages, indices):
    return [int(pages.page(index)[0, 0, 0]) for index in indices]


def test_shards_in_order_and_round_again(shards):
    pages = PageShards(str(shards))
    assert len(pages) == 5
    assert pages.page(0).shape == (4, 6, 3) and pages.page(0).dtype == np.uint8
    assert colours(pages, range(7)) == [0, 1, 2, 3, 4, 0, 1]
    assert pages.skew_degrees(3) == 0.0


def test_shuffled_shards_give_each_page_once_a_pass(shards):
    pages = PageShards(f"file://{shards}", shuffle_seed=1)
    passes = [colours(pages, range(5 * turn, 5 * turn + 5)) for turn in range(4)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in passes)
    assert len({tuple(order) for order in passes}) > 1
    assert passes[2] == colours(PageShards(str(shards), shuffle_seed=1), range(10, 15))


def test_pages_with_unknown_skew_are_left_out(shards, tmp_path):
    skews = tmp_path / "skew.parquet"
    rows = [("a", "0.png", 0.5), ("a", "1.png", None), ("b", "4.png", -1.25)]
    pq.write_table(pa.table(dict(zip(("set", "name", "skew_degrees"), zip(*rows, strict=True), strict=True))), skews)
    pages = PageShards(str(shards), skews=str(skews))
    assert colours(pages, range(2)) == [0, 4] and len(pages) == 2
    assert [pages.skew_degrees(0), pages.skew_degrees(1)] == [0.5, -1.25]


def test_bad_pages(shards, tmp_path):
    with pytest.raises(SourceError, match="no Parquet files"):
        PageShards(str(tmp_path / "none"))
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"text": ["x"]}), other)
    with pytest.raises(SourceError, match="no column image"):
        PageShards(str(other))
    broken = tmp_path / "broken.parquet"
    pq.write_table(pa.table({"image": [b"no image"]}), broken)
    with pytest.raises(SourceError, match="image 0"):
        PageShards(str(broken)).page(0)


def test_workers_share_every_global_batch():
    for world_size in (1, 2, 4):
        shares = [Share(8, 10, rank, world_size) for rank in range(world_size)]
        assert [i for share in shares for i in share.training(3)] == list(range(24, 32))
        assert [i for share in shares for batch in share.validation() for i in batch] == list(range(10))
    assert chunks(range(5, 10), 2) == [range(5, 7), range(7, 9), range(9, 10)]


def test_processes_and_start_change_nothing():
    task = TinyTask(TinySettings(), {}, 0)
    plain = PlainFeed(task, Share(4, 10))
    whole = list(plain.training(0, 6))
    assert whole[0]["point"].shape == (4, 2) and len(whole) == 6

    def later(share, processes=0):
        return list(PlainFeed(task, share, processes=processes).training(2, 6))

    halves = [later(Share(4, 10, rank, world_size=2)) for rank in (0, 1)]
    for batch, other, first, second in zip(whole[2:], later(Share(4, 10), processes=2), *halves, strict=True):
        for name in batch:
            assert torch.equal(batch[name], other[name])
            assert torch.equal(batch[name], torch.cat([first[name], second[name]]))
    assert sum(len(batch["label"]) for batch in plain.validation()) == 10


@pytest.mark.parametrize(("most_bytes", "made"), [(10_000, 1), (100, 2)])
def test_validation_batches_are_made_once_unless_they_are_too_large(most_bytes, made):
    class Counted(PlainFeed):
        validations = 0

        def validation(self):
            self.validations += 1
            return super().validation()

    feed = Counted(TinyTask(TinySettings(), {}, 0), Share(4, 11))
    kept = KeptValidation(feed, most_bytes)
    first, second = list(kept.validation()), list(kept.validation())
    assert feed.validations == made
    assert [len(batch["label"]) for batch in first] == [4, 4, 3]
    assert all(torch.equal(a["point"], b["point"]) for a, b in zip(first, second, strict=True))
