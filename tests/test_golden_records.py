"""What the readers make of known pages has not changed, or their reading version has."""

from pathlib import Path
from typing import Any

import pytest

from tests.golden import PAGES, kept, read, reader

# CPUs compute f32 differently in the last digits; bf16 moves all of these by more.
_TOLERANCES = {"confidence": 0.02, "polygon": 1.5, "box": 1.5, "screen_corners": 1.5, "degrees": 0.05}


def differences(now: Any, before: Any, where: str = "") -> list[str]:
    """Where two records differ by more than arithmetic does."""
    if isinstance(now, dict) and isinstance(before, dict):
        keys = sorted(now.keys() | before.keys())
        return [told for key in keys for told in differences(now.get(key), before.get(key), f"{where}.{key}")]
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [
            told for n, pair in enumerate(zip(now, before, strict=True)) for told in differences(*pair, f"{where}.{n}")
        ]
    number = isinstance(now, (int, float)) and isinstance(before, (int, float))
    allowed = next((value for name, value in _TOLERANCES.items() if name in where.rpartition(" ")[2]), 0)
    if now == before or (number and abs(now - before) <= allowed):
        return []
    return [f"{where}: {before!r} became {now!r}"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_known_pages_are_read_as_before(name):
    config, golden = reader(name), kept(name)
    changed = differences(read(config, PAGES[name]), golden["records"])
    remedy = "run python -m tests.golden, look at the difference, and commit it"
    assert golden["reading_version"] == config.reading_version, f"the reading version was raised: {remedy}"
    assert not changed, (
        f"the {name} reader reads otherwise than its reading version {config.reading_version} did: raise it (outputs "
        f"of both must not be mixed), then {remedy}:\n" + "\n".join(changed[:40])
    )


def test_differences_are_found():
    line = {"text": "a", "confidence": 0.9, "polygon": [[0.0, 1.0]]}
    assert differences({"p": [line]}, {"p": [line | {"confidence": 0.91, "polygon": [[1.0, 1.0]]}]}) == []
    assert differences({"p": [line]}, {"p": [line | {"text": "b"}]}) == [".p.0.text: 'b' became 'a'"]
    assert differences({"p": [line]}, {"p": [line, line]}) and differences({"p": 1}, {})
    assert differences(line, line | {"confidence": 0.8})


def test_every_sample_is_in_it():
    for name, folder in PAGES.items():
        files = {path.name for path in Path(folder).iterdir()}
        assert files == {page.rpartition(" ")[0] for page in kept(name)["records"]}
