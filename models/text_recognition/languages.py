"""Languages and their scripts: which language a line that was read is in.

Languages are ISO 639-1 codes. What decides is the script of the letters that were read, not their words: of several
languages written alike (English and French) the first requested one is returned.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from models.bundle import Bundle

# Languages in other scripts than Latin, in which all the others are written.
_SCRIPTS: dict[str, tuple[str, ...]] = {
    "ko": ("hangul",),
    "ja": ("kana", "han"),
    "zh": ("han",),
    "el": ("greek",),
    **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tg", "uk"), ("cyrillic",)),
    **dict.fromkeys(("ar", "fa", "ur"), ("arabic",)),
    **dict.fromkeys(("he", "yi"), ("hebrew",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("devanagari",)),
    "hy": ("armenian",),
    "ka": ("georgian",),
    "th": ("thai",),
}
_NAMES = {"hiragana": "kana", "katakana": "kana", "cjk": "han"}  # where Unicode's names differ
_NAMED = re.compile(
    r"\b(HANGUL|HIRAGANA|KATAKANA|CJK|LATIN|CYRILLIC|GREEK|ARABIC|HEBREW|DEVANAGARI|ARMENIAN|GEORGIAN|THAI)\b"
)
# A syllable or an ideograph says as much as two or three letters do.
_WEIGHTS = {"hangul": 2, "han": 2, "kana": 2}


def bundle_languages(bundle: Bundle) -> tuple[str, ...]:
    """Languages that a recogniser reads, as its card says; none for bundles of other tasks."""
    return tuple(filter(None, bundle.card.decoding.get("language", "").split("+")))


def scripts(language: str) -> tuple[str, ...]:
    """Return the scripts of a language, the most distinctive one first."""
    return _SCRIPTS.get(language, ("latin",))


@lru_cache(maxsize=65536)
def script(character: str) -> str | None:
    """Script of a letter; None for digits, punctuation, symbols and scripts that are not known here.

    >>> script("é"), script("한"), script("㈜"), script("ー"), script("7")
    ('latin', 'hangul', 'hangul', 'kana', None)
    """
    found = _NAMED.search(unicodedata.name(character, ""))
    if found is None or not (character.isalpha() or found[1] == "HANGUL"):
        return None
    name = found[1].lower()
    return _NAMES.get(name, name)


def line_languages(texts: Sequence[str], read_by: Sequence[str], requested: Sequence[str]) -> list[str]:
    """Return the language of each line of a page: always one of the requested ones.

    The script of most letters in a line decides. Of the requested languages written in it, the result is the first that
    the line's recogniser reads, or else the first one. Ideographs are Japanese if the page has kana, else Chinese, else
    Japanese or Korean, whichever was requested. Lines without letters, or in a script of no requested language, get the
    first requested language.

    Args:
        texts: the lines of one page.
        read_by: languages of each line's recogniser, joined by +.
        requested: languages; at least one.
    """
    counts = [script_weights(text) for text in texts]
    kana = any(count["kana"] for count in counts)
    return [_language(count, reads.split("+"), requested, kana) for count, reads in zip(counts, read_by, strict=True)]


def script_weights(text: str) -> Counter[str]:
    """Return the number of a text's letters in each script; digits, punctuation and symbols do not count."""
    counts: Counter[str] = Counter()
    for character in text:
        if name := script(character):
            counts[name] += _WEIGHTS.get(name, 1)
    return counts


def _language(count: Counter[str], reads: Sequence[str], requested: Sequence[str], kana: bool) -> str:
    if count["kana"] and "ja" in requested:
        count = count + Counter(kana=count["han"])  # Japanese is written in both
        del count["han"]
    if not count:
        return requested[0]
    main = max(count, key=count.__getitem__)
    if main == "han":
        order = ("ja", "zh", "ko") if kana else ("zh", "ja", "ko")
        return next((language for language in order if language in requested), requested[0])
    written = [language for language in requested if main in scripts(language)]
    return next((language for language in written if language in reads), (written or requested)[0])
