import random
import unicodedata

import numpy as np
import pytest
from PIL import Image

from tests.render_fonts import LATIN, PRINTABLE, SYLLABLES, build_font, font_set, korean_font
from trainers.render import FontSet, FontsMissingError, TextSource
from trainers.render.lines import RenderedLines, render_line
from trainers.render.lines.faces import choose_face, drawable, kindred_families
from trainers.render.lines.ink import Bend, bent, set_text, stretched
from trainers.render.texts.lines import SHARES, text_split


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    return font_set(tmp_path_factory.mktemp("fonts"))


def test_a_line_depends_on_its_seed_alone(fonts):
    one, again, other = (render_line((3, n), fonts=fonts) for n in (5, 5, 6))
    assert one.text == again.text and np.array_equal(one.image, again.image)
    assert one.text != other.text or one.image.shape != other.image.shape
    # Another order, other lines before it: the same line.
    lines = RenderedLines("train", 3, fonts=fonts)
    lines.line(9)
    assert np.array_equal(lines.line(5).image, one.image)


def test_lines_are_what_a_recogniser_takes(fonts):
    for split in ("train", "validation"):
        for number in range(60):
            sample = render_line((1, number), fonts=fonts, split=split)
            assert sample.image.dtype == np.uint8 and sample.image.ndim == 3 and sample.image.shape[2] == 3
            assert 24 <= sample.image.shape[0] <= 96 and sample.image.shape[1] >= 5
            assert sample.image.flags.writeable
            assert 1 <= len(sample.text) <= 40 and sample.text == sample.text.strip()
            assert unicodedata.is_normalized("NFC", sample.text)
            assert sample.kind in SHARES
            assert sample.image.astype(float).std() > 3, sample.text  # something is on it


def test_splits_share_neither_text_nor_family(fonts):
    texts = {s: {render_line((0, n), fonts=fonts, split=s).text for n in range(120)} for s in ("train", "validation")}
    assert not texts["train"] & texts["validation"]
    assert all(text_split(text) == split for split, some in texts.items() for text in some)
    rng = random.Random(0)
    families = {s: {choose_face(rng, fonts, s, t).family for t in ("값", "Abc") * 30} for s in texts}
    assert families["train"] and families["validation"] and not families["train"] & families["validation"]


def test_variants_of_validation_families_are_kept_out_of_training(tmp_path):
    plain = FontSet([*LATIN, korean_font(tmp_path / "a.ttf", "Alpha"), korean_font(tmp_path / "b.ttf", "Beta")])
    held_out = next(f.family for f in plain.split("validation") if f.hangul)
    trained = next(f.family for f in plain.split("train") if f.hangul)
    # Found by trial: a name that the hash puts into the training split.
    for suffix in (" Eco", "_ac", " Round", " Old", " Two"):
        paths = [face.path for face in plain.faces]
        fonts = FontSet([*paths, korean_font(tmp_path / f"v{suffix}.ttf", held_out + suffix)])
        if held_out + suffix in {f.family for f in fonts.split("train")}:
            break
    else:
        pytest.fail("no suffix fell into the training split")
    assert kindred_families(fonts) == {held_out + suffix}
    rng = random.Random(0)
    seen = {face.family for _ in range(50) if (face := choose_face(rng, fonts, "train", "값"))}
    assert seen == {trained}


def test_no_empty_boxes_and_no_blanks(tmp_path):
    """A face that lacks a third of the syllables and has blank glyphs for some signs."""
    mapped = {code: "bar" for code in PRINTABLE} | {code: "box" for code in SYLLABLES if code % 3}
    mapped |= {ord(c): "box" for c in "가나다라마말빛학교는을있습니다원전화번호"}  # which a Korean face is known by
    blank = {ord(c) for c in "0<>₩"}
    path = build_font(tmp_path / "f.ttf", "Gaps", mapped | {code: "space" for code in blank} | {0x20: "space"})
    fonts = FontSet([path])
    face = fonts.faces[0]
    assert face.covered[ord("0")] and not drawable(face, "0") and drawable(face, "1 2")
    lacking = next(chr(code) for code in SYLLABLES if code not in mapped)
    assert not drawable(face, lacking) and not drawable(face, "😀")
    drawn = (set(mapped) - blank) | {0x20}
    texts = [render_line((2, n), fonts=fonts).text for n in range(150)]
    assert all(ord(char) in drawn for text in texts for char in text)
    assert any("가" <= char <= "힣" for text in texts for char in text)


