"""Runs a reader over documents on Ray Data: list → plan → skip what is done → read → commit → report."""

import logging
import math
import threading
import time
import warnings
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset

from common.errors import ExitCode, ExpectedError
from common.resources import cluster_resources
from common.storage import Storage, StorageUnavailable
from pipelines.attempts import Attempts
from pipelines.job import IncompleteJob, JobCard
from pipelines.ledger import FORMER, PARTS, Ledger
from pipelines.placement import Pool, plan_mixed_pool, plan_pools, preflight
from pipelines.planning import Plan, plan
from pipelines.progress import Progress
from pipelines.readers.base import Reader
from pipelines.select_rows import rows_in, rows_not_in
from pipelines.shared_paths import check_shared
from pipelines.sources import list_documents, manifest_schema
from pipelines.watchdog import PageLimits
from pipelines.worker import TROUBLES, StageGroup

logger = logging.getLogger("ocray")

# A part is what a worker reads between two commits, and what is lost when it dies. Each worker gets at least
# _PARTS_PER_WORKER of them, so that all end at about the same time; of a job so long that each gets _MANY_PARTS, parts
# are larger: a part costs the driver some 10 ms, and storage a file.
_PAGES_PER_PART, _PARTS_PER_WORKER = 64, 8
_PAGES_PER_LARGE_PART, _MANY_PARTS = 256, 200
# Parts after which a run adds to the index of its output.
_PARTS_A_PASS = 2048
MIXED = "auto"  # the device of a job on CPUs and GPUs side by side
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

    `device` is `cpu`, `cuda`, `tensorrt`, or `auto`: CPUs and GPUs side by side, and each record says which read it.
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
    resources = cluster_resources(options.node_labels)
    pools = _plan_pools(reader, resources, 1, options)
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
        ledger = Ledger(output)
        if options.retry_failed:
            logger.info("%d failed pages will be read again", ledger.drop_errors())
        states = ledger.settle()
        planned = plan(listing.documents, states, reader.settings.limits.build(), manifest_schema(columns))
        done = rows_in(states, "page_id", planned.manifest["page_id"])
        todo = rows_not_in(planned.manifest, "page_id", states["page_id"])
        documents = {"documents": len(listing), "skipped_files": sum(listing.skipped.values())}
        listing.documents = []  # hundreds of MiB when they are a million
        logger.info(
            "%d documents, %d pages, %d already done, %d to read%s",
            documents["documents"],
            len(planned.manifest),
            len(done),
            len(todo),
            f", and those of {len(planned.unopened)} documents that are opened on the way" if planned.unopened else "",
        )
        attempts = Attempts()
        before = Counter(done["status"].to_pylist())
        del states, done
        progress = Progress(
            len(planned.manifest),
            before["ok"],
            before["error"],
            unopened=len(planned.unopened),
            in_flight=attempts.in_flight,
            publish=lambda figures: card.save(**figures | {"counts": figures["counts"] | documents}),
        )
        with progress:
            if len(todo) or planned.unopened:
                _read(todo, planned, ledger, reader, resources, options, attempts, progress)
        manifest, findings = _finish(planned, ledger, progress)
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
        read_now=progress.read_now,
        seconds=time.monotonic() - started,
        pages_per_second=figures["pages_per_second"],
        findings=tuple(findings),
        notes=tuple(listing.notes()),
    )


def _finish(plan: Plan, ledger: Ledger, progress: Progress) -> tuple[pa.Table, list[str]]:
    """Compare the output with the plan; from now on progress shows the output's counts.

    Returns the whole manifest, and lines about differences.

    Raises:
        IncompleteJob: pages are missing.
    """
    states = ledger.settle()
    manifest = plan.completed(states)
    there = rows_in(states, "page_id", manifest["page_id"])
    counts = Counter(there["status"].to_pylist())
    progress.settle(len(manifest), counts["ok"], counts["error"])
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
    former = set(rows_not_in(states, "page_id", manifest["page_id"])["page_id"].to_pylist())
    if not former:
        return manifest, []
    ledger.retire(former, states)
    return manifest, [
        f"{len(former)} {'row' if len(former) == 1 else 'rows'} of documents that changed or are no longer among the "
        f"inputs moved from {PARTS}/ to {FORMER}/"
    ]


