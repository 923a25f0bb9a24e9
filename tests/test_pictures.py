"""Pictures inside a file."""

import base64

import cv2
import numpy as np
import pytest

from common.pictures import jpeg_uri


@pytest.mark.parametrize("colour", [(200, 40, 90), (70,)])
def test_a_picture_is_a_jpeg_of_its_colours(colour):
    image = np.full((8, 16, 3), colour, np.uint8) if len(colour) == 3 else np.full((8, 16), colour[0], np.uint8)
    head, _, content = jpeg_uri(image, 90).partition(",")
    assert head == "data:image/jpeg;base64"
    again = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)
    again = again[..., ::-1] if again.ndim == 3 else again
    assert again.shape == image.shape and np.abs(again.astype(int) - image).max() <= 4
