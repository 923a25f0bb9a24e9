"""The page of a report of meters: figures, confusion matrices, and the failures with photo, strip and digits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from common import svg
from common.html import render
from common.pictures import jpeg_uri
from models.geometry import fit_within
from trainers.data.meter_sample import METER_CLASSES
from trainers.meter.metrics import BINARY, ReadMeter, binary, confusion, meter_metrics
from trainers.meter.verdicts import JudgedMeter
from trainers.recognition.metrics import align

_VERDICT_NAMES = {
    "wrong": ("wrong, given as success", "틀렸으나 성공으로 보고"),
    "one_off": ("one step off, given as success", "마지막 자리 1 차이, 성공으로 보고"),
    "invented": ("nothing legible, yet a reading given", "읽을 수 없는데 값을 보고"),
    "missed": ("display not found", "표시창을 찾지 못함"),
    "upside_down": ("display found upside down", "표시창을 거꾸로 찾음"),
    "refused": ("legible, but no reading given", "읽을 수 있으나 값을 보고하지 않음"),
    "false_alarm": ("display found where there is none", "없는 표시창을 찾음"),
    "class": ("right but for the class", "종류만 틀림"),
    "right": ("right", "맞음"),
}
_CLASS_NAMES = {
    "analog": ("analog", "아날로그"),
    "digital": ("digital", "디지털"),
    "analog_illegible": ("analog, illegible", "아날로그, 읽을 수 없음"),
    "digital_illegible": ("digital, illegible", "디지털, 읽을 수 없음"),
    "none": ("none", "없음"),
}
# Shares and others as tiles: what they are called, and how they are told.
_TILES = {
    "recognition_rate": (("readings fully right", "완전히 맞은 값"), "{:.1%}"),
    "within_one": (("right within ±1 on the last wheel", "마지막 자리 ±1 이내"), "{:.1%}"),
    "integer_right": (("integer part right", "정수부가 맞은 값"), "{:.1%}"),
    "given": (("given as success", "성공으로 보고"), "{:.1%}"),
    "wrong_given": (("wrong among success", "성공 가운데 틀린 값"), "{:.1%}"),
    "quad_iou_50": (("displays found (IoU > 0.5)", "찾은 표시창 (IoU > 0.5)"), "{:.1%}"),
    "corner_error": (("corner error, median, in heights", "모서리 오차 중앙값 (표시창 높이 단위)"), "{:.3f}"),
    "class_accuracy": (("classes right", "맞은 종류"), "{:.1%}"),
}
_FIGURES = {
    "far_wrong_given": (("wrong among success by more than one step", "성공 가운데 1보다 크게 틀린 값"), "{:.1%}"),
    "invented": (("readings given where nothing is legible", "읽을 수 없는데 보고한 값"), "{:.1%}"),
    "point_right": (("decimal point right", "맞은 소수점"), "{:.1%}"),
    "unreadable_places": (("places read as x", "x로 읽은 자리"), "{:.1%}"),
    "quad_iou": (("mean IoU", "평균 IoU"), "{:.3f}"),
    "corner_error_p90": (("corner error, 90 % are below", "모서리 오차 (90 %가 그 이하)"), "{:.3f}"),
    "upside_down": (("displays found upside down", "거꾸로 찾은 표시창"), "{:.1%}"),
    "false_alarms": (("displays found where there is none", "없는 표시창을 찾은 사진"), "{:.1%}"),
    "binary_accuracy": (("analog or digital right", "아날로그·디지털 구분이 맞음"), "{:.1%}"),
    "latency_p50_ms": (("time a photo, p50", "사진 한 장의 시간, p50"), "{:.1f} ms"),
    "latency_p90_ms": (("time a photo, p90", "사진 한 장의 시간, p90"), "{:.1f} ms"),
    "latency_p99_ms": (("time a photo, p99", "사진 한 장의 시간, p99"), "{:.1f} ms"),
}
_PHOTO_SIDE, _STRIP_WIDTH = 640, 720
_JPEG_QUALITY = 72


def meter_page(
    judged: Sequence[JudgedMeter], shown: Sequence[JudgedMeter], model: str, data: str, logs: tuple[str, str]
) -> str:
    """Return the HTML document.

    Args:
        judged: all meters. shown: the worst failures among them.
        model, data: what was measured on what, in words.
        logs: names of the files beside the page that list all meters.
    """
    meters = [each.meter for each in judged]
    metrics = meter_metrics(meters)
    counts = Counter(each.verdict for each in judged)
    present = {each.verdict for each in shown}
    return render(
        "trainers.meter/report.html",
        model=model,
        data=data,
        total=len(judged),
        tiles=_figures(metrics, _TILES),
        figures=_figures(metrics, _FIGURES),
        verdicts=[(name, counts[name]) for name in _VERDICT_NAMES if counts[name]],
        verdict_names=_VERDICT_NAMES,
        class_names=_CLASS_NAMES,
        matrices=_matrices(meters),
        failures=len(judged) - counts["right"],
        cards=[_card(each) for each in shown],
        shown_verdicts=[name for name in _VERDICT_NAMES if name in present],
        log=logs[0],
        parquet=logs[1],
    )


def _figures(
    metrics: Mapping[str, float], named: Mapping[str, tuple[tuple[str, str], str]]
) -> list[tuple[tuple[str, str], str]]:
    """Return names in both languages, and values, of the metrics that exist."""
    return [(names, form.format(metrics[key])) for key, (names, form) in named.items() if key in metrics]


@dataclass(frozen=True)
class _Matrix:
    """A confusion matrix: `rows` of a true class and how many of it were found to be each of `classes`."""

    classes: Sequence[str]
    rows: Sequence[tuple[str, Sequence[int]]]


def _matrices(meters: Sequence[ReadMeter]) -> list[_Matrix]:
    """Analog or digital, and all classes, of the meters whose class is known; empty where it is of none."""
    pairs = [
        (meter.meter_class, meter.found_class)
        for meter in meters
        if meter.meter_class is not None and meter.found_class is not None
    ]
    if not pairs:
        return []
    true, found = zip(*pairs, strict=True)
    return [
        _matrix(confusion(map(binary, true), map(binary, found), BINARY), BINARY),
        _matrix(confusion(true, found, METER_CLASSES), METER_CLASSES),
    ]


def _matrix(counts: np.ndarray, classes: Sequence[str]) -> _Matrix:
    rows = zip(classes, counts.tolist(), strict=True)
    return _Matrix(classes, [(name, row) for name, row in rows if sum(row)])


@dataclass(frozen=True)
class _Place:
    """A place of a display: the true character ("" where there is none, None where no truth is known), what was read
    ("" for nothing), how sure that was (0..1), and how the page marks it."""

    true: str | None
    read: str
    confidence: float | None
    marks: Sequence[str]


@dataclass(frozen=True)
class _Card:
    """A failure as it is shown.

    Attributes:
        sought: what the page's search looks in.
        photo: the reduced photo with the displays, "" where there is none.
        strip: a `data:` URI, "" where there is none.
    """

    meter: ReadMeter
    verdict: str
    quad_iou: float | None
    corner_error: float | None
    sought: str
    photo: Markup
    strip: str
    places: Sequence[_Place]


def _card(each: JudgedMeter) -> _Card:
    meter = each.meter
    strip = "" if meter.strip is None else jpeg_uri(fit_within(meter.strip, _STRIP_WIDTH), _JPEG_QUALITY)
    return _Card(
        meter=meter,
        verdict=each.verdict,
        quad_iou=each.quad_iou,
        corner_error=each.corner_error,
        sought="\n".join([meter.name, meter.truth or "", meter.reading or "", meter.reason]).lower(),
        photo=_photo(meter),
        strip=strip,
        places=_places(meter),
    )


def _photo(meter: ReadMeter) -> Markup:
    """Return the reduced photo with the true and the predicted display, each with its top edge."""
    if meter.photo is None:
        return Markup("")
    image = meter.photo()
    height, width = image.shape[:2]
    picture = jpeg_uri(fit_within(image, _PHOTO_SIDE), _JPEG_QUALITY)
    drawing = svg.element("svg", class_="photo", viewBox=f"0 0 {width} {height}", role="img")
    drawing.append(svg.element("image", width=width, height=height, href=picture))
    for name, corners in (("true", meter.corners), ("found", meter.found_corners)):
        if corners is not None:
            (x1, y1), (x2, y2) = corners[:2].tolist()
            drawing.append(svg.element("polygon", class_=name, points=svg.points(corners.tolist())))
            drawing.append(svg.element("line", class_=name, x1=x1, y1=y1, x2=x2, y2=y2))
    return svg.markup(drawing)


def _places(meter: ReadMeter) -> list[_Place]:
    """Place by place: the truth, what was read, and how sure."""
    if not meter.digits:
        return []
    read = [character for character, _ in meter.digits]
    true = list((meter.truth or "").replace(".", ""))
    if true and not meter.leading_zeros:
        true = ["0"] * (len(read) - len(true)) + true
    behind = len((meter.reading or "").partition(".")[2])
    places, at = [], 0
    for a, b in align(true, read) if true else [("", b) for b in read]:
        marks, confidence = ["wrong"] if true and a != b else [], None
        if b:
            confidence = meter.digits[at][1]
            marks += ["fraction"] if at >= len(read) - behind else []
            at += 1
        places.append(_Place(a if true else None, b, confidence, marks))
    return places
