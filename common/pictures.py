"""Pictures inside a file of HTML or SVG."""

import base64

import cv2
import numpy as np


def jpeg_uri(image: np.ndarray, quality: int) -> str:
    """Return an image as a `data:` URI of a JPEG.

    Args:
        image: uint8 [height, width, 3] RGB, or [height, width] grey.
        quality: 1..100, as libjpeg's.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
