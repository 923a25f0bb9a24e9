import random
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.render_fonts import font_set
from trainers.data.meter_sample import METER_CLASSES, MeterDigit, reading_of
from trainers.render.canvas import Desk
from trainers.render.meters import render_photo, render_strip
from trainers.render.meters.display import rectangle
from trainers.render.meters.geometry import homography, moved, posed, warped
from trainers.render.meters.glyphs import DIGITS, digit_faces, draw_tape
from trainers.render.meters.lcd import draw_lcd
from trainers.render.meters.legibility import legible
from trainers.render.meters.wheels import Turn, draw_counter, draw_style, draw_turns
from trainers.render.texts.source import shipped_texts


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    return font_set(tmp_path_factory.mktemp("fonts"))


@pytest.fixture(scope="module")
def photos(fonts):
    return [render_photo((5, n), ("train", "validation")[n % 2], fonts=fonts) for n in range(20)]


@pytest.fixture(scope="module")
def strips(fonts):
    return [render_strip((5, n), ("train", "validation")[n % 2], fonts=fonts) for n in range(150)]


def desk(fonts, seed: int = 0, split: str = "train") -> Desk:
    return Desk(random.Random(seed), fonts, shipped_texts(), split)


def inside(points: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """Return which points, (n, 2), lie in a convex quad whose corners run clockwise."""
    edges = np.roll(quad, -1, axis=0) - quad
    offsets = points[:, None] - quad[None]
    return (edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0] >= -1e-2).all(axis=1)


@pytest.mark.parametrize("render", [render_photo, render_strip])
def test_a_picture_depends_on_its_seed_and_split_alone(render, fonts):
    one, again, other, held_out = (
        render((3, n), split, fonts=fonts) for n, split in ((5, "train"), (5, "train"), (6, "train"), (5, "validation"))
    )
    assert np.array_equal(one.image, again.image) and one.reading == again.reading
    assert np.array_equal(one.corners, again.corners)
    for different in (other, held_out):
        assert one.image.shape != different.image.shape or not np.array_equal(one.image, different.image)
    with pytest.raises(ValueError, match="unknown split 'test'"):
        render(0, "test", fonts=fonts)


def test_strips_are_what_readers_take(strips):
    for strip in strips:
        height, width = strip.image.shape[:2]
        assert strip.image.dtype == np.uint8 and strip.image.shape[2] == 3 and strip.image.flags.writeable
        assert 48 <= height <= 96 and width >= 16 and strip.kind == "strip"
        assert np.array_equal(strip.corners, rectangle(0, 0, width, height))
        boxes = np.concatenate([d.box for d in strip.digits])
        assert boxes.dtype == np.float32 and boxes.min() > -0.5 * height and boxes[:, 0].max() < width + 0.5 * height
    assert {strip.meter_class for strip in strips} >= {"analog", "digital", "analog_illegible"}


def test_photos_are_what_finders_take(photos):
    for photo in photos:
        assert photo.image.dtype == np.uint8 and photo.image.flags.writeable and photo.kind == "photo"
        assert 640 <= max(photo.image.shape[:2]) <= 960
        if photo.meter_class == "none":
            assert photo.corners is None and photo.reading is None and photo.digits is None
            continue
        assert photo.corners.dtype == np.float32 and photo.corners.shape == (4, 2)
        # Every digit lies within the display, and they follow one another from its left to its right.
        middles = np.array([d.box.mean(axis=0) for d in photo.digits])
        assert inside(middles, photo.corners).all()
        along = middles @ (photo.corners[1] - photo.corners[0])
        assert (np.diff(along) > 0).all()
        for digit in photo.digits:
            assert digit.box[1] @ (photo.corners[1] - photo.corners[0]) > digit.box[0] @ (
                photo.corners[1] - photo.corners[0]
            )
    assert {p.meter_class for p in photos} >= {"analog", "digital", "none"} <= set(METER_CLASSES)
    turned = [p for p in photos if p.corners is not None and p.corners[0, 0] > p.corners[2, 0]]
    assert turned  # some hang upside down: their first corner lies to the right


def test_labels_agree_with_each_other(photos, strips):
    for sample in photos + strips:
        if sample.meter_class == "none":
            continue
        assert sample.reading == reading_of(sample.digits) and sample.leading_zeros
        unread = [d.character == "x" for d in sample.digits]
        assert sample.meter_class.endswith("_illegible") == all(unread)
        fractions = [d.fraction for d in sample.digits]
        assert fractions == sorted(fractions)
        if sample.meter_class == "analog":
            for digit in sample.digits:
                assert (digit.position is None) == (digit.character == "x")
                assert digit.position is None or 0 <= digit.position < 10
            last = sample.digits[-1]
            assert last.position is None or str(int(last.position)) == last.character
        else:
            assert all(d.position is None for d in sample.digits)


def test_wheels_turn_only_with_the_nine_to_their_right():
    carried = 0
    for seed in range(400):
        turns = draw_turns(random.Random(seed), 7, slack=0.03)
        assert int(turns[-1].position) == turns[-1].digit
        for turn, right in pairwise(turns):
            carry = max(0.0, right.position - 9) if right.digit == 9 else 0.0
            off = (turn.position - turn.digit - carry + 5) % 10 - 5
            assert abs(off) <= 0.37  # its own slack and its neighbour's
            carried += 0.2 < carry < 0.8
    assert carried > 40  # enough digits caught between two


