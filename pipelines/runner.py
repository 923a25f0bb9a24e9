"""Runs a reader over documents on Ray Data: list → plan → skip what is done → read → commit → report."""

import logging
import pickle
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext

from common.errors import ExitCode, ExpectedError
from common.resources import cluster_resources
from common.storage import Storage
from pipelines.attempts import Attempts
from pipelines.documents import Limits
from pipelines.job import IncompleteJob, JobCard
from pipelines.ledger import FORMER, PARTS, Ledger
from pipelines.placement import Pool, plan_pools, preflight
from pipelines.progress import Progress
from pipelines.readers.base import Reader
from pipelines.records import MANIFEST_SCHEMA, BaseRecord
from pipelines.select_rows import rows_in, rows_not_in
from pipelines.shared_paths import check_shared
from pipelines.sources import Document, list_documents, manifest_schema, plan_pages
from pipelines.stages.base import StageSpec
from pipelines.watchdog import PageLimits
from pipelines.worker import TROUBLES, StageGroup

logger = logging.getLogger("ocray")

# A part is what a worker reads between two commits: at most this many pages are lost when it dies.
_MAX_PAGES_PER_PART = 64
# Each worker gets at least about this many parts, so that all of them end at about the same time.
_PARTS_PER_WORKER = 8
_PLAN_BATCH = 64
# Workers that cannot open their networks, one after the other, before the run is given up: a bundle's storage may fail.
_STARTS_FORGIVEN = 3
# The error rate is checked once this many pages are done.
_JUDGED_PAGES = 20


class TooManyErrors(ExpectedError):
    """The run was stopped because more pages failed than `max_error_rate` allows."""

    exit_code = ExitCode.TOO_MANY_ERRORS


@dataclass(frozen=True)
class JobOptions:
    """How a job runs; nothing here changes what is read.

    `workers` bounds the actors of each pool (None: as many as the cluster has room for), `gpu_fraction` is the share of
    a GPU that an actor takes, `node_labels` are Ray labels of the nodes that read, `page_limits` is what one page may
    take before it is given up.
    """

    device: str = "cpu"
    workers: int | None = None
    threads: int = 1
    gpu_fraction: float = 1.0
    node_labels: Mapping[str, str] = field(default_factory=dict)
    image_column: str | None = None
    retry_failed: bool = False
    overwrite: bool = False
    max_error_rate: float = 0.5
    page_limits: PageLimits = field(default_factory=PageLimits)


