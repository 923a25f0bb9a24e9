"""Pages for the benchmarks: rows of labelled Parquet files written out as the image files they are."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

_SUFFIX = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg"}


def write_pages(data: Path, sets: list[str], count: int, folder: Path, seed: int = 0) -> list[Path]:
    """Write `count` pages drawn at random, in equal shares from `sets` (`data/<set>.parquet`, column image), as files.

    The draw depends on `seed` only; pages repeat when a set has fewer than its share.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    paths = []
    for name in sets:
        images = pq.read_table(data / f"{name}.parquet", columns=["image"])["image"]
        share = -(-count // len(sets))
        order = np.concatenate([rng.permutation(len(images)) for _ in range(-(-share // len(images)))])
        for number, index in enumerate(order[:share]):
            content = images[int(index)].as_py()
            suffix = next((s for magic, s in _SUFFIX.items() if content.startswith(magic)), ".img")
            paths.append(folder / f"{number:04}-{name}{suffix}")
            paths[-1].write_bytes(content)
    return sorted(paths)[:count]
