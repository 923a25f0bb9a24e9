"""Text recognition: crops, CTC decoding, batching, and the predictor on lines drawn here."""

from unittest.mock import ANY

import cv2
import numpy as np
import onnxruntime
import pytest

from models.bundle import Bundle, BundleError, load_bundle
from models.text_recognition import ctc
from models.text_recognition.predictor import TextRecognizer, bundle_characters
from models.text_recognition.preprocess import (
    RecognitionInput,
    bucket_width,
    crop_line,
    cut_long_line,
    in_batches,
    resize_to_height,
)


@pytest.fixture(scope="module")
def recognizer(precision) -> TextRecognizer:
    return TextRecognizer(precision=precision)


def line(text: str, scale: float = 1.0) -> np.ndarray:
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
    image = np.full((height + below + 12, width + 16, 3), 255, np.uint8)
    cv2.putText(image, text, (8, height + 6), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 2, cv2.LINE_AA)
    return image


TEXTS = ["Invoice 2024", "1,234.50", "Total amount due", "7", "The quick brown fox jumps over the lazy dog 0123456789"]


# --- crops


def test_crop_of_an_upright_quad_is_the_pixels():
    image = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    quad = np.array([[10, 20], [50, 20], [50, 40], [10, 40]], np.float32)
    np.testing.assert_array_equal(crop_line(image, quad), image[20:40, 10:50])


def test_crop_follows_a_slanted_quad():
    page = np.full((300, 400, 3), 255, np.uint8)
    page[100:130, 60:300] = (200, 30, 30)
    matrix = cv2.getRotationMatrix2D((200, 150), 20, 1)
    turned = cv2.warpAffine(page, matrix, (400, 300), borderValue=(255, 255, 255))
    quad = cv2.transform(np.array([[[60, 100], [300, 100], [300, 130], [60, 130]]], np.float32), matrix)[0]
    crop = crop_line(turned, quad)
    assert crop.shape == (30, 240, 3)
    np.testing.assert_allclose(crop[4:-4, 4:-4].reshape(-1, 3).mean(axis=0), (200, 30, 30), atol=2)


def test_tall_crop_is_turned_counter_clockwise():
    image = np.zeros((100, 40, 3), np.uint8)
    image[:10] = 255  # the top of the page becomes the left of the strip
    crop = crop_line(image, np.array([[5, 0], [35, 0], [35, 90], [5, 90]], np.float32))
    assert crop.shape == (30, 90, 3)
    assert crop[:, :8].mean() > 240 and crop[:, 20:].mean() < 5


@pytest.mark.parametrize("quad", [[[0, 0], [40, 0], [40, 30], [0, 30]], [[39, 29], [40, 29], [40, 30], [39, 30]]])
def test_crop_at_the_page_border(quad):
    image = np.full((30, 40), 7, np.uint8)
    crop = crop_line(image, np.array(quad, np.float32))
    assert crop.size and (crop == 7).all()


def test_degenerate_quad_gives_a_pixel():
    assert crop_line(np.zeros((30, 40, 3), np.uint8), np.full((4, 2), 12, np.float32)).shape == (1, 1, 3)


def test_resize_keeps_the_aspect_up_to_the_limit():
    assert resize_to_height(np.zeros((24, 100, 3), np.uint8), 48, 3200).shape == (48, 200, 3)
    assert resize_to_height(np.zeros((24, 9000, 3), np.uint8), 48, 3200).shape == (48, 3200, 3)
    assert resize_to_height(np.zeros((90, 1, 3), np.uint8), 48, 3200).shape == (48, 1, 3)


def test_a_long_line_is_cut_between_words_and_whole():
    text = " ".join(TEXTS[-1].split()[:9] * 10)
    crop = line(text)
    pieces = cut_long_line(crop, 48, 2000)
    assert len(pieces) > 4
    np.testing.assert_array_equal(np.concatenate([piece for piece, _ in pieces], axis=1), crop)
    assert [joint for _, joint in pieces] == ["", *[" "] * (len(pieces) - 1)]
    for piece, _ in pieces:
        assert piece.shape[1] * 48 / crop.shape[0] <= 2000
        assert piece[:, [0, -1]].min() == 255 or piece is pieces[0][0] or piece is pieces[-1][0]


def test_where_no_gap_is_as_wide_as_between_words_nothing_is_put_in():
    pieces = cut_long_line(line("0123456789" * 30), 48, 800)
    assert len(pieces) > 3 and {joint for _, joint in pieces} == {""}