def test_a_backslash_that_looks_like_won_is_not_drawn(tmp_path):
    mapped = {code: "bar" for code in PRINTABLE} | {code: "box" for code in SYLLABLES}
    korean = FontSet([build_font(tmp_path / "w.ttf", "Won", mapped | {ord("₩"): "bar", 0x20: "space"})]).faces[0]
    plain = FontSet([LATIN[0]]).faces[0]
    assert drawable(korean, "₩") and not drawable(korean, "\\") and drawable(plain, "\\")


def test_charset_is_kept_to(fonts):
    allowed = "가나다라마바사아자차카타파하 0123456789"
    texts = [render_line((4, n), fonts=fonts, charset=allowed).text for n in range(60)]
    assert set("".join(texts)) <= set(allowed)
    assert {c for t in texts for c in t if "가" <= c <= "힣"} == set(allowed) - set(" 0123456789")


def test_given_sentences_are_what_is_drawn(fonts):
    sentences = [f"문장{i}번이 있다" for i in range(400)]
    lines = RenderedLines("train", 0, TextSource(sentences), fonts=fonts)
    drawn = [s.text for s in map(lines.line, range(150)) if s.kind == "sentence"]
    assert drawn and all(any(text in sentence for sentence in sentences) for text in drawn)


def test_faults_are_named(fonts, tmp_path):
    with pytest.raises(ValueError, match="unknown split 'test'"):
        render_line(0, fonts=fonts, split="test")
    with pytest.raises(ValueError, match="characters of the charset"):
        render_line(0, fonts=fonts, charset="")
    with pytest.raises(FontsMissingError, match="make fonts"):
        render_line(
            0, fonts=FontSet([build_font(tmp_path / "h.ttf", "H", {c: "box" for c in PRINTABLE})]), charset="가나다"
        )


def test_set_text_places_every_word(fonts):
    font = next(f for f in fonts.split("train") if f.hangul).at(40)
    tight, spaced, wide = (
        set_text("가 나 다", font),
        set_text("가 나 다", font, 8.0),
        set_text("가 나 다", font, 0.0, 2.0),
    )
    widths = [line.box[2] - line.box[0] for line in (tight, spaced, wide)]
    assert widths[1] == pytest.approx(widths[0] + 4 * 8, abs=2)
    assert widths[2] == pytest.approx(widths[0] + 2 * font.width(" "), abs=2)
    assert len(tight.breaks) == len(spaced.breaks) == 3
    for line in (tight, spaced, wide, stretched(tight, 1.2)):
        ink = np.asarray(line.mask).max(axis=0) > 60
        starts = np.flatnonzero(np.diff(ink.astype(int)) == 1) + 1
        assert len(starts) == 3 and all(abs(s - b) < 0.15 * font.size for s, b in zip(starts, line.breaks, strict=True))


def test_a_bend_keeps_the_ink(fonts):
    line = set_text("가나다라마바사", next(f for f in fonts.split("train") if f.hangul).at(30))
    straight = np.asarray(line.mask, dtype=float)
    moved = np.asarray(bent([line.mask], Bend(rise=0.3, wave=0.1, taper=0.1, slant=0.1), 30)[0], dtype=float)
    assert moved.shape == straight.shape and moved.sum() == pytest.approx(straight.sum(), rel=0.08)
    rows = np.arange(len(moved))[:, None]

    def middle(part: np.ndarray) -> float:
        return float((part * rows).sum() / part.sum())

    width = moved.shape[1] // 4
    assert (
        abs(middle(moved[:, :width]) - middle(moved[:, -width:]))
        > 4
        > abs(middle(straight[:, :width]) - middle(straight[:, -width:]))
    )


def test_a_full_stop_can_be_bent():
    dot = Image.new("L", (5, 30), 255)
    (moved,) = bent([dot], Bend(rise=0.1, slant=0.1), 30)
    assert moved.size == dot.size and moved.getbbox()


def test_latin_faces_without_small_letters_set_no_line(tmp_path):
    capitals = FontSet([build_font(tmp_path / "c.ttf", "Capitals", {c: "box" for c in PRINTABLE})]).faces[0]
    plain = FontSet([LATIN[0]]).faces[0]
    assert drawable(plain, "Glue 12") and not drawable(capitals, "Glue 12")
