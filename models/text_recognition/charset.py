"""Charsets: which characters a recogniser can write, and what becomes of labels that hold others.

A charset is a UTF-8 text file with one character a line; the line's number is the character's class (CTC's blank is
class 0). The space, and any other character that cannot be seen, is written as its code point: `U+0020`. Any character
may be written so. There are no comments and no empty lines.

Packaged (in `charsets/`): `ko_ksx1001` with the 2,350 syllables of KS X 1001, `ko_common` with these and 460 more that
people write (봣 됬 떄 쵝: found in two or more of 450,000 Korean sentences), `ko_full` with all 11,172; each with the
space, ASCII, the symbols of Korean documents, the compatibility jamo (ㅋㅋ, ㅠㅠ) and the Hanja of amounts (壹百).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from common.errors import ExpectedError
from models.text_recognition.ctc import BLANK

PACKAGED = Path(__file__).parent / "charsets"
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")


class CharsetError(ExpectedError, ValueError):
    """A charset that cannot be used, or a text that it cannot write; the message names the file, line or characters."""


@dataclass(frozen=True)
class Label:
    """What becomes of a text as a label.

    Attributes:
        text: as the charset writes it; characters that it lacks are still in it.
        decision: `keep`: the text is written as it is; `map`: some characters were replaced by rule; `leave out`: the
            text is empty, or holds characters that the charset lacks.
        outside: the characters that the charset lacks, each once, in order.
    """

    text: str
    decision: Literal["keep", "map", "leave out"]
    outside: str = ""


@dataclass
class LabelSurvey:
    """What a charset makes of many labels."""

    decisions: Counter[str] = field(default_factory=Counter)
    outside: Counter[str] = field(default_factory=Counter)  # character → labels that hold it

    def add(self, label: Label) -> None:
        """Count one label."""
        self.decisions[label.decision] += 1
        self.outside.update(label.outside)

    def __str__(self) -> str:
        counts = self.decisions
        text = f"{counts.total():,} labels: {counts['keep']:,} kept, {counts['map']:,} mapped by rule, "
        text += f"{counts['leave out']:,} left out"
        if self.outside:
            most = ", ".join(f"{printable(character)} {count:,} ×" for character, count in self.outside.most_common(20))
            text += f"; characters outside the charset ({len(self.outside):,}): {most}"
        return text


class Charset:
    """An ordered set of characters; class 0 is CTC's blank, class i the i-th character.

    Args:
        characters: single code points, NFC, each once.
        name: for messages.

    Raises:
        CharsetError: names the first character that is not allowed.
    """

    def __init__(self, characters: Sequence[str], name: str = "charset"):
        seen: set[str] = set()
        for number, character in enumerate(characters, start=1):
            if problem := _problem(character, seen):
                raise CharsetError(f"{name}, line {number}: {printable(character)} {problem}")
            seen.add(character)
        if not seen:
            raise CharsetError(f"{name} is empty")
        self.name = name
        self.characters = tuple(characters)

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: str) -> bool:
        return character in self._classes

    @property
    def classes(self) -> int:
        """Outputs of a network: the characters and the blank."""
        return len(self) + 1

    def encode(self, text: str) -> np.ndarray:
        """Classes of the text's characters, int64 [length].

        Raises:
            CharsetError: names the characters that the charset lacks.
        """
        try:
            return np.array([self._classes[character] for character in text], np.int64)
        except KeyError:
            outside = ", ".join(map(printable, dict.fromkeys(c for c in text if c not in self)))
            raise CharsetError(f"{self.name} lacks {outside} of {text!r}; see Charset.label") from None

    def decode(self, classes: Iterable[int]) -> str:
        """Return the text of classes; blanks are dropped, repeats kept (`ctc.decode` decodes a network's steps)."""
        return "".join(self.characters[index - 1] for index in classes if index != BLANK)

    def label(self, text: str) -> Label:
        """Write `text` with this charset where rules allow it; see `Label`.

        NFC comes first; then each character that the charset lacks is replaced by its rule, if it has one; then runs of
        spaces become one space, and none at the ends: how wide a gap is belongs to the layout, not to the text.
        """
        plain = unicodedata.normalize("NFC", text)
        mapped = plain
        if not self._known.issuperset(plain):
            mapped = "".join(self._write(character) for character in plain)
        mapped = " ".join(part for part in mapped.split(" ") if part)
        outside = "".join(dict.fromkeys(character for character in mapped if character not in self))
        if outside or not mapped:
            return Label(mapped, "leave out", outside)
        return Label(mapped, "keep" if mapped == plain else "map")

    def survey(self, texts: Iterable[str]) -> LabelSurvey:
        """Return a summary of what `label` decides on many texts."""
        survey = LabelSurvey()
        for text in texts:
            survey.add(self.label(text))
        return survey

    def save(self, path: Path) -> None:
        """Write the charset as a file that `charset` reads."""
        path.write_text("".join(f"{_written(character)}\n" for character in self.characters), "utf-8")

    @cached_property
    def _classes(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.characters, start=1)}

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.characters)

    def _write(self, character: str) -> str:
        """Return a character as the charset writes it; rules are applied until a result is wholly in the charset."""
        text = character
        while not self._known.issuperset(text):
            replaced = "".join(c if c in self else RULES.get(c, c) for c in text)
            if replaced == text:
                return character
            text = replaced
        return text


