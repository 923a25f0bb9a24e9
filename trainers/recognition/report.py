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

from common.html import render
from common.pictures import jpeg_uri
from models.geometry import fit_within
from models.text_recognition.ctc import Calibration
from trainers.core.sample_log import write_log
from trainers.core.task import Evaluated
from trainers.recognition.metrics import (
    SCRIPTS,
    align,
    character_accuracy,
    comparable,
    cross_calibrated,
    error_rate,
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
_JPEG_QUALITY = 72
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
        """See `error_rate`."""
        return error_rate(self.pairs)


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
    html = render(
        "trainers.recognition/report.html",
        model=evaluated.model,
        data=evaluated.data,
        metrics=evaluated.metrics,
        calibrated=bool(calibration),
        calibration_error=expected_calibration_error(bins),
        total=len(lines),
        unreadable=len(predictions["used"]) - len(used),
        scripts=_by_script(lines, evaluated.metrics),
        script_names=_SCRIPT_NAMES,
        confusions=_confusions(lines),
        bins=bins,
        diagram=reliability_diagram(bins),
        lines=[_shown(cer, line, source) for cer, line in shown],
        log=LOG,
        parquet=TABLE,
        percent=_percent,
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


@dataclass(frozen=True)
class _ScriptRow:
    """A script's row: its `names` in both languages, its error `rate`, and that rate's share of the highest one."""

    names: tuple[str, str]
    characters: int
    errors: int
    rate: float
    bar: float


def _by_script(lines: Sequence[ReadLine], metrics: Mapping[str, float]) -> list[_ScriptRow]:
    characters: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for line in lines:
        for a, b in line.pairs:
            name = script(a or b)
            characters[name] += bool(a)
            errors[name] += a != b
    rates = {name: metrics[f"cer_{name}"] for name in SCRIPTS if f"cer_{name}" in metrics}
    highest = max([*rates.values(), 1e-9])
    return [
        _ScriptRow(_SCRIPT_NAMES[name], characters[name], errors[name], rate, rate / highest)
        for name, rate in rates.items()
    ]


def _confusions(lines: Sequence[ReadLine]) -> list[tuple[str, str, int]]:
    """Return the most frequent (true character, what was read instead, count); "" for nothing."""
    counts = Counter(pair for line in lines for pair in line.pairs if pair[0] != pair[1])
    return [(_visible(a), _visible(b), count) for (a, b), count in counts.most_common(_CONFUSIONS)]


@dataclass(frozen=True)
class _ShownLine:
    """A line with its picture.

    Attributes:
        wrong_scripts: of the characters in error.
        sought: what the page's search looks in.
        picture: a `data:` URI; width, height: of the picture, px.
        long: it takes the page's whole width.
        truth, read: runs of characters, each with whether it is the same on both sides.
    """

    name: str
    cer: float
    confidence: float
    wrong_scripts: list[str]
    sought: str
    picture: str
    width: int
    height: int
    long: bool
    truth: list[tuple[bool, str]]
    read: list[tuple[bool, str]]


def _shown(cer: float, line: ReadLine, source: LineSource) -> _ShownLine:
    picture = _reduced(source.line(line.sample).image)
    height, width = picture.shape[:2]
    return _ShownLine(
        name=line.name,
        cer=cer,
        confidence=line.confidence,
        wrong_scripts=sorted({script(a or b) for a, b in line.pairs if a != b}),
        sought=f"{line.name}\n{comparable(line.truth)}\n{comparable(line.prediction)}".lower(),
        picture=jpeg_uri(picture, _JPEG_QUALITY),
        width=width,
        height=height,
        long=round(width * _CROP_HEIGHT / height) > _LONG,
        truth=_runs(line.pairs, 0),
        read=_runs(line.pairs, 1),
    )


def _runs(pairs: Sequence[tuple[str, str]], side: int) -> list[tuple[bool, str]]:
    """One side of the pairs, in runs that are the same as the other side or differ from it."""
    runs = [
        (same, "".join(pair[side] for pair in run)) for same, run in groupby(pairs, key=lambda pair: pair[0] == pair[1])
    ]
    return [(same, text if same else _visible(text)) for same, text in runs if text]


def _visible(text: str) -> str:
    """Text with its spaces as signs that can be seen."""
    return text.replace(" ", "␣")


def _reduced(crop: np.ndarray) -> np.ndarray:
    scale = min(1.0, _CROP_HEIGHT / crop.shape[0])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    return fit_within(cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if scale < 1 else crop, _CROP_WIDTH)


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"
