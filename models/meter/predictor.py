"""From a photo of a meter to its reading: display, strip, digits, reading."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from models.blob import rgb
from models.bundle import Bundle
from models.geometry import box_corners, map_points, quad_size
from models.meter.reading import Reading, to_reading
from models.meter_digits.predictor import DigitReader, StripDigit
from models.meter_digits.preprocess import cut_strip
from models.meter_screen.predictor import Screen, ScreenDetector

SMALLEST = 64  # px; shorter photos hold no legible display
_LOWEST = 6.0  # px of the photo; digits of a lower display are illegible
_OTHER_SHARE = 0.6  # of the first display's presence, from which a second one makes the photo ambiguous
_TURNED_SHARE = 0.4  # of its presence, from which a display is read upside down too; upright ones have 0.1 to 0.3
_DOUBTFUL = 0.7  # confidence below which a display is cut out once more
_TIGHTER = (0.98, 0.9)  # of the display's length and height: how it is cut out then
_ILLEGIBLE = "_illegible"


@dataclass(frozen=True, slots=True)
class ReadDigit:
    """A place: `character` ("0" … "9", or "x": cannot be read), `box` float32 (4, 2), px of the photo, from the digit's
    own top left, `confidence` 0..1, `fraction`: behind the decimal point."""

    character: str
    box: np.ndarray
    confidence: float
    fraction: bool


@dataclass(frozen=True, slots=True)
class MeterReading:
    """What a photo of a meter says.

    Attributes:
        success: whether the reading may be used.
        reason: why not; "" where it may.
        reading: digits as shown, leading zeros too, "." before the fraction, "x" for a place that cannot be read; ""
            where no display was found.
        confidence: 0..1, of the least sure place.
        meter_class: analog, digital, analog_illegible or digital_illegible; "" without a display.
        class_confidence: 0..1.
        corners: float32 (4, 2), TL, TR, BR, BL of the display in reading order, px of the photo; None without one.
        digits: left to right.
        fraction_digits: places behind the decimal point.
    """

    success: bool
    reason: str
    reading: str = ""
    confidence: float = 0.0
    meter_class: str = ""
    class_confidence: float = 0.0
    corners: np.ndarray | None = None
    digits: tuple[ReadDigit, ...] = ()
    fraction_digits: int = 0


class MeterPredictor:
    """Readings of meter photos.

    >>> reading, = MeterPredictor()([photo])  # photo: (h, w, 3) uint8 RGB
    >>> reading.reading if reading.success else reading.reason
    '00378.547'

    Args:
        screen, digits: bundles of tasks `meter_screen` and `meter_digits`, or their names.
        device, threads, precision: see `models.runtime.Network`.

    Raises:
        BundleError, DeviceError: a bundle or the device cannot be used.
    """

    def __init__(
        self,
        screen: Bundle | str | Path = "meter-screen@1",
        digits: Bundle | str | Path = "meter-digits@1",
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
    ):
        self.detector = ScreenDetector(screen, device, threads, precision)
        self.reader = DigitReader(digits, device, threads, precision)
        self.device = self.detector.device

    def __call__(self, images: list[np.ndarray]) -> list[MeterReading]:
        """Return the readings of photos, in order.

        Args:
            images: (h, w) or (h, w, 3) uint8 RGB, EXIF orientation applied.
        """
        return [self._read(rgb(image)) for image in images]

    def read_display(self, image: np.ndarray, screen: Screen) -> "DisplayReading":
        """Return the reading of a display; of one that may hang upside down, the more probable of both ways."""
        directions = [(screen.corners, screen.presence)]
        if screen.reversed_presence >= _TURNED_SHARE * screen.presence:
            directions.append((np.roll(screen.corners, 2, axis=0), screen.reversed_presence))
        cuts = [cut_strip(image, corners, self.reader.input) for corners, _ in directions]
        places = self.reader([strip for strip, _ in cuts])
        # Of seven segments most digits are digits upside down too: then what the whole meter looks like decides.
        likely = [_log_likelihood(places[turn]) + np.log(presence) for turn, (_, presence) in enumerate(directions)]
        best = int(np.argmax(likely))
        corners, analog = directions[best][0], screen.meter_class.startswith("analog")
        reading = self._reading(places[best], cuts[best][0], analog)
        found = DisplayReading(reading, corners, *cuts[best])
        return self._surer(image, found, analog) if reading.confidence < _DOUBTFUL else found

    def _surer(self, image: np.ndarray, first: "DisplayReading", analog: bool) -> "DisplayReading":
        """Return the more confident of two readings: of the display as cut out, and of a slightly tighter cut. Corners
        are accurate to about a tenth of the display's height; a digit that depends on that is usually wrong."""
        strip, matrix = cut_strip(image, _scaled(first.corners, *_TIGHTER), self.reader.input)
        reading = self._reading(self.reader([strip])[0], strip, analog)
        second = DisplayReading(reading, first.corners, strip, matrix)
        surer, other = sorted((first, second), key=lambda look: -look.reading.confidence)
        if surer.reading.text == other.reading.text:
            confidence = (surer.reading.confidence + other.reading.confidence) / 2
            reason = first.reading.reason
        else:
            confidence = surer.reading.confidence / 2
            reason = (
                surer.reading.reason
                or f"two looks at the display differ: the other says {other.reading.text or 'nothing'}"
            )
        return replace(surer, reading=replace(surer.reading, confidence=confidence, reason=reason))

    def _reading(self, places: list[StripDigit], strip: np.ndarray, analog: bool) -> Reading:
        margin = self.reader.input.margin
        counter = (margin, strip.shape[1] - margin) if analog else None
        return to_reading(places, self.reader.decoding, counter)

    def _read(self, image: np.ndarray) -> MeterReading:
        height, width = image.shape[:2]
        if max(height, width) < SMALLEST:
            return MeterReading(False, f"the photo is too small: {width} × {height} px, {SMALLEST} are needed")
        screens = self.detector([image])[0]
        if not screens:
            return MeterReading(False, "no display found")
        screen, found = screens[0], self.read_display(image, screens[0])
        reading = found.reading
        reason = _doubt(screens) or reading.reason
        to_photo = np.linalg.inv(found.matrix)
        before = len(reading.digits) - reading.fraction_digits
        digits = (
            ReadDigit(
                place.character, map_points(to_photo, box_corners(*place.box)), place.confidence, number >= before
            )
            for number, place in enumerate(reading.digits)
        )
        return MeterReading(
            success=not reason,
            reason=reason,
            reading=reading.text,
            confidence=reading.confidence,
            meter_class=screen.meter_class,
            class_confidence=screen.class_confidence,
            corners=found.corners,
            digits=tuple(digits),
            fraction_digits=reading.fraction_digits,
        )


