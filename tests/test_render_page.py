import subprocess
import sys

import numpy as np
import pytest

from tests.render_fonts import LATIN, font_set
from trainers.render import KINDS, FontSet, FontsMissingError, render_page


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    return font_set(tmp_path_factory.mktemp("fonts"))


def same(one, other) -> bool:
    if one.image.shape != other.image.shape or len(one.lines) != len(other.lines):
        return False
    texts = all(
        a.text == b.text and (a.polygon == b.polygon).all() for a, b in zip(one.lines, other.lines, strict=True)
    )
    return texts and one.kind == other.kind and bool((one.image == other.image).all())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_readable_pages(kind, fonts):
    for seed in range(6):
        page = render_page((seed, 3), fonts=fonts, kind=kind, split="validation" if seed % 2 else "train")
        height, width, channels = page.image.shape
        assert page.kind == kind and channels == 3 and page.image.dtype == np.uint8
        assert 200 <= max(width, height) <= 1700 and max(width, height) <= 4.5 * min(width, height)
        assert sum(len(line.text) for line in page.lines) >= 24, "too little text to tell which side is up"
        for line in page.lines:
            assert line.polygon.shape == (4, 2) and line.polygon.dtype == np.float32
            assert line.polygon.min() >= -1 and (line.polygon.max(axis=0) <= (width + 1, height + 1)).all()


def test_a_page_depends_on_its_arguments_alone(fonts):
    first = render_page((5, 1), fonts=fonts)
    render_page((5, 2), fonts=fonts)
    assert same(first, render_page((5, 1), fonts=fonts))
    assert not same(first, render_page((5, 2), fonts=fonts))
    assert not same(first, render_page((5, 1), fonts=fonts, split="validation"))
    assert same(render_page(7, fonts=fonts), render_page((7,), fonts=fonts))


def test_kinds_are_drawn_by_weight(fonts):
    kinds = {render_page(seed, fonts=fonts).kind for seed in range(60)}
    assert len(kinds) > 8


def test_polygons_hold_the_ink_of_their_line():
    fonts = FontSet(LATIN)
    for seed in range(8):
        page = render_page(seed, fonts=fonts, kind="form_english")
        for line in page.lines:
            (x0, y0), (x1, y1) = line.polygon.min(axis=0), line.polygon.max(axis=0)
            inside = page.image[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].astype(int)
            assert np.ptp(inside) > 60, f"no ink where {line.text!r} should be"


def test_lines_of_set_text_are_horizontal():
    fonts = FontSet(LATIN)
    upright = []
    for seed in range(12):
        for line in render_page(seed, fonts=fonts, kind="form_english").lines:
            upright.append(line.polygon[0, 1] == line.polygon[1, 1])
    assert np.mean(upright) > 0.9  # the rest: side numbers and handwriting


def test_bad_arguments():
    with pytest.raises(ValueError, match="unknown kind of page 'poster': one of form_english"):
        render_page(0, fonts=FontSet(LATIN), kind="poster")
    with pytest.raises(ValueError, match="unknown split 'test'"):
        render_page(0, fonts=FontSet(LATIN), split="test")
    with pytest.raises(FontsMissingError, match="make fonts"):
        render_page(0, fonts=FontSet(LATIN), kind="form_korean")


def test_the_renderer_needs_numpy_and_pillow_alone():
    code = "import sys, trainers.render; print([m for m in ('cv2', 'torch', 'ray', 'pyarrow') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
