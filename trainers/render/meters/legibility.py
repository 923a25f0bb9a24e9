"""Which digits of a picture can still be read."""

from dataclasses import replace

import numpy as np
from PIL import Image

from trainers.data.meter_sample import UNREADABLE, MeterDigit
from trainers.render.meters import damage

_LEAST_CONTRAST = 12.0  # grey levels between a digit's darkest and lightest parts, below which nothing shows
_GRAIN = 4.0  # the same in a noisy picture, in median deviations of its noise
_ENOUGH = 45.0  # grey levels that show in any noise; small sharp digits look like noise themselves


def legible(
    digits: list[MeterDigit], image: Image.Image, cover: Image.Image, scale: float, illegible: bool = False
) -> list[MeterDigit]:
    """Return the digits with "x" for those that are hidden, outside the picture, or lost in the dark; `scale`: px of
    `cover` per px of `image`. `illegible`: all of them."""
    corners = np.concatenate([digit.known_box for digit in digits])
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, image.size).astype(int).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), (left, top), image.size).astype(int).tolist()
    grey, least = np.zeros((0, 0), np.uint8), _LEAST_CONTRAST
    if right > left and bottom > top:
        sharp = image.crop((left, top, right, bottom)).convert("L")
        grey = np.asarray(sharp.filter(damage.SMOOTH))
        grain = float(np.median(np.abs(np.asarray(sharp, dtype=np.int16) - grey)))
        least = max(least, min(_ENOUGH, _GRAIN * grain))
    seen = []
    for digit in digits:
        gone = (
            illegible
            or damage.lost(cover, digit.known_box, scale)
            or _flat(grey, digit.known_box - np.array([left, top], np.float32), least)
        )
        seen.append(replace(digit, character=UNREADABLE, position=None) if gone else digit)
    if all(d.character == UNREADABLE for d in seen):  # nor is their colour to be told
        return [replace(d, fraction=False) for d in seen]
    return seen


def _flat(grey: np.ndarray, box: np.ndarray, least: float) -> bool:
    (x0, y0), (x1, y1) = np.maximum(0, np.floor(box.min(axis=0))).astype(int), np.ceil(box.max(axis=0)).astype(int)
    part = grey[y0:y1, x0:x1]
    return part.size == 0 or int(part.max()) - int(part.min()) < least