@pytest.mark.parametrize("crop", [np.zeros((3, 200_000), np.uint8), np.full((1, 5000, 3), 9, np.uint8)])
def test_a_rule_is_cut_into_so_many_pieces_at_most(crop):
    pieces = cut_long_line(crop, 48, 3200)
    assert 1 < len(pieces) <= 64 and sum(piece.shape[1] for piece, _ in pieces) == crop.shape[1]


def test_a_short_line_is_not_cut():
    crop = line(TEXTS[-1])
    assert cut_long_line(crop, 48, 3200) == [(crop, "")]


# --- CTC


def path(indices: list[int], probability: float = 0.9) -> np.ndarray:
    steps = np.full((1, len(indices), 4), (1 - probability) / 3, np.float32)
    steps[0, range(len(indices)), indices] = probability
    return steps


@pytest.mark.parametrize(
    ("indices", "text"),
    [([0, 1, 1, 0, 1, 2, 2, 3], "aab "), ([0, 0, 0], ""), ([1, 1, 1], "a"), ([1, 0, 1], "aa"), ([3, 1], " a")],
)
def test_greedy_path(indices, text):
    ((read, confidence, _),) = ctc.decode(path(indices), ["", "a", "b", " "])
    assert read == text
    assert confidence == pytest.approx(0.9 if text else 0.0)


def test_confidence_is_the_mean_over_characters_kept():
    steps = np.concatenate([path([1], 0.9), path([0], 0.4), path([2], 0.5)], axis=1)
    assert ctc.decode(steps, ["", "a", "b", " "]) == [("ab", pytest.approx(0.7), ANY)]


def test_calibrated_confidence_is_of_the_geometric_mean():
    steps = np.concatenate([path([1], 0.9), path([0], 0.4), path([2], 0.4)], axis=1)
    characters = ["", "a", "b", " "]
    assert ctc.decode(steps, characters, ctc.Calibration()) == [("ab", pytest.approx(0.6), ANY)]
    ((_, lower, _),) = ctc.decode(steps, characters, ctc.Calibration(scale=2, offset=-1))
    assert lower == pytest.approx(1 / (1 + np.exp(1) * (0.4 / 0.6) ** 2))
    assert ctc.decode(path([0, 0]), characters, ctc.Calibration(offset=3)) == [("", 0.0, ())]
    assert ctc.Calibration()(1.0) == pytest.approx(1, abs=1e-5) and ctc.Calibration(scale=20)(0.0) < 1e-9


# --- batches


def test_spaces_can_be_given_a_bonus():
    characters = ["", "a", "b", " "]
    steps = np.array([[[0.0, 1.0, 0.0, 0.0], [0.7, 0.0, 0.0, 0.3], [0.0, 0.0, 1.0, 0.0]]], np.float32)
    assert ctc.decode(steps, characters)[0][0] == ctc.decode(steps, characters, space_bonus=0.5)[0][0] == "ab"
    ((text, confidence, _),) = ctc.decode(steps, characters, ctc.Calibration(), space_bonus=3.0)
    assert text == "a b" and confidence <= 1
    assert steps[0, 1, 3] == np.float32(0.3)  # not the caller's array
    assert ctc.decode(steps[:, :, :3], characters[:3], space_bonus=3.0)[0][0] == "ab"


@pytest.mark.parametrize(
    ("text", "sure", "read"),
    [("2 9", False, "29"), ("2 9", True, "2 9"), ("7: 9", False, "7:9"), ("2 a", False, "2 a"), ("a 2", False, "a 2")],
)
def test_the_space_bonus_helps_no_space_within_a_number(text, sure, read):
    characters = ["", *"29 a7:"]
    steps = np.full((1, len(text), len(characters)), 0.01, np.float32)
    for column, character in enumerate(text):
        steps[0, column, characters.index(character)] = 0.9
        if character == " " and not sure:  # the blank is likelier
            steps[0, column, [0, characters.index(" ")]] = 0.6, 0.3
    assert ctc.decode(steps, characters, space_bonus=2.0)[0][0] == read


@pytest.mark.parametrize("width", [32, 320, 640, 1280, 3200])
def test_batches_come_in_few_sizes_and_keep_the_order(width):
    for count in range(40):
        batches = in_batches(list(range(count)), width)
        assert [index for batch in batches for index in batch] == list(range(count))
        assert {len(batch) for batch in batches} <= {1, 2, 4, 8}
        assert all(len(batch) == 1 or len(batch) * width <= 2560 for batch in batches)


