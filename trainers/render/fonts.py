"""Which fonts a page may be set in: found in the system's font folders, sorted by script and style, split by family."""

import random
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import ImageFont

from common.errors import ExitCode, ExpectedError

FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts", "/Library/Fonts")
STYLES = ("sans", "serif", "mono", "hand")
_HANGUL_SAMPLE = [ord(c) for c in "가나다람말빛학교는을있습니다원전화번호"]
_LATIN_SAMPLE = [ord(c) for c in "ABCXYZabcgxyz0123456789.,:-()/"]
_HAND_NAMES = ("pen", "brush", "pilgi", "script", "hand")
_SERIF_NAMES = ("serif", "myeongjo", "batang", "gungseo", "roman", "times")
_NO_TEXT_NAMES = ("math", "symbol", "emoji", "dingbat")
_VALIDATION_SHARE = 1 / 6


class FontsMissingError(ExpectedError):
    """No installed font can set the text asked for."""

    exit_code = ExitCode.CANNOT_START


def _coverage(path: str | Path, index: int) -> np.ndarray:
    """Return which characters of the basic plane a face has, (65536,) bool."""
    covered = np.zeros(65536, bool)
    with TTFont(path, fontNumber=index, lazy=True) as font:
        codes = np.array(list(font.getBestCmap() or {}), np.int64)
    covered[codes[codes < len(covered)]] = True
    covered[0xD800:0xE000] = False  # surrogate halves are no characters
    return covered


@dataclass(frozen=True, eq=False)
class Face:
    """One font file's face. `covered` is (65536,) bool; `scale` evens out how large faces look at the same size."""

    path: str
    index: int
    family: str
    style: str
    bold: bool
    italic: bool
    covered: np.ndarray = field(repr=False)
    scale: float

    @property
    def hangul(self) -> bool:
        return bool(self.covered[_HANGUL_SAMPLE].all())

    @property
    def latin(self) -> bool:
        return bool(self.covered[_LATIN_SAMPLE].all())

    def at(self, size: float) -> "Font":
        """Return this face with capitals and Hangul about as high as in other faces at `size` px."""
        return Font(self, _load(self.path, self.index, max(4, round(size * self.scale))), max(4, round(size)))

    def clean(self, text: str) -> str:
        """`text` without the characters that this face would show as empty boxes."""
        codes = np.frombuffer(text.encode("utf-16-le"), np.uint16)
        known = self.covered[codes]
        return text if known.all() else codes[known].tobytes().decode("utf-16-le")


@dataclass(frozen=True)
class Font:
    """A face at a size. `size` is the nominal size in px; `pil` draws."""

    face: Face
    pil: ImageFont.FreeTypeFont
    size: int

    def width(self, text: str) -> float:
        return self.pil.getlength(text)


@lru_cache(maxsize=1024)
def _load(path: str, index: int, pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, pixels, index=index, layout_engine=ImageFont.Layout.BASIC)


def _style(family: str, probe: ImageFont.FreeTypeFont) -> str:
    name = family.lower().replace(" ", "")
    if any(n in name for n in _HAND_NAMES):
        return "hand"
    if probe.getlength("iiii") == probe.getlength("MMMM"):
        return "mono"
    return "serif" if any(n in name for n in _SERIF_NAMES) and "sans" not in name else "sans"


