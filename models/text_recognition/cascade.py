"""Several recognisers over the same lines: the surer one wins.

A cascade (Viola and Jones, CVPR 2001): the first recogniser reads all lines, each next one those that the readings so
far leave doubtful. So a second language costs little where the first recogniser is sure.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from models.bundle import BundleError
from models.text_recognition.languages import script, script_weights, scripts
from models.text_recognition.predictor import RecognizedText, TextRecognizer

# Factor of a reading's doubt where its letters belong to another recogniser's languages. Measured with an early Korean
# recogniser beside PP-OCRv6: at 1 receipts and forms lose 2 to 4 points of word F1, at 5 less than half a point; at 10
# Korean lines begin to lose.
_AWAY = 5
# Jamo by themselves (ㅇ, ㄱ, ㅡ): what a Korean recogniser takes a lone 0, a 7 or a dash for, and hardly ever in print.
# It is no evidence against a reading that another recogniser lacks them.
_JAMO = frozenset(map(chr, range(0x3131, 0x318F)))


class RecognizerCascade:
    """Text of line crops by one recogniser or several.

    Confidences are comparable because each card calibrates its own. What a recogniser cannot write (Hangul, for one of
    Chinese and English) it does not miss: it leaves such characters out or takes them for others, sure of itself. So a
    reading counts less the more another one, as far as that is sure of itself, holds characters that this reading's
    recogniser lacks (single jamo aside); and the more of its letters are of scripts of no requested language.
    And each recogniser decides about the scripts of its own languages: the letters that are another one's count with
    more doubt.

    Args:
        recognizers: in the order in which they read; opened with `min_confidence=0`.
        own: of each recogniser, the languages (ISO 639-1) that it is used for; together the requested ones.
        sure: a reading of this confidence, in scripts of its recogniser's own for the most part, is not read again.
        min_confidence: a line whose best reading has less comes back as the empty text (with its confidence).

    Attributes:
        name: `name@version` of the recognisers, joined by +.
        device, precision: as in `models.runtime.Network`, of the first recogniser.

    Raises:
        BundleError: one of several recognisers has no calibration, so that nothing can be compared.
    """

    def __init__(
        self,
        recognizers: Sequence[TextRecognizer],
        own: Sequence[Sequence[str]],
        sure: float = 0.95,
        min_confidence: float = 0.5,
    ):
        self.recognizers = list(recognizers)
        self.sure, self.min_confidence = sure, min_confidence
        networks = [recognizer.network for recognizer in self.recognizers]
        self.name = "+".join(network.name for network in networks)
        self.device, self.precision = networks[0].device, networks[0].precision
        if len(networks) > 1:
            for recognizer in self.recognizers:
                if recognizer.calibration is None:
                    raise BundleError(
                        f"bundle {recognizer.network.name}: its card has no decoding.calibration, so its confidences "
                        "cannot be compared with another recogniser's; fit one (benchmarks/recognition_calibration.py)"
                    )
        several = self.recognizers if len(networks) > 1 else []
        self._writable = [frozenset(recognizer.characters) for recognizer in several]
        owned = [{name for language in languages for name in scripts(language)} for languages in own]
        # Documents of every language contain Latin letters.
        self._scripts = {"latin"}.union(*owned)
        self._others = [set().union(*owned) - mine for mine in owned]

    def __call__(self, crops: list[np.ndarray]) -> list[RecognizedText]:
        """Read crops, in the given order; `language` is that of the recogniser whose reading won.

        Args:
            crops: (h, w) or (h, w, 3) uint8, RGB, of any sizes.
        """
        first, *others = self.recognizers
        readings = [[text] for text in first(crops)]
        for recognizer in others:
            doubtful = [
                index for index, known in enumerate(readings) if not any(map(self._is_sure, known, self._others))
            ]
            for index, text in zip(doubtful, recognizer([crops[index] for index in doubtful]), strict=True):
                readings[index].append(text)
        best = [known[0] if len(known) == 1 else self._best(known) for known in readings]
        return [text if text.confidence >= self.min_confidence else replace(text, text="") for text in best]

    def _is_sure(self, reading: RecognizedText, others: set[str]) -> bool:
        text = reading.text
        return reading.confidence >= self.sure and _away(text, others) <= 0.5 and not self._strange(text)

    def _best(self, readings: list[RecognizedText]) -> RecognizedText:
        """Return the most confident of a line's readings by the first recognisers; of equal ones the earlier."""
        scores = [self._score(index, readings) for index in range(len(readings))]
        return readings[int(np.argmax(scores))]

    def _score(self, index: int, readings: list[RecognizedText]) -> float:
        own, writable = readings[index], self._writable[index]
        doubt = (1 - own.confidence) * (1 + (_AWAY - 1) * _away(own.text, self._others[index]))
        score = max(0.0, 1 - doubt) * (1 - self._strange(own.text))
        for other in readings:
            lacking = _share(
                other.text,
                lambda char: char not in writable and char not in _JAMO and self._is_requested(char),
            )
            score *= 1 - other.confidence * lacking
        return score

    def _strange(self, text: str) -> float:
        """Share of a text's characters that are letters of scripts of no requested language."""
        return _share(text, lambda character: not self._is_requested(character))

    def _is_requested(self, character: str) -> bool:
        return (script(character) or "latin") in self._scripts


def _away(text: str, others: set[str]) -> float:
    """Share (0..1) of a text's letters that are of the scripts `others`."""
    weights = script_weights(text)
    return sum(weights[name] for name in others) / weights.total() if weights else 0.0


def _share(text: str, is_counted) -> float:
    """Share (0..1) of a text's characters, spaces aside, that are counted."""
    characters = [character for character in text if not character.isspace()]
    return sum(map(is_counted, characters)) / len(characters) if characters else 0.0
