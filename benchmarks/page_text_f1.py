"""Word and character F1 of whole pages.

Both are free of order, folded in case and NFKC-normalised: the words of a page are the multiset of its `\\w+`
tokens, its characters the multiset of its non-space characters; precision, recall and F1 are over the sum of all pages.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

from trainers.detection.metrics import F1


def normalise(text: str) -> str:
    """NFKC and case folding."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> Counter[str]:
    """Multiset of word tokens."""
    return Counter(re.findall(r"\w+", normalise(text)))


def characters(text: str) -> Counter[str]:
    """Multiset of non-space characters."""
    return Counter(re.sub(r"\s", "", normalise(text)))


@dataclass
class TextScore:
    """Word and character F1 over pages."""

    words: F1 = field(default_factory=F1)
    characters: F1 = field(default_factory=F1)

    def add(self, read: str, true: str) -> None:
        """Count one page's text as read against its true text."""
        _count(self.words, words(read), words(true))
        _count(self.characters, characters(read), characters(true))


def _count(total: F1, read: Counter[str], true: Counter[str]) -> None:
    total.matched += (read & true).total()
    total.found += read.total()
    total.true += true.total()
