"""Whether the text of a PDF is what the page shows: fonts without a map to Unicode, and old OCR, make it gibberish."""

import re
import unicodedata

_MOST_MEANINGLESS = 0.03
_LEAST_LETTERS, _LEAST_UNSEPARATED = 40, 80
_LONGEST_WORDS = 20.0  # mean length; German and Finnish are below 10
_FEWEST_VOWELS, _MOST_VOWELS = 0.24, 0.65  # 0.33 to 0.5 in European languages
_MIXED_WORDS = 0.5
_RARE_HANGUL = 0.15
_LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
_MIXED = re.compile(r"[A-Za-z][0-9!-/:-@\[-`{-~]+[A-Za-z]")


def problem_of(text: str, unmapped: int = 0, characters: int = 0) -> str:
    """Return why a text cannot be what the page shows; empty if it can.

    Args:
        text: the lines of a page.
        unmapped, characters: how many characters have no map to Unicode, and how many there are.
    """
    count = max(characters, sum(not character.isspace() for character in text))
    if not count:
        return "it is empty"
    meaningless = max(unmapped, sum(map(_is_meaningless, text)))
    if meaningless > _MOST_MEANINGLESS * count:
        return (
            f"{meaningless / count:.0%} of its characters have no meaning (no map to Unicode, private or control codes)"
        )
    letters = [word for word in re.split(r"\s+", text) if sum(map(_is_spaced, word)) > len(word) / 2]
    total = sum(map(len, letters))
    if total >= _LEAST_UNSEPARATED and total / len(letters) > _LONGEST_WORDS:
        return "its words are not separated"
    return ""


def doubt_about(text: str) -> str:
    """Return why a text may be gibberish; empty if it looks like words."""
    letters = "".join(_LATIN_WORD.findall(text))
    if len(letters) >= _LEAST_LETTERS and not _FEWEST_VOWELS < _vowels(letters) < _MOST_VOWELS:
        return "its letters spell no words"
    tokens = text.split()
    if len(tokens) >= 20 and sum(bool(_MIXED.search(token)) for token in tokens) > _MIXED_WORDS * len(tokens):
        return "its letters are mixed with other characters"
    syllables = [character for character in text if "가" <= character <= "힣"]
    if len(syllables) >= 20 and sum(map(_is_rare, syllables)) > _RARE_HANGUL * len(syllables):
        return "its Hangul syllables are rare ones"
    return ""


def _is_meaningless(character: str) -> bool:
    if character.isspace():
        return False
    return character == "\ufffd" or unicodedata.category(character) in ("Co", "Cc", "Cn", "Cs")


def _is_spaced(character: str) -> bool:
    """Whether a letter is of a script that separates words: Chinese, Japanese and Thai do not."""
    code = ord(character)
    return character.isalpha() and (code < 0x0E00 or 0x1E00 <= code < 0x2000 or 0xAC00 <= code < 0xD7A4)


def _is_rare(syllable: str) -> bool:
    """Whether a syllable is not among the 2,350 of KS X 1001, which are nearly all that is printed. Python writes the
    others as sequences of letters."""
    return len(syllable.encode("euc_kr", "ignore")) != 2


def _vowels(letters: str) -> float:
    return sum(letter in "aeiouAEIOU" for letter in letters) / len(letters)