def read_face(path: str | Path) -> Face | None:
    """Return the face in a font file (of a collection, its Korean face), or None if it cannot set plain text.

    Raises: OSError when the file is no font.
    """
    with Path(path).open("rb") as file:
        kind, _, count = struct.unpack(">4sII", file.read(12).ljust(12))
    try:
        indices = range(count if kind == b"ttcf" else 1)
        families = [ImageFont.truetype(str(path), 64, index=i).getname() for i in indices]
    except OSError as error:
        if "pixel size" in str(error):  # bitmaps of a few sizes, no outlines
            return None
        raise
    index = next((i for i, (family, _) in enumerate(families) if family and family.endswith("KR")), 0)
    family, weight = (n or Path(path).stem for n in families[index])
    if any(n in family.lower() for n in _NO_TEXT_NAMES):
        return None
    covered = _coverage(path, index)
    if not covered[_LATIN_SAMPLE].all():
        return None
    probe = _load(str(path), index, 64)
    _, top, _, bottom = probe.getbbox("가" if covered[ord("가")] else "H", anchor="ls")
    nominal = (0.80 if covered[ord("가")] else 0.72) * 64
    bold = any(w in f"{weight} {Path(path).stem}".lower() for w in ("bold", "heavy", "black", "eb"))
    italic = any(w in f"{weight} {Path(path).stem}".lower() for w in ("italic", "oblique"))
    scale = float(np.clip(nominal / max(1, bottom - top), 0.8, 1.5))
    return Face(str(path), index, family, _style(family, probe), bold, italic, covered, scale)


class FontSet:
    """The faces that pages are set in. A font family belongs to exactly one split.

    Args:
        paths: font files; None finds all in the system's folders, where at least one must have Hangul.
        folders: where to look when `paths` is None.

    Raises:
        FontsMissingError: no usable font (when searching: none with Hangul).
    """

    def __init__(self, paths: Sequence[str | Path] | None = None, folders: Iterable[str | Path] = FOLDERS) -> None:
        folders = [Path(f).expanduser() for f in folders]
        searching = paths is None
        if paths is None:
            paths = sorted(p for f in folders for p in f.rglob("*") if p.suffix.lower() in (".ttf", ".ttc", ".otf"))
        self.faces = [face for face in map(read_face, paths) if face is not None]
        where = ", ".join(map(str, folders if searching else paths))
        if not self.faces:
            raise FontsMissingError(
                f"no usable font in {where}: run `make fonts` to install the fonts pages are set in"
            )
        if searching and not any(face.hangul for face in self.faces):
            raise FontsMissingError(f"no font with Hangul in {where}: run `make fonts` to install Korean fonts")
        self._choices: dict[tuple, list[Face]] = {}
        held_out: set[str] = set()
        for hangul in (True, False):
            families = sorted(
                {f.family for f in self.faces if f.hangul == hangul}, key=lambda n: zlib.crc32(n.encode())
            )
            if len(families) > 1:
                held_out.update(families[: max(1, round(len(families) * _VALIDATION_SHARE))])
        self._validation_families = frozenset(held_out)

    def split(self, split: str) -> list[Face]:
        """Return the faces of `split` ("train" or "validation")."""
        return [f for f in self.faces if (f.family in self._validation_families) == (split == "validation")]

    def choose(
        self, rng: random.Random, split: str, script: str, styles: Sequence[str] = STYLES, bold: bool | None = None
    ) -> Face:
        """Return a random face of `split` that can set `script` ("hangul" or "latin"); all families are equally likely.

        Styles and weight are wishes: when the split has no such face, any face of the script is taken. A "latin" page
        is set in a Latin-only face more often than in the Latin letters of a Korean one; italics are rare.

        Raises:
            FontsMissingError: no face of the split can set the script.
        """
        plain = script == "latin" and rng.random() < 0.7
        italic = rng.random() < 0.1
        key = (split, script, tuple(styles), bold, plain, italic)
        if key not in self._choices:
            faces = [f for f in self.split(split) if f.hangul or script == "latin"]
            if not faces:
                raise FontsMissingError(
                    f"no {script} font in the {split} split of {len(self.faces)} fonts: run `make fonts`, "
                    "or give a FontSet more font families"
                )
            wishes = [lambda f: not (plain and f.hangul), lambda f: f.style in styles, lambda f: bold in (None, f.bold)]
            wishes.append(lambda f: f.italic == italic)
            for wish in wishes:
                faces = [f for f in faces if wish(f)] or faces
            self._choices[key] = faces
        faces = self._choices[key]
        family = rng.choice(sorted({f.family for f in faces}))
        return rng.choice([f for f in faces if f.family == family])


@lru_cache(maxsize=1)
def system_fonts() -> FontSet:
    """Return the fonts installed on this machine, searched once per process."""
    return FontSet()