def _read(
    todo: pa.Table,
    planned: Plan,
    ledger: Ledger,
    reader: Reader[Any, Any],
    resources: dict[str, float],
    options: JobOptions,
    attempts: Attempts,
    progress: Progress,
) -> None:
    cores = max(1, options.workers or int(resources.get("CPU", 1)))
    least = len(todo) + len(planned.unopened)
    pages_per_part = _pages_per_part(least / cores)
    parts = [todo.slice(i, pages_per_part) for i in range(0, len(todo), pages_per_part)]
    pools = _plan_pools(reader, resources, math.ceil(least / pages_per_part), options)
    datasets: list[Dataset] = [ray.data.from_arrow(parts)] if parts else []
    if planned.unopened:
        datasets.append(planned.opened_while_reading(attempts, cores, options.node_labels))
    dataset = datasets[0].union(*datasets[1:]) if len(datasets) > 1 else datasets[0]
    warnings.filterwarnings("ignore", "`ray_remote_args_fn` is deprecated")  # see _GpusFirst
    for number, pool in enumerate(pools):
        dataset = dataset.map_batches(
            StageGroup,
            fn_constructor_args=(pool.specs, reader.record_type),
            fn_constructor_kwargs={
                "first": number == 0,
                "last": number == len(pools) - 1,
                "output": ledger.output.uri,
                "attempts": attempts,
                "limits": options.page_limits,
                "gpu_specs": pool.gpu_specs,
            },
            batch_size=pages_per_part,
            batch_format="pyarrow",
            compute=_strategy(pool),
            num_cpus=pool.num_cpus,
            num_gpus=0 if pool.gpu_specs else pool.num_gpus,
            ray_remote_args_fn=_GpusFirst(pool) if pool.gpu_actors else None,
            label_selector=dict(options.node_labels) or None,
        )
    # Closed at once when the run is stopped: a thread of Ray Data that outlives the connection ends the process.
    fruitless = 0
    indexer = _Indexer(ledger)
    stream = iter(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))
    with closing(cast("Generator[pa.Table]", stream)) as batches, closing(indexer):
        for row in (row for batch in batches for row in batch.to_pylist()):
            if row["trouble"]:
                raise TROUBLES[row["trouble"]](row["why"])
            progress.add(row["ok"], row["error"])
            indexer.count_part()
            if row["not_done"]:
                progress.not_done = row["why"]
            fruitless = 0 if row["ok"] + row["error"] else fruitless + 1
            if fruitless > pools[-1].max_size:  # some worker met it twice in a row, each time with patience
                raise IncompleteJob(f"{row['why']}; what is read stays")
            done = progress.ok + progress.error
            if done >= _JUDGED_PAGES and progress.error > options.max_error_rate * done:
                raise TooManyErrors(
                    f"{progress.error} of {done} pages failed, more than --max-error-rate {options.max_error_rate:g} "
                    f"allows; see the error column of {ledger.output.uri}/pages, then run again to resume"
                )


def _pages_per_part(pages_per_worker: float) -> int:
    usual = min(_PAGES_PER_PART, int(pages_per_worker / _PARTS_PER_WORKER))
    return max(1, usual, min(_PAGES_PER_LARGE_PART, int(pages_per_worker / _MANY_PARTS)))


class _Indexer:
    """Indexes the parts of a long run every now and then, in a thread."""

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._parts = 0
        self._thread: threading.Thread | None = None

    def count_part(self) -> None:
        self._parts += 1
        if self._parts % _PARTS_A_PASS == 0 and not (self._thread and self._thread.is_alive()):
            self._thread = threading.Thread(target=self._index, name="indexer", daemon=True)
            self._thread.start()

    def close(self) -> None:
        if self._thread:
            self._thread.join()

    def _index(self) -> None:
        with suppress(StorageUnavailable):  # the next pass finds the same parts
            self._ledger.index_new_parts()


def _plan_pools(reader: Reader[Any, Any], resources: dict[str, float], parts: int, options: JobOptions) -> list[Pool]:
    """Plan the actors for `parts` batches of pages."""
    workers, fraction = options.workers, options.gpu_fraction
    if options.device != MIXED:
        return plan_pools(reader.stages(options.device, options.threads), resources, parts, workers, fraction)
    on_cpus, on_gpus = (reader.stages(device, options.threads) for device in ("cpu", "cuda"))
    return [plan_mixed_pool(on_cpus, on_gpus, resources, parts, workers, fraction)]


class _GpusFirst:
    """Gives the first actors of a mixed pool their share of a GPU; Ray Data calls it for each actor that it starts.

    Ray 2.60 has no other way to give the actors of one pool different resources, and says that it goes with 2.64.
    """

    def __init__(self, pool: Pool):
        self._left, self._share = pool.gpu_actors, pool.num_gpus

    def __call__(self) -> dict[str, Any]:
        self._left -= 1
        return {"num_gpus": self._share if self._left >= 0 else 0}


def _strategy(pool: Pool) -> ActorPoolStrategy:
    # One part in hand and one waiting: more would only be taken from other actors near the end.
    return ActorPoolStrategy(
        min_size=1, max_size=pool.max_size, initial_size=pool.max_size, max_tasks_in_flight_per_actor=2
    )
