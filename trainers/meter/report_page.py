"""The page of a report of meters: figures, confusion matrices, and the failures with photo, strip and digits."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from models.geometry import fit_within
from trainers.core.report_page import asset, both, escape, facts, jpeg_uri, page, table, tile
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


def meter_page(
    judged: Sequence[JudgedMeter], shown: Sequence[JudgedMeter], model: str, data: str, logs: tuple[str, str]
) -> str:
    """The HTML document.

    Args:
        judged: all meters. shown: the worst failures among them.
        model, data: what was measured on what, in words.
        logs: names of the files beside the page that list all meters.
    """
    lead = both(
        "How well meters are read, the failures worst first.",
        "계량기를 얼마나 잘 읽는지, 가장 나쁜 실패부터 보입니다.",
    )
    total = sum(each.verdict != "right" for each in judged)
    return page(
        f"{model} · meters",
        f'<h1>{escape(model)}</h1><p class="lead">{lead}</p>',
        f"<main>{_figures(judged, model, data)}{_failures(shown, total, logs)}</main>",
        # Cards, search and choice are those of the lines' report.
        style=asset("trainers.recognition", "report.css") + asset(__package__, "report_page.css"),
        script=asset("trainers.recognition", "report.js") if total else "",
    )


def _figures(judged: Sequence[JudgedMeter], model: str, data: str) -> str:
    metrics = meter_metrics([each.meter for each in judged])
    tiles = [tile(form.format(metrics[key]), both(*names)) for key, (names, form) in _TILES.items() if key in metrics]
    tiles.append(tile(f"{len(judged):,}", both("meters", "계량기")))
    about = [(both("Model", "모델"), escape(model)), (both("Data", "데이터"), f"<code>{escape(data)}</code>")]
    more = [(both(*names), form.format(metrics[key])) for key, (names, form) in _FIGURES.items() if key in metrics]
    counts = Counter(each.verdict for each in judged)
    head = [both("What became of them", "결과"), both("meters", "계량기"), both("share", "비율")]
    rows = [
        [both(*names), f"{counts[name]:,}", f"{counts[name] / len(judged):.1%}"]
        for name, names in _VERDICT_NAMES.items()
        if counts[name]
    ]
    figures = table([both("More figures", "다른 수치"), ""], more, numeric=(1,)) if more else ""
    return (
        f'<div class="tiles">{"".join(tiles)}</div><div class="card">{facts(about)}</div>'
        f'<div class="card halves"><div>{table(head, rows, numeric=(1, 2))}</div><div>{figures}</div></div>'
        f"{_confusions([each.meter for each in judged])}"
    )


def _confusions(meters: Sequence[ReadMeter]) -> str:
    """Confusion matrices, analog or digital and of all classes, of the meters whose class is known."""
    pairs = [
        (meter.meter_class, meter.found_class)
        for meter in meters
        if meter.meter_class is not None and meter.found_class is not None
    ]
    if not pairs:
        return ""
    true, found = zip(*pairs, strict=True)
    whole = _matrix(confusion(true, found, METER_CLASSES), METER_CLASSES)
    two = _matrix(confusion(map(binary, true), map(binary, found), BINARY), BINARY)
    note = both("Rows: what it is; columns: what it was found to be.", "행은 실제 종류, 열은 찾은 종류입니다.")
    return (
        f"<h2>{both('Classes', '종류')}</h2><p class='muted'>{note}</p>"
        f'<div class="card halves matrix"><div>{two}</div><div>{whole}</div></div>'
    )


def _matrix(counts: np.ndarray, classes: Sequence[str]) -> str:
    rows = [
        [both(*_CLASS_NAMES[name]), *(f"{count:,}" if count else "·" for count in row)]
        for name, row in zip(classes, counts.tolist(), strict=True)
        if sum(row)
    ]
    return table(["", *(both(*_CLASS_NAMES[name]) for name in classes)], rows, numeric=range(1, len(classes) + 1))


def _failures(shown: Sequence[JudgedMeter], total: int, logs: tuple[str, str]) -> str:
    if not total:
        return f"<h2>{both('Failures', '실패')}</h2><p>{both('There are none.', '없습니다.')}</p>"
    present = {each.verdict for each in shown}
    choices = "".join(
        f'<option value="{name}">{english} · {korean}</option>'
        for name, (english, korean) in _VERDICT_NAMES.items()
        if name in present
    )
    note = both(
        f"The worst {len(shown):,} of {total:,} failures; <code>{logs[0]}</code> and <code>{logs[1]}</code> beside "
        "this page list all meters.",
        f"실패 {total:,}건 가운데 가장 나쁜 {len(shown):,}건입니다. 모든 계량기는 이 파일과 같은 폴더의 "
        f"<code>{logs[0]}</code>와 <code>{logs[1]}</code>에 있습니다.",
    )
    key = both(
        '<i></i>true display <i class="found"></i>found; the full line is its top edge',
        '<i></i>실제 표시창 <i class="found"></i>찾은 표시창, 실선은 위쪽 변',
    )
    return (
        f"<h2>{both('Failures', '실패')}</h2><p class='muted'>{note}</p>"
        f'<div class="filters"><label>{both("Search", "찾기")} <input type="search" id="search"></label>'
        f"<label>{both('What became of it', '결과')} "
        f'<select id="script"><option value="">–</option>{choices}</select></label>'
        f'<span class="muted key">{key}</span><output id="shown"></output></div>'
        f'<div class="meters">{"".join(map(_card, shown))}</div>'
    )


def _card(each: JudgedMeter) -> str:
    meter = each.meter
    sought = escape("\n".join([meter.name, meter.truth or "", meter.reading or "", meter.reason]).lower())
    nothing = f'<span class="muted">{both("nothing", "없음")}</span>'
    told = []
    if meter.truth is not None:
        told.append((both("truth", "정답"), escape(meter.truth)))
    if meter.reading is not None:
        told.append((both("read", "읽음"), escape(meter.reading) or nothing))
    if meter.reason:
        told.append((both("reason", "이유"), escape(meter.reason)))
    if meter.found_class is not None:
        true = both(*_CLASS_NAMES[meter.meter_class]) if meter.meter_class else "?"
        told.append((both("class", "종류"), f"{true} → {both(*_CLASS_NAMES[meter.found_class])}"))
    if each.quad_iou is not None:
        error = both("corner error", "모서리 오차")
        told.append((both("display", "표시창"), f"IoU {each.quad_iou:.2f} · {error} {each.corner_error:.2f}"))
    strip = jpeg_uri(fit_within(meter.strip, _STRIP_WIDTH)) if meter.strip is not None else ""
    strip = f'<img class="strip" src="{strip}" alt="" loading="lazy">' if strip else ""
    return (
        f'<article class="card line meter" data-scripts="{each.verdict}" data-text="{sought}">'
        f"<header><b>{both(*_VERDICT_NAMES[each.verdict])}</b><code>{escape(meter.name)}</code></header>"
        f"{_photo(meter)}{strip}{facts(told)}{_digits(meter)}</article>"
    )


def _photo(meter: ReadMeter) -> str:
    """The reduced photo with the true and the found display, each with its top edge."""
    if meter.photo is None:
        return ""
    image = meter.photo()
    height, width = image.shape[:2]
    shapes = ""
    for name, corners in (("true", meter.corners), ("found", meter.found_corners)):
        if corners is not None:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners.tolist())
            (x1, y1), (x2, y2) = corners[:2].tolist()
            shapes += f'<polygon class="{name}" points="{points}"/>'
            shapes += f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
    picture = f'<image width="{width}" height="{height}" href="{jpeg_uri(fit_within(image, _PHOTO_SIDE))}"/>'
    return f'<svg class="photo" viewBox="0 0 {width} {height}" role="img">{picture}{shapes}</svg>'


def _digits(meter: ReadMeter) -> str:
    """Place by place: the truth, what was read, and how sure."""
    if not meter.digits:
        return ""
    read = [character for character, _ in meter.digits]
    true = list((meter.truth or "").replace(".", ""))
    if true and not meter.leading_zeros:
        true = ["0"] * (len(read) - len(true)) + true
    behind = len((meter.reading or "").partition(".")[2])
    cells, at = [], 0
    for a, b in align(true, read) if true else [("", b) for b in read]:
        marks = ["wrong"] if true and a != b else []
        sure = ""
        if b:
            sure = f"{meter.digits[at][1]:.2f}"
            marks += ["fraction"] if at >= len(read) - behind else []
            at += 1
        truth = f"<small>{escape(a) or '–'}</small>" if true else ""
        cells.append(f'<span class="{" ".join(marks)}">{truth}{escape(b) or "–"}<small>{sure or "–"}</small></span>')
    return f'<div class="digits">{"".join(cells)}</div>'
