"""Overlapping tiles for pages larger than the network should see at once.

The tiles' probability maps are stitched along the middle of their overlaps and decoded once, so a line that crosses a
seam is found once and whole, whatever its length.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Spread the fewest spans (start, stop) of `tile` px over `length`, neighbours sharing at least `overlap` px.

    A length up to `tile` is one span of its own size.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must be in 0..{tile - 1}, not {overlap}")
    if length <= tile:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = np.linspace(0, length - tile, count).round().astype(int).tolist()
    return [(start, start + tile) for start in starts]


def stitched(
    image: np.ndarray, tile: int, overlap: int, probability_map: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply `probability_map`, (h, w, 3) -> (h, w) uint8, to tiles of `image` and join the maps to one (H, W)."""
    height, width = image.shape[:2]
    rows, columns = spans(height, tile, overlap), spans(width, tile, overlap)
    if len(rows) == len(columns) == 1:
        return probability_map(image)
    joined = np.zeros((height, width), np.uint8)
    for (top, bottom), (first_row, last_row) in zip(rows, _seams(rows), strict=True):
        for (left, right), (first_column, last_column) in zip(columns, _seams(columns), strict=True):
            part = probability_map(np.ascontiguousarray(image[top:bottom, left:right]))
            joined[first_row:last_row, first_column:last_column] = part[
                first_row - top : last_row - top, first_column - left : last_column - left
            ]
    return joined


def _seams(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The share (start, stop) of each span when overlaps are cut in their middle."""
    middles = ((stop + start) // 2 for (_, stop), (start, _) in pairwise(parts))
    return list(pairwise([parts[0][0], *middles, parts[-1][1]]))
