"""Pages/s of the whole bulk job against a bare two-process loop of the same predictors, and against RapidOCR.

    python -m benchmarks.bulk_throughput --data ../shared/data --pages 96
    python -m benchmarks.bulk_throughput --data ../shared/data --pages 96 --peers

Start-up (Ray, opening networks) is left out of every figure: each contender's clock runs from the moment all of its
workers are ready to the moment the last page is done. All contenders read the same files, in one run, in turn,
`--rounds` times; the ratios are taken round by round, and their median is the figure.
"""

import argparse
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import cv2

from benchmarks.real_pages import write_pages
from models.deskew.predictor import DeskewPredictor
from models.geometry import turn
from models.layout.reading_order import reading_order
from models.orientation.predictor import OrientationPredictor
from models.page_contrast import angle_view
from models.text_detection.predictor import TextDetector
from models.text_recognition.predictor import TextRecognizer
from models.text_recognition.preprocess import crop_line
from pipelines.documents import DocumentCache, load_page
from pipelines.readers.registry import load_reader
from pipelines.runner import JobOptions, run_job
from ray_apps.cli.cluster import connect

PROCESSES = 2
RECOGNISED_TOGETHER = 16


def bare_loop(paths: list[str], ready, go) -> None:
    """Run the floor: the predictors called one after the other, lines of 16 pages read together. No stages, no Ray."""
    deskew, orientation = DeskewPredictor(), OrientationPredictor()
    detector, recognizer = TextDetector(), TextRecognizer()
    cv2.setNumThreads(1)
    documents = DocumentCache()
    ready.release()
    go.wait()
    crops = []
    for number, path in enumerate(paths, start=1):
        page = load_page(documents, path, 1, 1).image
        view = angle_view(page)
        (skew,) = deskew([view])
        (quarter,) = orientation([turn(view, -skew.degrees)])
        upright = turn(page, -(quarter.degrees + skew.degrees))
        (regions,) = detector([upright])
        reading_order([region.polygon for region in regions])
        crops += [crop_line(upright, region.polygon) for region in regions]
        if number % RECOGNISED_TOGETHER == 0 or number == len(paths):
            recognizer(crops)
            crops = []


def rapidocr_loop(paths: list[str], ready, go, engine: str) -> None:
    """RapidOCR with its default settings, one process, as many threads as it takes."""
    from rapidocr import EngineType, RapidOCR

    kind = {"onnxruntime": EngineType.ONNXRUNTIME, "openvino": EngineType.OPENVINO}[engine]
    reader = RapidOCR(params={f"{part}.engine_type": kind for part in ("Det", "Cls", "Rec")})
    reader(paths[0])
    ready.release()
    go.wait()
    for path in paths:
        reader(path)


def processes_rate(target, shares: list[list[str]], *extra) -> float:
    """Return pages/s of one process per share, from all ready to all done."""
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    workers = [context.Process(target=target, args=(share, ready, go, *extra)) for share in shares]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.acquire()
    started = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a benchmark process failed; see its traceback above")
    return sum(map(len, shares)) / (time.perf_counter() - started)


def job_rate(folder: Path) -> float:
    """Return pages/s of the bulk job, from the first worker that is ready to the last commit."""
    output = Path(tempfile.mkdtemp(prefix="ocray-bench-out-"))
    try:
        # What the bare loop and the peers read with: PP-OCRv6 alone.
        reader = load_reader("documents").for_languages("en")
        return run_job([str(folder)], str(output), reader, JobOptions()).pages_per_second
    finally:
        shutil.rmtree(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with receipts.parquet and forms.parquet")
    parser.add_argument("--pages", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="measure RapidOCR too, as installed and on OpenVINO")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ocray-bench-in-"))
    paths = [str(path) for path in write_pages(args.data, ["receipts", "forms"], args.pages, folder)]
    connect()
    rounds: list[dict[str, float]] = []
    for _ in range(args.rounds):
        rates = {
            "job": job_rate(folder),
            "bare loop": processes_rate(bare_loop, [paths[i::PROCESSES] for i in range(PROCESSES)]),
        }
        if args.peers:
            rates["RapidOCR"] = processes_rate(rapidocr_loop, [paths], "onnxruntime")
            rates["RapidOCR OpenVINO"] = processes_rate(rapidocr_loop, [paths], "openvino")
        rounds.append(rates)
        print("  ".join(f"{name} {rate:.3f} pages/s" for name, rate in rates.items()), flush=True)
    shutil.rmtree(folder)
    ratios = {
        f"job ÷ {name}": round(statistics.median(r["job"] / r[name] for r in rounds), 3)
        for name in rounds[0]
        if name != "job"
    }
    print(json.dumps(ratios, ensure_ascii=False))


if __name__ == "__main__":
    main()
