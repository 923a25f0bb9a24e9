"""Text regions of a rendered page, as people label them."""

import numpy as np

from trainers.data.layouts import Region
from trainers.data.word_boxes import join_rows, quads_of
from trainers.render.page import RenderedPage

MARGIN = 0.12  # of the ink's height, on each side: about what people leave who draw boxes around lines


def page_regions(page: RenderedPage) -> list[Region]:
    """Return a rendered page's text as people label it: neighbouring runs of a row joined into one line, with a little
    space around the ink, cut at the page's edges."""
    height, width = page.image.shape[:2]
    level = [line for line in page.lines if _is_level(line.polygon)]
    boxes = np.array([[*line.polygon[0], *line.polygon[2]] for line in level], np.float32).reshape(-1, 4)
    found = []
    for group in join_rows(boxes):
        left, top = boxes[group, :2].min(axis=0)
        right, bottom = boxes[group, 2:].max(axis=0)
        air = MARGIN * (bottom - top)
        (quad,) = quads_of(np.array([[left - air, top - air, right + air, bottom + air]]))
        found.append((quad, " ".join(level[number].text for number in group)))
    found += [(line.polygon, line.text) for line in page.lines if not _is_level(line.polygon)]
    limits = np.array([width, height], np.float32)
    return [Region(tuple(np.clip(quad, 0, limits).reshape(-1).tolist()), text) for quad, text in found]


def _is_level(polygon: np.ndarray) -> bool:
    """Return whether a (4, 2) quad is an upright box whose text runs to the right."""
    (left, top), (right, top2), (_, bottom), _ = polygon.tolist()
    return top == top2 and left < right and top < bottom
