"""The report of an evaluation of text recognition: every line's truth and prediction, worst first, as Parquet and
tab-separated text, and a page with the worst lines' images.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from models.geometry import fit_within
from models.text_recognition.ctc import Calibration
from trainers.core.report_page import asset, both, escape, facts, jpeg_uri, page, table, tile
from trainers.core.sample_log import write_log
from trainers.core.task import Evaluated
from trainers.recognition.metrics import (
    SCRIPTS,
    ReliabilityBin,
    align,
    character_accuracy,
    comparable,
    cross_calibrated,
    expected_calibration_error,
    reliability,
    script,
)
from trainers.recognition.reliability import reliability_diagram
from trainers.recognition.source import LineSource

LOG_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("truth", pa.string()),
        ("prediction", pa.string()),
        ("confidence", pa.float32()),
        ("cer", pa.float32()),
    ]
)
LOG, TABLE, PAGE = "lines.tsv", "lines.parquet", "report.html"
_CROP_HEIGHT, _CROP_WIDTH = 48, 1100
_LONG = 560  # px; a longer crop takes the page's whole width
_CONFUSIONS = 30
_SCRIPT_NAMES = {
    "hangul": ("Hangul", "한글"),
    "latin": ("Latin", "로마자"),
    "digit": ("digits", "숫자"),
    "space": ("spaces", "띄어쓰기"),
    "han": ("Han", "한자"),
    "other": ("punctuation and symbols", "문장 부호와 기호"),
}


@dataclass(frozen=True)
class ReadLine:
    """A line that was read. `sample`: its number among the validation samples; `confidence` in 0..1."""

    sample: int
    name: str
    truth: str
    prediction: str
    confidence: float

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Characters of truth and prediction side by side, see `align`."""
        return align(comparable(self.truth), comparable(self.prediction))

    @property
    def cer(self) -> float:
        """As `character_error_rate`."""
        return sum(a != b for a, b in self.pairs) / max(1, sum(bool(a) for a, _ in self.pairs))


def write_reading_report(
    folder: Path, evaluated: Evaluated, predictions: Mapping[str, np.ndarray], source: LineSource, pictures: int
) -> str:
    """Write `lines.tsv`, `lines.parquet` and `report.html` into `folder`; says so in one line.

    Confidences are calibrated as the bundle says; those of a run or a checkpoint, as `cross_calibrated` does it.

    Args:
        predictions: of the samples in order: `true` and `read` (strings), `probability` (0..1, geometric mean over the
            characters read), `used` (bool; the others had no image).
        source: of the samples.
        pictures: so many of the worst lines come into the page.
    """
    used = np.flatnonzero(predictions["used"])
    true, read, probability = (predictions[name][used] for name in ("true", "read", "probability"))
    accuracy = np.array([character_accuracy(*pair) for pair in zip(true, read, strict=True)])
    if calibration := evaluated.decoding.get("calibration"):
        confidence = np.where(probability > 0, Calibration(**calibration)(probability), 0.0)
    else:
        confidence = cross_calibrated(probability, accuracy)
    bins = reliability(confidence, accuracy)
    lines = [
        ReadLine(sample, source.name(sample), *texts)
        for sample, *texts in zip(used.tolist(), true, read, confidence.tolist(), strict=True)
    ]
    rated = [(line.cer, line) for line in lines]
    # Of two lines that are equally wrong, the one the network was surer of is the worse.
    rated.sort(key=lambda pair: (-pair[0], -pair[1].confidence, pair[1].sample))
    folder.mkdir(parents=True, exist_ok=True)
    _write_log(folder, rated)
    shown = rated[:pictures]
    name = escape(evaluated.model)
    unreadable = len(predictions["used"]) - len(used)
    figures = _figures(lines, bins, evaluated, unreadable, _CALIBRATIONS["bundle" if calibration else "folds"])
    lead = both("How well text lines are read, the worst first.", "글줄을 얼마나 잘 읽는지, 가장 나쁜 줄부터 보입니다.")
    html = page(
        f"{evaluated.model} · ocray evaluate",
        f'<h1>{name}</h1><p class="lead">{lead}</p>',
        figures + _worst(shown, len(rated), source),
        style=asset(__package__, "report.css"),
        script=asset(__package__, "report.js"),
    )
    (folder / PAGE).write_text(html, "utf-8")
    return f"{folder / PAGE} shows the worst {len(shown):,} of {len(rated):,} lines, {folder / LOG} lists all"


