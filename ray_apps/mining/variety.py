"""Near-duplicates: a set for labelling should not hold the same words fifty times."""

import re
import unicodedata
from collections import Counter

_ALIKE = 0.7  # share of common bigrams (Jaccard) from which two texts are near-duplicates


class Variety:
    """Texts that were taken, and whether another one is unlike all of them.

    Case, width, spaces and punctuation do not count; neither do the digits of a text with letters ("Total 12.40" and
    "Total 8.90" are near-duplicates), while figures alone are compared as they are.
    """

    def __init__(self) -> None:
        self._sizes: list[int] = []  # bigrams of each text taken
        self._holders: dict[str, list[int]] = {}  # bigram → the texts taken that hold it

    def take(self, text: str) -> bool:
        """Take the text if it is new; says whether it was."""
        bigrams = _bigrams(text)
        shared = Counter(number for bigram in bigrams for number in self._holders.get(bigram, ()))
        for number, common in shared.items():
            if common / (len(bigrams) + self._sizes[number] - common) >= _ALIKE:
                return False
        for bigram in bigrams:
            self._holders.setdefault(bigram, []).append(len(self._sizes))
        self._sizes.append(len(bigrams))
        return True


def _bigrams(text: str) -> set[str]:
    """Pairs of neighbouring characters, with a mark at both ends."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    key = re.sub(r"[\W_]", "", plain) or plain
    if re.search(r"[^\W\d_]", key):
        key = re.sub(r"\d", "0", key)
    key = f"\x02{key}\x03"
    return {key[i : i + 2] for i in range(len(key) - 1)}
