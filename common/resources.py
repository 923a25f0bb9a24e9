"""What a Ray cluster has, and how much of it a piece of work needs."""

import math
from collections.abc import Mapping

from common.ray_private import largest_resources


def cluster_resources(labels: Mapping[str, str] | None = None) -> dict[str, float]:
    """Return the resources of the connected cluster (`CPU`, `GPU`, …), or of its nodes with all of some Ray labels. If
    it may grow, what all of it may grow to: the autoscaler's limits have no labels."""
    import ray

    resources: dict[str, float] = {}
    for node in ray.nodes():
        if node["Alive"] and (labels or {}).items() <= node["Labels"].items():
            for resource, amount in node["Resources"].items():
                resources[resource] = resources.get(resource, 0) + amount
    for resource, amount in largest_resources().items():
        resources[resource] = max(resources.get(resource, 0), amount)
    return resources


def fits(demand: Mapping[str, float], resources: Mapping[str, float]) -> dict[str, int]:
    """Return how often `demand` fits into each resource that it needs; 0 where it does not fit at all.

    Ray lets work wait for ever, without a word, for what the cluster does not have.
    """
    return {name: math.floor(resources.get(name, 0) / amount + 1e-9) for name, amount in demand.items() if amount > 0}
