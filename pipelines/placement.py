"""Which stages share an actor, how many actors there are, and whether the cluster can hold them at all.

Neighbouring stages that need the same resources are fused into one actor: on a CPU machine the whole reader is one
actor a core and no pixel passes through the object store. Stages on a GPU form a pool of their own behind a CPU pool
that decodes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from common.errors import ExitCode, ExpectedError
from common.resources import fits
from pipelines.stages.base import StageSpec


class PlacementError(ExpectedError):
    """The pipeline cannot be scheduled on this cluster; the message says what is missing."""

    exit_code = ExitCode.CANNOT_START


@dataclass(frozen=True)
class Pool:
    """Stages fused into one actor, and how many such actors there are at most.

    Of a mixed pool, the first `gpu_actors` have `num_gpus` each and run `gpu_specs`, the others have none.
    """

    specs: tuple[StageSpec, ...]
    num_cpus: float
    num_gpus: float
    max_size: int
    gpu_specs: tuple[StageSpec, ...] = ()
    gpu_actors: int = 0


def plan_pools(
    specs: Sequence[StageSpec], resources: dict[str, float], parts: int, workers: int | None, gpu_fraction: float
) -> list[Pool]:
    """Group neighbouring stages by need and size each group's pool.

    Args:
        specs: the reader's stages in order.
        resources: `CPU` and `GPU` of the cluster.
        parts: batches of pages to read; more actors than that would idle.
        workers: upper bound for the size of each pool; None takes what the cluster has.
        gpu_fraction: share of a GPU each GPU actor takes.
    """
    groups = [(gpu, tuple(group)) for gpu, group in groupby(specs, key=lambda spec: spec.gpu)]
    cpus, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    pools = []
    gpu_pool_size = max(1, int(gpus / gpu_fraction))
    for gpu, group in groups:
        # A CPU pool next to GPU actors leaves each of those one core for pre- and postprocessing.
        spare = cpus - gpu_pool_size if len(groups) > 1 else cpus
        size = gpu_pool_size if gpu else max(1, int(spare))
        size = max(1, min(size, parts, workers or size))
        pools.append(Pool(group, num_cpus=1, num_gpus=gpu_fraction if gpu else 0, max_size=size))
    return pools


def plan_mixed_pool(
    cpu_specs: Sequence[StageSpec],
    gpu_specs: Sequence[StageSpec],
    resources: Mapping[str, float],
    parts: int,
    workers: int | None,
    gpu_fraction: float,
) -> Pool:
    """Return one pool for CPUs and GPUs side by side: an actor a core, of which as many as the GPUs have room for run
    their networks there. What reads faster takes more pages. Arguments as of `plan_pools`."""
    cores = int(resources.get("CPU", 0))
    size = max(1, min(cores, parts, workers or cores))
    gpu_actors = min(size, int(resources.get("GPU", 0) / gpu_fraction + 1e-9))
    return Pool(tuple(cpu_specs), 1, gpu_fraction, size, tuple(gpu_specs), gpu_actors)


def preflight(pools: Sequence[Pool], resources: Mapping[str, float], labels: Mapping[str, str] | None = None) -> None:
    """Refuse a pipeline that could never start: each pool needs at least one actor at the same time, and Ray Data would
    wait for it for ever without a word.

    Args:
        resources: of the nodes that may read.
        labels: that these nodes have, for the message.

    Raises:
        PlacementError: names the resource, the demand and what the cluster has.
    """
    where = " and ".join(f"{key}={value}" for key, value in (labels or {}).items())
    nodes = f"its nodes labelled {where} have" if where else "the cluster has"
    gpus = sum(pool.num_gpus for pool in pools if not pool.gpu_specs)  # mixed pools do without
    demand = {"CPU": sum(pool.num_cpus for pool in pools), "GPU": gpus}
    for resource, times in fits(demand, resources).items():
        if not times:
            names = " + ".join("/".join(spec.stage.name for spec in pool.specs) for pool in pools)
            remedy = "use --device cpu or a cluster with GPUs" if resource == "GPU" else "use a cluster with more cores"
            raise PlacementError(
                f"cannot be scheduled: {len(pools)} actor pool(s) ({names}) need at least {demand[resource]:g} "
                f"{resource} at once, {nodes} {resources.get(resource, 0):g}; {remedy}"
            )
