"""Which character is likely to follow which others: an n-gram model of characters, and what it makes of a line.

A network sees strokes; that 주십시오 is a word and 추십시오 is not is knowledge of a language model. It is used only
where the network is in doubt, among the characters that the network itself holds possible (shallow fusion).
"""

import io
import math
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from common.errors import ExpectedError

FILE = "language_model.npz"  # in a bundle
ORDER = 4  # characters of the longest n-grams
START, END = 2, 3  # code points before and after a text
_DIGIT = ord("0")  # all digits count as this one: a model of texts knows nothing of numbers
_UNKNOWN = 16.0  # -log probability of a character that the texts never held
_BACKOFF = -math.log(0.4)
_STEPS = 16  # levels of -log probability a unit, in one byte
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_OFFSET = np.uint64(0x632BE5AB)
_BEAM = 4


class LanguageModelError(ExpectedError, ValueError):
    """A file that holds no language model, or texts that make none."""


class LanguageModel:
    """N-grams of up to `ORDER` characters with stupid backoff (Brants et al., EMNLP 2007): the relative frequency of
    the longest n-gram that is known, times 0.4 for each character that had to be left out before it.

    N-grams are known by 32 bits of their hash, so one in some 4,000 that never occurred is taken for one that did; five
    bytes each in memory.

    Args:
        keys: uint32 [n], ascending.
        values: uint8 [n], -log probability in steps of 1/16.
    """

    def __init__(self, keys: np.ndarray, values: np.ndarray):
        self._keys = keys
        self._values = values.astype(np.float32) / _STEPS

    def __len__(self) -> int:
        return len(self._keys)

    def score(self, points: np.ndarray) -> np.ndarray:
        """Log-probabilities, float32 [m], of last characters after those before them.

        Args:
            points: uint32 [m, ORDER], folded code points (`fold`).
        """
        keys = np.stack([(hashed >> np.uint64(32)).astype(np.uint32) for hashed in hashes(points)])
        found = np.searchsorted(self._keys, keys)
        found[found == len(self._keys)] = 0
        known = self._keys[found] == keys
        left_out = np.argmax(known[::-1], axis=0)  # of the longest n-gram
        value = self._values[found[ORDER - 1 - left_out, np.arange(keys.shape[1])]]
        return -np.where(known.any(axis=0), value + left_out * _BACKOFF, _UNKNOWN + ORDER * _BACKOFF)

    @classmethod
    def of(cls, texts: Sequence[str], least: Sequence[int] = (1, 2, 3, 3)) -> "LanguageModel":
        """Count the n-grams of texts.

        Args:
            least: occurrences of n-grams of 1, 2, … characters that are kept.

        Raises:
            LanguageModelError: no text holds a character.
        """
        edges = [chr(START)] * (ORDER - 1)
        joined = "".join("".join([*edges, " ".join(text.split()), chr(END)]) for text in texts if text.strip())
        if not joined:
            raise LanguageModelError("no text to learn a language from")
        points = fold(np.frombuffer(joined.encode("utf-32-le"), np.uint32))
        windows = np.lib.stride_tricks.sliding_window_view(points, ORDER)
        windows = windows[windows[:, -1] != START]  # one for each character and each end
        keys, values = [], []
        before = None  # how often the n-gram without its last character occurs, by window
        for size, hashed in enumerate(hashes(windows), start=1):
            _, first, count = np.unique(hashed, return_index=True, return_counts=True)
            base = np.full(len(first), len(windows)) if before is None else before[first]
            kept = count >= least[size - 1]
            keys.append((hashed[first[kept]] >> np.uint64(32)).astype(np.uint32))
            values.append(np.log(base[kept] / count[kept]) * _STEPS)
            if size < ORDER:
                context = hashes(windows[:, ORDER - 1 - size : ORDER - 1])[-1]
                _, place, count = np.unique(context, return_inverse=True, return_counts=True)
                before = count[place]
        merged, order = np.concatenate(keys), np.concatenate(values)
        by_key = np.argsort(merged, kind="stable")
        return cls(merged[by_key], np.clip(np.round(order[by_key]), 0, 255).astype(np.uint8))

    @classmethod
    def load(cls, content: bytes) -> "LanguageModel":
        """Return the model of a file written by `save`.

        Raises:
            LanguageModelError: it is none.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                gaps, values = file["gaps"], file["values"]
            gaps = np.ascontiguousarray(gaps.T).view("<u4")[:, 0]
            if len(gaps) != len(values) or not len(values) or values.dtype != np.uint8:
                raise ValueError("arrays do not fit")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise LanguageModelError(
                f"this is not a language model ({error}); make one with `ocray language-model`"
            ) from error
        return cls(np.cumsum(gaps, dtype=np.uint64).astype(np.uint32), values)

    def save(self) -> bytes:
        """As a file: gaps between keys, lowest bytes first, which compress to half of what the keys would take."""
        gaps = np.diff(self._keys, prepend=np.uint32(0)).astype("<u4")
        buffer = io.BytesIO()
        planes = gaps.view(np.uint8).reshape(-1, 4).T
        np.savez_compressed(buffer, gaps=planes, values=np.round(self._values * _STEPS).astype(np.uint8))
        return buffer.getvalue()


def fold(points: np.ndarray) -> np.ndarray:
    """Code points with all digits made one."""
    return np.where((points >= _DIGIT) & (points <= _DIGIT + 9), np.uint32(_DIGIT), points)


def hashes(points: np.ndarray) -> list[np.ndarray]:
    """Hashes, uint64 [m], of the last 1, 2, … of code points [m, n]."""
    hashed = np.zeros(len(points), np.uint64)
    results = []
    for column in points.T[::-1]:
        hashed = (hashed ^ (column.astype(np.uint64) + _OFFSET)) * _MULTIPLIER
        hashed = hashed ^ (hashed >> np.uint64(31))
        results.append(hashed)
    return results


def likeliest(alternatives: Sequence[Sequence[tuple[str, float]]], model: LanguageModel, weight: float) -> list[int]:
    """Choose one of the alternatives of each place of a line: a beam search over visual log-probability plus `weight`
    times the model's.

    Args:
        alternatives: (character, log-probability) for each place, the likeliest first; one where there is no doubt.

    Returns:
        The number of the chosen alternative, for each place.
    """
    start = (START,) * (ORDER - 1)
    beam: list[tuple[tuple[int, ...], list[int], float]] = [(start, [], 0.0)]  # last points, choices, score
    sure = ORDER  # places since the last one in doubt
    for choices in alternatives:
        points = [_DIGIT if character.isdigit() else ord(character) for character, _ in choices]
        sure = sure + 1 if len(choices) == 1 else 0
        if len(choices) == 1 and len(beam) == 1:
            last, chosen, score = beam[0]
            beam = [((*last[1:], points[0]), [*chosen, 0], score)]
            continue
        scores = model.score(np.array([(*last, point) for last, _, _ in beam for point in points], np.uint32))
        paths = [
            ((*last[1:], point), [*chosen, number], score + visual)
            for last, chosen, score in beam
            for number, (point, (_, visual)) in enumerate(zip(points, choices, strict=True))
        ]
        paths = [(*path[:2], path[2] + weight * float(more)) for path, more in zip(paths, scores, strict=True)]
        paths.sort(key=lambda path: -path[2])
        # Behind as many places without doubt as an n-gram reaches back, paths differ by nothing that is still to come.
        beam = paths[: 1 if sure >= ORDER - 1 else _BEAM]
    if len(beam) > 1:
        ends = model.score(np.array([(*last, END) for last, _, _ in beam], np.uint32))
        best, _ = max(zip(beam, ends, strict=True), key=lambda path: path[0][2] + weight * float(path[1]))
        return best[1]
    return beam[0][1]
