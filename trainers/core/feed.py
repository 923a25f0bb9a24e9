"""Batches for the loop from a task's samples, with background processes and without Ray.

The order of samples is fixed: position p of global batch s is training sample `s * global_batch + p`, and worker r of
n takes the r-th of n equal, contiguous shares of each global batch. So n workers together see what one worker sees.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch.utils.data import DataLoader, Dataset

from trainers.core.task import Batch, Task
from trainers.data.splits import Split


@dataclass(frozen=True)
class Share:
    """Which part of each global batch, and of the validation samples, is one worker's.

    Attributes:
        global_batch: training samples that all workers together see in a step.
        validation_samples: that all workers together validate.
        rank: this worker's number, from 0.
        world_size: number of workers.
    """

    global_batch: int
    validation_samples: int
    rank: int = 0
    world_size: int = 1

    def training(self, step: int) -> range:
        """Return the indices of the training samples of this worker in a step."""
        size = self.global_batch // self.world_size
        first = step * self.global_batch + self.rank * size
        return range(first, first + size)

    def validation(self) -> list[range]:
        """Return the indices of this worker's validation samples, in batches. Workers have contiguous parts, so that
        ranks in order give sample order."""
        samples = self.validation_samples
        indices = range(self.rank * samples // self.world_size, (self.rank + 1) * samples // self.world_size)
        return chunks(indices, max(1, self.global_batch // self.world_size))


class Feed(Protocol):
    """One worker's batches.

    Attributes:
        share: which samples are the worker's.
    """

    share: Share

    def training(self, start_step: int, end_step: int) -> Iterator[Batch]:
        """Yield this worker's share of the global batches start_step … end_step - 1, in order."""
        ...

    def validation(self) -> Iterator[Batch]:
        """Yield this worker's share of the validation samples, in order."""
        ...


def chunks(indices: range, size: int) -> list[range]:
    """Split indices into consecutive ranges of at most `size`."""
    return [indices[first : first + size] for first in range(0, len(indices), size)]


class PlainFeed:
    """Samples made by `processes` background processes (0: in this process)."""

    def __init__(self, task: Task, share: Share, *, processes: int = 0, pin_memory: bool = False):
        self.task = task
        self.share = share
        self.processes = processes
        self.pin_memory = pin_memory

    def training(self, start_step: int, end_step: int) -> Iterator[Batch]:
        return self._load("train", map(self.share.training, range(start_step, end_step)))

    def validation(self) -> Iterator[Batch]:
        return self._load("validation", self.share.validation())

    def _load(self, split: Split, batches: Iterable[range]) -> Iterator[Batch]:
        return iter(
            DataLoader(
                _Samples(self.task, split),
                batch_sampler=map(list, batches),
                collate_fn=self.task.collate,
                num_workers=self.processes,
                prefetch_factor=4 if self.processes else None,
                pin_memory=self.pin_memory,
            )
        )


class KeptValidation:
    """A feed whose validation batches are made once and kept, since they are the same each time.

    Args:
        feed: makes the batches.
        most_bytes: more than so much of tensors is made anew each time instead.

    Attributes:
        kept: the validation batches, once they have been made.
    """

    def __init__(self, feed: Feed, most_bytes: int = 512 * 2**20):
        self.kept: list[Batch] | None = None
        self.share = feed.share
        self._feed = feed
        self._most_bytes = most_bytes

    def training(self, start_step: int, end_step: int) -> Iterator[Batch]:
        return self._feed.training(start_step, end_step)

    def validation(self) -> Iterator[Batch]:
        if self.kept is not None:
            yield from self.kept
            return
        batches: list[Batch] | None = []
        size = 0
        for batch in self._feed.validation():
            size += sum(tensor.nbytes for tensor in batch.values())
            if size > self._most_bytes:
                batches = None
            if batches is not None:
                batches.append(batch)
            yield batch
        self.kept = batches


class _Samples(Dataset):
    def __init__(self, task: Task, split: Split):
        self.task = task
        self.split: Split = split

    def __getitem__(self, index: int):
        return self.task.sample(index, self.split)
