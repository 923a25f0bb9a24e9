"""Lines as the recognition network takes them: cut from a page, flat and horizontal, scaled to one height, in batches
of about one width."""

import cv2
import numpy as np
from pydantic import Field

from models.blob import ImageFormat, blob, rgb
from models.geometry import quad_size

_TALL = 1.5  # a crop this much taller than wide holds vertical text
_FILLED = 0.8  # of the widest strip: how much of it the pieces of a longer line take, and
_SEARCHED = 0.1  # how far around a cut's even place a gap between words is looked for
_BLANK = 0.15  # of the contrast of a window's darkest columns: columns with less are between letters
_WORD_GAP = 0.15  # of the crop's height; wider gaps are between words (0.17 to 0.39; between letters up to 0.12)
_MOST_PIECES = 64  # some 7,000 characters; pieces of what is longer (rules, borders) are squeezed
# Batches come in few sizes, so that (batch, width) shapes are few and the runtime's per-shape caches stay small.
_BATCH_SIZES = (8, 4, 2, 1)
_BATCH_COLUMNS = 2560  # px; beyond it a batch is no faster than its halves
_MOST_PADDING = 10  # a strip is padded by less than a step or a tenth of its width


class RecognitionInput(ImageFormat):
    """Line strips as the network takes them, in px."""

    height: int = Field(ge=8)
    min_width: int = Field(ge=8)
    max_width: int = Field(ge=8, description="longer lines are read in pieces")
    width_step: int = Field(ge=1, description="strips are padded on the right to a multiple of it, wide ones coarser")


def crop_line(image: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Cut the quadrilateral `polygon` (4, 2; TL, TR, BR, BL) out of `image` by perspective warp, at the image's own
    resolution; a crop much taller than wide is turned counter-clockwise by 90 degrees, as PP-OCR was trained.

    Returns:
        (h, w) or (h, w, C) uint8, at least 1 x 1 px.
    """
    width, height = (max(1, round(side)) for side in quad_size(polygon))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    left, top = np.floor(polygon.min(axis=0)).astype(int)
    right, bottom = np.ceil(polygon.max(axis=0)).astype(int) + 1
    left, top = max(0, left - 2), max(0, top - 2)  # the cubic kernel looks two px around
    window = np.ascontiguousarray(image[top : bottom + 2, left : right + 2])
    matrix = cv2.getPerspectiveTransform((polygon - (left, top)).astype(np.float32), corners)
    crop = cv2.warpPerspective(window, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(np.rot90(crop)) if height >= _TALL * width else crop


def resize_to_height(crop: np.ndarray, height: int, max_width: int) -> np.ndarray:
    """Scale a crop to `height` px, aspect kept, but at most `max_width` px wide (longer lines are squeezed)."""
    return cv2.resize(crop, (strip_width(crop, height, max_width), height), interpolation=cv2.INTER_LINEAR)


def strip_width(crop: np.ndarray, height: int, max_width: int) -> int:
    """px; how wide `resize_to_height` makes a crop."""
    return min(max_width, max(1, int(np.ceil(crop.shape[1] * height / crop.shape[0]))))


def cut_long_line(crop: np.ndarray, height: int, max_width: int) -> list[tuple[np.ndarray, str]]:
    """Cut the crop of a line, (h, w) or (h, w, C) uint8, that would be wider than `max_width` px at `height` px into
    up to 64 pieces that are not, each where the gap between letters is widest; nothing is left out or seen twice.

    Returns:
        (piece, joint): the pieces from left to right, each with the text between it and the one
        before: a space where it was cut between words, else (and for the first) nothing.
    """
    width = crop.shape[1]
    longest = max_width * crop.shape[0] / height  # px of the crop
    if width <= longest:
        return [(crop, "")]
    count = min(_MOST_PIECES, int(np.ceil(width / (_FILLED * longest))))
    reach = max(1, int(_SEARCHED * longest))
    pieces, start, joint = [], 0, ""
    for number in range(1, count):
        middle = round(number * width / count)
        first, last = max(start + 1, middle - reach), min(width - 1, middle + reach)
        cut, gap = _widest_gap(crop[:, first:last])
        pieces.append((crop[:, start : first + cut], joint))
        start, joint = first + cut, " " if gap >= _WORD_GAP * crop.shape[0] else ""
    return [*pieces, (crop[:, start:], joint)]


def _widest_gap(window: np.ndarray) -> tuple[int, int]:
    """Return the middle column of the widest gap between letters in a part of a line, and the gap's width in px (there
    is always one: the column with least contrast)."""
    grey = window.reshape(*window.shape[:2], -1)
    contrast = (grey.max(axis=0).astype(np.int32) - grey.min(axis=0)).max(axis=1)
    low, high = int(contrast.min()), float(np.quantile(contrast, 0.9))
    blank = np.concatenate([[False], contrast <= low + _BLANK * (high - low), [False]])
    starts, stops = np.flatnonzero(blank[1:] & ~blank[:-1]), np.flatnonzero(~blank[1:] & blank[:-1])
    widest = int((stops - starts).argmax())
    return int(starts[widest] + stops[widest]) // 2, int(stops[widest] - starts[widest])


def bucket_width(width: int, form: RecognitionInput) -> int:
    """Return the padded width of a strip `width` px wide: steps double as widths do, for few buckets and little
    padding."""
    step = form.width_step
    while 2 * step * _MOST_PADDING <= width:
        step *= 2
    return max(form.min_width, -(-width // step) * step)


def in_batches(indices: list[int], width: int) -> list[list[int]]:
    """Split a bucket's members into the fewest batches of the allowed sizes, large ones first."""
    batches, start = [], 0
    while start < len(indices):
        most = min(len(indices) - start, max(1, _BATCH_COLUMNS // width))
        size = next(size for size in _BATCH_SIZES if size <= most)
        batches.append(indices[start : start + size])
        start += size
    return batches


def batch_of(pieces: list[np.ndarray], width: int, form: RecognitionInput) -> np.ndarray:
    """Return crops of one bucket as the network takes them, float32 [batch, 3, height, width], with zeros on the right.

    Args:
        pieces: (h, w) or (h, w, 3) uint8 RGB. width: `bucket_width` of each.
    """
    batch = np.zeros((len(pieces), 3, form.height, width), np.float32)
    for row, piece in zip(batch, pieces, strict=True):
        strip = resize_to_height(rgb(piece), form.height, form.max_width)
        row[:, :, : strip.shape[1]] = blob([strip], form)[0]
    return batch
