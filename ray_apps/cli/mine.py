"""The lines of a bulk run that are most worth labelling: `ocray mine OUT --output FOLDER`.

Least confident first, or with --disagree BUNDLE those that a second recogniser reads most differently. FOLDER gets
their crops, labels.tsv with what was read, label.html to correct it in a browser, and lines.parquet. Corrected labels
become a data set with `ocray data import label_file`. See docs/fine_tuning.md.
"""

import argparse
import os
import shlex
from pathlib import Path

import numpy as np

from common.cli import positive, share
from common.config import validate
from common.errors import ExitCode
from common.storage import Storage
from models.runtime import DEVICES, PRECISIONS
from models.text_recognition.predictor import TextRecognizer
from pipelines.exports.store import RecordStore
from pipelines.job import JobError, read_card
from pipelines.readers.base import LimitSettings
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import DEFAULT
from pipelines.source_pages import SourcePages
from ray_apps.mining.candidates import Lost, Wanted, disagreements, least_confident
from ray_apps.mining.labelling import GROUP_PATTERN, LABELS, PAGE, write_labelling
from trainers.data.layouts import LayoutError

_READ_AGAIN = 10  # lines that a second recogniser reads, for each one wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="OUT", help="a bulk job's output folder or URI")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="folder to make")
    parser.add_argument("--count", type=positive, default=500, help="lines (default: 500)")
    parser.add_argument(
        "--per-document", type=positive, default=10, metavar="N", help="lines of one document (default: 10)"
    )
    parser.add_argument(
        "--max-confidence", type=share, default=1.0, metavar="C", help="none that was read with more (default: 1)"
    )
    parser.add_argument("--disagree", metavar="BUNDLE", help="a second recogniser; lines that it reads otherwise")
    parser.add_argument(
        "--read-again",
        type=positive,
        metavar="N",
        help=f"with --disagree: lines that it reads, on pages drawn at random (default: {_READ_AGAIN} x count)",
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="what runs the second recogniser")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="its arithmetic (default: bf16 where the CPU has it)"
    )
    parser.add_argument(
        "--image-column", metavar="NAME", help="the column of encoded images in the job's Parquet inputs"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier mining left in FOLDER")


def run(args: argparse.Namespace) -> int:
    """Exit status 0: done; 2: job, bundle or folder cannot be used, or nothing was found."""
    if args.read_again and not args.disagree:
        raise JobError("--read-again belongs to --disagree BUNDLE")
    output = Storage(args.job)
    card = read_card(output)
    if card is None:
        raise JobError(f"no job at {args.job} (no job.json there)")
    if card["config"].get("reader", DEFAULT) != "documents":
        raise JobError(f"{args.job} is not a job of the documents reader: lines are mined from its jobs")
    try:
        store = RecordStore(args.job, PageRecord)
    except FileNotFoundError as error:
        raise JobError(str(error)) from error
    # Pages are decoded under the job's limits; nothing else of its configuration, perhaps an older one, matters here.
    limits = validate(LimitSettings, card["config"].get("limits", {}), f"{args.job}/job.json")
    pages = SourcePages(limits.build(), args.image_column or card.get("image_column"))
    wanted, lost = Wanted(args.count, args.per_document, args.max_confidence), Lost()
    if args.disagree:
        threads = len(os.sched_getaffinity(0))
        reader = TextRecognizer(args.disagree, args.device, threads, args.precision, min_confidence=0)

        def read(crops: list[np.ndarray]) -> list[str]:
            return [result.text for result in reader(crops)]

        lines = args.read_again or _READ_AGAIN * args.count
        chosen = disagreements(store, wanted, read, pages.page, lines, lost)
    else:
        chosen = least_confident(store, wanted)
    if not chosen:
        raise JobError(f"{args.job} holds no such lines; {_lost(lost) or 'raise --max-confidence'}")
    try:
        written = write_labelling(
            args.output, chosen, store, pages.page, title=card["name"], lost=lost, overwrite=args.overwrite
        )
    except LayoutError as error:
        raise JobError(str(error)) from error
    _print_summary(args, written, [candidate.confidence for candidate in chosen], lost)
    return ExitCode.OK


def _print_summary(args: argparse.Namespace, written: int, confidences: list[float], lost: Lost) -> None:
    what = "1 line" if written == 1 else f"{written:,} lines"
    print(f"{what}, read with confidence {min(confidences):.2f} to {max(confidences):.2f}, in {args.output}")
    if lost.pages:
        print(_lost(lost))
    labels = args.output / LABELS
    dataset = args.output.with_name(f"{args.output.name}_labelled")
    command = ["ocray", "data", "import", "label_file", str(labels), "--output", str(dataset)]
    command += ["--group-pattern", GROUP_PATTERN]
    print(f"correct them in {args.output / PAGE} or in {labels}, then\n  {shlex.join(command)}")


def _lost(lost: Lost) -> str:
    pages = "1 page" if lost.pages == 1 else f"{lost.pages:,} pages"
    return f"{pages} cannot be opened again; the first: {lost.first}" if lost.pages else ""
