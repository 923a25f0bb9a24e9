"""Rendered pages in Parquet shards, and contact sheets of them."""

import io
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from trainers.render.page import Split, render_page
from trainers.render.texts.source import TextSource

ROWS = 500
_texts: TextSource | None = None


def encode(image: np.ndarray) -> bytes:
    """The smaller of PNG and JPEG (quality 92) of a page, (H, W, 3) uint8; a page without colour is stored grey."""
    page = Image.fromarray(image)
    if (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all():
        page = page.getchannel(0)
    buffers = io.BytesIO(), io.BytesIO()
    page.save(buffers[0], "JPEG", quality=92)
    page.save(buffers[1], "PNG", compress_level=4)
    return min((b.getvalue() for b in buffers), key=len)


def _load_texts(path: str | None) -> None:
    """Read the texts once a process."""
    global _texts
    _texts = TextSource.from_parquet(path) if path else None


def write_shard(path: Path, first: int, rows: int, seed: int, split: Split) -> int:
    """Render pages (seed, first … first + rows - 1) into a Parquet file that appears whole or not at all: columns
    `image` (encoded bytes), `kind`, `seed` (the page's number within the run). Returns the bytes written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pages: dict[str, list] = {"image": [], "kind": [], "seed": []}
    for number in range(first, first + rows):
        page = render_page((seed, number), texts=_texts, split=split)
        pages["image"].append(encode(page.image))
        pages["kind"].append(page.kind)
        pages["seed"].append(number)
    table = pa.table(pages, schema=pa.schema([("image", pa.binary()), ("kind", pa.string()), ("seed", pa.int64())]))
    # The leading dot keeps an unfinished file out of globs and of Ray Data's folder listing.
    part = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, part, compression="zstd", row_group_size=100)
    part.replace(path)
    return path.stat().st_size


def render_shards(
    out: Path, count: int, seed: int, split: Split, texts: str | None = None, processes: int = 1, rows: int = ROWS
) -> list[Path]:
    """Write `count` pages as `out/SPLIT-SEED-NNNNN.parquet`, `rows` to a shard. Shards that are there already are kept,
    so an interrupted run resumes. Returns all paths in order.

    Raises:
        ValueError: `count`, `rows` or `processes` below 1.
    """
    if min(count, rows, processes) < 1:
        raise ValueError("count, rows and processes must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    starts = range(0, count, rows)
    paths = [out / f"{split}-{seed}-{start // rows:05d}.parquet" for start in starts]
    todo = [
        (path, start, min(rows, count - start)) for path, start in zip(paths, starts, strict=True) if not path.exists()
    ]
    print(f"{len(paths) - len(todo)} of {len(paths)} shards are there already", flush=True)
    write = partial(write_shard, seed=seed, split=split)
    if processes == 1:
        if todo:
            _load_texts(texts)
        sizes = (write(*task) for task in todo)
        for (path, _, _), size in zip(todo, sizes, strict=True):
            print(f"{path}  {size / 1e6:.1f} MB", flush=True)
        return paths
    with ProcessPoolExecutor(processes, initializer=_load_texts, initargs=(texts,)) as pool:
        for (path, _, _), size in zip(todo, pool.map(write, *zip(*todo, strict=True)) if todo else (), strict=True):
            print(f"{path}  {size / 1e6:.1f} MB", flush=True)
    return paths


def contact_sheet(pages: list[np.ndarray], columns: int = 8, cell: int = 300) -> Image.Image:
    """Pages scaled into a grid of `cell` px squares on grey."""
    rows = -(-len(pages) // columns)
    sheet = Image.new("RGB", (columns * cell, rows * cell), (110, 125, 150))
    for i, page in enumerate(pages):
        image = Image.fromarray(page)
        image.thumbnail((cell - 6, cell - 6), Image.Resampling.LANCZOS)
        sheet.paste(image, ((i % columns) * cell + 3, (i // columns) * cell + 3))
    return sheet
