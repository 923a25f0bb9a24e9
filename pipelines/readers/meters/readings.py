"""Readings judged by the others of their meter: `readings.parquet`, made from the committed records at every run.

Meters are spread over files on the local disk first (by a hash of the meter), then judged one file after the other or,
when there are several, on the cluster. So memory holds the manifest's meters (as the job does), 16 bytes a photo, a
buffer, and as many files' rows as are judged at the same time: some hundred thousand, however many photos there are.
"""

import re
import tempfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray

from common.resources import cluster_resources
from common.storage import atomic_file
from models.meter.plausibility import Judgement, Observation, judge
from pipelines.arrow_types import UTC
from pipelines.ledger import Ledger

READINGS = "readings.parquet"
# One row a photo: what is thought of its reading among the others of its meter.
READINGS_SCHEMA = pa.schema(
    [
        ("page_id", pa.string()),
        ("document_uri", pa.string()),
        ("meter_id", pa.string()),
        ("time", UTC),
        ("reading", pa.string()),
        ("success", pa.bool_()),
        ("plausible", pa.bool_()),
        ("reason", pa.string()),
        ("repaired", pa.string()),
    ]
)
NO_METER = "no_meter: the manifest does not say which meter it is and when"

_COLUMNS = [
    "page_id", "document_uri", "status", "success", "reason", "reading", "meter_class",
    "digits.list.element.confidence",
]  # fmt: skip
_ROWS_PER_FILE = 50_000
_MOST_FILES = 256  # all are open for writing at once
_BUFFERED_ROWS = 250_000
_LEADING_ZERO = re.compile(r"0\d")
_NUMBERS = re.compile(r"\d+(, \d+)*")


@dataclass
class Findings:
    """What all photos of a job came to.

    Attributes:
        success: readings that may be used.
        not_read: reason -> photos without such a reading; numbers in the reasons are left out.
        implausible: code of the reason -> readings that cannot be right.
        plausible, unjudged, repaired: readings.
    """

    success: int = 0
    not_read: Counter[str] = field(default_factory=Counter)
    implausible: Counter[str] = field(default_factory=Counter)
    plausible: int = 0
    unjudged: int = 0
    repaired: int = 0

    def add(self, other: "Findings") -> None:
        self.success += other.success
        self.not_read += other.not_read
        self.implausible += other.implausible
        self.plausible += other.plausible
        self.unjudged += other.unjudged
        self.repaired += other.repaired

    def count_photo(self, status: str, success: bool, reason: str) -> None:
        """Count a photo; failed ones are neither read nor not read."""
        if success:
            self.success += 1
        elif status == "ok":
            self.not_read[kind_of_reason(reason)] += 1

    def count_judgement(self, plausible: bool | None, reason: str, repaired: str | None) -> None:
        """Count what is thought of a reading."""
        if plausible:
            self.plausible += 1
        elif plausible is False:
            self.implausible[reason.partition(":")[0]] += 1
        elif reason != NO_METER:
            self.unjudged += 1
        self.repaired += repaired is not None

    def lines(self) -> list[str]:
        """Return the findings as text."""
        without = f"{self.not_read.total():,} photos without{_each(self.not_read)}"
        lines = [f"{self.success:,} readings with success, {without}"]
        if self.plausible or self.implausible or self.unjudged:
            lines.append(
                f"{self.plausible:,} readings plausible, {self.implausible.total():,} not{_each(self.implausible)}, "
                f"{self.unjudged:,} not judged; {self.repaired:,} repaired"
            )
        return lines


def kind_of_reason(reason: str) -> str:
    """Return a reason why a photo gave no reading, without its figures, so that similar ones can be counted
    together."""
    return _NUMBERS.sub("…", reason)


