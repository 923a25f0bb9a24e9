"""Plans of the shipped sweeps and what is made of a sweep's trials are what they were."""

import pytest

from tests.golden import kept, sweeps
from tests.golden.comparing import report

pytestmark = pytest.mark.train


def tolerance(where: str, before: float) -> float:
    return 1e-9 * abs(before)


@pytest.fixture(scope="module")
def now(tmp_path_factory):
    return sweeps.made(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("part", ["plans", "results", "tiny"])
def test_sweeps_are_as_before(now, part):
    changed = report("sweeps", now[part], kept("sweeps")[part], tolerance)
    assert not changed, changed
