"""What scanners, cameras, copiers and fax machines do to a page.

All of it is done by Pillow's own image operations, so a page of a megapixel takes some ten milliseconds. Applied after
the page has been turned: every effect stands square to the picture or in a random direction, so none tells how."""

from io import BytesIO
from statistics import NormalDist

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

# Standard normal deviates at the 256 equally likely levels of a random byte.
DEVIATES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])

# medium: how often, and the chance of each effect on it
_MEDIA = {
    #          grey  shade  fade  blur  coarse  noise  bits  specks  borders  folds  jpeg
    "screen": (0.10, 0.00, 0.00, 0.15, 0.25, 0.05, 0.00, 0.00, 0.00, 0.00, 0.60),
    "scan":   (0.60, 0.25, 0.15, 0.35, 0.30, 0.60, 0.00, 0.35, 0.20, 0.15, 0.50),
    "fax":    (1.00, 0.05, 0.10, 0.30, 0.40, 0.80, 1.00, 0.70, 0.40, 0.10, 0.15),
    "till":   (0.80, 0.40, 0.60, 0.40, 0.40, 0.60, 0.10, 0.30, 0.20, 0.45, 0.60),
    "camera": (0.15, 0.90, 0.05, 0.60, 0.40, 0.70, 0.00, 0.10, 0.05, 0.35, 0.90),
}  # fmt: skip
_SHARES = (0.20, 0.27, 0.22, 0.16, 0.15)


def degrade(image: np.ndarray, rng: np.random.Generator, *, medium: str | None = None) -> np.ndarray:
    """Damage a page picture as one medium would. Nothing moves: the geometry stays exact.

    Args:
        image: (H, W, 3) RGB or (H, W) uint8.
        rng: decides everything.
        medium: "screen", "scan", "fax", "till" or "camera"; None draws one.

    Returns:
        The same shape, uint8.

    Raises:
        ValueError: unknown medium.
    """
    if medium is not None and medium not in _MEDIA:
        raise ValueError(f"unknown medium {medium!r}: one of {', '.join(_MEDIA)}")
    drawn = rng.choice(list(_MEDIA), p=_SHARES)
    draws = rng.random(11) < np.array(_MEDIA[medium or str(drawn)])
    grey, shade, fade, blur, coarse, noise, bits, specks, borders, folds, jpeg = draws
    page = Image.fromarray(image)
    if grey:
        page = page.convert("L")
    if rng.random() < 0.25:
        page = _spread_ink(page, rng)
    if fade:
        page = _fade(page, rng)
    if folds:
        page = _folds(page, rng)
    if shade:
        page = ImageChops.multiply(page, _match(_light(page.size, rng, darkest=rng.uniform(115, 235)), page))
    if noise and rng.random() < 0.5:
        page = _grain(page, rng, rng.uniform(2, 22))
    if coarse:
        page = _coarse(page, rng)
    if blur:
        page = page.filter(ImageFilter.BoxBlur(min(1.2, rng.exponential(0.45)) * max(page.size) / 1000))
    if noise:
        page = _grain(page, rng, rng.uniform(1, 12))
    if bits:
        page = _two_levels(page, rng)
    elif rng.random() < 0.4:
        page = _contrast(page, rng)
    if specks:
        _specks(page, rng)
    if borders:
        _borders(page, rng)
    if rng.random() < 0.025:
        page = ImageChops.invert(page)
    if jpeg:
        page = _jpeg(page, int(rng.integers(18, 92)))
    return np.array(page.convert("L" if image.ndim == 2 else "RGB"))


def _match(grey: Image.Image, page: Image.Image) -> Image.Image:
    return grey.convert(page.mode)


def _light(size: tuple[int, int], rng: np.random.Generator, darkest: float) -> Image.Image:
    """Return a smooth field from `darkest` to 255: uneven light, sometimes a shadow with a soft edge."""
    cells = int(rng.integers(2, 6))
    field = Image.fromarray(rng.uniform(darkest, 255, (cells, cells)).astype(np.uint8))
    if rng.random() < 0.3:
        edge = Image.new("L", (64, 64), 255)
        a, b = rng.uniform(-20, 84, 2)
        ImageDraw.Draw(edge).polygon([(a, -1), (b, 65), (-1, 65), (-1, -1)], fill=int(rng.uniform(0.8, 1.0) * darkest))
        edge = edge.rotate(90 * int(rng.integers(4))).filter(ImageFilter.GaussianBlur(rng.uniform(1, 6)))
        field = ImageChops.multiply(field.resize((64, 64), Image.Resampling.BICUBIC), edge)
    return field.resize(size, Image.Resampling.BICUBIC)