def _write_log(folder: Path, rated: Sequence[tuple[float, ReadLine]]) -> None:
    rows = [
        {
            "name": line.name,
            "truth": line.truth,
            "prediction": line.prediction,
            "confidence": line.confidence,
            "cer": cer,
        }
        for cer, line in rated
    ]
    write_log(rows, LOG_SCHEMA, folder / LOG, folder / TABLE)


def _figures(
    lines: Sequence[ReadLine],
    bins: Sequence[ReliabilityBin],
    evaluated: Evaluated,
    unreadable: int,
    calibration: str,
) -> str:
    metrics = evaluated.metrics
    tiles = [
        tile(_percent(metrics["cer"], 2), both("character error rate", "글자 오류율 (CER)")),
        tile(_percent(metrics["line_accuracy"]), both("lines fully right", "완전히 맞은 줄")),
        tile(_percent(metrics["word_accuracy"]), both("words right", "맞은 단어")),
        tile(_percent(expected_calibration_error(bins)), both("calibration error (ECE)", "신뢰도 오차 (ECE)")),
        tile(f"{len(lines):,}", both("lines", "글줄")),
    ]
    about = [
        (both("Model", "모델"), escape(evaluated.model)),
        (both("Data", "데이터"), f"<code>{escape(evaluated.data)}</code>"),
    ]
    if unreadable:
        about.append((both("Left out: no image", "제외: 이미지 없음"), f"{unreadable:,}"))
    return (
        f'<main><div class="tiles">{"".join(tiles)}</div><div class="card">{facts(about)}</div>'
        f"<h2>{both('By script', '문자별')}</h2>"
        f'<div class="card halves"><div>{_scripts(lines, metrics)}</div><div>{_confusions(lines)}</div></div>'
        f"<h2>{both('Is the confidence true?', '신뢰도는 정확한가?')}</h2>"
        f'<p class="muted">{calibration}</p>'
        f'<div class="card halves"><div>{reliability_diagram(bins)}</div><div>{_bins(bins)}</div></div>'
    )


_CALIBRATIONS = {
    "bundle": both(
        "Confidence as the bundle's own calibration gives it: of lines read with 0.9, nine characters in ten should be "
        "right.",
        "번들에 들어 있는 보정을 거친 신뢰도입니다. 0.9로 읽은 줄에서는 글자 열 개 가운데 아홉 개가 맞아야 합니다.",
    ),
    "folds": both(
        "Confidence calibrated on these lines, each half on the other half: of lines read with 0.9, nine characters in "
        "ten should be right.",
        "이 글줄들을 둘로 나누어 서로 다른 절반으로 보정한 신뢰도입니다. 0.9로 읽은 줄에서는 글자 열 개 가운데 아홉 "
        "개가 맞아야 합니다.",
    ),
}


def _scripts(lines: Sequence[ReadLine], metrics: Mapping[str, float]) -> str:
    characters: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for line in lines:
        for a, b in line.pairs:
            name = script(a or b)
            characters[name] += bool(a)
            errors[name] += a != b
    rates = {name: metrics[f"cer_{name}"] for name in SCRIPTS if f"cer_{name}" in metrics}
    highest = max([*rates.values(), 1e-9])
    head = [both("Script", "문자"), both("characters", "글자 수"), both("errors", "오류"), "CER", ""]
    rows = [
        [
            both(*_SCRIPT_NAMES[name]),
            f"{characters[name]:,}",
            f"{errors[name]:,}",
            _percent(rate, 2),
            f'<span class="track"><i style="width:{100 * rate / highest:.1f}%"></i></span>',
        ]
        for name, rate in rates.items()
    ]
    return table(head, rows, numeric=(1, 2, 3))


def _confusions(lines: Sequence[ReadLine]) -> str:
    counts = Counter(pair for line in lines for pair in line.pairs if pair[0] != pair[1])
    if not counts:
        return f"<p>{both('Every character was read right.', '모든 글자를 바르게 읽었습니다.')}</p>"
    nothing = f'<span class="muted">{both("nothing", "없음")}</span>'
    rows = [
        [_visible(a, "del") if a else nothing, _visible(b, "ins") if b else nothing, f"{count:,}"]
        for (a, b), count in counts.most_common(_CONFUSIONS)
    ]
    head = [both("Is", "실제"), both("read as", "읽은 글자"), both("times", "횟수")]
    return f'<div class="confusions">{table(head, rows, numeric=(2,))}</div>'


