"""What all predictors have in common: bad cards are refused alike, and the process is left as it was."""

import cv2
import pytest

from models.bundle import Bundle, BundleError, load_bundle
from models.deskew.predictor import DeskewPredictor
from models.meter.predictor import MeterPredictor
from models.meter_digits.predictor import DigitReader
from models.meter_screen.predictor import ScreenDetector
from models.orientation.predictor import OrientationPredictor
from models.text_detection.predictor import TextDetector
from models.text_recognition.predictor import TextRecognizer

PREDICTORS = {
    DeskewPredictor: "deskew@1",
    OrientationPredictor: "orientation@1",
    TextDetector: "ppocrv6-det@small",
    TextRecognizer: "ppocrv6-rec@small",
    ScreenDetector: "meter-screen@1",
    DigitReader: "meter-digits@1",
}
DECODING = [predictor for predictor in PREDICTORS if predictor is not OrientationPredictor]  # it has no settings there


def with_bad(part: str, reference: str) -> Bundle:
    bundle = load_bundle(reference)
    settings = getattr(bundle.card, part) | {"heigth": 48}
    return Bundle(bundle.folder, bundle.card.model_copy(update={part: settings}))


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_a_bad_input_of_a_card_is_named(predictor):
    name = PREDICTORS[predictor]
    with pytest.raises(BundleError, match=f"bundle {name}: its card is not valid: input.heigth: Extra inputs are not"):
        predictor(with_bad("input", name))


@pytest.mark.parametrize("predictor", DECODING)
def test_a_bad_decoding_of_a_card_is_named(predictor):
    name = PREDICTORS[predictor]
    with pytest.raises(BundleError, match=f"bundle {name}: its card is not valid: decoding.heigth: Extra inputs are"):
        predictor(with_bad("decoding", name))


@pytest.mark.parametrize("predictor", [*PREDICTORS, MeterPredictor])
def test_predictors_leave_the_threads_of_opencv_alone(predictor):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        predictor(threads=1)
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
