"""How far a job is: reads its output, from any shell, while it runs or afterwards.

ocray status out/
"""

import argparse
from datetime import datetime, timezone

from common.durations import duration
from common.errors import ExitCode
from common.storage import Storage
from common.storage.locations import spelled_uri
from pipelines.job import JobError, read_card

# A running job writes its card every few seconds; one that is silent for this long was killed.
_SILENT_SECONDS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=spelled_uri, metavar="OUT", help="the job's output folder or URI")


def run(args: argparse.Namespace) -> int:
    card = read_card(Storage(args.output))
    if card is None:
        raise JobError(f"no job at {args.output} (no job.json there)")
    silent = (datetime.now(timezone.utc) - datetime.fromisoformat(card["updated"])).total_seconds()
    state = card["state"]
    if state == "running" and silent > _SILENT_SECONDS:
        state = f"no progress for {duration(silent)} (process probably killed); run the same command to resume"
    elif state == "interrupted":
        state = "interrupted; run the same command to resume"
    counts = card["counts"]
    print(f"{card['name']}: {state}")
    if "failure" in card and card["state"] == "failed":
        print(f"  {card['failure']}")
    if counts:
        done, pages = counts["done"], counts["pages"]
        print(f"  {done} of {pages} pages ({100 * done / max(pages, 1):.1f} %), {counts['error']} failed", end="")
        print(f", {card['pages_per_second']:.2f} pages/s", end="")
        print(f", {duration(card['eta_seconds'])} left" if card.get("eta_seconds") else "")
    for line in (*card.get("notes", ()), *card.get("findings", ())):
        print(f"  {line}")
    print(f"  started {card['started']}, fingerprint {card['fingerprint']}, device {card['device']}")
    return ExitCode.OK
