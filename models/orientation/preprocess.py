"""A page as a few tiles of legible text: which way is up shows in the glyphs, so the page is no thumbnail."""

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.page_contrast import local_contrast, reduce, sections, to_grey

BACKGROUND_WINDOW = 31  # px; wider than for deskew: large letters keep their bodies
INK = 1.0  # local contrast from which a pixel counts as ink
MIN_INK = 1e-3  # share of ink below which a tile is left out
_POLARITY_SIDES = (1024, 512)  # px; long and short side of the copy on which print is found dark or light
_BOX_SIDES = (512, 256)  # px; the content box is found on a copy with one of these long and short sides
_NEIGHBOURS = 17  # px of that copy; side of the window in which ink counts its neighbours
_CROWD = 0.06  # share of ink in the window from which ink counts
_BOX_TAIL = 0.002  # share of the ink that may lie outside the content box, on each side
_BOX_MARGIN = 0.02  # of the box's sides


class OrientationInput(BaseModel):
    """The card's `input`: how a page is cut."""

    model_config = ConfigDict(extra="forbid")
    long_side: int = Field(ge=32, description="px the page's content is scaled down to (never up), see `contrast`")
    tile: int = Field(ge=32, description="px, side of the square tiles")
    max_tiles: int = Field(ge=1, description="the tiles with most ink are taken, at most this many")


def page_tiles(image: np.ndarray, form: OrientationInput) -> np.ndarray:
    """Return (n, tile, tile) float32 local contrast of a uint8 page (grey or RGB) whose lines are horizontal or
    vertical, most ink first; n is 0 for a blank page and at most `max_tiles`. Print is positive in each, also where it
    is light on dark."""
    tiles = [tile for part in content_sections(image) for tile in grid(contrast(part, form.long_side), form.tile)]
    tiles = [tile if _is_dark(tile) else -tile for tile in tiles]
    ink = np.array([float((tile > INK).mean()) for tile in tiles])
    best = [index for index in np.argsort(-ink, kind="stable")[: form.max_tiles] if ink[index] >= MIN_INK]
    if not best:
        return np.empty((0, form.tile, form.tile), np.float32)
    return np.stack([tiles[index] for index in best])


def content_sections(image: np.ndarray) -> list[np.ndarray]:
    """Return the parts of a uint8 page (grey or RGB) that tiles are cut from, (h, w) grey with dark print: its content,
    in sections if that is very long."""
    return sections(crop_to_content(dark_print(image)))


def dark_print(image: np.ndarray) -> np.ndarray:
    """Return a uint8 page (grey or RGB) as (H, W) grey with dark print: a negative (a slide, a dark screen), whose
    light marks outnumber its dark ones, is inverted.

    Marks are the few pixels that differ most from what surrounds them, paper differs little; so the sign of the marks
    tells print from paper, whatever the share of either.
    """
    grey = to_grey(image)
    marks = local_contrast(reduce(grey, *_POLARITY_SIDES), BACKGROUND_WINDOW)
    return grey if _is_dark(marks) else cv2.bitwise_not(grey)


def _is_dark(contrast: np.ndarray) -> bool:
    """Return whether the marks of a local contrast map are darker than their surroundings; True where there are
    none."""
    return bool(np.count_nonzero(contrast > INK) >= np.count_nonzero(contrast < -INK))


def contrast(grey: np.ndarray, long_side: int) -> np.ndarray:
    """Return (h, w) float32 local contrast of the page reduced to `long_side` px. A narrow page (a till receipt), whose
    letters would become too small, is reduced until its short side has 5/8 of that."""
    return local_contrast(reduce(grey, long_side, long_side * 5 // 8), BACKGROUND_WINDOW)


def crop_to_content(grey: np.ndarray) -> np.ndarray:
    """Return the part of the page that contains ink, with a small margin; the page itself if there is none.

    A page that was turned back by its skew has wide empty borders, which would cost resolution.
    """
    small = reduce(grey, *_BOX_SIDES)
    ink = (local_contrast(small, BACKGROUND_WINDOW) > INK).astype(np.float32)
    # Dust lies alone, text has neighbours: a receipt on a dusty A4 sheet is cut out of it.
    ink *= cv2.blur(ink, (_NEIGHBOURS, _NEIGHBOURS)) > _CROWD
    if not ink.any():
        return grey
    (top, bottom), (left, right) = (_content_span(ink.sum(axis=axis)) for axis in (1, 0))
    y, x = grey.shape[0] / small.shape[0], grey.shape[1] / small.shape[1]
    return grey[int(top * y) : int(np.ceil(bottom * y)), int(left * x) : int(np.ceil(right * x))]


def grid(ink: np.ndarray, tile: int) -> list[np.ndarray]:
    """Square tiles that cover the (h, w) map, evenly overlapping; a smaller map is padded."""
    ink = pad_to(ink, tile)
    return [ink[y : y + tile, x : x + tile] for y in _starts(ink.shape[0], tile) for x in _starts(ink.shape[1], tile)]


def pad_to(ink: np.ndarray, side: int) -> np.ndarray:
    """Return the (h, w) map padded with 0 (flat paper) at the bottom and right to sides of at least `side` px."""
    missing = [max(0, side - length) for length in ink.shape]
    return cv2.copyMakeBorder(ink, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT, value=0) if any(missing) else ink


def _starts(length: int, tile: int) -> list[int]:
    # A rest of a few pixels is no reason for another row of tiles.
    count = max(1, -(-(length - tile // 8) // tile))
    return np.linspace(0, length - tile, count).round().astype(int).tolist()


def _content_span(profile: np.ndarray) -> tuple[float, float]:
    """First and last index + 1 that hold all but _BOX_TAIL of the ink on each side, widened by the margin."""
    share = np.cumsum(profile) / profile.sum()
    first, last = np.searchsorted(share, [_BOX_TAIL, 1 - _BOX_TAIL])
    margin = _BOX_MARGIN * (last - first) + 1
    return max(0.0, first - margin), min(float(len(profile)), last + 1 + margin)
