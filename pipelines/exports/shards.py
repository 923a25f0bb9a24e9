"""An output in shards, which Ray works on side by side where it is connected."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

import ray

from common.resources import cluster_resources
from pipelines.exports.store import StoredDocument, StoredDocuments

PAGES_A_SHARD = 50_000

_AnyShard = TypeVar("_AnyShard")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Shard:
    """Some documents, of shard `number` (from 1) of `count`."""

    number: int
    count: int
    documents: list[StoredDocument]


def shards_of(documents: StoredDocuments) -> Iterator[Shard]:
    """Yield the documents of a job in shards of about PAGES_A_SHARD pages, in their order. There is
    at least one; a document is never divided."""
    count = max(1, -(-documents.pages // PAGES_A_SHARD))
    held: list[StoredDocument] = []
    number, seen = 1, 0
    for document in documents:
        held.append(document)
        seen += len(document)
        if number < count and seen >= number * documents.pages / count:
            yield Shard(number, count, held)
            held, number = [], number + 1
    yield Shard(number, count, held)
    for empty in range(number + 1, count + 1):  # large documents took the place of several shards
        yield Shard(empty, count, [])


def over_shards(
    work: Callable[[_AnyShard], _Result], shards: Iterable[_AnyShard], labels: Mapping[str, str] | None = None
) -> Iterator[_Result]:
    """Yield `work` of each shard, in their order. Several are worked on by Ray, if it is connected, a core each, on
    nodes with all of `labels`; one is worked on here."""
    shards = iter(shards)
    first = list(islice(shards, 2))
    if len(first) < 2 or not ray.is_initialized():
        yield from map(work, chain(first, shards))
        return
    remote = ray.remote(num_cpus=1, max_retries=-1, label_selector=dict(labels or {}))(_call)
    shared = ray.put(work)
    cores = max(1, int(cluster_resources(labels).get("CPU", 1)))
    waiting = []
    for shard in chain(first, shards):
        waiting.append(remote.remote(shared, shard))
        if len(waiting) > 2 * cores:  # shards of documents that wait take memory
            yield ray.get(waiting.pop(0))
    while waiting:
        yield ray.get(waiting.pop(0))


def _call(work: Callable[[_AnyShard], _Result], shard: _AnyShard) -> _Result:
    return work(shard)
