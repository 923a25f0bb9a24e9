"""Images to the float arrays that networks take."""

from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict


class ImageFormat(BaseModel):
    """How a network wants pixels: channel order and normalisation (value - mean) / std, values in 0..255."""

    model_config = ConfigDict(extra="forbid")
    colour: Literal["RGB", "BGR"]
    mean: float
    std: float


def rgb(image: np.ndarray) -> np.ndarray:
    """`image` as (H, W, 3): grey (H, W) or (H, W, 1) is repeated, an alpha channel dropped.

    Raises:
        ValueError: not a uint8 image of one of these shapes, or an empty one.
    """
    if image.dtype != np.uint8 or image.size == 0 or image.ndim not in (2, 3):
        raise ValueError(f"need a uint8 image (H, W) or (H, W, C), got {image.dtype} of shape {image.shape}")
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if channels not in (3, 4):
        raise ValueError(f"need 1, 3 or 4 channels, got an image of shape {image.shape}")
    return image[..., :3]


def blob(images: list[np.ndarray], form: ImageFormat) -> np.ndarray:
    """Stack RGB images (H, W, 3) uint8 of one size into a normalised (N, 3, H, W) float32 batch."""
    return cv2.dnn.blobFromImages(images, 1 / form.std, mean=(form.mean,) * 3, swapRB=form.colour == "BGR")
