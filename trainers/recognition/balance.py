"""Word frequencies balanced: how often each line of a training set should come, by how rare its words are.

Domain sets repeat themselves (the same labels on every form), and a network that sees them as they come learns the
frequent words by heart and neglects the rest.
"""

import re
from collections.abc import Sequence

import numpy as np

from trainers.recognition.metrics import comparable

_DIGIT = re.compile(r"\d")


def rarity_weights(sets: Sequence[Sequence[str]], shares: Sequence[float], balance: float) -> list[np.ndarray]:
    """Weights of lines, each set's with mean 1: the mean over a line's words of frequency^-balance.

    A word's frequency is how often it is met when the sets are read in their shares. Figures count as one word when
    they have the same form (12,340 and 98,700), since they would all be rare.

    Args:
        sets: texts of each set, none of them empty.
        shares: of each set's lines, for one line.
        balance: 0..1; 1 is fully balanced.
    """
    numbers: dict[str, int] = {}
    words = [[[numbers.setdefault(word, len(numbers)) for word in _words(text)] for text in texts] for texts in sets]
    frequency = np.zeros(len(numbers))
    for lines, share in zip(words, shares, strict=True):
        frequency += share * np.bincount([n for line in lines for n in line], minlength=len(numbers))
    rarity = (frequency / frequency.max()) ** -balance
    weights = [np.array([rarity[line].mean() for line in lines]) for lines in words]
    return [values / values.mean() for values in weights]


def weighted_round(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many indices as there are weights (of mean 1), each as often as its weight says, rounded down or up at random.

    Systematic sampling: a line of weight 1 or more comes in every round, and the mean over rounds is exact.
    """
    order = rng.permutation(len(weights))
    ends = np.cumsum(weights[order])
    ends *= len(weights) / ends[-1]
    ends[-1] = len(weights)  # no rounding error may cost the last one
    offset = 1 - rng.random()  # in (0, 1]: points at offset, offset + 1, …; each falls on one line
    counts = np.diff(np.floor(ends - offset).astype(np.int64) + 1, prepend=0)
    return np.repeat(order, counts)


def _words(text: str) -> list[str]:
    """Words as they are counted; a text without any is one empty word."""
    return _DIGIT.sub("0", comparable(text).casefold()).split() or [""]
