"""Rendered meters in Parquet shards of the *meters* layout, and contact sheets of them."""

import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw

from trainers.data.meter_sample import Kind, MeterSample
from trainers.render.meters.scene import render_photo
from trainers.render.meters.strip import render_strip
from trainers.render.page import Split
from trainers.render.shards import plan_shards, write_missing, write_whole

ROWS = {"photo": 500, "strip": 10_000}  # some 50 MB each
_RENDER: dict[Kind, Callable[..., MeterSample]] = {"photo": render_photo, "strip": render_strip}
_QUALITIES = (85, 95)


def sample(kind: Kind, seed: int, number: int, split: Split) -> MeterSample:
    """Picture `number` of the run `seed`."""
    return _RENDER[kind]((seed, number), split)


def encode(rendered: MeterSample, number: int) -> bytes:
    """JPEG bytes of quality 85 to 95, by number, with its colours at full resolution."""
    low, high = _QUALITIES
    buffer = io.BytesIO()
    quality = low + number % (high - low + 1)
    Image.fromarray(rendered.image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def write_shard(path: Path, first: int, rows: int, seed: int, split: Split, kind: Kind) -> int:
    """Render pictures `first` … `first + rows - 1` into a Parquet file that appears whole or not at all. Returns the
    bytes written."""
    import pyarrow as pa

    from trainers.data.layouts import METERS_SCHEMA, Meter

    records = []
    for number in range(first, first + rows):
        rendered = sample(kind, seed, number, split)
        meter = Meter(
            encode(rendered, number),
            f"rendered-{kind}-{split}-{seed}-{number:08d}",
            None,
            "trainers.render",
            kind,
            rendered.meter_class,
            rendered.corners,
            rendered.reading,
            rendered.leading_zeros,
            rendered.digits,
        )
        records.append(meter.record())
    table = pa.Table.from_pylist(records, METERS_SCHEMA)
    return write_whole(table, path, row_group_size=100 if kind == "photo" else 500)


def _finished(path: Path, rows: int) -> bool:
    import pyarrow.parquet as pq

    return path.exists() and pq.read_metadata(path).num_rows == rows


def _nothing() -> None:
    """Nothing has to be loaded in a process that renders meters."""


def render_shards(
    out: Path, count: int, seed: int, split: Split, kind: Kind, processes: int = 1, rows: int | None = None
) -> list[Path]:
    """Write `count` pictures as `out/KINDs-SPLIT-SEED-NNNNN.parquet`, `rows` to a shard (default: `ROWS`). Finished
    shards are kept, so an interrupted run resumes and a larger `count` goes on from a smaller one. Returns all paths
    in order.

    Raises:
        ValueError: `count`, `rows` or `processes` below 1.
    """
    shards = plan_shards(out, f"{kind}s-{split}-{seed}", count, ROWS[kind] if rows is None else rows, processes)
    write = partial(write_shard, seed=seed, split=split, kind=kind)
    return write_missing(shards, _finished, write, _nothing, processes)


def contact_sheet(samples: Iterable[MeterSample], columns: int = 6, cell: tuple[int, int] = (330, 350)) -> Image.Image:
    """Return samples scaled into cells of `cell` px, with the display's corners (a red dot at the first), the digits'
    boxes, and reading and class beneath."""
    samples = list(samples)
    rows = -(-len(samples) // columns)
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), (40, 44, 52))
    draw = ImageDraw.Draw(sheet)
    for i, item in enumerate(samples):
        image = Image.fromarray(item.image)
        factor = min((cell[0] - 6) / image.width, (cell[1] - 22) / image.height)
        image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))
        marks = ImageDraw.Draw(image)
        for digit in item.digits or ():
            if digit.box is not None:
                marks.polygon((digit.box * factor).ravel().tolist(), outline=(255, 210, 0))
        if item.corners is not None:
            quad = item.corners * factor
            marks.polygon(quad.ravel().tolist(), outline=(0, 230, 90))
            x, y = quad[0].tolist()
            marks.ellipse((x - 3, y - 3, x + 3, y + 3), fill=(255, 0, 0))
        x, y = i % columns * cell[0], i // columns * cell[1]
        sheet.paste(image, (x + 3, y + 3))
        draw.text((x + 4, y + image.height + 6), f"{item.reading or '-'}   {item.meter_class}", fill=(235, 235, 235))
    return sheet
