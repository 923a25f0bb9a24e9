"""Several recognisers over the same lines: who reads what, and whose reading wins."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from models.bundle import BundleError, load_bundle
from models.text_recognition.cascade import RecognizerCascade
from models.text_recognition.ctc import Calibration
from models.text_recognition.predictor import RecognizedText, TextRecognizer
from tests.recognizers import SAYS, dark_line_recognizer

pytestmark = pytest.mark.slow

LATIN = "abcdefghijklmnopqrstuvwxyzTOTAL0123456789.,:- "
KOREAN = LATIN + "합계원총금액을를ㅇ"
CHINESE = LATIN + "合計日本語あい号"
KO_EN = [["ko"], ["en"]]


class Reported:
    """A recogniser that says what it is told of the line with the number in its first pixel; notes what it read."""

    def __init__(self, name: str, characters: str, *readings: tuple[str, float]):
        self.network = SimpleNamespace(name=name, device="here", precision="f32")
        self.characters = ["", *characters]
        self.calibration = Calibration()
        self.readings = readings
        self.seen: list[int] = []

    def __call__(self, crops):
        numbers = [int(crop[0, 0]) for crop in crops]
        self.seen += numbers
        return [RecognizedText(*self.readings[number], self.network.name) for number in numbers]


def lines(count: int) -> list[np.ndarray]:
    return [np.full((1, 1), number, np.uint8) for number in range(count)]


def read(korean: tuple[str, float], other: tuple[str, float], languages=("ko", "en"), **settings) -> RecognizedText:
    recognizers = [Reported("korean", KOREAN, korean), Reported("other", CHINESE, other)]
    return RecognizerCascade(recognizers, [[language] for language in languages], **settings)(lines(1))[0]


def test_only_doubtful_lines_are_read_again():
    readings = (("합계", 0.99), ("t0tal", 0.6), ("1,000", 0.95), ("", 0.0), ("金", 0.99), ("TOTAI", 0.98))
    korean = Reported("korean", KOREAN, *readings)
    other = Reported("other", CHINESE, ("合計", 0.9), ("total", 0.9), ("", 0), ("x", 0.9), ("合", 0.7), ("TOTAL", 0.95))
    read = RecognizerCascade([korean, other], KO_EN, sure=0.95)(lines(6))
    assert (korean.seen, other.seen) == ([0, 1, 2, 3, 4, 5], [1, 3, 4, 5])
    assert [text.text for text in read] == ["합계", "total", "1,000", "x", "金", "TOTAL"]
    assert [text.language for text in read] == ["korean", "other", "korean", "other", "korean", "other"]
    assert RecognizerCascade([korean, other], KO_EN)([]) == []


def test_one_recogniser_reads_alone_and_needs_no_calibration():
    korean = Reported("korean", KOREAN, ("합계", 0.6), ("t0tal", 0.4))
    korean.calibration = None
    read = RecognizerCascade([korean], [["ko"]])(lines(2))
    assert [(text.text, text.confidence) for text in read] == [("합계", 0.6), ("", 0.4)]
    assert RecognizerCascade([korean], [["ko"]]).name == "korean"


def test_several_without_a_calibration_are_refused():
    plain = Reported("plain", LATIN)
    plain.calibration = None
    with pytest.raises(BundleError, match=r"bundle plain: its card has no decoding\.calibration"):
        RecognizerCascade([Reported("korean", KOREAN), plain], KO_EN)


@pytest.mark.parametrize(
    ("korean", "other", "languages", "winner"),
    [
        (("t0tal", 0.8), ("total", 0.9), ("ko", "en"), "total"),
        (("t0tal", 0.97), ("total", 0.9), ("ko", "en"), "total"),  # Latin letters are the other one's
        (("total", 0.99), ("t0tal", 0.8), ("ko", "en"), "total"),
        (("tota1", 0.8), ("total", 0.7), ("ko", "zh"), "tota1"),  # here, nobody's
        (("1,000", 0.9), ("1.000", 0.9), ("ko", "en"), "1,000"),
        # It leaves out what it cannot write, and is sure of the rest.
        (("1,000원", 0.9), ("1,000", 0.97), ("ko", "en"), "1,000원"),
        (("합계 1,000", 0.8), ("1,000", 0.94), ("ko", "en"), "합계 1,000"),
        # A jamo by itself is no letter that the other one had to know.
        (("1ㅇ", 0.9), ("10", 0.95), ("ko", "en"), "10"),
        # It takes Hangul for ideographs, which nobody asked for.
        (("합계", 0.5), ("合計", 0.9), ("ko", "en"), "합계"),
        (("금액: 10", 0.6), ("号号: 10", 0.9), ("ko", "en"), "금액: 10"),
        # Asked for, they count as much.
        (("합계", 0.5), ("合計", 0.9), ("ko", "zh"), "合計"),
        # What is hardly sure of itself proves nothing.
        (("원", 0.2), ("0", 0.9), ("ko", "en"), "0"),
    ],
)
def test_the_surer_reading_wins_as_far_as_its_recogniser_can_write_the_line(korean, other, languages, winner):
    assert read(korean, other, languages, min_confidence=0.1).text == winner


def test_a_line_nobody_is_sure_of_comes_back_empty():
    result = read(("원", 0.2), ("0", 0.4))
    assert (result.text, result.confidence) == ("", 0.4)


def drawn(text: str, inverted: bool = False) -> np.ndarray:
    image = np.full((44, 24 * len(text), 3), 255, np.uint8)
    cv2.putText(image, text, (8, 32), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2, cv2.LINE_AA)
    return 255 - image if inverted else image


def test_real_networks_together(precision, tmp_path):
    korean = TextRecognizer(dark_line_recognizer(tmp_path), precision=precision, min_confidence=0)
    own = TextRecognizer(precision=precision, min_confidence=0)
    cascade = RecognizerCascade([korean, own], KO_EN)
    assert cascade.name == "korean@1+ppocrv6-rec@small" and cascade.device == "openvino:CPU"
    light, dark = cascade([drawn("Invoice 2024"), drawn("Invoice 2024", inverted=True)])
    assert light.text == "Invoice 2024" and light.language.startswith("zh+en+ja")
    assert dark.text == SAYS and dark.language == "ko+en"
    (alone,) = RecognizerCascade([own], [["en"]])([drawn("Invoice 2024")])
    assert alone == light


def test_the_packaged_recogniser_is_calibrated(precision):
    bundle = load_bundle("ppocrv6-rec@small")
    raw = TextRecognizer(bundle, precision=precision, calibrated=False)([drawn("Invoice 2024")])[0]
    calibrated = TextRecognizer(bundle, precision=precision)([drawn("Invoice 2024")])[0]
    assert raw.text == calibrated.text and raw.confidence > calibrated.confidence > 0.9
