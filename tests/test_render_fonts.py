import random

import numpy as np
import pytest

from tests.render_fonts import LATIN, PRINTABLE, SYLLABLES, build_font, font_set, korean_font
from trainers.render import FontSet, FontsMissingError
from trainers.render.fonts import read_face


@pytest.mark.parametrize("beyond_basic_plane", [False, True], ids=["cmap format 4", "cmap format 12"])
def test_coverage_is_what_the_font_maps(tmp_path, beyond_basic_plane):
    characters = {code: "bar" for code in PRINTABLE} | {code: "box" for code in SYLLABLES if code % 3}
    if beyond_basic_plane:
        characters[0x1F600] = "box"
    face = read_face(build_font(tmp_path / "f.ttf", "Gaps", characters))
    expected = np.zeros(65536, dtype=bool)
    expected[[code for code in characters if code < 65536]] = True
    np.testing.assert_array_equal(face.covered, expected)


def test_coverage_agrees_with_fonttools():
    from fontTools.ttLib import TTFont

    face = read_face(LATIN[0])
    expected = {code for code in TTFont(LATIN[0]).getBestCmap() if code < 65536}
    assert set(np.flatnonzero(face.covered).tolist()) == expected
    assert face.latin and not face.hangul and face.style == "sans"


def test_clean_drops_what_the_face_lacks():
    face = read_face(LATIN[0])
    assert face.clean("Total 합계 12 😀") == "Total  12 "
    assert face.clean("plain") == "plain"


def test_splits_share_no_family_and_both_have_both_scripts(tmp_path):
    fonts = font_set(tmp_path)
    train, validation = ({f.family for f in fonts.split(s)} for s in ("train", "validation"))
    assert not train & validation and train | validation == {"DejaVu Sans", "DejaVu Serif", "Alpha", "Beta"}
    rng = random.Random(0)
    for split in ("train", "validation"):
        assert fonts.choose(rng, split, "hangul").hangul
        assert fonts.choose(rng, split, "latin", ("mono",)).latin  # no such style: any face of the script


def test_families_stay_in_their_split_whatever_the_order(tmp_path):
    paths = [*LATIN, korean_font(tmp_path / "a.ttf", "Alpha"), korean_font(tmp_path / "b.ttf", "Beta")]
    one, other = FontSet(paths), FontSet(paths[::-1])
    assert {f.family for f in one.split("validation")} == {f.family for f in other.split("validation")}


def test_missing_fonts_name_the_remedy(tmp_path):
    with pytest.raises(FontsMissingError, match="make fonts"):
        FontSet(folders=[tmp_path])
    (tmp_path / "latin.ttf").write_bytes(LATIN[0].read_bytes())
    with pytest.raises(FontsMissingError, match=r"no font with Hangul.*make fonts"):
        FontSet(folders=[tmp_path])
    latin_only = FontSet(LATIN)
    with pytest.raises(FontsMissingError, match=r"no hangul font in the train split.*make fonts"):
        latin_only.choose(random.Random(0), "train", "hangul")
