"""Text detection: DB decoding, tiling, and the predictor on pages drawn here."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from models.blob import ImageFormat, blob, rgb
from models.bundle import Bundle, BundleError, load_bundle
from models.text_detection.db import DBDecoding, decode, from_top_left, mean_inside
from models.text_detection.predictor import TextDetector
from models.text_detection.preprocess import DetectionInput, View, spans, stitched, view_of


@pytest.fixture(scope="module")
def detector(precision) -> TextDetector:
    return TextDetector(precision=precision)


def page(width: int, height: int, rows: list[int], text: str = "Total amount 1,234.50") -> np.ndarray:
    image = np.full((height, width, 3), 255, np.uint8)
    for y in rows:
        cv2.putText(image, text, (40, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2, cv2.LINE_AA)
    return image


# --- DB decoding


def blob_map(angle: float = 0.0, value: int = 230) -> np.ndarray:
    probability = np.zeros((200, 300), np.uint8)
    corners = cv2.boxPoints(((150, 100), (160, 20), angle)).round().astype(np.int32)
    cv2.fillPoly(probability, [corners], value)
    return probability


def test_box_grows_by_the_unclip_distance():
    ratio = 1.5
    (region,) = decode(blob_map(), (1, 1), DBDecoding(unclip_ratio=ratio))
    grow = ratio * 160 * 20 / (2 * (160 + 20))  # Liao et al.: area x ratio / perimeter on each side
    expected = [[70 - grow, 90 - grow], [230 + grow, 90 - grow], [230 + grow, 110 + grow], [70 - grow, 110 + grow]]
    np.testing.assert_allclose(region.polygon, expected, atol=1.0)
    assert region.polygon.dtype == np.float32
    assert region.confidence == pytest.approx(230 / 255, abs=0.01)


def test_polygon_is_in_page_pixels():
    (small,) = decode(blob_map(), (1, 1), DBDecoding())
    (large,) = decode(blob_map(), (2.0, 3.0), DBDecoding())
    np.testing.assert_allclose(large.polygon, small.polygon * (2, 3), rtol=1e-5)


@pytest.mark.parametrize("angle", [-30, -5, 0, 5, 30])
def test_first_edge_runs_along_the_text(angle):
    (region,) = decode(blob_map(angle), (1, 1), DBDecoding())
    top = region.polygon[1] - region.polygon[0]
    assert np.degrees(np.arctan2(top[1], top[0])) == pytest.approx(angle, abs=1.5)
    down = region.polygon[3] - region.polygon[0]
    assert down[1] > 0


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("direction", [1, -1])
def test_corner_order_does_not_depend_on_the_input_order(start, direction):
    box = np.array([[10, 20], [90, 24], [89, 44], [9, 40]], np.float32)
    np.testing.assert_array_equal(from_top_left(np.roll(box, start, axis=0)[::direction]), box)


def test_weak_blobs_are_dropped():
    assert decode(blob_map(value=140), (1, 1), DBDecoding(box_thresh=0.6)) == []
    assert len(decode(blob_map(value=140), (1, 1), DBDecoding(box_thresh=0.5))) == 1
    assert decode(blob_map(value=70), (1, 1), DBDecoding(thresh=0.3, box_thresh=0.0)) == []


def test_slow_score_follows_the_outline():
    probability = blob_map()
    cv2.circle(probability, (150, 100), 40, 230, -1)  # not a rectangle: the box holds empty corners
    (fast,) = decode(probability, (1, 1), DBDecoding(box_thresh=0.1, score_mode="fast"))
    (slow,) = decode(probability, (1, 1), DBDecoding(box_thresh=0.1, score_mode="slow"))
    assert slow.confidence == pytest.approx(230 / 255, abs=0.02)
    assert fast.confidence < 0.75 * slow.confidence


def test_dilation_closes_a_gap():
    probability = blob_map()
    probability[:, 150] = 0
    assert len(decode(probability, (1, 1), DBDecoding(use_dilation=False))) == 2
    assert len(decode(probability, (1, 1), DBDecoding(use_dilation=True))) == 1


def test_candidates_are_bounded_and_the_largest_kept():
    probability = blob_map()
    for x in range(10, 290, 12):
        probability[20:26, x : x + 6] = 230
    assert len(decode(probability, (1, 1), DBDecoding())) > 10
    (region,) = decode(probability, (1, 1), DBDecoding(max_candidates=1))
    assert region.polygon[:, 0].max() - region.polygon[:, 0].min() > 160


def test_boxes_in_boxes_are_bounded_and_the_smallest_kept():
    probability = np.zeros((400, 400), np.uint8)
    for inset in range(0, 190, 4):
        cv2.rectangle(probability, (inset, inset), (399 - inset, 399 - inset), 255, 2)
    regions = decode(probability, (1, 1), DBDecoding(box_thresh=0.1, unclip_ratio=0))
    assert 5 < len(regions) < 50  # of 96
    areas = [np.ptp(region.polygon[:, 0]) * np.ptp(region.polygon[:, 1]) for region in regions]
    assert sum(areas) <= 4 * probability.size and min(areas) < 1000


def test_mean_inside_at_the_border():
    probability = np.full((20, 30), 128, np.uint8)
    outline = np.array([[-5, -5], [40, -5], [40, 25], [-5, 25]], np.float32)
    assert mean_inside(probability, outline) == pytest.approx(128 / 255)


# --- tiling


@pytest.mark.parametrize(("length", "tile", "overlap"), [(100, 200, 20), (1000, 200, 50), (201, 200, 50), (997, 64, 0)])
def test_spans_cover_everything_and_overlap(length, tile, overlap):
    parts = spans(length, tile, overlap)
    assert parts[0][0] == 0 and parts[-1][1] == length
    assert {stop - start for start, stop in parts} == {min(tile, length)}
    for (_, stop), (start, _) in pairwise(parts):
        assert stop - start >= overlap


def test_overlap_must_be_smaller_than_the_tile():
    with pytest.raises(ValueError, match="overlap"):
        spans(1000, 100, 100)


@pytest.mark.parametrize("size", [(50, 60), (300, 60), (60, 300), (330, 290)])
def test_stitched_map_equals_the_whole_map(size):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    joined = stitched(image, 128, 32, lambda tile: tile[..., 1])
    np.testing.assert_array_equal(joined, image[..., 1])


# --- scale


FORM = DetectionInput(
    colour="BGR", mean=127.5, std=127.5, min_short_side=544, max_short_side=1280, tile_side=1600, tile_overlap=192
)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1000, 1400), (992, 1408)),
        ((400, 800), (544, 1088)),
        ((272, 272), (544, 544)),
        ((2480, 3508), (1280, 1824)),
        ((17_320, 17_320), (1280, 1280)),
        ((860, 40_000), (864, 40_000)),
    ],
)
def test_short_side_is_brought_into_range(size, expected):
    assert view_of(*size, FORM) == View(expected, expected)


@pytest.mark.parametrize(
    ("size", "scaled", "canvas"),
    [
        ((1150, 44), (2300, 88), (2368, 160)),
        ((44, 1150), (88, 2300), (160, 2368)),
        ((1, 1), (2, 2), (96, 96)),
        ((28, 28), (56, 56), (128, 128)),
        ((271, 400), (542, 800), (608, 864)),
    ],
)
def test_small_pictures_are_enlarged_twice_and_get_a_margin(size, scaled, canvas):
    assert view_of(*size, FORM) == View(scaled, canvas)


@pytest.mark.parametrize(
    "size",
    [(65_000, 1), (60_000, 4), (20_000, 12), (65_000, 271), (65_000, 300), (65_000, 4615), (300_000, 1000), (500, 99)],
)
def test_what_is_looked_at_is_bounded_by_the_page(size):
    for width, height in (size, size[::-1]):
        view = view_of(width, height, FORM)
        assert view.size[0] * view.size[1] <= max(24_500_000, 1.05 * width * height)
        assert view.size[0] * view.size[1] <= 4.2 * width * height
        assert all(0 <= c - s < 64 + 32 and c % 32 == 0 for c, s in zip(view.canvas, view.size, strict=True))


# --- predictor


def test_lines_are_found_where_they_are(detector):
    (regions,) = detector([page(600, 400, [100, 200, 300])])
    assert [region.confidence > 0.6 for region in regions] == [True] * 3
    for region, y in zip(regions, [100, 200, 300], strict=True):
        left, top = region.polygon.min(axis=0)
        right, bottom = region.polygon.max(axis=0)
        assert top < y - 8 < bottom and bottom - top < 60
        assert left < 60 and right > 280


def test_order_of_images_and_mixed_kinds(detector):
    colour = page(600, 300, [100])
    grey, empty = cv2.cvtColor(page(500, 400, [150, 250]), cv2.COLOR_RGB2GRAY), page(300, 200, [])
    assert [len(regions) for regions in detector([colour, empty, grey])] == [1, 0, 2]
    assert detector([]) == []


def test_result_does_not_depend_on_batch_mates(detector):
    first, second = page(600, 300, [100]), page(480, 640, [150, 300, 500])
    together, alone = detector([first, second])[1], detector([second])[0]
    assert len(together) == len(alone) == 3
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.polygon, b.polygon)


def test_very_tall_page_keeps_every_line_once(detector):
    rows = list(range(60, 5960, 59))  # some of them on every seam between tiles
    (regions,) = detector([page(400, 6000, rows)])
    tops = [float(region.polygon[:, 1].mean()) + 8 for region in regions]
    assert len(tops) == len(rows)
    np.testing.assert_allclose(tops, rows, atol=8)


def test_line_longer_than_a_tile_is_one_region(detector):
    image = np.full((1000, 4000, 3), 255, np.uint8)
    text = "abcdefghij" * 20
    (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.2, 2)
    cv2.putText(image, text, (20, 500), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 2, cv2.LINE_AA)
    (regions,) = detector([image])
    assert len(regions) == 1
    left, right = regions[0].polygon[:, 0].min(), regions[0].polygon[:, 0].max()
    assert length > 2 * detector.input.tile_side
    assert right - left == pytest.approx(length, abs=40)


def test_polygons_stay_inside_the_page(detector):
    image = page(330, 60, [44])
    (regions,) = detector([image])
    assert regions
    for region in regions:
        assert (region.polygon >= 0).all() and (region.polygon <= (330, 60)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 65_000), (65_000, 1), (4, 60_000), (12, 20_000)])
def test_thin_pages_without_text_have_none(detector, size):
    assert detector([np.full((*size, 3), 255, np.uint8)]) == [[]]


@pytest.mark.parametrize("margin", [0, 2, 6, 20])
@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("Total amount 348,700 incl. VAT", 1.0),
        ("The quick brown fox jumps over the lazy dog near the river bank", 1.0),
        ("The quick brown fox jumps over the lazy dog near the river bank", 0.45),
        ("SN: 4F7K-22891-XB", 0.9),
        ("Invoice", 1.2),
        ("TOTAL", 4.0),
        ("7", 1.5),
    ],
)
def test_a_line_crop_is_one_region(detector, text, scale, margin):
    (length, tall), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
    for paper, ink in ((255, 20), (25, 240)):
        crop = np.full((tall + below + 2 * margin, length + 2 * margin, 3), paper, np.uint8)
        at = (margin, margin + tall)
        cv2.putText(crop, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (ink,) * 3, 2, cv2.LINE_AA)
        (regions,) = detector([crop])
        assert len(regions) == 1
        left, right = regions[0].polygon[:, 0].min(), regions[0].polygon[:, 0].max()
        assert left <= margin + 0.3 * tall and right >= margin + length - 0.3 * tall


def test_wrong_image_is_named(detector):
    with pytest.raises(ValueError, match="uint8"):
        detector([np.zeros((20, 20, 3), np.float32)])
    with pytest.raises(ValueError, match=r"\(0, 20, 3\)"):
        detector([np.zeros((0, 20, 3), np.uint8)])


def test_wrong_bundles():
    with pytest.raises(BundleError, match="'text_recognition', but 'text_detection' is needed"):
        TextDetector("ppocrv6-rec@small")
    bundle = load_bundle("ppocrv6-det@small")
    card = bundle.card.model_copy(update={"decoding": {"tresh": 0.3}})
    with pytest.raises(BundleError, match="tresh"):
        TextDetector(Bundle(bundle.folder, card))


# --- pixels


def test_blob_normalises_and_orders_channels():
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 0] = 255
    batch = blob([image, image], ImageFormat(colour="BGR", mean=127.5, std=127.5))
    assert batch.shape == (2, 3, 2, 3) and batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, :, 0, 0], [-1, -1, 1])
    np.testing.assert_allclose(blob([image], ImageFormat(colour="RGB", mean=0, std=255))[0, :, 0, 0], [1, 0, 0])


def test_rgb_takes_grey_and_alpha():
    assert rgb(np.zeros((4, 5), np.uint8)).shape == rgb(np.zeros((4, 5, 4), np.uint8)).shape == (4, 5, 3)
    with pytest.raises(ValueError, match="channels"):
        rgb(np.zeros((4, 5, 2), np.uint8))
