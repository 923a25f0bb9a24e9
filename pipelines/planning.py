"""The pages of a job: those that are known at once, and the documents that must be opened to count theirs.

Most documents are images of one page, and of those with more, an earlier run's records know how many. The others are
opened by the cluster: a few of them before reading begins, so that the job's size is known; many of them while reading
goes on. Images in rows of Parquet files are opened before, for they are best read in the order of their file.
"""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import ray
from ray.data import Dataset

from pipelines.attempts import Attempts
from pipelines.documents import Limits
from pipelines.records import page_id
from pipelines.select_rows import rows_in
from pipelines.sources import Document, plan_pages, plan_unopened

# Documents that are opened before the first page is read; opening takes tens of milliseconds each.
_OPENED_FIRST = 2000
# Opened by one task. Their pages are read by one worker, so that few at a time share the work better.
_OPENED_AT_ONCE = 16
_ROWS_OPENED_AT_ONCE = 256  # of Parquet files: each task reads whole row groups
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Plan:
    """Pages and documents of a job.

    Attributes:
        manifest: the pages that are known, a row each.
        unopened: documents whose pages are not.
        limits, schema: of the job.
    """

    manifest: pa.Table
    unopened: list[Document]
    limits: Limits
    schema: pa.Schema

    def opened_while_reading(self, attempts: Attempts, at_once: int, labels: Mapping[str, str]) -> Dataset:
        """Return a dataset of manifest rows of the unopened documents, which are opened as it is consumed: up to
        `at_once` tasks on nodes with `labels`, that need no core, for the readers may have them all."""
        at_once = max(1, min(at_once, len(self.unopened) // _OPENED_AT_ONCE))
        options = {"num_cpus": 0, "concurrency": at_once, "label_selector": dict(labels) or None}
        return _opened(self.unopened, self.limits, self.schema, attempts, **options)

    def completed(self, states: pa.Table) -> pa.Table:
        """Return the whole manifest after reading, with the pages that `states` show of the unopened documents; of one
        without any record, its first page."""
        if not self.unopened:
            return self.manifest
        counts = page_counts(self.unopened, states)
        rows = (plan_unopened(document, self.limits, counts.get(document.uri, 1)) for document in self.unopened)
        return pa.concat_tables([self.manifest, _table((row for row in rows if row), self.schema)])


def plan(documents: Sequence[Document], states: pa.Table, limits: Limits, schema: pa.Schema) -> Plan:
    """Plan the pages of `documents`, of which `states` (STATES_SCHEMA) are done.

    Documents are opened here if they are few.
    """
    manifest, waiting = _known(documents, {}, limits, schema)
    if not waiting:
        return Plan(manifest, [], limits, schema)
    counted, waiting = _known(waiting, page_counts(waiting, states), limits, schema)
    tables = [manifest, counted]
    files = [document for document in waiting if document.row < 0]
    few = len(files) <= _OPENED_FIRST
    first = waiting if few else [document for document in waiting if document.row >= 0]
    if first:
        opened = _opened(first, limits, schema, num_cpus=0.5).iter_batches(batch_size=None, batch_format="pyarrow")
        tables += cast("list[pa.Table]", list(opened))  # typed as dicts of arrays, whatever the format
    # In the order of listing, a rerun plans the same parts, and rows of one Parquet file stay together.
    order = {document.uri: number for number, document in enumerate(documents)}
    manifest = pa.concat_tables(tables)
    places = pa.array([order[uri] for uri in manifest["document_uri"].to_pylist()], pa.int64())
    by_place = manifest.append_column("place", places).sort_by([("place", "ascending"), ("page_number", "ascending")])
    return Plan(by_place.select(schema.names), [] if few else files, limits, schema)


def _known(
    documents: Sequence[Document], counts: Mapping[str, int], limits: Limits, schema: pa.Schema
) -> tuple[pa.Table, list[Document]]:
    """Return the manifest of the documents that need not be opened, and the others."""
    waiting: list[Document] = []

    def rows(document: Document) -> list[dict[str, Any]]:
        found = plan_unopened(document, limits, counts.get(document.uri))
        if found is None:
            waiting.append(document)
        return found or []

    return _table(map(rows, documents), schema), waiting


def page_counts(documents: Sequence[Document], states: pa.Table) -> dict[str, int]:
    """Return how many pages documents have, by URI, as the committed records of these very versions say."""
    versions = {document.uri: document.version for document in documents}
    rows = rows_in(states, "document_uri", pa.chunked_array([list(versions)], pa.string()))
    counts: dict[str, int] = {}
    columns = (rows[name].to_pylist() for name in ("document_uri", "page_id", "page_number", "page_count"))
    for uri, identity, number, count in zip(*columns, strict=True):
        if uri not in counts and identity == page_id(uri, versions[uri], number):
            counts[uri] = count
    return counts


def _opened(
    documents: Sequence[Document], limits: Limits, schema: pa.Schema, attempts: Attempts | None = None, **options: Any
) -> Dataset:
    """Return a dataset of the documents' manifest rows; `attempts` is told of them as they are found, `options` are
    those of Ray Data's tasks."""

    def expand(batch: pa.Table) -> pa.Table:
        chunk = pickle.loads(batch["documents"][0].as_py())
        pages = pa.Table.from_pylist(plan_pages(chunk, limits), schema)
        if attempts is not None:
            attempts.opened(len(chunk), len(pages))
        return pages

    files = [document for document in documents if document.row < 0]
    rows = [document for document in documents if document.row >= 0]
    chunks = [
        some[i : i + size]
        for some, size in ((files, _OPENED_AT_ONCE), (rows, _ROWS_OPENED_AT_ONCE))
        for i in range(0, len(some), size)
    ]
    blocks = [pa.table({"documents": [pickle.dumps(chunk)]}) for chunk in chunks]
    return ray.data.from_arrow(blocks).map_batches(expand, batch_size=1, batch_format="pyarrow", **options)


def _table(documents: Iterable[list[dict[str, Any]]], schema: pa.Schema) -> pa.Table:
    """Return the table of the manifest rows of many documents; only some of them are Python objects at a time."""
    tables = [schema.empty_table()]
    held: list[dict[str, Any]] = []
    for rows in documents:
        held += rows
        if len(held) >= _ROWS_AT_ONCE:
            tables.append(pa.Table.from_pylist(held, schema))
            held = []
    return pa.concat_tables([*tables, pa.Table.from_pylist(held, schema)])
