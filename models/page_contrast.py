"""The page as its local contrast, as deskew and orientation see it: paper colour, shadows and photos weigh little."""

import cv2
import numpy as np

from models.geometry import fit_within

CONTRAST_WINDOW = 61  # px; side of the window whose contrast the ink is measured against
NOISE_FLOOR = 10.0  # grey levels; contrast far below it counts as flat paper
CLIP = 3.0
VIEW_LONG_SIDE = 1600  # px
VIEW_SHORT_SIDE = 800
_REDUCTION = 4  # the wide window is slid over a map this many times smaller
SECTION_ASPECT = 2.5  # pages longer than this times their width are looked at in sections
MAX_SECTIONS = 6


def to_grey(image: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8 luma of an (H, W) or (H, W, 1, 3 or 4) uint8 image in RGB(A) order.

    Raises:
        ValueError: another dtype or number of channels, or an image without pixels.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"a page must be a uint8 (H, W) or (H, W, C) array, not {image.dtype} {image.shape}")
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return image.reshape(image.shape[:2])
    if channels == 3:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if channels == 4:
        return cv2.cvtColor(image, cv2.COLOR_RGBA2GRAY)
    raise ValueError(f"a page must have 1, 3 or 4 channels, got {channels}")


def angle_view(image: np.ndarray) -> np.ndarray:
    """Return the copy of a page for deskew and orientation: at most VIEW_LONG_SIDE px long, but the short side of a
    very long page (a shop's product page) keeps up to VIEW_SHORT_SIDE px, or its text would vanish."""
    return reduce(image, VIEW_LONG_SIDE, VIEW_SHORT_SIDE)


def reduce(image: np.ndarray, long_side: int, short_side: int) -> np.ndarray:
    """Scale down (never up) until one side fits: the long side `long_side` px, or the short side `short_side` px."""
    longer, shorter = max(image.shape[:2]), min(image.shape[:2])
    scale = max(long_side / longer, short_side / shorter)
    return fit_within(image, round(longer * scale)) if scale < 1 else image


def local_contrast(grey: np.ndarray, window: int) -> np.ndarray:
    """Return the local contrast of an (H, W) uint8 page as (H, W) float32 in ±`CLIP`: ink is positive, flat paper is 0.

    The mean of `window` x `window` px is taken away and the rest is divided by the local root mean square, so a pale
    stamp, a photo's edge and black print come out about equally strong. Borders are mirrored: the page's edge
    gives no line.
    """
    height, width = grey.shape
    background = cv2.blur(grey, (window, window), borderType=cv2.BORDER_REFLECT)
    ink = cv2.subtract(background, grey, dtype=cv2.CV_32F)
    small = (max(1, width // _REDUCTION), max(1, height // _REDUCTION))
    wide = CONTRAST_WINDOW // _REDUCTION
    power = cv2.resize(cv2.multiply(ink, ink), small, interpolation=cv2.INTER_AREA)
    power = cv2.blur(power, (wide, wide), borderType=cv2.BORDER_REFLECT)
    # A running box sum leaves tiny negative values behind; without the floor at 0 their root is NaN.
    scale = 1 / (np.sqrt(np.maximum(power, 0)) + NOISE_FLOOR)
    ink = cv2.multiply(ink, cv2.resize(scale, (width, height), interpolation=cv2.INTER_LINEAR), dst=ink)
    return np.clip(ink, -CLIP, CLIP, out=ink)


def sections(grey: np.ndarray) -> list[np.ndarray]:
    """Return the page itself, or up to MAX_SECTIONS sections, evenly spaced along the long side of a page so long (a
    shop's product page, a till receipt) that fitting it into a square would leave no legible text."""
    height, width = grey.shape
    long_side, short_side = max(height, width), min(height, width)
    if long_side <= SECTION_ASPECT * short_side:
        return [grey]
    length = max(2 * short_side, long_side // 16)
    count = min(MAX_SECTIONS, -(-long_side // length))
    starts = np.linspace(0, long_side - length, count).round().astype(int)
    return [grey[s : s + length] if height > width else grey[:, s : s + length] for s in starts]