@dataclass(frozen=True)
class JobResult:
    """Counts of the whole output, and of this run: seconds, and pages/s after the first page came through. `findings`
    say, one line each, what the reader concluded from all pages, `notes` which files were skipped."""

    pages: int
    ok: int
    error: int
    read_now: int
    seconds: float
    pages_per_second: float
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def run_job(inputs: Sequence[str], output_uri: str, reader: Reader[Any, Any], options: JobOptions) -> JobResult:
    """Read all pages of `inputs` into `output_uri`. Ray must be connected.

    A run into an output that already holds part of the same job resumes it.

    Raises:
        InputError: an input that cannot be listed. JobError: the output is another job's. PlacementError: the cluster
        cannot hold the pipeline. NotShared: a local path that not all nodes see. TooManyErrors: the run is plainly
        wrong. IncompleteJob: pages could not be read now. OutputError: the output cannot be written. BundleError,
        ConfigError: bad models.
    """
    started = time.monotonic()
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = _STARTS_FORGIVEN
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # its per-operator lines would break the progress line
    output = Storage(output_uri)
    specs = reader.stages(options.device, options.threads)
    resources = cluster_resources(options.node_labels)
    pools = plan_pools(specs, resources, 1, options.workers, options.gpu_fraction)
    preflight(pools, resources, options.node_labels)
    columns = reader.manifest_columns()
    listing = list_documents(inputs, image_column=options.image_column, exclude=output_uri, columns=columns)
    check_shared(output_uri, listing.documents)
    card = JobCard.open(
        output,
        inputs=inputs,
        reader=reader,
        device=options.device,
        hosts=sum(node["Alive"] for node in ray.nodes()),
        overwrite=options.overwrite,
    )
    for line in listing.notes():
        logger.info(line)
    card.save(
        image_column=options.image_column,
        skipped=dict(listing.skipped.most_common()),
        duplicates=listing.duplicates,
        notes=listing.notes(),
    )
    try:
        manifest = plan(listing.documents, reader.settings.limits.build(), manifest_schema(columns))
        ledger = Ledger(output)
        todo, done = _left_to_read(manifest, ledger, options.retry_failed)
        documents = {"documents": len(listing.documents), "skipped_files": sum(listing.skipped.values())}
        logger.info(
            "%d documents, %d pages, %d already done, %d to read",
            len(listing.documents),
            len(manifest),
            len(done),
            len(todo),
        )
        attempts = Attempts()
        before = Counter(done["status"].to_pylist())
        progress = Progress(
            len(manifest),
            before["ok"],
            before["error"],
            in_flight=attempts.in_flight,
            publish=lambda figures: card.save(**figures | {"counts": figures["counts"] | documents}),
        )
        with progress:
            if len(todo):
                _read(todo, specs, reader.record_type, resources, output_uri, options, attempts, progress)
        findings = _finish(manifest, ledger, progress)
        findings += reader.conclude(ledger, manifest)
        figures = progress.latest
        card.close("finished", **figures | {"counts": figures["counts"] | documents, "findings": findings})
    except BaseException as error:
        card.close_after(error)
        raise
    return JobResult(
        pages=len(manifest),
        ok=progress.ok,
        error=progress.error,
        read_now=len(todo),
        seconds=time.monotonic() - started,
        pages_per_second=figures["pages_per_second"],
        findings=tuple(findings),
        notes=tuple(listing.notes()),
    )


def plan(documents: Sequence[Document], limits: Limits, schema: pa.Schema = MANIFEST_SCHEMA) -> pa.Table:
    """Return the manifest, a row for each page; documents are opened in parallel to count their pages."""

    def expand(batch: pa.Table) -> pa.Table:
        (chunk,) = batch["chunk"].to_pylist()
        pages = pa.Table.from_pylist(plan_pages(pickle.loads(batch["documents"][0].as_py()), limits), schema)
        return pages.append_column("chunk", pa.array([chunk] * len(pages), pa.int64()))

    chunks = [documents[i : i + _PLAN_BATCH] for i in range(0, len(documents), _PLAN_BATCH)]
    blocks = [pa.table({"chunk": [n], "documents": [pickle.dumps(chunk)]}) for n, chunk in enumerate(chunks)]
    planned = ray.data.from_arrow(blocks).map_batches(expand, batch_size=1, batch_format="pyarrow", num_cpus=0.5)
    # Typed as dicts of arrays, whatever the format.
    tables = cast("list[pa.Table]", list(planned.iter_batches(batch_size=None, batch_format="pyarrow")))
    # Ray Data gives blocks as they come. In the order of listing, a rerun plans the same parts, and the pages of one
    # document (rows of one Parquet file) stay together.
    tables.sort(key=lambda table: table["chunk"][0].as_py())
    return pa.concat_tables([schema.empty_table(), *(table.select(schema.names) for table in tables)])


def _left_to_read(manifest: pa.Table, ledger: Ledger, retry_failed: bool) -> tuple[pa.Table, pa.Table]:
    """Return the manifest's rows that are not committed yet, and the states of those that are."""
    if retry_failed:
        logger.info("%d failed pages will be read again", ledger.drop_errors())
    states = ledger.settle()
    done = rows_in(states, "page_id", manifest["page_id"])
    todo = rows_not_in(manifest, "page_id", states["page_id"])
    return todo, done


