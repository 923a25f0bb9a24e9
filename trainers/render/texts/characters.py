"""The characters that lines are made of: the syllables, the symbols of Korean papers, and what may stand in a label."""

import re
import unicodedata

_SPACES = re.compile(r"[\t\r\n\u00a0\u2000-\u200a\u202f\u205f\u3000]")

# The 2,350 syllables of KS X 1001 (rows 0xB0 to 0xC8), and all 11,172.
KS_SYLLABLES = "".join(bytes([row, cell]).decode("euc_kr") for row in range(0xB0, 0xC9) for cell in range(0xA1, 0xFF))
ALL_SYLLABLES = "".join(map(chr, range(0xAC00, 0xD7A4)))
MARKS = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮㉠㉡㉢㉣㉮㉯㉰㈀㈎⑴⑵⑶ⓐⓑⅠⅡⅢⅣⅤ"
BULLETS = "※○●◎□■◇◆△▲▽▼☆★▶▷◀◁→←↑↓⇒·•-*♥♡✓"
SYMBOLS = (
    "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~₩€£¥¢§¶†‡°±×÷≠≤≥≒∞√∑∴½¼¾¹²³‰·…‥–—‘’“”「」『』【】〔〕《》〈〉㎡㎥㎏㎎㎍㎖ℓ㎜㎝㎞㎢℃℉"
    + "㏄Ω㈜㈔㈐℡™®©№☎☏♨♪♬αβγδμπ"
    + MARKS
    + BULLETS
)


def tidy(text: str) -> str:
    """NFC, every kind of space a plain one, ends stripped."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip()


def printable(text: str) -> bool:
    """Return whether every character is ordinary: no control, combining or private character, none beyond the basic
    plane."""
    return all(c == " " or (unicodedata.category(c)[0] in "LNPS" and c <= "\uffff") for c in text)
