"""Small labelled images for the tests of importers: pictures told apart by their seed, and what an import makes."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.dataset
from PIL import Image

from ray_apps.cli import main as cli


def picture(seed: int = 0, size: tuple[int, int] = (24, 8), kind: str = "PNG", exif: Image.Exif | None = None) -> bytes:
    """Noise of (width, height) px, encoded."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **({"exif": exif} if exif else {}))
    return buffer.getvalue()


def write_pictures(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(seed))


def ocray(capsys, *arguments: object) -> tuple[int, str]:
    """Exit status and all output of a call of `ocray`."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def rows(output: Path) -> list[dict]:
    """All rows of a data set, both splits."""
    return pyarrow.dataset.dataset([str(p) for p in sorted(output.rglob("*.parquet"))]).to_table().to_pylist()


def labels(output: Path) -> dict[str, str]:
    return {row["name"]: row["text"] for row in rows(output)}


def left_out(output: Path) -> list[dict]:
    path = output / "left_out.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
