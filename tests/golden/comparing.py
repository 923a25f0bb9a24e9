"""How a result is compared with the one that was kept, and how what pages show is made comparable."""

import math
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

REMEDY = (
    "If this change is wanted, run `python -m tests.golden {name}`, look at the difference in tests/golden/{name}.json "
    "and commit it; if not, the code has changed what users get."
)
Tolerance = Callable[[str, float], float]


def differences(now: Any, before: Any, tolerance: Tolerance, where: str = "") -> list[str]:
    """Return where two nested results differ by more than `tolerance` allows, one line each.

    Args:
        now, before: dictionaries, lists and plain values.
        tolerance: how far a number may be from the one before, from its place (`.records.3.degrees`) and the number
            before.
    """
    if isinstance(now, dict) and isinstance(before, dict):
        found = [f"{where}.{key}: is new" for key in sorted(now.keys() - before.keys())]
        found += [f"{where}.{key}: is missing" for key in sorted(before.keys() - now.keys())]
        shared = sorted(now.keys() & before.keys())
        return found + [
            line for key in shared for line in differences(now[key], before[key], tolerance, f"{where}.{key}")
        ]
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        pairs = enumerate(zip(now, before, strict=True))
        return [line for n, pair in pairs for line in differences(*pair, tolerance, f"{where}.{n}")]
    if _is_number(now) and _is_number(before):
        allowed = tolerance(where, before)
        if now == before or abs(now - before) <= allowed or (math.isnan(now) and math.isnan(before)):
            return []
        return [f"{where}: {before!r} became {now!r} (allowed: {allowed:g})"]
    return [] if now == before else [f"{where}: {_short(before)} became {_short(now)}"]


def report(name: str, now: Any, before: Any, tolerance: Tolerance, hint: str = "") -> str:
    """Return what to say when `now` is not what tests/golden/NAME.json holds; empty when it is."""
    changed = differences(now, before, tolerance)
    if not changed:
        return ""
    more = f"\n… and {len(changed) - 40} more" if len(changed) > 40 else ""
    return f"{len(changed)} differences:\n" + "\n".join(changed[:40]) + more + f"\n{hint}\n" + REMEDY.format(name=name)


def exactly(where: str, before: float) -> float:
    return 0.0


def visible_text(html: str) -> list[str]:
    """Return what a page says: its text, runs of white space folded, without scripts and styles; one entry a text
    node."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return list(parser.found())


class _Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self._hidden = 0
        self._nodes: list[str] = []

    def handle_starttag(self, tag, attrs):
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._hidden:
            self._nodes.append(data)

    def found(self) -> Iterator[str]:
        for node in self._nodes:
            if words := node.split():
                yield " ".join(words)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:160]}… ({len(value)} long)"
