"""What the readers make of known pages has not changed, or their reading version has."""

from pathlib import Path

import pytest

from tests.golden import PAGES, kept, read, reader
from tests.golden.comparing import differences

# CPUs compute f32 differently in the last digits; bf16 moves all of these by more.
_TOLERANCES = {"confidence": 0.02, "polygon": 1.5, "box": 1.5, "screen_corners": 1.5, "degrees": 0.05}


def tolerance(where: str, before: float) -> float:
    return next((value for name, value in _TOLERANCES.items() if name in where.rpartition(" ")[2]), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_known_pages_are_read_as_before(name):
    config, golden = reader(name), kept(name)
    changed = differences(read(config, PAGES[name]), golden["records"], tolerance)
    remedy = "run python -m tests.golden, look at the difference, and commit it"
    assert golden["reading_version"] == config.reading_version, f"the reading version was raised: {remedy}"
    assert not changed, (
        f"the {name} reader reads otherwise than its reading version {config.reading_version} did: raise it (outputs "
        f"of both must not be mixed), then {remedy}:\n" + "\n".join(changed[:40])
    )


def test_arithmetic_makes_no_difference():
    line = {"text": "a", "confidence": 0.9, "polygon": [[0.0, 1.0]]}
    assert differences({"p": [line | {"confidence": 0.91, "polygon": [[1.0, 1.0]]}]}, {"p": [line]}, tolerance) == []
    assert differences({"p": [line | {"text": "b"}]}, {"p": [line]}, tolerance) == [".p.0.text: 'a' became 'b'"]
    assert differences(line | {"confidence": 0.8}, line, tolerance)


def test_every_sample_is_in_it():
    for name, folder in PAGES.items():
        files = {path.name for path in Path(folder).iterdir()}
        assert files == {page.rpartition(" ")[0] for page in kept(name)["records"]}
