"""Batches streamed through Ray Data: CPU tasks anywhere in the cluster make samples while the train workers train.

Each train worker streams its own batches, in order, the same batches that `PlainFeed` gives. A row of the Ray Dataset
is a step's batch, pickled: whatever a task collates travels unchanged. One task makes several steps, because a Ray
task costs about 10 ms and the plan of a long run must stay small.
"""

import pickle
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import ray
import ray.data
import ray.exceptions
import torch

from trainers.core.feed import Share
from trainers.core.task import Batch, Task
from trainers.data.splits import Split

_STEPS_PER_TASK = 4  # a Ray task costs about 10 ms
_MOST_TASKS = 1000  # listing them costs about 1 ms each before the first batch


class RayFeed:
    """One train worker's batches.

    Args:
        tasks: how many Ray tasks make samples for this worker at the same time.
        cpus_per_task: logical CPUs of each.
    """

    def __init__(self, task: Task, share: Share, *, tasks: int = 2, cpus_per_task: float = 0.25):
        self.share = share
        self.tasks = tasks
        self.cpus_per_task = cpus_per_task
        # In the object store once a node, and read there without copies (shards of pages may be gigabytes).
        self._task = ray.put(task)

    def training(self, start_step: int, end_step: int) -> Iterator[Batch]:
        share = self.share

        def indices(number: int) -> range:
            return share.training(start_step + number)

        return self._stream("train", indices, end_step - start_step)

    def validation(self) -> Iterator[Batch]:
        batches = self.share.validation()
        return self._stream("validation", batches.__getitem__, len(batches))

    def _stream(self, split: Split, indices: Callable[[int], range], count: int) -> Iterator[Batch]:
        if count == 0:
            return
        task_reference = self._task

        def make(rows: dict[str, np.ndarray]) -> Iterator[dict[str, list[bytes]]]:
            torch.set_num_threads(1)
            try:
                task = ray.get(task_reference)
            except ray.exceptions.RaySystemError as error:
                # As a system error Ray Data would try it again for ever.
                raise ImportError(f"the task cannot be loaded on this node: {error}") from error
            for first in rows["first"]:
                for number in range(first, min(first + steps_per_task, count)):
                    batch = task.collate([task.sample(index, split) for index in indices(number)])
                    arrays = {name: tensor.numpy() for name, tensor in batch.items()}
                    yield {"batch": [pickle.dumps(arrays, protocol=5)]}

        steps_per_task = max(_STEPS_PER_TASK, -(-count // _MOST_TASKS))
        work = [{"first": first} for first in range(0, count, steps_per_task)]
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        dataset = ray.data.from_items(work, override_num_blocks=len(work)).map_batches(
            cast(Any, make),  # Ray does not declare that a batch may hold lists
            batch_size=1,
            num_cpus=self.cpus_per_task,
            compute=ray.data.TaskPoolStrategy(size=min(self.tasks, len(work))),
        )
        for row in dataset.iter_rows():
            yield {name: torch.from_numpy(array) for name, array in pickle.loads(row["batch"]).items()}