def test_a_wheel_s_box_holds_all_that_its_turn_changes(fonts):
    for seed in range(12):
        style = draw_style(random.Random(seed), 6)
        pictures = []
        for position in (3.0, 8.6):
            turns = [Turn(d, float(d)) for d in (0, 4, 2)] + [Turn(int(position), position), Turn(1, 1.0), Turn(5, 5.5)]
            display = draw_counter(desk(fonts, seed), 40, style, turns)
            pictures.append(np.asarray(display.image).astype(int))
        ys, xs = np.nonzero(np.abs(pictures[0] - pictures[1]).sum(axis=2) > 40)
        (x0, y0), (x1, y1) = display.digits[3].box[0], display.digits[3].box[2]
        assert len(xs) > 50 and x0 <= xs.min() and xs.max() < x1 and y0 <= ys.min() and ys.max() < y1
        assert x1 - x0 < 2 * (xs.max() - xs.min() + 1) + 8
        assert [d.character for d in display.digits] == list("042815")
        assert inside(np.array([d.box.mean(axis=0) for d in display.digits]), rectangle(*display.window)).all()


def test_the_lower_digit_leaves_upwards(fonts):
    """At 3.7 the middle of the window lies between 3, above, and 4, below."""
    tape = draw_tape(desk(fonts), 24, 40, 56)
    assert tape.shape == (560, 24) and tape.dtype == np.float32 and tape.min() >= 0 and tape.max() <= 1
    rows = np.flatnonzero(tape[3 * 56 : 4 * 56].max(axis=1) > 0.5)
    assert rows.min() == pytest.approx(8, abs=2) and rows.max() == pytest.approx(47, abs=2)
    style = draw_style(random.Random(1), 4)
    still, rolled = (
        np.asarray(draw_counter(desk(fonts, 3), 40, style, [Turn(0, 0.0)] * 3 + [Turn(3, p)]).image.convert("L"))
        for p in (3.0, 3.15)
    )
    box = draw_counter(desk(fonts, 3), 40, style, [Turn(0, 0.0)] * 3 + [Turn(3, 3.0)]).digits[-1].box.astype(int)
    (x0, y0), (x1, y1) = box[0], box[2]
    middle = slice((y0 + y1) // 2 - 12, (y0 + y1) // 2 + 12)
    errors = {
        shift: np.abs(rolled[middle, x0:x1].astype(int) - np.roll(still, shift, axis=0)[middle, x0:x1]).mean()
        for shift in range(-14, 15)
    }
    assert min(errors, key=errors.__getitem__) == pytest.approx(-0.15 * round(style.roll * 40), abs=2)


def test_a_segment_digit_s_box_holds_its_segments(fonts):
    for seed in range(12):
        first, second = (draw_lcd(desk(fonts, seed), 40, value, 1) for value in ("1808", "1818"))
        assert reading_of(first.digits) == "180.8" and reading_of(second.digits) == "181.8"
        assert [d.fraction for d in first.digits] == [False, False, False, True]
        change = np.abs(np.asarray(first.image).astype(int) - np.asarray(second.image)).sum(axis=2)
        ys, xs = np.nonzero(change > 0.5 * change.max())
        box = first.digits[2].box
        middle = box.mean(axis=0)
        assert inside(np.column_stack([xs + 0.5, ys + 0.5]), middle + (box - middle) * 1.12).all()
        assert ys.max() - ys.min() > 0.8 * (box[2, 1] - box[0, 1])


def test_homographies_move_pixels_and_points_alike():
    image = Image.new("L", (80, 60))
    image.putpixel((50, 20), 255)
    target = np.array([[10, 5], [70, 12], [66, 50], [4, 44]], dtype=float)
    matrix = homography(rectangle(0, 0, 80, 60), target)
    assert moved(rectangle(0, 0, 80, 60), matrix) == pytest.approx(target, abs=1e-3)
    out = np.asarray(warped(image, matrix, (80, 60))).astype(float)
    ys, xs = np.mgrid[0:60, 0:80] + 0.5
    centre = np.array([(out * xs).sum(), (out * ys).sum()]) / out.sum()
    assert moved(np.array([[50.5, 20.5]]), matrix)[0] == pytest.approx(centre, abs=0.4)


def test_a_pose_turns_corners_in_reading_order():
    window = rectangle(-30, -5, 30, 5)
    upright, sideways, turned = (moved(window, posed(degrees, 0.1, -0.1, 500)) for degrees in (0, 90, 180))
    assert upright[0, 0] < upright[2, 0] and upright[0, 1] < upright[2, 1]
    assert sideways[0, 0] > sideways[2, 0] and sideways[0, 1] < sideways[2, 1]  # clockwise: top left to the upper right
    assert turned[0, 0] > turned[2, 0] and turned[0, 1] > turned[2, 1]


def test_what_is_hidden_dark_or_outside_is_not_read():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 160, 3), dtype=np.uint8)
    pixels[:, 120:] = 7
    boxes = [rectangle(x, 4, x + 24, 36) for x in (4, 44, 84, 130, 158)]
    digits = [MeterDigit(str(i), i + 0.2, box, i > 2) for i, box in enumerate(boxes)]
    cover = Image.new("L", (80, 20))
    cover.paste(255, (21, 0, 36, 20))
    seen = legible(digits, Image.fromarray(pixels), cover, 0.5)
    assert reading_of(seen) == "0x2.xx" and [d.position for d in seen] == [0.2, None, 2.2, None, None]
    assert reading_of(legible(digits, Image.fromarray(pixels), cover, 0.5, illegible=True)) == "xxxxx"


def test_splits_share_neither_fonts_nor_drawn_digits(fonts):
    families = {s: {face.family for some in digit_faces(fonts, s) for face in some} for s in ("train", "validation")}
    assert not families["train"] & families["validation"]
    tapes = {
        split: {draw_tape(desk(fonts, seed, split), 20, 32, 40).tobytes() for seed in range(30)} for split in families
    }
    assert not tapes["train"] & tapes["validation"]
    assert len(DIGITS) == 10
