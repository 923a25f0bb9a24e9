"""Rendered lines in Parquet shards of the *lines* layout, and contact sheets of them."""

import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw

from trainers.render.errors import RenderError
from trainers.render.fonts import FontSet, system_fonts
from trainers.render.lines.line import RenderedLine
from trainers.render.lines.source import RenderedLines
from trainers.render.page import Split
from trainers.render.shards import plan_shards, write_missing, write_whole
from trainers.render.texts.lines import SHARES
from trainers.render.texts.source import TextSource

ROWS = 10_000  # some 55 MB
_SETTINGS = b"rendered"  # the key of a shard's settings in its Parquet metadata
_QUALITIES = (85, 95)
_lines: RenderedLines | None = None


@dataclass(frozen=True)
class LineRendering:
    """What the lines of a run depend on, besides the installed fonts. `texts`: a Parquet file with a column `text`, or
    None; `charset`: all allowed characters, or None; `balance`, `rare`: see `render_line`."""

    split: Split
    seed: int = 0
    texts: str | None = None
    charset: str | None = None
    balance: bool = False
    rare: float = SHARES["rare"]

    def lines(self) -> RenderedLines:
        """Return the lines of a Parquet column. Raises RenderError: `texts` cannot be read, has no such column, or has
        too few."""
        texts = TextSource.from_parquet(self.texts) if self.texts else None
        return RenderedLines(self.split, self.seed, texts, charset=self.charset, balance=self.balance, rare=self.rare)


def encode(sample: RenderedLine, number: int) -> bytes:
    """JPEG bytes of quality 85 to 95, by number, with its colours at full resolution."""
    low, high = _QUALITIES
    buffer = io.BytesIO()
    Image.fromarray(sample.image).save(buffer, "JPEG", quality=low + number % (high - low + 1), subsampling=0)
    return buffer.getvalue()


def _load(settings: LineRendering) -> None:
    """Read the texts once a process."""
    global _lines
    _lines = settings.lines()


def write_shard(path: Path, first: int, rows: int, settings: LineRendering) -> int:
    """Render lines `first` … `first + rows - 1` into a Parquet file that appears whole or not at all: columns `image`
    (encoded bytes), `text`, `name`, `group` (null), `source`. Returns the bytes written. `_load` comes first."""
    import pyarrow as pa

    from trainers.data.layouts import LINES_SCHEMA

    assert _lines is not None
    columns: dict[str, list] = {"image": [], "text": [], "name": []}
    for number in range(first, first + rows):
        sample = _lines.line(number)
        columns["image"].append(encode(sample, number))
        columns["text"].append(sample.text)
        columns["name"].append(f"rendered-{settings.split}-{settings.seed}-{number:08d}")
    columns["group"] = [None] * rows
    columns["source"] = ["trainers.render"] * rows
    settings_too = {_SETTINGS: json.dumps(asdict(settings)).encode()}
    table = pa.table(columns, schema=LINES_SCHEMA.with_metadata(settings_too))
    return write_whole(table, path, row_group_size=500)


def _finished(path: Path, rows: int, settings: LineRendering) -> bool:
    """Return whether a shard exists already. Raises RenderError: it exists, with lines of other settings."""
    import pyarrow.parquet as pq

    if not path.exists():
        return False
    metadata = pq.read_metadata(path)
    held = (metadata.metadata or {}).get(_SETTINGS, b"{}").decode()
    if json.loads(held) != asdict(settings):
        raise RenderError(
            f"{path} holds lines of other settings (texts, charset, balance or rare): delete it or give another --out"
        )
    return metadata.num_rows == rows


def render_shards(out: Path, count: int, settings: LineRendering, processes: int = 1, rows: int = ROWS) -> list[Path]:
    """Write `count` lines as `out/SPLIT-SEED-NNNNN.parquet`, `rows` to a shard. Finished shards are kept, so an
    interrupted run resumes and a larger `count` goes on from a smaller one. Returns all paths in order.

    Raises:
        ValueError: `count`, `rows` or `processes` below 1. RenderError: a shard of other settings is in the way.
    """
    shards = plan_shards(out, f"{settings.split}-{settings.seed}", count, rows, processes)
    write = partial(write_shard, settings=settings)
    return write_missing(shards, partial(_finished, settings=settings), write, partial(_load, settings), processes)


def contact_sheet(
    samples: Iterable[RenderedLine], columns: int = 4, width: int = 460, fonts: FontSet | None = None
) -> Image.Image:
    """Return lines at their size (wider ones scaled to the column's `width` px), each with its label beneath, in the
    face with the most characters. Columns are filled downwards."""
    samples = list(samples)
    face = max((fonts or system_fonts()).faces, key=lambda f: (f.style == "sans", int(f.covered.sum())))
    label = face.at(15)
    per_column = -(-len(samples) // columns)
    cells = []
    for sample in samples:
        image = Image.fromarray(sample.image)
        image.thumbnail((width - 12, 1000), Image.Resampling.LANCZOS)
        cells.append((image, sample.text))
    heights = [
        sum(image.height + 30 for image, _ in cells[start : start + per_column])
        for start in range(0, len(cells), per_column)
    ]
    sheet = Image.new("RGB", (columns * width, max(heights) + 8), (196, 202, 212))
    draw, y = ImageDraw.Draw(sheet), 0
    for i, (image, text) in enumerate(cells):
        y = 8 if i % per_column == 0 else y
        x = i // per_column * width + 6
        sheet.paste(image, (x, y))
        draw.text((x, y + image.height + 18), text, fill=(20, 40, 120), font=label.pil, anchor="ls")
        y += image.height + 30
    return sheet
