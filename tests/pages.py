"""Small pages that tests draw themselves."""

from pathlib import Path

import cv2
import numpy as np


def draw_page(lines: list[str], width: int = 640, height: int = 400, scale: float = 1.0) -> np.ndarray:
    """Return a white RGB page with lines of dark text."""
    page = np.full((height, width, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        position = (30, round((50 + 45 * number) * scale))
        cv2.putText(page, line, position, cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 2, cv2.LINE_AA)
    return page


def write_page(path: Path, lines: list[str], **kwargs) -> Path:
    """`draw_page` as an image file; its suffix chooses the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, content = cv2.imencode(path.suffix, cv2.cvtColor(draw_page(lines, **kwargs), cv2.COLOR_RGB2BGR))
    assert ok
    path.write_bytes(content.tobytes())
    return path


def numbered_pages(folder: Path, count: int) -> list[Path]:
    """`count` one-page PNG documents; each says its number and three lines more."""
    return [
        write_page(folder / f"page{i:02}.png", [f"PAGE NUMBER {i}", "Total amount", "Invoice date", "Customer name"])
        for i in range(count)
    ]