def charset(name_or_path: str | Path) -> Charset:
    """Return a packaged charset by name (`ko_full`), or one from a file.

    Raises:
        CharsetError: no such charset, or the file and line that cannot be used.
    """
    path = PACKAGED / f"{name_or_path}.txt"
    if not re.fullmatch(r"[a-z0-9_]+", str(name_or_path)) or not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        names = sorted(path.stem for path in PACKAGED.glob("*.txt"))
        raise CharsetError(f"no charset {name_or_path}: neither packaged ({', '.join(names)}) nor a file")
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise CharsetError(f"{path} is not UTF-8: {error}") from error
    if lines[-1] == "":
        lines.pop()
    characters = []
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\r")
        code = _CODE_POINT.fullmatch(line)
        if not code and len(line) != 1:
            raise CharsetError(f"{path}, line {number}: {line!r} is not one character; write the space as U+0020")
        if code and int(code[1], 16) > 0x10FFFF:
            raise CharsetError(f"{path}, line {number}: {line} is not a code point")
        characters.append(chr(int(code[1], 16)) if code else line)
    return Charset(characters, path.stem if path.parent == PACKAGED else str(path))


def printable(character: str) -> str:
    """Return a character for messages: with its code point, or the code point alone if the character is invisible."""
    code = "+".join(f"U+{ord(c):04X}" for c in character)
    visible = character.isprintable() and not character.isspace()
    return f"{character!r} ({code})" if visible else code or "an empty line"


def _written(character: str) -> str:
    return character if character.isprintable() and not character.isspace() else f"U+{ord(character):04X}"


def _problem(character: str, seen: set[str]) -> str:
    if len(character) != 1:
        return "is not one character"
    if character in seen:
        return "occurs twice"
    if unicodedata.category(character) in ("Cc", "Cs", "Cn"):
        return "is not a character of text"
    if unicodedata.normalize("NFC", character) != character:
        return "is not NFC, so no label ever holds it"
    return ""


def _rules() -> dict[str, str]:
    """Return character → substitutes for charsets that lack it: both look or read the same in print."""
    rules = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width ASCII
    for code in range(0x3131, 0x3164):  # conjoining jamo on their own
        rules[unicodedata.normalize("NFKC", chr(code))] = chr(code)
    groups = {
        " ": "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u3164",
        "": "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff",
        "-": "‐‑‒–—―−﹣",
        "~": "∼〜˜∽",
        '"': "“”„‟″",
        "'": "‘’‚‛′´ʼ",
        "×": "✕✖✗⨯",
        "Σ": "∑",
        "☎": "☏✆",
        ",": "‚、",
        ".": "。․",
        "·": "ㆍ・∙⋅•‧･",
        "…": "⋯",
        "...": "…",
        "..": "‥",
        ":": "：∶",
        "/": "⁄∕",
        "|": "｜│",
        "*": "∗＊⁎",
        "<": "〈‹",
        ">": "〉›",
        "《": "«≪",
        "》": "»≫",
        "[": "［〔",
        "]": "］〕",
        "→": "➔➜➝⇨",
        "▶": "►",
        "◀": "◄",
        "■": "◼▪",
        "□": "◻▫☐",
        "●": "⚫",
        "○": "◯⚪",
        "★": "⭐",
        "♥": "❤",
        "✓": "✔☑",
        "₩": "￦",
        "¥": "￥",
        "£": "￡",
        "¢": "￠",
        "μ": "µ",
        "°": "˚º",
        "ℓ": "㎘",
        "°C": "℃",
        "°F": "℉",
        "m²": "㎡",
        "m³": "㎥",
        "kg": "㎏",
        "mg": "㎎",
        "mm": "㎜",
        "cm": "㎝",
        "km": "㎞",
        "ml": "㎖",
        "cc": "㏄",
        "(주)": "㈜",
        "No": "№",
        "TEL": "℡",
        "fi": "ﬁ",
        "fl": "ﬂ",
    }
    for replacement, characters in groups.items():
        for character in characters:
            if character != replacement:
                rules[character] = replacement
    rules["㎘"] = "kℓ"
    for code in range(0xFFA1, 0xFFDD):  # half-width jamo
        if (name := unicodedata.name(chr(code), "")) and "FILLER" not in name:
            full = unicodedata.lookup(name.replace("HALFWIDTH ", ""))
            rules[chr(code)] = full
    return rules


RULES = _rules()
