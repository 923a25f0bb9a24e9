"""How pages are stored in shards."""

import io

import numpy as np
from PIL import Image


def encode_page(image: np.ndarray) -> bytes:
    """Return a page, (H, W, 3) uint8, as PNG or JPEG (quality 92), whichever is smaller; a page without colour is
    stored grey."""
    page = Image.fromarray(image)
    if (image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all():
        page = page.getchannel(0)
    buffers = io.BytesIO(), io.BytesIO()
    page.save(buffers[0], "JPEG", quality=92)
    page.save(buffers[1], "PNG", compress_level=4)
    return min((b.getvalue() for b in buffers), key=len)
