"""Calibrates a recogniser's confidences on rendered lines, for `decoding.calibration` of its card.

    python benchmarks/recognition_calibration.py --bundle ppocrv6-rec@small --count 600

Lines are those of the validation split (`trainers.render.lines`; needs fonts: `make fonts`). Most are of characters
that the recogniser has. A few (`--any`) are of any, Hangul for the most part: on what it can write a good recogniser
hardly ever has a low probability, and what those mean would be a guess. Each half of the lines is calibrated on the
other half for the table, all together for the values printed.
"""

import argparse
import json

import numpy as np

from models.bundle import Bundle, load_bundle
from models.text_recognition.ctc import Calibration
from models.text_recognition.predictor import TextRecognizer
from trainers.recognition.metrics import (
    character_accuracy,
    cross_calibrated,
    fit_calibration,
    reliability,
    reliability_text,
)
from trainers.render.lines import RenderedLines

_AS_IT_IS = Calibration()


def read_lines(reference: str, count: int, share: float, seed: int, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (geometric mean probabilities, character accuracies), 0..1; `share` of the lines are random characters."""
    bundle = load_bundle(reference, "text_recognition")
    decoding = bundle.card.decoding | {"calibration": _AS_IT_IS.model_dump()}
    plain = Bundle(bundle.folder, bundle.card.model_copy(update={"decoding": decoding}))
    recognizer = TextRecognizer(plain, precision=precision, min_confidence=0)
    own = RenderedLines("validation", seed, charset=[c for c in recognizer.characters if len(c) == 1])
    any_characters = RenderedLines("validation", seed)
    # Spread evenly, so that both halves hold as many.
    kinds = [int((index + 1) * share) > int(index * share) for index in range(count)]
    lines = [(any_characters if any_kind else own).line(index) for index, any_kind in enumerate(kinds)]
    read = recognizer([line.image for line in lines])
    accuracy = [character_accuracy(line.text, result.text) for line, result in zip(lines, read, strict=True)]
    return np.array([result.confidence for result in read]), np.array(accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="ppocrv6-rec@small")
    parser.add_argument("--count", type=int, default=600, help="lines")
    parser.add_argument("--any", type=float, default=0.06, metavar="SHARE", help="of the lines, of any characters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="auto", choices=("auto", "f32", "bf16"))
    arguments = parser.parse_args()
    probability, accuracy = read_lines(
        arguments.bundle, arguments.count, arguments.any, arguments.seed, arguments.precision
    )
    confidence = cross_calibrated(probability, accuracy)
    print(f"as it is\n{reliability_text(reliability(probability, accuracy))}\n")
    print(f"calibrated\n{reliability_text(reliability(confidence, accuracy))}\n")
    fitted = fit_calibration(probability, accuracy)
    print(json.dumps({"calibration": {"scale": round(fitted.scale, 4), "offset": round(fitted.offset, 4)}}))


if __name__ == "__main__":
    main()
