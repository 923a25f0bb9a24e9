"""The folder in which mined lines are labelled: crops, proposals, a page to correct them with, and the Parquet file.

OUT/crops/NAME.png    the lines as the pipeline cut them
OUT/labels.tsv        file, tab, proposed text; `ocray data import label_file` reads it once a person has corrected it
OUT/label.html        to do that in a browser, offline
OUT/lines.parquet     layout *lines* with the PROPOSALS as texts, and what is known of each line
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.html import render
from common.storage import StorageUnavailable
from models.text_recognition.preprocess import crop_line
from pipelines.documents import DocumentError
from pipelines.exports.publish import document_stem
from pipelines.exports.store import RecordStore
from pipelines.job import JobError
from pipelines.readers.documents.record import PageRecord
from ray_apps.mining.candidates import Candidate, LoadPage, Lost
from trainers.data.layouts import LINES_SCHEMA, whole_folder

CROPS, LABELS, LINES, PAGE = "crops", "labels.tsv", "lines.parquet", "label.html"
# Names of crops without the line's place: the document, as `ocray data import --group-pattern` takes it.
GROUP_PATTERN = r"(.+)-p\d+-l\d+\.png"

MINED_SCHEMA = pa.schema(
    [
        *LINES_SCHEMA,
        pa.field("confidence", pa.float32()),
        pa.field("page_id", pa.string()),
        pa.field("page_number", pa.int32()),
        pa.field("line_number", pa.int32()),
        pa.field("polygon", pa.list_(pa.list_(pa.float32()))),
        pa.field("second_reading", pa.string()),
        pa.field("disagreement", pa.float32()),
    ]
)


def write_labelling(
    output: Path,
    candidates: Sequence[Candidate],
    store: RecordStore,
    load_page: LoadPage,
    *,
    title: str,
    lost: Lost,
    overwrite: bool = False,
) -> int:
    """Write the folder, worst line first; returns how many lines it holds.

    Args:
        title: of the page.
        lost: called with pages that cannot be opened; their lines are left out.
        overwrite: replace an earlier folder of this kind, labels and all.

    Raises:
        LayoutError: `output` cannot be used.
        JobError: no document can be opened.
    """
    with whole_folder(output, overwrite=overwrite, may_hold=(CROPS, LABELS, LINES, PAGE)) as folder:
        (folder / CROPS).mkdir()
        rows = dict(_rows(candidates, store, load_page, lost))
        if not rows:
            raise JobError(f"none of the lines' documents can be opened again; the first: {lost.first}")
        lines = [rows[number] for number in sorted(rows)]
        for row in lines:
            (folder / row["name"]).write_bytes(row["image"])
        pq.write_table(pa.Table.from_pylist(lines, MINED_SCHEMA), folder / LINES, compression="zstd")
        (folder / LABELS).write_text("".join(f"{row['name']}\t{row['text']}\n" for row in lines), "utf-8")
        (folder / PAGE).write_text(_page(title, lines), "utf-8")
    return len(lines)


def _rows(
    candidates: Sequence[Candidate], store: RecordStore, load_page: LoadPage, lost: Lost
) -> Iterator[tuple[int, dict]]:
    """Yield (number of the candidate, row) page by page, so that each page is decoded once."""

    def place(number: int) -> tuple[int, int]:
        return candidates[number].part, candidates[number].row

    for (part, row), numbers in groupby(sorted(range(len(candidates)), key=place), key=place):
        record = store.record(part, row)
        try:
            image = load_page(record)
        except (DocumentError, StorageUnavailable) as error:
            lost.add(record, error)
            continue
        for number in numbers:
            yield number, _row(candidates[number], record, image)


def _row(candidate: Candidate, record: PageRecord, image: np.ndarray) -> dict:
    line = record.lines[candidate.line]
    crop = crop_line(image, np.array(line.polygon, np.float32))
    stem = f"{document_stem(record.document_uri)}-p{record.page_number}-l{candidate.line + 1:03d}"
    return {
        "image": cv2.imencode(".png", crop[..., ::-1])[1].tobytes(),
        "text": _plain(line.text),
        "name": f"{CROPS}/{stem}.png",
        "group": record.document_uri,
        "source": record.document_uri,
        "confidence": line.confidence,
        "page_id": record.page_id,
        "page_number": record.page_number,
        "line_number": candidate.line + 1,
        "polygon": line.polygon,
        "second_reading": None if candidate.second is None else _plain(candidate.second),
        "disagreement": None if candidate.second is None else candidate.badness,
    }


def _plain(text: str) -> str:
    """Return a text as one field of one line."""
    return " ".join(text.split())


def _page(title: str, rows: Sequence[dict]) -> str:
    lines = [
        {
            "file": row["name"],
            "text": row["text"],
            "second": row["second_reading"],
            "confidence": round(row["confidence"], 2),
            "from": f"{row['source'].rpartition('/')[2]} · {row['page_number']}",
        }
        for row in rows
    ]
    return render("ray_apps.mining/label.html", title=title, lines=lines)
