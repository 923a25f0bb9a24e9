"""Text quality and one-thread speed of ocray's text predictors, beside RapidOCR on the same upright pages.

    python benchmarks/text_quality.py --data ../shared/data --sets receipts,forms --limit 20 --peer rapidocr-openvino
    python benchmarks/text_quality.py --data ../shared/data --sets receipts,forms --languages ko,en --languages en

A set is a Parquet file with `image` (encoded bytes) and its truth in `lines` or `words` (lists of {text}) or `text`.
Engines take turns, batch of pages by batch, so a busy machine slows all of them alike; seconds are CPU seconds of this
process, in which every engine runs one thread. Decoding of the image files is not counted.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

from benchmarks.page_text_f1 import TextScore
from models.layout.reading_order import reading_order
from models.text_recognition.preprocess import crop_line
from pipelines.readers.registry import load_reader

Engine = Callable[[list[np.ndarray]], list[str]]


def labelled_pages(path: Path, limit: int | None, seed: int) -> Iterator[tuple[np.ndarray, str]]:
    """Yield (RGB page, true text) of a random `limit` of a set's rows."""
    rows = pq.read_table(path).to_pylist()
    random.Random(seed).shuffle(rows)
    for row in rows[:limit]:
        image = np.asarray(cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_COLOR_RGB))
        yield image, true_text(row)


def true_text(row: dict) -> str:
    """Return the text of a labelled page: of its `lines`, its `words`, or `text`."""
    parts = row.get("lines") or row.get("words") or [{"text": row.get("text") or ""}]
    return "\n".join(part["text"] for part in parts)


def ocray(reader: str, languages: str, precision: str) -> Engine:
    """Return the predictors of a reader's configuration, crops batched across the pages given."""
    opened = load_reader(reader).for_languages(languages).changed(precision=precision)
    stages: list[Any] = [spec.build() for spec in opened.stages()[-2:]]
    detector, recognizer = (stage.predictor for stage in stages)

    def read(images: list[np.ndarray]) -> list[str]:
        found = detector(images)
        crops = [
            crop_line(image, region.polygon) for image, regions in zip(images, found, strict=True) for region in regions
        ]
        texts = iter([line.text for line in recognizer(crops)])
        return [
            "\n".join(
                lines[index]
                for block in reading_order([region.polygon for region in regions])
                for row in block
                for index in row
            )
            for regions in found
            for lines in [[next(texts) for _ in regions]]
        ]

    return read


def rapidocr(engine: str) -> Engine:
    """Return RapidOCR as installed, with one thread; `engine` is onnxruntime or openvino."""
    from rapidocr import EngineType, RapidOCR

    threads = (
        {"EngineConfig.openvino.inference_num_threads": 1}
        if engine == "openvino"
        else {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    )
    engines = {f"{stage}.engine_type": EngineType(engine) for stage in ("Det", "Cls", "Rec")}
    reader = RapidOCR(params={"Global.log_level": "error", **engines, **threads})

    def read(images: list[np.ndarray]) -> list[str]:
        answers: list[Any] = [reader(np.ascontiguousarray(image[..., ::-1])) for image in images]
        return ["\n".join(answer.txts or ()) for answer in answers]

    return read


PEERS = {"rapidocr": lambda: rapidocr("onnxruntime"), "rapidocr-openvino": lambda: rapidocr("openvino")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--sets", default="receipts,forms", help="comma-separated names of Parquet files")
    parser.add_argument("--limit", type=int, help="pages a set, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-pages", type=int, default=8, help="pages whose line crops share batches")
    parser.add_argument("--reader", default="documents", help="name or YAML file of a reader's configuration")
    parser.add_argument(
        "--languages", action="append", metavar="ko,en", help="may be repeated, to compare (default: the reader's own)"
    )
    parser.add_argument("--precision", default="auto", choices=("auto", "f32", "bf16"))
    parser.add_argument("--peer", action="append", default=[], choices=sorted(PEERS))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    requested = arguments.languages or [",".join(load_reader(arguments.reader).settings.languages)]
    engines: dict[str, Engine] = {
        f"ocray {languages}": ocray(arguments.reader, languages, arguments.precision) for languages in requested
    }
    first = next(iter(engines))
    engines |= {name: PEERS[name]() for name in arguments.peer}
    print("set            engine              word F1 precision  recall  char F1  pages/s  first ÷ it")
    for name in arguments.sets.split(","):
        pages = list(labelled_pages(arguments.data / f"{name}.parquet", arguments.limit, arguments.seed))
        scores = {engine: TextScore() for engine in engines}
        seconds = dict.fromkeys(engines, 0.0)
        for start in range(0, len(pages), arguments.batch_pages):
            batch = pages[start : start + arguments.batch_pages]
            for engine, read in engines.items():
                begin = time.process_time()
                texts = read([image for image, _ in batch])
                seconds[engine] += time.process_time() - begin
                for text, (_, true) in zip(texts, batch, strict=True):
                    scores[engine].add(text, true)
        for engine, score in scores.items():
            words, ratio = score.words, seconds[engine] / seconds[first]
            print(
                f"{name:14} {engine:18} {words.value:8.4f} {words.precision:9.4f} {words.recall:7.4f} "
                f"{score.characters.value:8.4f} {len(pages) / seconds[engine]:8.2f} {ratio:11.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
