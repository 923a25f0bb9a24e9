"""Greedy decoding of connectionist temporal classification (Graves et al., ICML 2006)."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

BLANK = 0
_IN_NUMBERS = ".,:/-"
_LEAST = 1e-6  # probabilities are kept so far from 0 and 1 that their log-odds are finite


class Calibration(BaseModel):
    """Makes confidences true: of the lines read with confidence c, the share c of the characters is right.

    Logistic calibration (Platt, 1999) of the geometric mean p of the probabilities of a line's characters:
    logit(confidence) = scale * logit(p) + offset. Fitted on validation lines, see `trainers.recognition_metrics`.
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
) -> list[tuple[str, float]]:
    """Read the likeliest path: repeats merged, blanks dropped.

    Args:
        probabilities: (N, T, C) float32, softmax over C classes, class 0 blank.
        characters: C strings, the first one for the blank.
        calibration: makes confidences of geometric means.
        space_bonus: log of what the space's probability is multiplied with. Narrow gaps between words look like wide
            ones between letters, so a network leaves more spaces out than it makes up.

    Returns:
        (text, confidence) a line, 0 for no text. Without a calibration the confidence is the mean probability of the
        characters kept.
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
        text = "".join(characters[index] for index in classes)
        results.append((text, _confidence(probabilities[line, steps, classes], calibration) if len(classes) else 0.0))
    return results


def _drop_helped(
    starts: np.ndarray, best: np.ndarray, plain: np.ndarray, space: int, characters: Sequence[str]
) -> None:
    """Take out of a line's `starts` (bool [T]) the spaces within a number that are there by the bonus alone.

    Args:
        best: [T] classes with the bonus. plain: [T, C] probabilities without it.
    """
    columns = np.flatnonzero(starts)
    for before, column, after in zip(columns, columns[1:], columns[2:], strict=False):
        if best[column] != space or not characters[best[after]].isdigit():
            continue
        left = characters[best[before]]
        run = plain[column:after][best[column:after] == space]
        if (left.isdigit() or left in _IN_NUMBERS) and not (run.argmax(axis=1) == space).any():
            starts[column] = False


def _confidence(kept: np.ndarray, calibration: Calibration | None) -> float:
    if calibration is None:
        return float(kept.mean())
    return float(calibration(np.exp(np.log(np.maximum(kept, _LEAST)).mean())))
