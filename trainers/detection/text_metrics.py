"""Text quality of pages and lines.

Page figures are free of order, folded in case and NFKC-normalised: the words of a page are the multiset of its `\\w+`
tokens, its characters the multiset of its non-space characters; precision, recall and F1 are over the sum of all pages.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field


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
class F1:
    """Precision, recall and F1 of multisets, summed over pages."""

    matched: int = 0
    read: int = 0
    true: int = 0

    def add(self, read: Counter[str], true: Counter[str]) -> None:
        """Count one page."""
        self.matched += (read & true).total()
        self.read += read.total()
        self.true += true.total()

    @property
    def precision(self) -> float:
        return self.matched / self.read if self.read else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.true if self.true else 0.0

    @property
    def value(self) -> float:
        """F1 in 0..1; 0 when nothing was read or nothing is there."""
        return 2 * self.matched / (self.read + self.true) if self.read + self.true else 0.0


@dataclass
class TextScore:
    """Word and character F1 over pages."""

    words: F1 = field(default_factory=F1)
    characters: F1 = field(default_factory=F1)

    def add(self, read: str, true: str) -> None:
        """Count one page's text as read against its true text."""
        self.words.add(words(read), words(true))
        self.characters.add(characters(read), characters(true))