def _each(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{count:,} {name}' for name, count in counts.most_common())})" if counts else ""


def write_readings(ledger: Ledger, manifest: pa.Table, max_rate: float | None) -> Findings:
    """Judge the committed readings of the manifest's photos and write them to `OUT/readings.parquet` as a whole.

    Readings of one meter are consecutive there, in order of time. Meter and time are those of `manifest`, which may
    have been mended since the photo was read.

    Args:
        manifest: MANIFEST_SCHEMA. Of several rates for one meter the highest holds.
        max_rate: for meters without one, units a day; None: any rise is possible.
    """
    findings = Findings()
    files = min(_MOST_FILES, 1 + len(manifest) // _ROWS_PER_FILE)
    with tempfile.TemporaryDirectory(prefix="ocray-readings-") as folder, ExitStack() as stack:
        paths = [Path(folder) / f"{number}.arrow" for number in range(files)]
        _spread(ledger, _MeterOfPage(manifest), paths)
        tables = (pa.ipc.open_stream(path.read_bytes()).read_all() for path in paths if path.exists())
        stream = stack.enter_context(atomic_file(ledger.output, READINGS))
        writer = stack.enter_context(pq.ParquetWriter(stream, READINGS_SCHEMA, compression="zstd"))
        judged_rows = partial(judge_rows, max_rate=max_rate)
        for judged, found in map(judged_rows, tables) if files == 1 else _on_cluster(judged_rows, tables):
            writer.write_table(judged)
            findings.add(found)
    return findings


def judge_rows(rows: pa.Table, max_rate: float | None) -> tuple[pa.Table, Findings]:
    """READINGS_SCHEMA of all readings of some meters, and what they came to.

    Args:
        rows: `_COLUMNS` of the records, but `confidences`, one a digit, and `meter_id`, `time`, `max_rate`.
    """
    findings = Findings()
    judged = []
    ordered = rows.sort_by([(name, "ascending") for name in ("meter_id", "time", "page_id")])
    for meter, group in groupby(ordered.to_pylist(), key=itemgetter("meter_id")):
        photos = list(group)
        judgements = [Judgement(photo["reading"], None, NO_METER) for photo in photos]
        if meter is not None:
            judgements = _judge_meter(photos, max_rate)
        for photo, judgement in zip(photos, judgements, strict=True):
            findings.count_photo(photo["status"], photo["success"], photo["reason"])
            findings.count_judgement(judgement.plausible, judgement.reason, judgement.repaired)
            row = {name: photo[name] for name in ("page_id", "document_uri", "meter_id", "time", "reading", "success")}
            row |= {name: getattr(judgement, name) for name in ("plausible", "reason", "repaired")}
            judged.append(row)
    return pa.Table.from_pylist(judged, schema=READINGS_SCHEMA), findings


def _judge_meter(photos: list[dict[str, Any]], max_rate: float | None) -> list[Judgement]:
    rates = [photo["max_rate"] for photo in photos if photo["max_rate"] is not None]
    observations = [
        Observation(
            photo["time"],
            photo["reading"],
            tuple(photo["confidences"]),
            photo["success"],
        )
        for photo in photos
    ]
    displays = [(photo["meter_class"], photo["reading"]) for photo in photos if photo["success"]]
    return judge(observations, max(rates, default=max_rate), shows_leading_zeros(displays))


def shows_leading_zeros(displays: Iterable[tuple[str, str]]) -> bool:
    """Return whether a meter shows leading zeros, given (class, reading) of its usable readings. Wheels always do; an
    LCD does if one of its readings has them."""
    return any(meter_class.startswith("analog") or _LEADING_ZERO.match(reading) for meter_class, reading in displays)


def _on_cluster(function: Callable[[pa.Table], tuple], tables: Iterable[pa.Table]) -> Iterator[tuple]:
    """Yield `function` of each table in order, in Ray tasks, as many at once as there are cores."""
    task = ray.remote(num_cpus=1)(_call)
    at_once = max(1, int(cluster_resources().get("CPU", 1)))
    running: deque = deque()
    for table in tables:
        running.append(task.remote(function, table))
        if len(running) == at_once:
            yield ray.get(running.popleft())
    while running:
        yield ray.get(running.popleft())


def _call(function: Callable[[pa.Table], tuple], table: pa.Table) -> tuple:
    return function(table)


class _MeterOfPage:
    """Meter, time and rate of each page of a manifest, found by page id."""

    def __init__(self, manifest: pa.Table):
        keys = _keys(manifest["page_id"])
        self._order = np.argsort(keys)
        self._keys = keys[self._order]
        self._columns = {name: manifest[name].combine_chunks() for name in ("meter_id", "time", "max_rate")}

    def join(self, records: pa.Table) -> pa.Table:
        """Return the records whose pages are in the manifest, with its columns."""
        keys = _keys(records["page_id"])
        at = np.minimum(np.searchsorted(self._keys, keys), max(0, len(self._keys) - 1))
        known = self._keys[at] == keys if len(self._keys) else np.zeros(len(keys), bool)
        rows = pa.array(self._order[at[known]])
        joined = records.filter(pa.array(known))
        for name, column in self._columns.items():
            joined = joined.append_column(name, column.take(rows))
        return joined


def _keys(page_ids: pa.ChunkedArray) -> np.ndarray:
    """Page ids, 16 hexadecimal digits, as uint64."""
    numbers = (int(page_id, 16) for chunk in page_ids.chunks for page_id in chunk.to_pylist())
    return np.fromiter(numbers, np.uint64, len(page_ids))


def _with_confidences(records: pa.Table) -> pa.Table:
    """Return the records with a list of numbers instead of `digits`, which would be five times as large in Python."""
    digits = records["digits"].combine_chunks()
    confidences = pa.ListArray.from_arrays(digits.offsets, digits.values.field("confidence"))
    return records.drop_columns("digits").append_column("confidences", confidences)


def _spread(ledger: Ledger, meters: _MeterOfPage, paths: list[Path]) -> None:
    """Write the records that count to the files, all of one meter into the same one."""
    with ExitStack() as stack:
        writers: list[Any] = [None] * len(paths)

        def write(tables: list[pa.Table]) -> None:
            rows = meters.join(_with_confidences(pa.concat_tables(tables)))
            names = pc.fill_null(rows["meter_id"], rows["page_id"]).to_pylist()
            files = np.fromiter((zlib.crc32(name.encode()) % len(paths) for name in names), np.int32, len(names))
            order = np.argsort(files, kind="stable")
            ends = np.searchsorted(files[order], np.arange(len(paths) + 1))
            sorted_rows = rows.take(pa.array(order))
            for number, path in enumerate(paths):
                if writers[number] is None:
                    writers[number] = stack.enter_context(pa.ipc.new_stream(str(path), rows.schema))
                if ends[number] < ends[number + 1]:
                    writers[number].write_table(sorted_rows.slice(ends[number], ends[number + 1] - ends[number]))

        buffer: list[pa.Table] = []
        held = 0
        for _, table in ledger.scan(_COLUMNS):
            buffer.append(table)
            held += len(table)
            if held >= _BUFFERED_ROWS:
                write(buffer)
                buffer, held = [], 0
        if buffer:
            write(buffer)
