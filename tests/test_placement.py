import pytest

from pipelines.placement import PlacementError, plan_mixed_pool, plan_pools, preflight
from pipelines.stages.base import StageSpec


class Decode:
    name = "decode"


class Deskew:
    name = "deskew"


class Text:
    name = "text"


def specs(gpu: bool) -> list[StageSpec]:
    return [StageSpec(Decode), StageSpec(Deskew, gpu=gpu), StageSpec(Text, gpu=gpu)]


@pytest.mark.parametrize(
    ("resources", "gpu", "parts", "workers", "expected"),
    [
        ({"CPU": 2}, False, 100, None, [(3, 0, 2)]),
        ({"CPU": 16}, False, 5, None, [(3, 0, 5)]),
        ({"CPU": 16}, False, 100, 3, [(3, 0, 3)]),
        ({"CPU": 16, "GPU": 2}, True, 100, None, [(1, 0, 14), (2, 1, 2)]),
    ],
)
def test_pools(resources, gpu, parts, workers, expected):
    pools = plan_pools(specs(gpu), resources, parts, workers, gpu_fraction=1)
    assert [(len(p.specs), p.num_gpus, p.max_size) for p in pools] == expected
    preflight(pools, resources)


def test_half_a_gpu_gives_two_actors():
    pools = plan_pools(specs(True), {"CPU": 16, "GPU": 1}, 100, None, gpu_fraction=0.5)
    assert [(p.num_gpus, p.max_size) for p in pools] == [(0, 14), (0.5, 2)]


@pytest.mark.parametrize(
    ("resources", "gpu", "named"),
    [({"CPU": 8}, True, "1 GPU"), ({"CPU": 1, "GPU": 1}, True, "2 CPU"), ({}, False, "1 CPU")],
)
def test_a_pipeline_that_could_never_start_is_refused(resources, gpu, named):
    pools = plan_pools(specs(gpu), resources, 10, None, gpu_fraction=1)
    with pytest.raises(PlacementError, match=f"need at least {named} at once"):
        preflight(pools, resources)


@pytest.mark.parametrize(
    ("resources", "fraction", "parts", "workers", "size", "gpu_actors"),
    [
        ({"CPU": 20, "GPU": 1}, 0.25, 100, None, 20, 4),
        ({"CPU": 20, "GPU": 2}, 1.0, 100, None, 20, 2),
        ({"CPU": 2, "GPU": 4}, 1.0, 100, None, 2, 2),
        ({"CPU": 20, "GPU": 1}, 0.1, 3, None, 3, 3),
        ({"CPU": 20, "GPU": 1}, 0.1, 100, 12, 12, 10),
        ({"CPU": 4}, 1.0, 100, None, 4, 0),
    ],
)
def test_a_mixed_pool_has_an_actor_a_core(resources, fraction, parts, workers, size, gpu_actors):
    on_cpus, on_gpus = specs(False), specs(True)
    pool = plan_mixed_pool(on_cpus, on_gpus, resources, parts, workers, fraction)
    assert (pool.max_size, pool.gpu_actors, pool.num_gpus) == (size, gpu_actors, fraction)
    assert (pool.specs, pool.gpu_specs) == (tuple(on_cpus), tuple(on_gpus))
    preflight([pool], resources)
    with pytest.raises(PlacementError, match="CPU"):
        preflight([pool], {"GPU": 8})