def test_buckets_are_few_and_padding_is_little():
    form = load_bundle("ppocrv6-rec@small").input(RecognitionInput)
    widths = range(1, form.max_width + 1)
    buckets = [bucket_width(width, form) for width in widths]
    assert len(set(buckets)) <= 50
    for width, bucket in zip(widths, buckets, strict=True):
        assert max(width, form.min_width) <= bucket < max(form.min_width + 1, width + form.width_step, 1.1 * width + 1)


# --- predictor


def test_reads_lines_in_the_given_order(recognizer):
    results = recognizer([line(text, 0.8) for text in TEXTS])  # at scale 1 it is in doubt about the lone 7
    assert [result.text for result in results] == TEXTS
    assert all(result.confidence > 0.8 for result in results)
    assert {result.language for result in results} == {recognizer.language}
    assert recognizer([]) == []


def test_a_line_longer_than_the_widest_strip_is_read_whole(recognizer):
    text = " ".join(TEXTS[-1].split()[:9] * 10)
    (result,) = recognizer([line(text)])
    assert result.text == text
    assert result.confidence > 0.7


def test_text_and_confidence_do_not_depend_on_batch_mates(recognizer):
    crops = [line(text, scale) for text in TEXTS for scale in (0.6, 1.0, 1.7)]
    together = recognizer(crops)
    for crop, result in zip(crops, together, strict=True):
        (alone,) = recognizer([crop])
        assert alone.text == result.text
        assert alone.confidence == pytest.approx(result.confidence, abs=0.01)


def test_a_card_may_calibrate_confidences(precision):
    decoding = {"language": "en", "calibration": {"scale": 1.0, "offset": -1.0}}
    crops = [line(text) for text in TEXTS]
    plain, calibrated = (
        TextRecognizer(changed(decoding=decoding), precision=precision, calibrated=calibrated)(crops)
        for calibrated in (False, True)
    )
    for before, after in zip(plain, calibrated, strict=True):
        assert after.text == before.text and after.confidence < before.confidence


def test_very_long_line_is_read_whole(recognizer):
    words = [f"word{index}" for index in range(40)]
    (result,) = recognizer([line(" ".join(words))])
    assert result.text.split() == words


def test_grey_crops_and_specks(recognizer):
    grey = cv2.cvtColor(line("Hello 42"), cv2.COLOR_RGB2GRAY)
    read, speck = recognizer([grey, np.zeros((1, 1), np.uint8)])
    assert read.text == "Hello 42"
    assert speck.text == ""


def test_doubtful_lines_come_back_empty(recognizer):
    noise = np.random.default_rng(1).integers(0, 255, (32, 200, 3), dtype=np.uint8)
    strict = TextRecognizer(precision=recognizer.network.precision, min_confidence=1.0)
    (result,) = strict([line("Invoice 2024")])
    assert result.text == "" and result.confidence > 0.8
    assert recognizer([noise])[0].text == "" or recognizer([noise])[0].confidence >= 0.5


def changed(**update) -> Bundle:
    bundle = load_bundle("ppocrv6-rec@small")
    return Bundle(bundle.folder, bundle.card.model_copy(update=update))


def test_wrong_bundles():
    with pytest.raises(BundleError, match="'text_detection', but 'text_recognition' is needed"):
        TextRecognizer("ppocrv6-det@small")
    with pytest.raises(BundleError, match=r"decoding\.charset: Input should be 'labels', not 'metadata:letters'"):
        TextRecognizer(changed(decoding={"charset": "metadata:letters", "language": "en"}))
    with pytest.raises(BundleError, match="charset is empty"):
        TextRecognizer(changed(decoding={"language": "en"}, labels=[]))
    with pytest.raises(BundleError, match="language"):
        TextRecognizer(changed(decoding={}))


def test_the_card_of_ppocrv6_holds_the_charset_that_its_network_names():
    bundle = load_bundle("ppocrv6-rec@small")
    metadata = onnxruntime.InferenceSession(bundle.network).get_modelmeta().custom_metadata_map
    # PaddleOCR appends the space to its dictionary instead of listing it there.
    assert bundle_characters(bundle) == [*metadata["character"].split("\n"), " "]


def test_charset_of_another_size_is_an_error():
    bundle = changed(decoding={"charset": "labels", "language": "en"}, labels=["a", "b"])
    wrong = TextRecognizer(bundle, precision="f32")
    with pytest.raises(BundleError, match="18710 classes, its charset with blank 3"):
        wrong([line("abc")])
