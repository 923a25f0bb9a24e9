"""How well meters are read: the display and its corners, its class, its digits, and how long it takes.

Readings are texts of digits, "." before the fraction and "x" for a place that cannot be read. Their digits are
compared in all places, whatever the point; where the point stands counts apart. Where a truth's leading zeros were
dropped, those of the reading do not count.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from models.meter.counter import places
from trainers.data.meter_sample import METER_CLASSES, UNREADABLE
from trainers.detection.metrics import LEAST_OVERLAP

BINARY = ("analog", "digital", "none")
WRONG_SHARE = 0.01  # of the readings given, that may be wrong when `sure` is fitted


@dataclass(frozen=True, eq=False)
class ReadMeter:
    """A meter that was read, whole or in part, with its truth as far as it is known.

    Attributes:
        name: of the photo.
        photo: gives the image, uint8 [height, width, 3] RGB; called only where it is shown.
        corners: float32 (4, 2), the true TL, TR, BR, BL in reading order, px of the photo; None: no display or unknown.
        meter_class: the true one of `METER_CLASSES`; None: unknown.
        truth: the true reading; None: unknown.
        leading_zeros: whether the truth holds all zeros that the display shows; see `compare`.
        found_corners: as `corners`; None: no display was found.
        found_class: one of `METER_CLASSES`, "none" where no display was found; None where it was not asked for.
        reading: what was read; "" for nothing, None where it was not asked for.
        digits: what was read and how sure, 0..1, place by place.
        confidence: 0..1, of the reading as a whole.
        success: whether the reading is given as one to trust.
        reason: why not.
        strip: the display cut out flat, uint8 [height, width, 3] RGB; None: there is none.
        seconds: that reading took; None: not measured.
    """

    name: str
    photo: Callable[[], np.ndarray] | None = None
    corners: np.ndarray | None = None
    meter_class: str | None = None
    truth: str | None = None
    leading_zeros: bool = True
    found_corners: np.ndarray | None = None
    found_class: str | None = None
    reading: str | None = None
    digits: tuple[tuple[str, float], ...] = ()
    confidence: float = 0.0
    success: bool = True
    reason: str = ""
    strip: np.ndarray | None = None
    seconds: float | None = None


def meter_metrics(meters: Sequence[ReadMeter]) -> dict[str, float]:
    """All metrics that the meters' truths allow: `screen_metrics`, `reading_metrics` and `latency_metrics`.

    A photo of an illegible display, or of none, has no true reading: reading it is not asked for, and to give a reading
    as one to trust is wrong there.
    """
    metrics: dict[str, float] = {}
    screens = [meter for meter in meters if meter.found_class is not None]
    if screens:
        metrics |= screen_metrics(
            {
                "corners": np.array([_quad(meter.corners) for meter in screens]),
                "found": np.array([_quad(meter.found_corners) for meter in screens]),
                "label": np.array([_label(meter.meter_class) for meter in screens]),
                "found_label": np.array([_label(meter.found_class) for meter in screens]),
            }
        )
    labelled = [meter for meter in meters if meter.reading is not None and meter.truth is not None]
    if labelled:
        metrics |= reading_metrics(
            {
                "true": np.array([meter.truth for meter in labelled], object),
                "read": np.array([meter.reading for meter in labelled], object),
                "exact": np.array([meter.leading_zeros for meter in labelled]),
                "success": np.array([meter.success for meter in labelled]),
            }
        )
    hopeless = [meter for meter in meters if meter.reading is not None and not_legible(meter)]
    if hopeless:
        metrics["invented"] = float(np.mean([meter.success for meter in hopeless]))
    return metrics | latency_metrics([meter.seconds for meter in meters if meter.seconds is not None])


def screen_metrics(predictions: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the metrics of display detection.

    Args:
        predictions: `corners` and `found` float [n, 4, 2] px, true and found, TL, TR, BR, BL in reading order, zeros
            where there is none; `label` and `found_label` int [n]: classes by their number in `METER_CLASSES`, -1 for
            none. A true display of class -1 is one of unknown class.

    Returns:
        Of photos with a display: `quad_iou` (mean intersection over union, 0 where none was found), `quad_iou_50`
        (share with IoU > 0.5), `upside_down` (share with IoU > 0.5 whose corners are in another reading order). Of
        displays found somewhere: `corner_error` (median) and `corner_error_p90`, see `corner_errors`. Of photos of
        known class: `class_accuracy`, and `binary_accuracy` (analog or digital, illegible or not). Of photos without a
        display: `false_alarms`, the share in which one was found. What there is no photo for is left out.
    """
    corners, found = predictions["corners"], predictions["found"]
    there, seen = (np.asarray(quads.any(axis=(1, 2))) for quads in (corners, found))
    metrics: dict[str, float] = {}
    if there.any():
        ious = quad_ious(corners[there], found[there])
        enough = ious > LEAST_OVERLAP
        metrics["quad_iou"] = float(ious.mean())
        metrics["quad_iou_50"] = float(enough.mean())
        metrics["upside_down"] = float((enough & misordered(corners[there], found[there])).mean())
    if (both := there & seen).any():
        errors = corner_errors(corners[both], found[both])
        metrics["corner_error"] = float(np.median(errors))
        metrics["corner_error_p90"] = float(np.percentile(errors, 90))
    known = (predictions["label"] >= 0) | ~there
    if known.any():
        true = [METER_CLASSES[label] for label in predictions["label"][known]]
        read = [METER_CLASSES[label] for label in predictions["found_label"][known]]
        metrics["class_accuracy"] = float(np.mean([a == b for a, b in zip(true, read, strict=True)]))
        metrics["binary_accuracy"] = float(np.mean([binary(a) == binary(b) for a, b in zip(true, read, strict=True)]))
    if not there.all():
        metrics["false_alarms"] = float(seen[~there].mean())
    return metrics


