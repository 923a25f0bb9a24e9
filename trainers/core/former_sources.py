"""Data sources as configs of earlier versions spelled them, so that an error can show today's spelling.

Earlier configs had no `kind`: one of seven keys chose the source. Run folders keep their config in that spelling.
"""

from collections.abc import Mapping
from typing import Any

_KINDS: dict[str, tuple[str, dict[str, str]]] = {  # former key: kind, and its fields by former key
    "shards": ("page_shards", {"shards": "at", "skews": "skews"}),
    "rendered": ("rendered_pages", {}),
    "lines": ("line_shards", {"lines": "at", "bucket": "bucket", "balance": "balance"}),
    "rendered_lines": ("rendered_lines", {"texts": "texts", "balance": "balance"}),
    "regions": ("region_shards", {"regions": "at"}),
    "rendered_regions": ("rendered_regions", {}),
    "meters": ("meter_shards", {"meters": "at", "meter_kind": "sample"}),
}
_FORMER_KEYS = {*_KINDS, "skews", "bucket", "balance", "texts", "meter_kind"}


def present_spelling(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a source's settings in today's spelling; None where they are not in the former one.

    Args:
        content: `data.train` or `data.validation`. A former key may occur beside `kind`, where an override added it.
    """
    written = {key: value for key, value in content.items() if value is not None and value is not False}
    keys = [key for key in _KINDS if key in written]
    if not keys and "meter_kind" in written:
        keys = ["meters"]
    if len(keys) != 1:
        return None
    kind, names = _KINDS[keys[0]]
    others = {key: value for key, value in written.items() if key not in _FORMER_KEYS}
    if content.get("kind", kind) != kind:  # the override chose another kind: that one's settings do not matter
        others = {}
    options = {name: written[key] for key, name in names.items() if key in written}
    if kind == "rendered_lines" and "balance" in options:
        options["balance"] = bool(options["balance"])
    return others | {"kind": kind} | options
