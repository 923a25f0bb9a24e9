"""Boxes from the probability maps of differentiable binarisation (DB).

Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", AAAI 2020; parameters as in PaddleOCR.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

_MIN_SIDE = 3  # px of the map; thinner blobs are noise
_MOST_AREA = 4  # of the map, which boxes may have together: lines hardly overlap, squares in squares do


@dataclass(frozen=True, slots=True)
class TextRegion:
    """One detected text line: `polygon` (4, 2) float32 and the detector's mean probability inside it."""

    polygon: np.ndarray
    confidence: float


class DBDecoding(BaseModel):
    """How a probability map becomes boxes."""

    model_config = ConfigDict(extra="forbid")
    thresh: float = Field(default=0.3, gt=0, lt=1, description="a pixel above it is text")
    box_thresh: float = Field(default=0.6, ge=0, le=1, description="mean probability that a box needs")
    unclip_ratio: float = Field(default=1.5, ge=0, description="growth of the shrunk text: area x ratio / perimeter")
    use_dilation: bool = Field(default=False, description="close gaps of a pixel in the binary map")
    score_mode: Literal["fast", "slow"] = Field(
        default="fast", description="mean over the box (fast) or over the blob's own outline (slow)"
    )
    max_candidates: int = Field(default=3000, ge=1, description="largest blobs looked at in one page")


def decode(probability: np.ndarray, scale: tuple[float, float], decoding: DBDecoding) -> list[TextRegion]:
    """Turn a probability map into text regions.

    Args:
        probability: (H, W) uint8, 255 = certain text.
        scale: (x, y) page pixels per map pixel.
        decoding: the parameters.

    Returns:
        Regions with polygons in page pixels (not clipped to the page), in no particular order. Of more blobs than
        `max_candidates` the largest count, and of boxes that together have many times the map's area the smallest.
    """
    mask = (probability > decoding.thresh * 255).astype(np.uint8)
    if decoding.use_dilation:
        mask = cv2.dilate(mask, np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) > decoding.max_candidates:
        contours = sorted(contours, key=cv2.contourArea, reverse=True)[: decoding.max_candidates]
    boxes = [(contour, cv2.minAreaRect(contour)) for contour in contours]
    boxes = [(contour, box) for contour, box in boxes if min(box[1]) >= _MIN_SIDE]
    if sum(_area(box) for _, box in boxes) > _MOST_AREA * probability.size:
        boxes.sort(key=lambda pair: _area(pair[1]))
        areas = np.cumsum([_area(box) for _, box in boxes])
        boxes = boxes[: int(np.searchsorted(areas, _MOST_AREA * probability.size))]
    regions = []
    for contour, (centre, (width, height), angle) in boxes:
        outline = cv2.boxPoints((centre, (width, height), angle)) if decoding.score_mode == "fast" else contour[:, 0]
        confidence = mean_inside(probability, outline)
        if confidence < decoding.box_thresh:
            continue
        # Growing a rectangle by a distance and boxing the result again only moves its sides: no polygon clipping.
        grow = 2 * decoding.unclip_ratio * width * height / (2 * (width + height))
        box = cv2.boxPoints((centre, (width + grow, height + grow), angle))
        regions.append(TextRegion(from_top_left(box * np.array(scale, np.float32)), confidence))
    return regions


def _area(box: tuple) -> float:
    return box[1][0] * box[1][1]


def mean_inside(probability: np.ndarray, outline: np.ndarray) -> float:
    """Mean of a (H, W) uint8 map inside an outline of (N, 2) map pixels, as 0..1."""
    height, width = probability.shape
    left, top = np.clip(np.floor(outline.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(outline.max(axis=0)).astype(int), 0, (width - 1, height - 1))
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [(outline - (left, top)).astype(np.int32)], 1)
    return cv2.mean(probability[top : bottom + 1, left : right + 1], mask)[0] / 255


def from_top_left(box: np.ndarray) -> np.ndarray:
    """Order a rectangle's (4, 2) consecutive corners TL, TR, BR, BL for text that reads to the right or downwards."""
    edges = np.roll(box, -1, axis=0) - box
    if edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0] < 0:  # y points down: clockwise turns are positive
        return from_top_left(box[::-1])
    return np.roll(box, -int(edges[:, 0].argmax()), axis=0).astype(np.float32)
