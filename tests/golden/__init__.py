"""Results that are kept, so that a change of them is noticed: `python -m tests.golden` writes them anew.

`documents.json` is what the readers make of the pages in `samples/`, in f32, `meters.json` of the photos in `meters/`,
which `trainers.render` drew. Each holds the reading version it was read with. `exports.json`, `training.json` and
`sweeps.json` hold what the modules of these names make.
"""

import json
from pathlib import Path
from typing import Any

from pipelines.page import Page
from pipelines.readers.base import Reader
from pipelines.readers.registry import load_reader
from pipelines.sources import list_documents, plan_pages
from pipelines.stages.base import run_stages

FOLDER = Path(__file__).parent
PAGES = {"documents": FOLDER.parent.parent / "samples", "meters": FOLDER / "meters"}
_NOT_READ = ("page_id", "timings_ms", "device")


def read(opened: Reader, folder: Path) -> dict[str, Any]:
    """Return records of all pages below a folder, as plain values, by file name and page number."""
    stages = [(spec.build(), spec.batch_size) for spec in opened.stages()]
    rows = plan_pages(list_documents([str(folder)], columns=opened.manifest_columns()), opened.settings.limits.build())
    pages = [Page.from_manifest(row, opened.record_type) for row in rows]
    found = {}
    for page in run_stages(stages, pages):
        record = page.record.model_dump(mode="json", exclude=set(_NOT_READ))
        name = Path(record.pop("document_uri")).name
        if record["error"]:
            record["error"]["message"] = record["error"]["message"].replace(f"{folder}/", "")
        found[f"{name} {page.record.page_number}"] = _rounded(record)
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


def reader(name: str) -> Reader:
    """Return a shipped reader, in f32."""
    return load_reader(name).changed(precision="f32")


def read_all(name: str) -> dict[str, Any]:
    """Return what `NAME.json` holds of a reader: `reading_version` and `records`."""
    opened = reader(name)
    return {"reading_version": opened.reading_version, "records": read(opened, PAGES[name])}


def kept(name: str) -> dict[str, Any]:
    """Return what `NAME.json` holds."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def write(name: str, content: dict[str, Any]) -> None:
    """Write `NAME.json`."""
    text = json.dumps(content, ensure_ascii=False, indent=0, sort_keys=True)
    (FOLDER / f"{name}.json").write_text(text + "\n", "utf-8")
