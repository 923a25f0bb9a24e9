"""Lines a second of recognition bundles on the same lines, one thread each, in turns: a busy machine slows all alike.

    python benchmarks/recognition_speed.py recognition-ko@1 ppocrv6-rec@small --lines data/lines/validation

Lines are read in batches of 64, as a page brings them; decoding of the image files is not counted. Prints the median
over the turns, and each bundle's ratio to the last one named.
"""

import argparse
import time
from statistics import median

import cv2

from models.text_recognition.predictor import TextRecognizer
from trainers.recognition.source import LineShards

_PAGE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", help="the last one is what the others are compared with")
    parser.add_argument("--lines", required=True, help="folder of Parquet files with lines")
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()

    source = LineShards(options.lines)
    images = [source.line(index).image for index in range(options.count)]
    pages = [images[first : first + _PAGE] for first in range(0, len(images), _PAGE)]
    cv2.setNumThreads(1)
    readers = {name: TextRecognizer(name, threads=1) for name in options.bundles}
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(options.turns + 1):
        for name, reader in readers.items():
            begun = time.process_time()
            for page in pages:
                reader(page)
            if turn:  # the first one compiles a kernel for each width
                seconds[name].append(time.process_time() - begun)
    for name, times in seconds.items():
        ratios = [peer / mine for mine, peer in zip(times, seconds[options.bundles[-1]], strict=True)]
        print(f"{name}: {options.count / median(times):.1f} lines/s, {median(ratios):.2f} of {options.bundles[-1]}")


if __name__ == "__main__":
    main()
