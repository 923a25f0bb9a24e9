"""What stands between a display and its picture: light, glare, reflections, dirt, drops, the camera.

Lengths are given in `unit`s, the height of a digit in px, so that strips and photos are damaged alike. What hides
(glare, dirt) also returns a mask of how much it hides, which decides where a digit can still be read.
"""

import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from trainers.render.degradation import DEVIATES
from trainers.render.lines.damage import compressed

SMOOTH = ImageFilter.BoxBlur(1)
HIDDEN = 0.8  # a point of a digit that is covered by more than this share is lost
# Weights of a quad's corners at 5 × 7 points inside it, (35, 4).
_GRID = np.array(
    [
        [(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v]
        for v in np.linspace(0.12, 0.88, 7)
        for u in np.linspace(0.12, 0.88, 5)
    ]
)


def hide(cover: Image.Image, mask: Image.Image) -> None:
    """Note in `cover` ("L", 255 = hidden) what `mask` ("L", of any size) hides too."""
    cover.paste(ImageChops.lighter(cover, mask.resize(cover.size, Image.Resampling.BILINEAR)))


def lost(cover: Image.Image, box: np.ndarray, scale: float) -> bool:
    """Return whether the digit in `box`, (4, 2) px, is illegible because of what hides it; `scale`: px of `cover` per
    px. Anything outside the picture is hidden."""
    at = np.floor(_GRID @ box * scale).astype(int)
    inside = ((at >= 0) & (at < [cover.width, cover.height])).all(axis=1)
    pixels = np.asarray(cover)
    at = np.clip(at, 0, [cover.width - 1, cover.height - 1])
    hidden = (pixels[at[:, 1], at[:, 0]] > HIDDEN * 255) | ~inside
    return float(hidden.mean()) > 0.5


def _blob(rng: np.random.Generator) -> Image.Image:
    """Return a soft-edged ragged patch, "L" 48 × 48, zero at its border."""
    ys, xs = (np.mgrid[0:48, 0:48] + 0.5) / 48 * 2 - 1
    angle, radius = np.arctan2(ys, xs), np.hypot(xs, ys)
    edge = 0.72 + sum(rng.normal(0, 0.12 / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(1, 5))
    soft = rng.uniform(0.06, 0.5)
    field = np.clip((np.minimum(edge, 0.95) - radius) / soft, 0, 1)
    return Image.fromarray((255 * field).astype(np.uint8))


def spread(
    mask: Image.Image, size: tuple[int, int], centre: tuple[float, float], extent: tuple[float, float], degrees: float
) -> Image.Image:
    """`mask` drawn `extent` px large about `centre` in a picture of `size`, "L"."""
    patch = mask.resize((max(2, round(extent[0])), max(2, round(extent[1]))), Image.Resampling.BILINEAR)
    if degrees:
        patch = patch.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    out = Image.new("L", size)
    out.paste(patch, (round(centre[0] - patch.width / 2), round(centre[1] - patch.height / 2)))
    return out


def scaled(mask: Image.Image, factor: float) -> Image.Image:
    """Return an "L" mask `factor` times as strong."""
    return mask.point(np.minimum(255, np.arange(256) * factor).astype(int).tolist())


def glare(
    image: Image.Image,
    cover: Image.Image,
    rng: np.random.Generator,
    centre: tuple[float, float],
    extent: float,
    strength: float,
) -> None:
    """Draw a lamp or flash in the glass, `extent` px wide, in place: it adds light, and hides where it is full."""
    colour = tuple(int(v) for v in (255, rng.integers(235, 256), rng.integers(200, 256)))
    form = rng.random()
    if form < 0.5:
        shape, size = _blob(rng), (extent, extent * rng.uniform(0.4, 1.0))
    elif form < 0.8:  # a tube or a streak
        shape, size = _blob(rng), (extent * 2.2, extent * rng.uniform(0.06, 0.25))
    else:  # a window
        shape, size = Image.new("L", (24, 24)), (extent, extent * rng.uniform(0.5, 1.4))
        draw = ImageDraw.Draw(shape)
        for x in (2, 13):
            draw.rectangle((x, 2, x + 8, 21), fill=255)
    mask = scaled(spread(shape, image.size, centre, size, rng.uniform(-90, 90)), strength)
    if form < 0.8:
        mask = mask.filter(ImageFilter.BoxBlur(max(0.3, extent * 0.03)))
    image.paste(colour, (0, 0), mask)
    hide(cover, mask)


def reflection(image: Image.Image, cover: Image.Image, rng: np.random.Generator, strength: float) -> None:
    """Things mirrored in the glass: a few soft bright or coloured shapes laid over everything. In place."""
    small = (40, max(8, round(40 * image.height / image.width)))
    layer, mask = Image.new("RGB", small), Image.new("L", small)
    draw, shape = ImageDraw.Draw(layer), ImageDraw.Draw(mask)
    for _ in range(int(rng.integers(1, 5))):
        centre = rng.uniform(0, 1, 2) * small
        points = [tuple(p) for p in (centre + rng.normal(0, 1, (4, 2)) * (small[0] * 0.16, small[1] * 0.35)).tolist()]
        level = rng.integers(90, 256)
        tint = tuple(int(v) for v in np.clip(level + rng.normal(0, 25, 3), 0, 255))
        draw.polygon(points, fill=tint)
        shape.polygon(points, fill=int(255 * strength * rng.uniform(0.4, 1.0)))
    mask = mask.filter(ImageFilter.BoxBlur(rng.uniform(0.2, 2))).resize(image.size, Image.Resampling.BICUBIC)
    image.paste(layer.filter(ImageFilter.MaxFilter(5)).resize(image.size, Image.Resampling.BILINEAR), (0, 0), mask)
    hide(cover, mask)


def fog(image: Image.Image, cover: Image.Image, rng: np.random.Generator, strength: float) -> None:
    """Steamed-up or scuffed glass: a patchy veil, up to `strength`. In place."""
    cells = rng.uniform(0.35, 1.0, (int(rng.integers(2, 5)), int(rng.integers(2, 7)))) * strength * 255
    mask = Image.fromarray(cells.astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    level = int(rng.integers(120, 235))
    image.paste((level, level, min(255, level + int(rng.integers(-12, 10)))), (0, 0), mask)
    hide(cover, mask)


def specks(image: Image.Image, rng: np.random.Generator, unit: float) -> None:
    """Dust, small splashes and scratches on the glass, none as large as a digit. In place."""
    draw = ImageDraw.Draw(image, "RGBA")
    shade = int(rng.choice((20, 60, 160, 235)))
    for _ in range(int(rng.integers(4, 40))):
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        r = min(0.12, rng.exponential(0.03)) * unit
        alpha = int(rng.uniform(60, 220))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(shade, shade, shade, alpha))
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, image.width), rng.uniform(0, image.height)
        angle, length = rng.uniform(0, math.pi), unit * rng.uniform(0.4, 4)
        end = (x + length * math.cos(angle), y + length * math.sin(angle))
        draw.line((x, y, *end), fill=(225, 225, 225, int(rng.uniform(30, 130))), width=max(1, round(unit * 0.02)))


def drops(image: Image.Image, rng: np.random.Generator, unit: float, count: int) -> None:
    """Condensation: drops that show what lies behind them upside down and smeared, a bright spot on each. In place."""
    blurred = image.filter(ImageFilter.BoxBlur(unit * 0.08))
    for _ in range(count):
        r = unit * min(0.28, 0.03 + rng.exponential(0.06))
        x, y = rng.uniform(r, image.width - r), rng.uniform(r, image.height - r)
        left, top, right, bottom = (round(v) for v in (x - r, y - r * 1.1, x + r, y + r * 1.1))
        patch = blurred.crop((left, top, right, bottom)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        if patch.width < 2 or patch.height < 2:
            continue
        mask = Image.new("L", patch.size)
        ImageDraw.Draw(mask).ellipse((0, 0, patch.width - 1, patch.height - 1), fill=int(rng.uniform(130, 240)))
        image.paste(patch, (left, top), mask)
        draw = ImageDraw.Draw(image)
        s = max(0.5, r * 0.22)
        draw.ellipse((x - r * 0.3 - s, y - r * 0.4 - s, x - r * 0.3 + s, y - r * 0.4 + s), fill=(235, 238, 240))


def dirt(
    image: Image.Image,
    cover: Image.Image,
    rng: np.random.Generator,
    centre: tuple[float, float],
    extent: tuple[float, float],
) -> None:
    """Mud, paint, tape or a strip of paper over a part: hides it all. In place."""
    if rng.random() < 0.6:
        mask = spread(_blob(rng), image.size, centre, extent, rng.uniform(-40, 40))
    else:
        mask = spread(Image.new("L", (4, 4), 255), image.size, centre, extent, rng.normal(0, 8))
    base = np.array([(60, 48, 36), (120, 110, 95), (220, 215, 205), (25, 25, 25), (150, 90, 50)])[rng.integers(5)]
    noise = rng.normal(0, 14, (8, 12, 1)) + base
    texture = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    image.paste(texture, (0, 0), mask)
    hide(cover, mask)


def lit(
    image: Image.Image, rng: np.random.Generator, darkest: float, centre: tuple[float, float] | None = None
) -> Image.Image:
    """Uneven light, from `darkest` (0 … 1) to full: falling off from `centre` (px), or from a random side."""
    rows, columns = 18, max(6, round(18 * image.width / image.height))
    ys, xs = np.mgrid[0:rows, 0:columns].astype(np.float32)
    xs, ys = xs / rows, ys / rows
    if centre is None:
        centre = tuple(rng.uniform(-0.2, 1.2, 2) * (image.width, image.height))
    x, y = (v / image.height for v in centre)
    reach = rng.uniform(0.35, 1.1)
    field = darkest + (1 - darkest) * np.exp(
        -(((xs - x) / reach) ** 2 + ((ys - y) / (reach * rng.uniform(0.7, 1.3))) ** 2)
    )
    if rng.random() < 0.25:  # the edge of a shadow
        angle = rng.uniform(0, 2 * math.pi)
        way = (xs - xs.mean()) * math.cos(angle) + (ys - 0.5) * math.sin(angle) - rng.normal(0, 0.3)
        field *= 1 - rng.uniform(0.2, 0.6) / (1 + np.exp(np.clip(-way * rng.uniform(8, 60), -30, 30)))
    light = Image.fromarray(np.clip(field * 255, 0, 255).astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(image, Image.merge("RGB", (light,) * 3))


def exposed(image: Image.Image, rng: np.random.Generator, gain: float) -> Image.Image:
    """Brightness times `gain`, a tone curve, and the tint of the light."""
    warm = rng.normal(0, 0.11)
    tints = (1 + warm, 1 + rng.normal(0, 0.03), 1 - warm * rng.uniform(0.6, 1.5))
    gamma, lift = rng.uniform(0.75, 1.3), rng.uniform(0, 18) * min(1.0, gain)
    levels = (np.arange(256) / 255) ** gamma * 255
    ramps = []
    for tint in tints:
        ramps += np.clip(lift + levels * gain * tint, 0, 255).astype(int).tolist()
    image = image.point(ramps)
    if rng.random() < 0.3:  # weak or strong colours
        image = Image.blend(image.convert("L").convert("RGB"), image, float(rng.uniform(0.0, 1.3)))
    return image


def defocused(image: Image.Image, radius: float) -> Image.Image:
    """Out of focus: a disc, nearly, of `radius` px."""
    image = image.filter(ImageFilter.BoxBlur(radius * 0.7))
    return image.filter(ImageFilter.BoxBlur(radius * 0.45)) if radius > 1.5 else image


def shaken(image: Image.Image, length: float, degrees: float) -> Image.Image:
    """Return the picture blurred by a camera that moved by `length` px while the shutter was open."""
    steps = max(2, min(9, round(length) + 1))
    dx, dy = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    total = image
    for i in range(1, steps):
        offset = length * i / (steps - 1) - length / 2
        moved = image.transform(
            image.size, Image.Transform.AFFINE, (1, 0, dx * offset, 0, 1, dy * offset), Image.Resampling.BILINEAR
        )
        total = Image.blend(total, moved, 1 / (i + 1))
    return total


def grainy(image: Image.Image, rng: np.random.Generator, sigma: float, cell: float = 1.0) -> Image.Image:
    """Sensor noise of `sigma` grey levels; `cell` > 1: in blotches of so many px, as phones' denoising leaves them."""
    size = (max(1, round(image.width / cell)), max(1, round(image.height / cell)))
    levels = (np.clip(np.round(DEVIATES * sigma), -127, 127) + 127).astype(int).tolist()
    noise = Image.frombytes("L", size, rng.bytes(size[0] * size[1])).point(levels)
    if size != image.size:
        noise = noise.resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.add(image, Image.merge("RGB", (noise,) * 3), 1, -127)


def taken(image: Image.Image, rng: np.random.Generator, quality: tuple[int, int] = (25, 95)) -> Image.Image:
    """Noise, sharpening and JPEG, as a phone does them."""
    if rng.random() < 0.75:
        image = grainy(image, rng, min(22.0, rng.exponential(5)), float(rng.choice((1.0, 1.0, 1.7, 2.5))))
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.UnsharpMask(rng.uniform(0.8, 2.5), int(rng.integers(40, 160)), 0))
    return compressed(image, int(rng.integers(*quality))) if rng.random() < 0.85 else image


def spoilt(image: Image.Image, rng: np.random.Generator, unit: float) -> Image.Image:
    """Return a picture in which no digit is legible any more: nearly black, far out of focus, shaken, or washed out."""
    form = int(rng.integers(4))
    if form == 0:
        return image.point([v // 33 for v in range(256)] * 3)
    if form == 1:
        return defocused(image, unit * rng.uniform(0.55, 1.0))
    if form == 2:
        for degrees in (rng.uniform(0, 50), rng.uniform(90, 140)):
            image = shaken(image, unit * rng.uniform(0.7, 1.4), degrees)
        return defocused(image, unit * 0.15)
    level = int(rng.integers(160, 256))
    return Image.blend(image, Image.new("RGB", image.size, (level, level, level)), float(rng.uniform(0.975, 1.0)))