def _fade(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Ink that has gone pale, in patches and in streaks along one axis."""
    lift = 255 - np.asarray(_light((24, 24), rng, darkest=rng.uniform(110, 215))).astype(float)
    if rng.random() < 0.5:
        streaks = rng.uniform(0, rng.uniform(20, 110), (1, 24))
        lift = lift + (streaks if rng.random() < 0.5 else streaks.T)
    lift = Image.fromarray(np.clip(lift, 0, 190).astype(np.uint8)).resize(page.size, Image.Resampling.BILINEAR)
    return ImageChops.screen(page, _match(lift, page))


def _spread_ink(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Strokes a pixel thicker or thinner, as copies of copies have them."""
    dx, dy = ((1, 0), (0, 1), (-1, 0), (0, -1))[int(rng.integers(4))]
    moved = ImageChops.offset(page, dx, dy)
    merged = ImageChops.darker(page, moved) if rng.random() < 0.65 else ImageChops.lighter(page, moved)
    return Image.blend(page, merged, float(rng.uniform(0.3, 0.9)))


def _coarse(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a copy reduced in resolution and enlarged again; stronger on large pages, whose text is larger too."""
    scale = rng.uniform(0.5, 0.9) if max(page.size) > 900 else rng.uniform(0.7, 0.95)
    down = Image.Resampling.BOX if rng.random() < 0.6 else Image.Resampling.BILINEAR
    up = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.NEAREST)[
        int(rng.choice(3, p=(0.5, 0.4, 0.1)))
    ]
    small = page.resize((max(1, round(page.width * scale)), max(1, round(page.height * scale))), down)
    return small.resize(page.size, up)


def _grain(page: Image.Image, rng: np.random.Generator, sigma: float) -> Image.Image:
    """Gaussian noise of `sigma` grey levels, the same in all channels."""
    levels = np.clip(np.round(DEVIATES * sigma), -127, 127) + 127
    noise = Image.frombytes("L", page.size, rng.bytes(page.width * page.height)).point([int(v) for v in levels])
    return ImageChops.add(page, _match(noise, page), 1, -127)


def _two_levels(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Black and white, sharp or (scanned finer and scaled down) with a narrow band of greys; salt and pepper."""
    sharp = rng.uniform(4, 12) if rng.random() < 0.6 else 255.0
    ink, paper = np.percentile(np.asarray(page)[::4, ::4], (2, 75))
    if paper - ink < 40:  # mostly dark: the ground is what there is most of, the ink is lighter
        ink, paper = np.percentile(np.asarray(page)[::4, ::4], (25, 99))
    middle = ink + (paper - ink) * rng.uniform(0.3, 0.72)
    page = page.point([int(min(255, max(0, 128 + (v - middle) * sharp))) for v in range(256)] * len(page.getbands()))
    share = rng.choice((0, 0.0005, 0.002, 0.006)) * rng.random()
    pixels = np.array(page)
    for value in (0, 255):
        count = int(share * pixels.size)
        pixels[rng.integers(0, page.height, count), rng.integers(0, page.width, count)] = value
    return Image.fromarray(pixels)


def _contrast(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    low = rng.uniform(0, 80) if rng.random() < 0.6 else rng.uniform(-40, 0)
    high, gamma = rng.uniform(200, 275), rng.uniform(0.7, 1.2)
    ramp = np.clip(low + (high - low) * (np.arange(256) / 255) ** gamma, 0, 255)
    return page.point([int(v) for v in ramp] * len(page.getbands()))


def _specks(page: Image.Image, rng: np.random.Generator) -> None:
    """Dust and toner: many tiny dots, a few larger blobs and hairs."""
    draw, unit = ImageDraw.Draw(page), max(page.size) / 1000
    dark = rng.random() < 0.85
    for x, y, r in zip(
        rng.uniform(0, page.width, 60), rng.uniform(0, page.height, 60), rng.exponential(0.8, 60), strict=True
    ):
        if rng.random() < 0.7:
            level = int(rng.uniform(0, 120)) if dark else 255
            r = min(r, 6) * unit
            draw.ellipse((x - r, y - r, x + r, y + r), fill=level if page.mode == "L" else (level,) * 3)
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(0, page.width), rng.uniform(0, page.height)
        steps = np.cumsum(rng.normal(0, 8 * unit, (8, 2)), axis=0) + np.array([x, y])
        draw.line([tuple(p) for p in steps.tolist()], fill=40 if page.mode == "L" else (40, 40, 40), width=1)


def _borders(page: Image.Image, rng: np.random.Generator) -> None:
    """Dark bars along some edges, as when the lid stood open or the sheet lay askew: wedges or ragged strips."""
    draw, (width, height) = ImageDraw.Draw(page), page.size
    for side in np.flatnonzero(rng.random(4) < 0.4):
        long, depth = (width, height) if side % 2 == 0 else (height, width)
        reach = rng.uniform(0.004, 0.035) * depth
        points = np.linspace(0, long, int(rng.choice((2, 2, 30))))
        deep = reach * rng.uniform(0.2, 1.0, len(points))
        at = [(0.0, 0.0), *zip(points.tolist(), deep.tolist(), strict=True), (float(long), 0.0)]
        if side >= 2:
            at = [(p, depth - q) for p, q in at[1:-1]]
            at = [(0.0, float(depth)), *at, (float(long), float(depth))]
        if side % 2:
            at = [(q, p) for p, q in at]
        level = int(rng.choice((0, 0, 30, 90)))
        draw.polygon(at, fill=level if page.mode == "L" else (level,) * 3)


def _folds(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Creases across the whole page, each a thin line with a soft shadow on one side, in any direction."""
    side = 160
    field = np.full((side, side), 255.0, dtype=np.float32)
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32)
    for _ in range(int(rng.integers(1, 6))):
        angle = rng.uniform(0, np.pi) if rng.random() < 0.6 else rng.choice((0, np.pi / 2)) + rng.normal(0, 0.03)
        offset = rng.uniform(0.1, 0.9) * side
        distance = (xs - side / 2) * np.cos(angle) + (ys - side / 2) * np.sin(angle) + side / 2 - offset
        field -= rng.uniform(10, 60) * np.exp(-np.abs(distance) / rng.uniform(1, 14)) * (distance > 0)
        field -= rng.uniform(0, 70) * np.exp(-(distance**2) / 0.6)
    shade = Image.fromarray(np.clip(field, 60, 255).astype(np.uint8)).resize(page.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(page, _match(shade, page))


def _jpeg(page: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    page.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).copy()
