"""Pictures of a single line, as people send them, from the detector to the text; in each arithmetic the CPU has."""

import cv2
import numpy as np
import pytest

from models.text_detection.predictor import TextDetector
from models.text_recognition.predictor import TextRecognizer
from models.text_recognition.preprocess import crop_line

pytestmark = pytest.mark.slow

WORDS = "time year people way day man thing woman life child world school state family student group country problem"


@pytest.fixture(scope="module")
def read(precision):
    detector, recognizer = TextDetector(precision=precision), TextRecognizer(precision=precision)

    def read(image: np.ndarray) -> list[str]:
        (regions,) = detector([image])
        return [line.text for line in recognizer([crop_line(image, region.polygon) for region in regions])]

    return read


def drawn(text: str, width: int, height: int, scale: float) -> np.ndarray:
    image = np.full((height, width, 3), 255, np.uint8)
    (length, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
    assert length < width
    at = ((width - length) // 2, (height + tall) // 2)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), 2, cv2.LINE_AA)
    return image


@pytest.mark.parametrize(
    ("text", "width", "height", "scale"),
    [
        ("Total amount 348,700 incl. VAT", 620, 44, 1.0),
        ("The quick brown fox jumps over the lazy dog near the river", 1150, 44, 1.0),
        (WORDS, 2000, 40, 1.0),
        (" ".join([WORDS] * 4), 14_000, 80, 1.5),
        ("SN: 4F7K-22891-XB", 320, 30, 0.9),
        ("348,700", 200, 48, 1.2),
        ("Invoice", 140, 34, 1.0),
        ("7", 30, 40, 1.2),
    ],
)
def test_a_line_is_read_whole(read, text, width, height, scale):
    assert read(drawn(text, width, height, scale)) == [text]


def test_the_lines_of_a_small_label_stay_apart(read):
    label = np.vstack([drawn(text, 300, 36, 0.8) for text in ("Lot 20391", "Made 2025-01-17", "Weight 500 g")])
    assert read(label) == ["Lot 20391", "Made 2025-01-17", "Weight 500 g"]