def quad_ious(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union, 0..1, of quads [n, 4, 2] with quads; 0 for one without area."""
    a, b = (shapely.convex_hull(shapely.polygons(quads)) for quads in (one, other))
    intersection = shapely.area(shapely.intersection(a, b))
    return intersection / np.maximum(shapely.area(a) + shapely.area(b) - intersection, 1e-9)


def corner_errors(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Mean distance of the four corners [n, 4, 2] from the true ones, in heights of the display (its mean height)."""
    height = np.linalg.norm(true[:, [3, 2]] - true[:, [0, 1]], axis=2).mean(axis=1)
    return np.linalg.norm(found - true, axis=2).mean(axis=1) / np.maximum(height, 1e-9)


def misordered(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """bool [n]: whether the found corners [n, 4, 2] would fit better if they began at another one."""
    errors = np.stack([corner_errors(true, np.roll(found, turn, axis=1)) for turn in range(4)])
    return errors.argmin(axis=0) > 0


def binary(meter_class: str) -> str:
    """One of `BINARY`: the class without its legibility."""
    return meter_class.partition("_")[0]


def confusion(true: Iterable[str], found: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Confusion matrix, int64 [true, found] in the order of `classes`."""
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for a, b in zip(true, found, strict=True):
        counts[classes.index(a), classes.index(b)] += 1
    return counts


@dataclass(frozen=True, slots=True)
class Comparison:
    """A reading beside its truth: `digits` right in all places, `point` in its place, `integer` part right, and
    `near`: digits right, or one step away on the last wheel (129.999 and 130.000 are)."""

    digits: bool
    point: bool
    integer: bool
    near: bool


def compare(true: str, read: str, leading_zeros: bool = True) -> Comparison:
    """Compare a reading with its truth.

    Args:
        leading_zeros: whether the truth holds all zeros that the display shows; if not, it is a number, and zeros
            before it and behind its point count for nothing.

    >>> compare("130.0", "00129.999", leading_zeros=False)
    Comparison(digits=False, point=True, integer=False, near=True)
    """
    whole, read_whole = true.partition(".")[0], read.partition(".")[0]
    a, b = true.replace(".", ""), read.replace(".", "")
    if leading_zeros:
        same = a == b
        near = len(a) == len(b) and _one_apart(a, b)
        point = places(true)[1] == places(read)[1]
        integer = whole == read_whole
    else:
        same = a.strip("0") == b.strip("0")
        lengths = (len(b.lstrip("0")) + more for more in (0, 1))
        near = any(_one_apart(a.strip("0").ljust(length, "0"), b) for length in lengths)
        point = places(read)[1] >= len(true.partition(".")[2].rstrip("0"))
        if same and b.isdecimal():
            point = float(true) == float(read)
        integer = whole.lstrip("0") == read_whole.lstrip("0")
    return Comparison(bool(b) and same, bool(b) and point, bool(b) and integer, bool(b) and (same or near))


def _one_apart(a: str, b: str) -> bool:
    """Return whether a counter with as many wheels as `b` has digits makes one step between the two readings."""
    if not (a.isdecimal() and b.isdecimal()):
        return False
    turn = 10 ** len(b)
    return (int(a) - int(b)) % turn in (1, turn - 1)


def reading_metrics(predictions: Mapping[str, np.ndarray], sure: float | None = None) -> dict[str, float]:
    """Return the metrics of reading displays.

    Args:
        predictions: `true` and `read` (strings) [n]; and where there are such: `exact` bool (the truth's leading zeros
            are all there; else they are), `success` bool (given as readings to trust), `confidence` 0..1 (of the least
            sure place; in the place of `success`), `single` bool (crops of one digit, which count apart).
        sure: the least confidence to trust. None: it is fitted so that at most `WRONG_SHARE` of the readings given is
            wrong.

    Returns:
        `recognition_rate` (all digits right), `within_one` (or one step away on the last wheel), `integer_right`,
        `point_right`, `unreadable_places` (share of the places read that are x), `digit_accuracy` of single digits.
        With `success` or `confidence`: `given` (share given as readings to trust), and of those `wrong_given` (share
        with a wrong digit or point) and `far_wrong_given` (by more than one step). With `confidence`, `sure`: the
        least confidence to trust. What there is no reading for is left out.
    """
    true, read = predictions["true"], predictions["read"]
    single = predictions.get("single", np.zeros(len(true), bool))
    metrics: dict[str, float] = {}
    if single.any():
        metrics["digit_accuracy"] = float((true[single] == read[single]).mean())
    use = ~single
    if not use.any():
        return metrics
    exact = predictions.get("exact", np.ones(len(true), bool))
    compared = [compare(*texts) for texts in zip(true[use], read[use], exact[use].tolist(), strict=True)]
    digits, point, integer, near = (
        np.array([getattr(each, name) for each in compared]) for name in ("digits", "point", "integer", "near")
    )
    characters = "".join(read[use]).replace(".", "")
    metrics |= {
        "recognition_rate": float(digits.mean()),
        "within_one": float(near.mean()),
        "integer_right": float(integer.mean()),
        "point_right": float(point.mean()),
        "unreadable_places": characters.count(UNREADABLE) / max(1, len(characters)),
    }
    if "success" in predictions:
        given = predictions["success"][use]
    elif "confidence" in predictions:
        confidence = predictions["confidence"][use]
        metrics["sure"] = fit_sure(confidence, digits & point) if sure is None else sure
        given = confidence >= metrics["sure"]
    else:
        return metrics
    metrics["given"] = float(given.mean())
    if given.any():
        metrics["wrong_given"] = float(1 - (digits & point)[given].mean())
        metrics["far_wrong_given"] = float(1 - (near & point)[given].mean())
    return metrics


def fit_sure(confidence: np.ndarray, right: np.ndarray, wrong_share: float = WRONG_SHARE) -> float:
    """Return the lowest confidence above which at most `wrong_share` of the readings are wrong; 1 if there is none.

    Args:
        confidence: [n] 0..1. right: bool [n].
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    wrong = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    # Readings of the same confidence are given together.
    last = np.append(sorted_confidence[1:] != sorted_confidence[:-1], True)
    enough = np.flatnonzero(last & (wrong <= wrong_share))
    return float(sorted_confidence[enough[-1]]) if len(enough) else 1.0


def latency_metrics(seconds: Sequence[float]) -> dict[str, float]:
    """`latency_p50_ms`, `latency_p90_ms` and `latency_p99_ms`; nothing of nothing."""
    if not len(seconds):
        return {}
    return {f"latency_p{share}_ms": float(np.percentile(seconds, share) * 1000) for share in (50, 90, 99)}


def not_legible(meter: ReadMeter) -> bool:
    """Return whether the photo is labelled as having no reading: an illegible display, or none."""
    return meter.truth is None and meter.meter_class in ("analog_illegible", "digital_illegible", "none")


def _quad(corners: np.ndarray | None) -> np.ndarray:
    return np.zeros((4, 2), np.float32) if corners is None else np.asarray(corners, np.float32)


def _label(meter_class: str | None) -> int:
    return -1 if meter_class in (None, "none") else METER_CLASSES.index(meter_class)