def _finish(manifest: pa.Table, ledger: Ledger, progress: Progress) -> list[str]:
    """Compare the output with the plan; from now on progress shows the output's counts.

    Returns lines about differences.

    Raises:
        IncompleteJob: pages are missing.
    """
    states = ledger.settle()
    planned = manifest["page_id"]
    there = rows_in(states, "page_id", planned)
    counts = Counter(there["status"].to_pylist())
    progress.settle(counts["ok"], counts["error"])
    missing = rows_not_in(manifest, "page_id", there["page_id"])
    if len(missing):
        first = missing.slice(0, 1).to_pylist()[0]
        why = progress.not_done or (
            "they were read, but the output does not hold them; see that all nodes write to the same place, then run "
            "the same command again to read them"
        )
        raise IncompleteJob(
            f"{len(missing)} of {len(manifest)} pages are not in {ledger.output.uri}, the first is page "
            f"{first['page_number']} of {first['document_uri']}: {why}"
        )
    former = set(states["page_id"].to_pylist()) - set(planned.to_pylist())
    if not former:
        return []
    ledger.retire(former, states)
    return [
        f"{len(former)} {'row' if len(former) == 1 else 'rows'} of documents that changed or are no longer among the "
        f"inputs moved from {PARTS}/ to {FORMER}/"
    ]


def _read(
    todo: pa.Table,
    specs: Sequence[StageSpec],
    record_type: type[BaseRecord],
    resources: dict[str, float],
    output_uri: str,
    options: JobOptions,
    attempts: Attempts,
    progress: Progress,
) -> None:
    cores = max(1, options.workers or int(resources.get("CPU", 1)))
    pages_per_part = max(1, min(_MAX_PAGES_PER_PART, len(todo) // (cores * _PARTS_PER_WORKER)))
    parts = [todo.slice(i, pages_per_part) for i in range(0, len(todo), pages_per_part)]
    pools = plan_pools(specs, resources, len(parts), options.workers, options.gpu_fraction)
    dataset = ray.data.from_arrow(parts)
    for number, pool in enumerate(pools):
        dataset = dataset.map_batches(
            StageGroup,
            fn_constructor_args=(pool.specs, record_type),
            fn_constructor_kwargs={
                "first": number == 0,
                "last": number == len(pools) - 1,
                "output": output_uri,
                "attempts": attempts,
                "limits": options.page_limits,
            },
            batch_size=pages_per_part,
            batch_format="pyarrow",
            compute=_strategy(pool),
            num_cpus=pool.num_cpus,
            num_gpus=pool.num_gpus,
            label_selector=dict(options.node_labels) or None,
        )
    # Closed at once when the run is stopped: a thread of Ray Data that outlives the connection ends the process.
    fruitless = 0
    stream = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    with closing(cast("Generator[pa.Table]", stream)) as batches:
        for row in (row for batch in batches for row in batch.to_pylist()):
            if row["trouble"]:
                raise TROUBLES[row["trouble"]](row["why"])
            progress.add(row["ok"], row["error"])
            if row["not_done"]:
                progress.not_done = row["why"]
            fruitless = 0 if row["ok"] + row["error"] else fruitless + 1
            if fruitless > pools[-1].max_size:  # some worker met it twice in a row, each time with patience
                raise IncompleteJob(f"{row['why']}; what is read stays")
            done = progress.ok + progress.error
            if done >= _JUDGED_PAGES and progress.error > options.max_error_rate * done:
                raise TooManyErrors(
                    f"{progress.error} of {done} pages failed, more than --max-error-rate {options.max_error_rate:g} "
                    f"allows; see the error column of {output_uri}/pages, then run again to resume"
                )


def _strategy(pool: Pool) -> ActorPoolStrategy:
    # One part in hand and one waiting: more would only be taken from other actors near the end.
    return ActorPoolStrategy(
        min_size=1, max_size=pool.max_size, initial_size=pool.max_size, max_tasks_in_flight_per_actor=2
    )
