"""What a Ray cluster has, and how much of it a piece of work needs."""

import math
from collections.abc import Mapping

from common.ray_private import largest_resources


def cluster_resources() -> dict[str, float]:
    """Return the resources of the connected cluster (`CPU`, `GPU`, …); where it may grow, what it may grow to."""
    import ray

    resources: dict[str, float] = dict(ray.cluster_resources())
    for resource, amount in largest_resources().items():
        resources[resource] = max(resources.get(resource, 0), amount)
    return resources


def fits(demand: Mapping[str, float], resources: Mapping[str, float]) -> dict[str, int]:
    """Return how often `demand` fits into each resource that it needs; 0 where it does not fit at all.

    Ray lets work wait for ever, without a word, for what the cluster does not have.
    """
    return {name: math.floor(resources.get(name, 0) / amount + 1e-9) for name, amount in demand.items() if amount > 0}
