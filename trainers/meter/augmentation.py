"""What cameras and light do to a photo, for training; nothing moves."""

import cv2
import numpy as np


def augment_photo(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Return a photo (H, W, 3) uint8 RGB as if taken in other light by another camera: exposure, contrast, colour, a
    shadow or a glare, blur, noise, JPEG. `strength` 0..1 scales how often and how much."""
    if rng.random() >= strength:
        return image
    pixels = image.astype(np.float32)
    pixels = _light(pixels, rng)
    if rng.random() < 0.1:
        pixels = np.repeat(pixels @ np.array([0.299, 0.587, 0.114], np.float32)[:, None], 3, axis=2)
    if rng.random() < 0.25:
        pixels = _uneven(pixels, rng)
    if rng.random() < 0.3:
        pixels = _blurred(pixels, rng)
    if rng.random() < 0.4:
        sigma = rng.uniform(2, 14)
        pixels += rng.standard_normal(pixels.shape[:2], np.float32)[..., None] * sigma
    result = np.clip(pixels, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        result = np.asarray(cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR))
    return result


def _light(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gamma = float(np.exp(rng.normal(0, 0.3)))
    gain = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.08, 3)).astype(np.float32)
    mean = pixels.mean()
    contrast = float(np.exp(rng.normal(0, 0.25)))
    lit = 255 * (np.clip(pixels, 0, 255) / 255) ** gamma * gain
    return (lit - mean) * contrast + mean + rng.normal(0, 12)


def _uneven(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a soft spot of light, or a shadow."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre = rng.uniform(0, 1, 2) * (height, width)
    reach = rng.uniform(0.1, 0.6) * max(height, width)
    spot = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * reach**2))[..., None].astype(np.float32)
    return pixels + spot * rng.uniform(40, 160) if rng.random() < 0.6 else pixels * (1 - spot * rng.uniform(0.3, 0.8))


def _blurred(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.6:
        return cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 1.6)))
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    middle = (length - 1) / 2
    end = np.array([np.cos(angle), np.sin(angle)]) * middle
    first, last = (tuple(np.rint(middle + s * end).astype(int).tolist()) for s in (-1, 1))
    cv2.line(kernel, first, last, 1.0)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())
