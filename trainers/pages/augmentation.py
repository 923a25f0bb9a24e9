"""Training pages as cameras and scanners deliver them: turned, cut, on a table or with black corners."""

import cv2
import numpy as np

from models.geometry import median_colour, turn_matrix


def random_crop(page: np.ndarray, rng: np.random.Generator, least: float = 0.5) -> np.ndarray:
    """Return a random part of an (H, W, 3) page that keeps `least`..1 of each side."""
    height, width = page.shape[:2]
    new_height, new_width = (max(1, int(side * rng.uniform(least, 1))) for side in (height, width))
    y, x = rng.integers(height - new_height + 1), rng.integers(width - new_width + 1)
    return page[y : y + new_height, x : x + new_width]


def turn_with_surroundings(page: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn an (H, W, 3) page counter-clockwise; what lies around it is drawn at random.

    Half the time the page's median colour, else white, black, any grey or the page's edge drawn out; sometimes the
    canvas keeps the page's own size, so that its corners are lost.
    """
    height, width = page.shape[:2]
    matrix, size = turn_matrix(width, height, degrees)
    if rng.random() < 0.15:
        matrix[:, 2] += (np.array([width, height]) - size) / 2
        size = (width, height)
    kind = rng.random()
    border, fill = cv2.BORDER_CONSTANT, median_colour(page)
    if kind > 0.9:
        border = cv2.BORDER_REPLICATE
    elif kind > 0.8:
        fill = (int(rng.integers(256)),) * 3
    elif kind > 0.65:
        fill = (int(rng.integers(25)),) * 3
    elif kind > 0.5:
        fill = (255,) * 3
    return cv2.warpAffine(page, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill)
