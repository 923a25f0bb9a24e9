"""What a task of a Label Studio export holds: the results that count, the image meant, shapes in px."""

import math
import re
from collections import Counter
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from trainers.data.importers.image_files import ImageFinder
from trainers.data.importers.quads import as_array, quad_of_points
from trainers.data.importers.rows import RowError

LABEL_KEYS = ("polygonlabels", "rectanglelabels", "labels")
_CANCELLED = "annotations that the annotator cancelled"
_EARLIER = "earlier annotations of an image (the last one counts)"
_IMAGE_KEYS = ("image", "img", "photo", "picture", "url", "ocr")
_IMAGE_REFERENCE = re.compile(r"(^/data/|\.(jpe?g|png|webp|bmp|tiff?|avif)$)", re.IGNORECASE)
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


def results_of(task: dict, skipped: Counter[str]) -> list[dict] | None:
    """Return the results that count; None if all annotations were cancelled. Raises RowError: not an annotated task."""
    annotations = task.get("annotations", task.get("completions"))
    if annotations is None:
        if "data" in task or not (results := _min_results(task)):
            raise RowError("no Label Studio task with annotations", f"its keys are {', '.join(map(str, task))}"[:120])
        return results
    annotations = [item for item in annotations if isinstance(item, dict)] if isinstance(annotations, list) else []
    if not annotations:
        raise RowError("task without annotation")
    kept = [item for item in annotations if not item.get("was_cancelled")]
    skipped[_CANCELLED] += len(annotations) - len(kept)
    if not kept:
        return None
    skipped[_EARLIER] += len(kept) - 1
    last = max(enumerate(kept), key=lambda item: (str(item[1].get("updated_at") or ""), item[0]))[1]
    results = last.get("result")
    return [result for result in results if isinstance(result, dict)] if isinstance(results, list) else []


def _min_results(task: dict) -> list[dict]:
    """JSON-MIN: the values of a task as results."""
    results = []
    for key, value in task.items():
        if isinstance(value, list):
            shapes = [item for item in value if isinstance(item, dict) and any(label in item for label in LABEL_KEYS)]
            results += [{"value": item, **_frame_fields(item)} for item in shapes]
        elif isinstance(value, dict) and "choices" in value:
            results.append({"value": value})
        elif isinstance(value, str) and key in ("choice", "choices", "class", "meter_class"):
            results.append({"value": {"choices": [value]}})
        elif isinstance(value, str) and key in ("reading", "transcription", "text"):
            results.append({"value": {"text": [value]}})
    return results


def _frame_fields(item: dict) -> dict:
    return {key: item[key] for key in ("original_width", "original_height", "image_rotation") if key in item}


def image_reference(task: dict) -> str:
    data = task["data"] if isinstance(task.get("data"), dict) else task
    keys = [key for key in _IMAGE_KEYS if key in data] + list(data)
    texts = [data[key] for key in keys if isinstance(data[key], str)]
    reference = next((text for text in texts if _IMAGE_REFERENCE.search(urlsplit(text).path)), None)
    if reference is None:
        raise RowError("task without an image", f"its data are {', '.join(map(str, data))}"[:120])
    return reference


def _paths(reference: str) -> list[str]:
    """Return the file names that a reference may mean, most likely first."""
    parts = urlsplit(reference)
    local = parse_qs(parts.query).get("d")
    path = unquote(local[0] if local else parts.path).lstrip("/")
    base = PurePosixPath(path).name
    return list(dict.fromkeys([path, base, _UPLOAD_PREFIX.sub("", base)]))


def file_name(reference: str) -> str:
    return _paths(reference)[-1]


def find(reference: str, finders: list[ImageFinder]) -> Path:
    """Return the image of a task. Raises RowError: no such image, or several."""
    fault = RowError("no such image", reference)
    for finder in finders:
        for path in _paths(reference):
            try:
                return finder.find(path)
            except RowError as error:
                if error.reason != fault.reason:
                    fault = error
    raise fault


def frame(results: list[dict]) -> tuple[float, float] | None:
    """Return the width and height that percentages refer to; None if unknown."""
    for result in results:
        try:
            size = float(result["original_width"]), float(result["original_height"])
        except (KeyError, TypeError, ValueError):
            continue
        if all(math.isfinite(side) and side > 0 for side in size):
            return size
    return None


def strings(value: object) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def px(points: object, size: tuple[float, float]) -> list[tuple[float, float]]:
    try:
        return [(float(x) * size[0] / 100, float(y) * size[1] / 100) for x, y in points]  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise RowError("no polygon [[x, y], …]", repr(points)[:80]) from error


def rectangle(value: dict, size: tuple[float, float]) -> np.ndarray:
    """Return (4, 2) float32 px: the corners from the rectangle's own top left, clockwise."""
    try:
        x, y, width, height = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
        turn = math.radians(float(value.get("rotation") or 0))
    except (KeyError, TypeError, ValueError) as error:
        raise RowError("no rectangle x, y, width, height", repr(value)[:80]) from error
    across = width * size[0] * np.array([math.cos(turn), math.sin(turn)])
    down = height * size[1] * np.array([-math.sin(turn), math.cos(turn)])
    start = np.array([x * size[0], y * size[1]])
    return as_array(quad_of_points([start, start + across, start + across + down, start + down]))