@dataclass(frozen=True, slots=True)
class DisplayReading:
    """A display's reading; its `corners` in the order it was read in, its `strip` (h, w, 3) uint8 RGB and the
    homography `matrix` [3, 3] from the photo to the strip."""

    reading: Reading
    corners: np.ndarray
    strip: np.ndarray
    matrix: np.ndarray


def _doubt(screens: list[Screen]) -> str:
    """Return why the most confident display must not be read, whatever its digits; "" if there is no reason."""
    first = screens[0]
    if len(screens) > 1 and screens[1].presence >= _OTHER_SHARE * first.presence:
        return "more than one display found: send one meter a photo"
    if quad_size(first.corners)[1] < _LOWEST:
        return f"the display is less than {_LOWEST:.0f} px high: go closer"
    if first.meter_class.endswith(_ILLEGIBLE):
        return "the display is illegible"
    return ""


def _log_likelihood(places: list[StripDigit]) -> float:
    return sum(np.log(max(place.confidence, 1e-3)) for place in places) if places else -np.inf


def _scaled(corners: np.ndarray, along: float, across: float) -> np.ndarray:
    """Return a display's corners [4, 2] with its length and height scaled about the centre."""
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    return map_points(cv2.getPerspectiveTransform(square, corners), square * np.array([along, across], np.float32))
