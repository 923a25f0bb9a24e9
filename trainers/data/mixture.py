"""Several sources given out as one, each with its share."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

Source = TypeVar("Source")


class Mixture(Generic[Source]):
    """Chooses a source for each index.

    Args:
        sources: each with its share (10 and 1: ten samples of the first to one of the second).
        seed: decides which source an index is of.
    """

    def __init__(self, sources: Sequence[tuple[Source, float]], seed: int):
        self._sources, shares = zip(*sources, strict=True)
        self._ends = np.cumsum(shares) / sum(shares)
        self._seed = seed

    def source(self, index: int) -> Source:
        """Return the source of the sample with this index."""
        draw = np.random.default_rng([self._seed, index]).random()
        number = min(int(np.searchsorted(self._ends, draw, side="right")), len(self._sources) - 1)
        return self._sources[number]
