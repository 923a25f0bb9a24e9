"""The files of an output that every job has, beside the parts of its ledger."""

import json
from typing import Any

from common.storage import Storage

CARD = "job.json"
EXPORTS = "exports"
REPORT = "report.html"


def job_card(output: Storage) -> dict[str, Any]:
    """Return what `job.json` holds; nothing where there is none. Raises ValueError: it is not JSON."""
    return json.loads(output.read(CARD)) if output.exists(CARD) else {}
