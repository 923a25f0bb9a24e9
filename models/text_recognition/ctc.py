"""Decoding of connectionist temporal classification (Graves et al., ICML 2006): the likeliest path, and a language
model where that is in doubt."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.text_recognition.language_model import LanguageModel, likeliest

BLANK = 0
_IN_NUMBERS = ".,:/-"
_SURE = 0.98  # a character of this probability is in no doubt
_ALTERNATIVES, _LEAST_LIKELY = 4, 1e-3  # candidates for a doubtful place, and the probability that each must have
_LEAST = 1e-6  # probabilities are kept so far from 0 and 1 that their log-odds are finite


class DecodedLine(NamedTuple):
    """A line: its text, its confidence (0 for no text), and the step at which each character of the text begins."""

    text: str
    confidence: float
    steps: tuple[int, ...]


class Calibration(BaseModel):
    """Makes confidences true: of the lines read with confidence c, the share c of the characters is right.

    Logistic calibration (Platt, 1999) of the geometric mean p of the probabilities of a line's characters:
    logit(confidence) = scale * logit(p) + offset. Fitted on validation lines, see `trainers.recognition.metrics`.
    """

    model_config = ConfigDict(extra="forbid")
    scale: float = Field(default=1.0, gt=0)
    offset: float = 0.0

    def __call__(self, probability: np.ndarray | float) -> np.ndarray | float:
        """Confidences in 0..1 of geometric means in 0..1."""
        return 1 / (1 + np.exp(-(self.scale * log_odds(probability) + self.offset)))


def log_odds(probability: np.ndarray | float) -> np.ndarray | float:
    """logit(probability), finite also at 0 and 1."""
    probability = np.clip(np.asarray(probability, np.float64), _LEAST, 1 - _LEAST)
    return np.log(probability) - np.log1p(-probability)


def decode(
    probabilities: np.ndarray,
    characters: Sequence[str],
    calibration: Calibration | None = None,
    space_bonus: float = 0.0,
    language: LanguageModel | None = None,
    language_weight: float = 0.0,
) -> list[DecodedLine]:
    """Read the likeliest path: repeats merged, blanks dropped. Where one of its characters is in doubt, the language
    model helps to choose among the four most probable characters.

    Args:
        probabilities: (N, T, C) float32, softmax over C classes, class 0 blank.
        characters: C strings, the first one for the blank.
        calibration: makes confidences of geometric means.
        space_bonus: log of what the space's probability is multiplied with. Narrow gaps between words look like wide
            ones between letters, so a network leaves more spaces out than it makes up.
        language, language_weight: model, and how much it counts beside the network: log-probabilities are added.

    Returns:
        The lines; without a calibration the confidence is the mean probability of the characters kept.
    """
    space = characters.index(" ") if space_bonus and " " in characters else None
    plain = probabilities
    if space is not None:
        probabilities = probabilities.copy()
        probabilities[:, :, space] = np.minimum(probabilities[:, :, space] * np.exp(space_bonus), 1.0)
    best = probabilities.argmax(axis=2)
    starts = best != BLANK
    starts[:, 1:] &= best[:, 1:] != best[:, :-1]
    results = []
    for line, steps in enumerate(starts):
        if space is not None:
            _drop_helped(steps, best[line], plain[line], space, characters)
        classes = best[line, steps]
        kept = probabilities[line, steps, classes]
        if language is not None and language_weight:
            _ask(language, language_weight, probabilities[line], np.flatnonzero(steps), classes, kept, characters)
        columns = np.flatnonzero(steps).tolist()
        written = [characters[int(index)] for index in classes]
        results.append(
            DecodedLine(
                "".join(written),
                _confidence(kept, calibration) if written else 0.0,
                tuple(column for text, column in zip(written, columns, strict=True) for _ in text),
            )
        )
    return results


def _ask(
    language: LanguageModel,
    weight: float,
    probabilities: np.ndarray,
    columns: np.ndarray,
    classes: np.ndarray,
    kept: np.ndarray,
    characters: Sequence[str],
) -> None:
    """Change `classes` and `kept`, [places], where the language model decides for others.

    Args:
        probabilities: [T, C] of the line. columns: [places], where each character begins.
    """
    doubts: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # place → its classes, their probabilities
    for place in np.flatnonzero(kept <= _SURE).tolist():
        end = columns[place + 1] if place + 1 < len(columns) else len(probabilities)
        run = probabilities[columns[place] : end]
        run = run[: _length(run.argmax(axis=1), int(classes[place]))]
        if run[:, classes[place]].max() > _SURE:
            continue
        likely = run.max(axis=0)
        likely[BLANK] = 0
        top = np.argpartition(-likely, min(_ALTERNATIVES, len(likely)) - 1)[:_ALTERNATIVES]
        top = top[np.argsort(-likely[top], kind="stable")]
        top = top[likely[top] > _LEAST_LIKELY]
        if len(top) > 1:
            doubts[place] = top, likely[top]
    if not doubts:
        return
    alternatives = [[(characters[int(index)], 0.0)] for index in classes]
    for place, (top, likely) in doubts.items():
        alternatives[place] = [
            (characters[int(index)], math.log(value))
            for index, value in zip(top.tolist(), likely.tolist(), strict=True)
        ]
    chosen = likeliest(alternatives, language, weight)
    for place, (top, likely) in doubts.items():
        if (index := top[chosen[place]]) != classes[place]:
            classes[place], kept[place] = index, likely[chosen[place]]


def _length(best: np.ndarray, index: int) -> int:
    """Return the number of a place's first steps that are of one class."""
    others = np.flatnonzero(best != index)
    return int(others[0]) if len(others) else len(best)


def _drop_helped(
    starts: np.ndarray, best: np.ndarray, plain: np.ndarray, space: int, characters: Sequence[str]
) -> None:
    """Take out of a line's `starts` (bool [T]) the spaces within a number that are there by the bonus alone.

    Args:
        best: [T] classes with the bonus. plain: [T, C] probabilities without it.
    """
    columns = np.flatnonzero(starts).tolist()
    for before, column, after in zip(columns, columns[1:], columns[2:], strict=False):
        if best[column] != space or not characters[int(best[after])].isdigit():
            continue
        left = characters[int(best[before])]
        run = plain[column:after][best[column:after] == space]
        if (left.isdigit() or left in _IN_NUMBERS) and not (run.argmax(axis=1) == space).any():
            starts[column] = False


def _confidence(kept: np.ndarray, calibration: Calibration | None) -> float:
    if calibration is None:
        return float(kept.mean())
    return float(calibration(np.exp(np.log(np.maximum(kept, _LEAST)).mean())))