def _bins(bins: Sequence[ReliabilityBin]) -> str:
    head = [
        both("Confidence", "신뢰도"),
        both("lines", "글줄"),
        both("mean confidence", "평균 신뢰도"),
        both("characters right", "맞은 글자"),
    ]
    rows = [
        [f"{row.low:.1f}–{row.high:.1f}", f"{row.count:,}", f"{row.confidence:.3f}", f"{row.accuracy:.3f}"]
        for row in bins
    ]
    return table(head, rows, numeric=(1, 2, 3))


def _worst(shown: Sequence[tuple[float, ReadLine]], total: int, source: LineSource) -> str:
    choices = "".join(
        f'<option value="{name}">{english} · {korean}</option>' for name, (english, korean) in _SCRIPT_NAMES.items()
    )
    note = both(
        f"The worst {len(shown):,} of {total:,} lines; <code>{LOG}</code> and <code>{TABLE}</code> beside this page "
        "list all of them.",
        f"{total:,}줄 가운데 가장 나쁜 {len(shown):,}줄입니다. 모든 줄은 이 파일과 같은 폴더의 <code>{LOG}</code>와 "
        f"<code>{TABLE}</code>에 있습니다.",
    )
    cards = "".join(_card(cer, line, source) for cer, line in shown)
    return (
        f"<h2>{both('Lines', '글줄')}</h2><p class='muted'>{note}</p>"
        f'<div class="filters"><label>{both("Search", "찾기")} <input type="search" id="search"></label>'
        f"<label>{both('Errors in', '오류가 있는 문자')} "
        f'<select id="script"><option value="">–</option>{choices}</select></label>'
        f'<output id="shown"></output></div><div class="lines">{cards}</div></main>'
    )


def _card(cer: float, line: ReadLine, source: LineSource) -> str:
    wrong = sorted({script(a or b) for a, b in line.pairs if a != b})
    sought = escape(f"{line.name}\n{comparable(line.truth)}\n{comparable(line.prediction)}".lower())
    nothing = f'<span class="muted">{both("nothing", "없음")}</span>'
    picture, width = _picture(source.line(line.sample).image)
    long = " long" if width > _LONG else ""
    return (
        f'<article class="card line{long}" data-scripts="{" ".join(wrong)}" data-text="{sought}">'
        f"<header><b>CER {_percent(cer)}</b><span>{both('confidence', '신뢰도')} {line.confidence:.2f}</span>"
        f"<code>{escape(line.name)}</code></header>{picture}"
        f"<dl><dt>{both('truth', '정답')}</dt><dd>{_marked(line.pairs, 0, 'del') or nothing}</dd>"
        f"<dt>{both('read', '읽음')}</dt><dd>{_marked(line.pairs, 1, 'ins') or nothing}</dd></dl></article>"
    )


def _marked(pairs: Sequence[tuple[str, str]], side: int, tag: str) -> str:
    """One side of the pairs, with the runs that differ from the other side marked."""
    runs = (
        (same, "".join(pair[side] for pair in run)) for same, run in groupby(pairs, key=lambda pair: pair[0] == pair[1])
    )
    return "".join(escape(text) if same else _visible(text, tag) for same, text in runs)


def _visible(text: str, tag: str) -> str:
    """Differing characters, marked; spaces as signs that can be seen."""
    return f"<{tag}>{escape(text.replace(' ', '␣'))}</{tag}>" if text else ""


def _picture(crop: np.ndarray) -> tuple[str, int]:
    """The reduced crop as an element, and its width in px as it is shown."""
    scale = min(1.0, _CROP_HEIGHT / crop.shape[0])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    small = fit_within(cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if scale < 1 else crop, _CROP_WIDTH)
    height, width = small.shape[:2]
    element = f'<img src="{jpeg_uri(small)}" width="{width}" height="{height}" alt="" loading="lazy">'
    return element, round(width * _CROP_HEIGHT / height)


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"
