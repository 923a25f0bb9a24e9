"""What detectors, scanners and cameras do to a line's crop; for lines that come without damage of their own.

Rendered lines are damaged already (`trainers.render.lines`): a little of this on top varies them from pass to pass.
"""

from collections.abc import Callable

import cv2
import numpy as np

# effect: chance at strength 1
_CHANCES = {"stretch": 0.6, "warp": 0.5, "margins": 0.6, "coarse": 0.3, "blur": 0.3, "light": 0.6, "noise": 0.4}
_INVERTED = 0.1
_COMPRESSED = 0.4


def augment_line(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Return a random variant of a line with the same text.

    Args:
        image: uint8 [height, width, 3].
        rng: decides everything.
        strength: 0 (unchanged) to 1: how often each effect comes, and how strong.

    Returns:
        uint8 [height', width', 3].
    """
    if strength == 0:
        return image
    for name, chance in _CHANCES.items():
        if rng.random() < chance * strength:
            image = _EFFECTS[name](image, rng, strength)
    if rng.random() < _INVERTED * strength:
        image = 255 - image
    if rng.random() < _COMPRESSED * strength:
        quality = int(rng.integers(30, 95))
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return image


def _stretch(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    width = max(1, round(image.shape[1] * np.exp(rng.uniform(-0.25, 0.25) * strength)))
    return cv2.resize(image, (width, image.shape[0]), interpolation=cv2.INTER_LINEAR)


def _warp(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Return the corners moved by up to 8 % of the height, like the errors of a detector's quadrilateral, and a
    slant."""
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-0.08, 0.08, (4, 2)).astype(np.float32) * height * strength
    moved[:2, 0] += rng.uniform(-0.2, 0.2) * height * strength
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _margins(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Up to 15 % of the height more paper on each side, or 4 % less above and below."""
    height = image.shape[0]
    above, below, left, right = (round(height * rng.uniform(-0.04, 0.15) * strength) for _ in range(4))
    image = image[max(0, -above) : height - max(0, -below)]
    above, below, left, right = (max(0, side) for side in (above, below, left, right))
    return cv2.copyMakeBorder(image, above, below, left, right, cv2.BORDER_REPLICATE)


def _coarse(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Once through a lower resolution, of 16 px of height at the least."""
    height, width = image.shape[:2]
    least = min(1.0, 16 / height)
    factor = max(least, 1 - rng.uniform(0.2, 0.6) * strength)
    small = cv2.resize(image, (max(1, int(width * factor)), max(1, int(height * factor))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _blur(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    sigma = rng.uniform(0.005, 0.025) * strength * image.shape[0]
    return cv2.GaussianBlur(image, (0, 0), max(sigma, 0.1), sigmaY=max(sigma * rng.uniform(0.3, 1), 0.1))


def _light(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Contrast about the mean, brightness, gamma."""
    contrast, brightness = 1 + rng.uniform(-0.45, 0.3) * strength, rng.uniform(-40, 40) * strength
    gamma = np.exp(rng.uniform(-0.5, 0.5) * strength)
    levels = 255 * (np.arange(256) / 255) ** gamma
    mean = float(image.mean())
    return cv2.LUT(image, np.clip((levels - mean) * contrast + mean + brightness, 0, 255).astype(np.uint8))


def _noise(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    sigma = rng.uniform(2, 18) * strength
    noise = rng.standard_normal((*image.shape[:2], 1 if rng.random() < 0.7 else 3), np.float32) * sigma
    return np.clip(image + noise, 0, 255).astype(np.uint8)


_EFFECTS: dict[str, Callable[[np.ndarray, np.random.Generator, float], np.ndarray]] = {
    "stretch": _stretch,
    "warp": _warp,
    "margins": _margins,
    "coarse": _coarse,
    "blur": _blur,
    "light": _light,
    "noise": _noise,
}
