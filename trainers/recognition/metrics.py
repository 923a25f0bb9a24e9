"""How well lines were read: character error rate, words, whole lines, scripts, and whether confidences are true.

Texts are compared after `comparable`: NFC, runs of white space as one space, none at the ends; case counts. Errors are
those of a minimal edit alignment (Levenshtein, 1966), summed over all lines (micro).
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.text_recognition.ctc import Calibration, log_odds

SCRIPTS = ("hangul", "latin", "digit", "space", "han", "other")
# Bonuses of the space (see `ctc.decode`) from which validation chooses.
SPACE_BONUSES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
# Weights of the language model, likewise.
LANGUAGE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_BINS = 10  # of a reliability table
_HANGUL = ((0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xD7B0, 0xD7FF))


def comparable(text: str) -> str:
    """Return a text in the form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def script(character: str) -> str:
    """One of `SCRIPTS`; punctuation and symbols are `other`."""
    code = ord(character)
    if character.isspace():
        return "space"
    if any(first <= code <= last for first, last in _HANGUL):
        return "hangul"
    if character.isdecimal():
        return "digit"
    if 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF:
        return "han"
    return "latin" if "LATIN" in unicodedata.name(character, "") else "other"


def align(true: Sequence[str], read: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs (true, read) of a minimal edit alignment; an item that is missing on one side faces "".

    Of equally short alignments the one with the latest replacements counts. rapidfuzz breaks such ties otherwise: the
    CER would be the same, but not words, scripts and calibrations, and so not comparable with those in bundles' cards.

    >>> align("cat", "at!")
    [('c', ''), ('a', 'a'), ('t', 't'), ('', '!')]
    """
    start = 0
    while start < min(len(true), len(read)) and true[start] == read[start]:
        start += 1
    end = 0
    while end < min(len(true), len(read)) - start and true[-1 - end] == read[-1 - end]:
        end += 1
    same, tail = list(true[:start]), list(true[len(true) - end :])
    true, read = true[start : len(true) - end], read[start : len(read) - end]
    rows = [list(range(len(read) + 1))]
    for i, a in enumerate(true, start=1):
        above, row = rows[-1], [i]
        for j, b in enumerate(read, start=1):
            row.append(min(above[j - 1] + (a != b), above[j] + 1, row[j - 1] + 1))
        rows.append(row)
    pairs: list[tuple[str, str]] = []
    i, j = len(true), len(read)
    while i or j:
        if i and j and rows[i][j] == rows[i - 1][j - 1] + (true[i - 1] != read[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((true[i], read[j]))
        elif i and rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
            pairs.append((true[i], ""))
        else:
            j -= 1
            pairs.append(("", read[j]))
    return [(c, c) for c in same] + pairs[::-1] + [(c, c) for c in tail]


def error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the CER of one line's alignment: edits ÷ true characters; more than 1 when much was read that is not
    there. An empty truth counts as one character."""
    return sum(a != b for a, b in pairs) / max(1, sum(bool(a) for a, _ in pairs))


def character_accuracy(true: str, read: str) -> float:
    """Right characters ÷ length of the alignment, 0..1: what a line's confidence estimates."""
    pairs = align(comparable(true), comparable(read))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0


def recognition_metrics(true: Iterable[str], read: Iterable[str]) -> dict[str, float]:
    """`cer`, `word_accuracy`, `line_accuracy`, and `cer_SCRIPT` for each script that occurs in the truth.

    Words are what white space parts; the share of true words that face themselves in the line's word alignment counts.
    An error is the script's of the true character, an inserted character its own script's.
    """
    edits: dict[str, int] = defaultdict(int)
    characters: dict[str, int] = defaultdict(int)
    words = words_right = lines = lines_right = 0
    for truth, text in zip(true, read, strict=True):
        truth, text = comparable(truth), comparable(text)
        lines += 1
        lines_right += truth == text
        for a, b in align(truth, text):
            name = script(a or b)
            characters[name] += bool(a)
            edits[name] += a != b
        true_words = truth.split()
        words += len(true_words)
        words_right += sum(a == b for a, b in align(true_words, text.split()))
    metrics = {
        "cer": sum(edits.values()) / max(1, sum(characters.values())),
        "line_accuracy": lines_right / max(1, lines),
        "word_accuracy": words_right / max(1, words),
    }
    return metrics | {f"cer_{name}": edits[name] / characters[name] for name in SCRIPTS if characters[name]}


def best_reading(true: Sequence[str] | np.ndarray, read: np.ndarray) -> int:
    """Return the number of the column with the most words right; of equal ones that with the lowest CER, then the
    first. `read` [lines, columns] are strings, for example decoded with rising bonuses of the space: a space is one
    character in the CER, but without it two words are wrong."""
    rates: list[tuple[float, float]] = []
    for column in read.T:
        # Only what differs needs to be aligned again.
        if rates and (column == read[:, len(rates) - 1]).all():
            rates.append(rates[-1])
        else:
            metrics = recognition_metrics(true, column)
            rates.append((-metrics["word_accuracy"], metrics["cer"]))
    return rates.index(min(rates))


def fit_calibration(probability: np.ndarray, accuracy: np.ndarray) -> Calibration:
    """Logistic calibration of lines' geometric mean probabilities (0..1) to their character accuracies (0..1).

    Cross-entropy with soft targets and a pull towards "as it is" worth one line, so that few or faultless lines do no
    harm; lines without text (probability 0) do not take part. Newton's method.
    """
    use = probability > 0
    x, y = log_odds(probability[use]), np.asarray(accuracy, np.float64)[use]
    design = np.stack([x, np.ones_like(x)], axis=1)
    start = np.array([1.0, 0.0])
    value = start.copy()
    for _ in range(50):
        share = 1 / (1 + np.exp(-np.clip(design @ value, -30, 30)))
        gradient = design.T @ (share - y) + (value - start)
        hessian = design.T @ (design * (share * (1 - share))[:, None]) + np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        value = value - step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    # Confidence must grow with probability, whatever an untrained network does.
    return Calibration(scale=float(max(value[0], 0.05)), offset=float(value[1]))


def cross_calibrated(probability: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Confidences in 0..1 of lines, each half of them calibrated on the other half; 0 where nothing was read."""
    confidence = np.zeros(len(probability))
    for part in (slice(0, None, 2), slice(1, None, 2)):
        other = slice(1 - part.start, None, 2)
        confidence[part] = fit_calibration(probability[other], accuracy[other])(probability[part])
    confidence[probability == 0] = 0.0
    return confidence


@dataclass(frozen=True)
class ReliabilityBin:
    """Lines whose confidence lies in low..high: how sure they are on average, and how right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(confidence: np.ndarray, accuracy: np.ndarray) -> list[ReliabilityBin]:
    """Return the reliability table: ten equally wide bins, empty ones left out.

    Args:
        confidence: in 0..1, one a line.
        accuracy: in 0..1: character accuracies, or 0 and 1 for wrong and right lines.
    """
    number = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    table = []
    for i in range(_BINS):
        inside = number == i
        if count := int(inside.sum()):
            means = float(confidence[inside].mean()), float(accuracy[inside].mean())
            table.append(ReliabilityBin(i / _BINS, (i + 1) / _BINS, count, *means))
    return table


def expected_calibration_error(table: Sequence[ReliabilityBin]) -> float:
    """ECE (Naeini et al., AAAI 2015): the mean |confidence - accuracy| of the bins, weighed by their lines."""
    total = sum(row.count for row in table)
    return sum(row.count * abs(row.confidence - row.accuracy) for row in table) / max(1, total)


def reliability_text(table: Sequence[ReliabilityBin]) -> str:
    """Return the table as text, one bin per line."""
    lines = ["confidence   lines  mean confidence  accuracy"]
    lines += [
        f"{row.low:.2f}-{row.high:.2f}  {row.count:7,d}  {row.confidence:15.3f}  {row.accuracy:8.3f}" for row in table
    ]
    return "\n".join([*lines, f"expected calibration error {expected_calibration_error(table):.4f}"])
