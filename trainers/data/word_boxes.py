"""Words of a text row joined to the line that detectors give.

Two boxes are neighbours when one begins right of the other's middle, they overlap by half of the lower one's height or
more, their heights differ by less than a factor of two, and the gap between them is less than their mean height. Lines
are the chains of neighbours; each becomes the smallest box around its words.
"""

import numpy as np

GAP = 1.0  # in heights: narrower gaps are word spaces
_LEAST_OVERLAP = 0.5
_LEAST_HEIGHT_RATIO = 0.5


def join_rows(boxes: np.ndarray, gap: float = GAP) -> list[np.ndarray]:
    """Group upright boxes into lines.

    Args:
        boxes: (n, 4) left, top, right, bottom, px.

    Returns:
        For each line the indices of its boxes from left to right, lines in the order of their first boxes' indices.
    """
    if not len(boxes):
        return []
    left, top, right, bottom = np.asarray(boxes, np.float64).T
    heights = np.maximum(bottom - top, 1e-6)
    low, high = np.minimum.outer(heights, heights), np.maximum.outer(heights, heights)
    shared = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
    spaces = left[None] - right[:, None]  # [a, b]: from the end of a to the beginning of b
    behind = left[None] >= ((left + right) / 2)[:, None]
    linked = behind & (spaces < gap * (low + high) / 2) & (shared >= _LEAST_OVERLAP * low)
    linked &= low > _LEAST_HEIGHT_RATIO * high
    np.fill_diagonal(linked, False)
    # A box has one follower, the nearest: two rows that both touch a taller box stay two.
    follower = np.where(linked.any(axis=1), np.where(linked, np.abs(spaces), np.inf).argmin(axis=1), -1)
    line = np.arange(len(heights))
    for box, after in enumerate(follower):
        if after >= 0:
            line[line == line[after]] = line[box]
    groups: dict[int, list[int]] = {}
    for box, number in enumerate(line.tolist()):
        groups.setdefault(number, []).append(box)
    return [np.array(sorted(group, key=left.__getitem__)) for group in groups.values()]


def joined_boxes(boxes: np.ndarray) -> np.ndarray:
    """Return (m, 4) boxes of the lines found by `join_rows`."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    groups = [boxes[group] for group in join_rows(boxes)]
    corners = [np.concatenate([group[:, :2].min(axis=0), group[:, 2:].max(axis=0)]) for group in groups]
    return np.array(corners, np.float32).reshape(-1, 4)


def quads_of(boxes: np.ndarray) -> np.ndarray:
    """Return (n, 4) boxes as (n, 4, 2) quads TL, TR, BR, BL."""
    return np.asarray(boxes, np.float32)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
