"""Samples, small trainings and the bundles made of them are what they were, up to what CPUs compute differently."""

import pytest

from tests.golden import kept, training
from tests.golden.comparing import report

pytestmark = pytest.mark.train


# Turning pages and their spectra is not quite the same on all CPUs, and a network that knows nothing yet guesses.
_OF_DESKEW = {"train/loss": 5e-4, "train/grad_norm": 2e-2, "validation/median_error": 1e-3, "value": 1e-3}


def tolerance(where: str, before: float) -> float:
    name = where.rpartition(".")[2]
    if ".weights." in where:
        return 2e-4 if where.startswith(".deskew.") else 1e-5
    if name in ("mean", "spread"):  # of arrays, mostly pixels of 0 to 255
        return 0.002 + 1e-3 * abs(before)
    if name == "train/bin_accuracy":
        return 0.5  # two of four pages
    relative = _OF_DESKEW.get(name, 1e-4) if where.startswith(".deskew.") else 1e-4
    return relative * abs(before) if name == "value" or "/" in name else 0.0


@pytest.fixture(scope="module")
def now(tmp_path_factory):
    return training.made(tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("part", ["samples", "rendered", "trainings"])
def test_trainings_are_as_before(now, part):
    changed = report("training", now[part], kept("training")[part], tolerance)
    assert not changed, changed
