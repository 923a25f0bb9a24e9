"""Fonts for the renderer's tests: matplotlib's DejaVu faces, and little Korean fonts made on the spot, so that no test
depends on what is installed."""

from pathlib import Path

import matplotlib
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from trainers.render import FontSet

LATIN = [Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf") for name in ("DejaVuSans", "DejaVuSerif")]
PRINTABLE = range(0x20, 0x7F)
SYLLABLES = range(0xAC00, 0xD7A4)


def build_font(path: Path, family: str, codepoints: dict[int, str]) -> Path:
    """Return a TrueType font whose glyphs "box" and "bar" are plain shapes; `codepoints` maps characters to them."""

    def shape(width: int) -> object:
        pen = TTGlyphPen(None)
        pen.moveTo((60, 0))
        for point in ((60, 700), (60 + width, 700), (60 + width, 0)):
            pen.lineTo(point)
        pen.closePath()
        return pen.glyph()

    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "space", "bar", "box"])
    builder.setupCharacterMap(codepoints)
    empty = TTGlyphPen(None).glyph()
    builder.setupGlyf({".notdef": shape(400), "space": empty, "bar": shape(150), "box": shape(700)})
    advances = {".notdef": 500, "space": 300, "bar": 400, "box": 900}
    builder.setupHorizontalMetrics({name: (advance, 60) for name, advance in advances.items()})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    builder.setupPost()
    builder.save(path)
    return path


def korean_font(path: Path, family: str) -> Path:
    characters = {code: "bar" for code in PRINTABLE} | {code: "box" for code in SYLLABLES}
    return build_font(path, family, characters | {0x20: "space", 0x1F600: "box"})


def font_set(folder: Path) -> FontSet:
    """Two Latin and two Korean families: one of each for either split."""
    return FontSet([*LATIN, korean_font(folder / "a.ttf", "Alpha"), korean_font(folder / "b.ttf", "Beta")])
