"""Rendered pages in Parquet shards, and contact sheets of them."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from common.storage import replacing
from trainers.data.encoding import encode_page
from trainers.render.degradation import degrade
from trainers.render.page import Split, render_page
from trainers.render.texts.source import TextSource

ROWS = 500
Shard = tuple[Path, int, int]  # file, number of its first row, rows
_texts: TextSource | None = None


def _load_texts(path: str | None) -> None:
    """Read the texts once a process."""
    global _texts
    _texts = TextSource.from_parquet(path) if path else None


def write_shard(path: Path, first: int, rows: int, seed: int, split: Split) -> int:
    """Render pages (seed, first … first + rows - 1) into a Parquet file that appears whole or not at all: columns
    `image` (encoded bytes), `kind`, `seed` (the page's number within the run). Returns the bytes written."""
    import pyarrow as pa

    pages: dict[str, list] = {"image": [], "kind": [], "seed": []}
    for number in range(first, first + rows):
        page = render_page((seed, number), texts=_texts, split=split)
        pages["image"].append(encode_page(page.image))
        pages["kind"].append(page.kind)
        pages["seed"].append(number)
    table = pa.table(pages, schema=pa.schema([("image", pa.binary()), ("kind", pa.string()), ("seed", pa.int64())]))
    return write_whole(table, path, row_group_size=100)


def write_regions_shard(path: Path, first: int, rows: int, seed: int, split: Split) -> int:
    """As `write_shard`, in the *regions* layout of `trainers.data.layouts`: the same pages, with where their lines are
    and what they say."""
    from dataclasses import asdict

    import pyarrow as pa

    from trainers.data.layouts import REGIONS_SCHEMA, Page
    from trainers.render.regions import page_regions

    pages = []
    for number in range(first, first + rows):
        page = render_page((seed, number), texts=_texts, split=split)
        name = f"{split}-{seed}-{number:07d}-{page.kind}"
        pages.append(asdict(Page(encode_page(page.image), name, None, "trainers.render", tuple(page_regions(page)))))
    return write_whole(pa.Table.from_pylist(pages, REGIONS_SCHEMA), path, row_group_size=100)


def render_shards(
    out: Path,
    count: int,
    seed: int,
    split: Split,
    texts: str | None = None,
    processes: int = 1,
    rows: int = ROWS,
    regions: bool = False,
) -> list[Path]:
    """Write `count` pages as `out/SPLIT-SEED-NNNNN.parquet`, `rows` to a shard. Shards that are there already are kept,
    so an interrupted run resumes. Returns all paths in order.

    Args:
        regions: pages with their regions, as `out/regions-SPLIT-SEED-NNNNN.parquet`.

    Raises:
        ValueError: `count`, `rows` or `processes` below 1.
    """
    shards = plan_shards(out, f"{'regions-' * regions}{split}-{seed}", count, rows, processes)
    write = partial(write_regions_shard if regions else write_shard, seed=seed, split=split)
    return write_missing(shards, lambda path, _: path.exists(), write, partial(_load_texts, texts), processes)


def plan_shards(out: Path, name: str, count: int, rows: int, processes: int) -> list[Shard]:
    """Shards `out/NAME-NNNNN.parquet` of `count` rows, `rows` to a shard, in a folder that is made.

    Raises:
        ValueError: `count`, `rows` or `processes` below 1.
    """
    if min(count, rows, processes) < 1:
        raise ValueError("count, rows and processes must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, rows)
    return [(out / f"{name}-{start // rows:05d}.parquet", start, min(rows, count - start)) for start in starts]


def write_missing(
    shards: list[Shard],
    finished: Callable[[Path, int], bool],
    write: Callable[[Path, int, int], int],
    load: Callable[[], None],
    processes: int,
) -> list[Path]:
    """Write the shards that are not there yet and tell of each. Returns all paths in order.

    Args:
        finished: whether the shard at a path is there, with so many rows.
        write: path, first row, rows → bytes written.
        load: called once in each process that writes, before its first shard.
    """
    todo = [(path, first, rows) for path, first, rows in shards if not finished(path, rows)]
    print(f"{len(shards) - len(todo)} of {len(shards)} shards are there already", flush=True)
    paths = [path for path, _, _ in shards]
    if not todo:
        return paths
    if processes == 1:
        load()
        for path, first, rows in todo:
            print(f"{path}  {write(path, first, rows) / 1e6:.1f} MB", flush=True)
        return paths
    with ProcessPoolExecutor(processes, initializer=load) as pool:
        for (path, _, _), size in zip(todo, pool.map(write, *zip(*todo, strict=True)), strict=True):
            print(f"{path}  {size / 1e6:.1f} MB", flush=True)
    return paths


def write_whole(table, path: Path, row_group_size: int) -> int:
    """Write an Arrow table to a Parquet file that appears whole or not at all. Returns its bytes."""
    import pyarrow.parquet as pq

    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=row_group_size)
    return path.stat().st_size


def page_sheet(
    count: int, seed: int, split: Split, texts: str | None = None, kind: str | None = None, degraded: bool = False
) -> Image.Image:
    """Contact sheet of the first `count` pages of a run, all of one `kind` if given, damaged if `degraded`.

    Raises:
        RenderError: `texts` cannot be used.
    """
    source = TextSource.from_parquet(texts) if texts else None
    pages = []
    for number in range(count):
        page = render_page((seed, number), texts=source, kind=kind, split=split).image
        pages.append(degrade(page, np.random.default_rng((seed, number))) if degraded else page)
    return contact_sheet(pages)


def contact_sheet(pages: list[np.ndarray], columns: int = 8, cell: int = 300) -> Image.Image:
    """Return pages scaled into a grid of `cell` px squares on grey."""
    rows = -(-len(pages) // columns)
    sheet = Image.new("RGB", (columns * cell, rows * cell), (110, 125, 150))
    for i, page in enumerate(pages):
        image = Image.fromarray(page)
        image.thumbnail((cell - 6, cell - 6), Image.Resampling.LANCZOS)
        sheet.paste(image, ((i % columns) * cell + 3, (i // columns) * cell + 3))
    return sheet
