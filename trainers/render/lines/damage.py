"""What scanners, printers, cameras and screens do to one line. Strengths are fractions of the text's size in px, so
that a small line is not lost."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageChops, ImageFilter

_LEGIBLE = 13.0  # px of text size below which Hangul no longer reads


def coarse(image: Image.Image, rng: np.random.Generator, size: float) -> Image.Image:
    """Scaled down and up again, never below the size at which Hangul reads."""
    low = max(0.4, _LEGIBLE / size)
    if low >= 0.95:
        return image
    scale = rng.uniform(low, 0.97)
    down = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)[int(rng.integers(3))]
    ups = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.NEAREST)
    up = ups[int(rng.choice(4, p=(0.4, 0.4, 0.14, 0.06)))] if scale > 0.6 else ups[int(rng.integers(3))]
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), down)
    return small.resize(image.size, up)


def blurred(image: Image.Image, rng: np.random.Generator, size: float, most: float = 0.035) -> Image.Image:
    """Out of focus, or moved while the shutter was open."""
    radius = size * rng.uniform(0.008, most)
    if rng.random() < 0.7:
        return image.filter(ImageFilter.GaussianBlur(radius))
    angle, steps = rng.uniform(0, np.pi), max(2, round(radius * 4))
    kernel = np.zeros((5, 5))
    for t in np.linspace(-min(2, radius * 1.6), min(2, radius * 1.6), 2 * steps + 1):
        x, y = 2 + t * np.cos(angle), 2 - t * np.sin(angle)
        kernel[round(y), round(x)] += 1
    return image.filter(ImageFilter.Kernel((5, 5), kernel.ravel().tolist(), kernel.sum()))


def noisy(image: Image.Image, rng: np.random.Generator, sigma: float, coloured: bool = False) -> Image.Image:
    """Gaussian noise of `sigma` grey levels."""
    shape = (image.height, image.width, 3 if coloured else 1)
    noise = rng.standard_normal(shape, dtype=np.float32) * sigma
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def shaded(image: Image.Image, rng: np.random.Generator, darkest: float) -> Image.Image:
    """Uneven light, from `darkest` (0 to 255) to full; a shadow's edge across the line now and then."""
    cells = rng.uniform(darkest, 255, (2, int(rng.integers(2, 5))))
    if rng.random() < 0.35:
        edge = 1 / (1 + np.exp(-(np.linspace(-1, 1, 24) - rng.uniform(-0.8, 0.8)) * rng.uniform(4, 40)))
        cells = np.full((2, 24), 255.0) - (255 - darkest) * (edge if rng.random() < 0.5 else 1 - edge)
    field = Image.fromarray(cells.astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(image, field.convert("RGB"))


def faded(mask: Image.Image, rng: np.random.Generator, least: float) -> Image.Image:
    """Return an ink mask that is faded in places, down to the share `least`."""
    cells = rng.uniform(least, 1.0, (2, int(rng.integers(3, 14)))) * 255
    field = Image.fromarray(cells.astype(np.uint8)).resize(mask.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(mask, field)


def dotted(mask: Image.Image, rng: np.random.Generator, size: float) -> Image.Image:
    """Return a thermal or dot printer's ink mask: dead elements leave streaks along the paper's feed, single dots are
    missing, or rows of dots show."""
    ink = np.asarray(mask).astype(np.float32)
    height, width = ink.shape
    if rng.random() < 0.5:
        dead = rng.integers(0, width, int(rng.integers(1, 3 + width // 150)))
        ink[:, dead] *= rng.uniform(0.1, 0.6)
    if rng.random() < 0.5:
        holes = rng.random((height // 2 + 1, width // 2 + 1)) < rng.uniform(0.01, 0.07)
        ink[np.kron(holes, np.ones((2, 2), bool))[:height, :width]] *= 0.25
    if rng.random() < 0.3 and size > 22:
        pitch = size / rng.uniform(12, 18)
        ink *= 1 - rng.uniform(0.15, 0.5) * (0.5 + 0.5 * np.cos(2 * np.pi * np.arange(height) / pitch))[:, None]
    return Image.fromarray(ink.astype(np.uint8))


def two_levels(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Black and white or nearly so, as faxes and copiers make it, with salt and pepper."""
    grey = np.asarray(image.convert("L")).astype(np.float32)
    low, high = np.percentile(grey[::2, ::2], (2, 98))
    level = low + (high - low) * rng.uniform(0.38, 0.62)
    sharp = rng.uniform(4, 40)
    out = np.clip(128 + (grey - level) * sharp, 0, 255)
    flips = rng.random(out.shape) < rng.choice((0, 0.001, 0.004, 0.012))
    out[flips] = 255 - out[flips]
    return Image.fromarray(out.astype(np.uint8)).convert("RGB")


def photographed_screen(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a screen as a camera sees it: moire with different waves per channel, sometimes with the grid of its
    pixels."""
    pixels = np.asarray(image).astype(np.float32)
    ys, xs = np.mgrid[0 : image.height, 0 : image.width].astype(np.float32)
    angle, pitch, depth = rng.uniform(0, np.pi), rng.uniform(4, 40), rng.uniform(0.02, 0.12)
    way = xs * np.cos(angle) + ys * np.sin(angle) + rng.uniform(0, 4) * np.sin(ys / rng.uniform(8, 40))
    phases = np.cumsum(rng.uniform(0, 1.5, 3))
    wave = np.sin(way[..., None] * 2 * np.pi / pitch + phases.astype(np.float32))
    pixels = pixels * (1 - depth + depth * wave) + rng.uniform(0, 14)
    if rng.random() < 0.4:
        grid = int(rng.integers(3, 5))
        dim = rng.uniform(0.75, 0.93)
        pixels[::grid] *= dim
        pixels[:, ::grid] *= dim
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def toned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another exposure and white balance."""
    ramps = []
    gain, lift, gamma = rng.uniform(0.8, 1.05), rng.uniform(0, 35), rng.uniform(0.75, 1.3)
    for tint in rng.uniform(0.92, 1.0, 3):
        ramps += (
            np.clip(lift + (255 * gain * tint - lift) * (np.arange(256) / 255) ** gamma, 0, 255).astype(int).tolist()
        )
    return image.point(ramps)


def compressed(image: Image.Image, quality: int) -> Image.Image:
    """Through JPEG and back."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")
