"""What a bad upload costs the other clients of a served documents app with one reader replica.

    python -m benchmarks.serve_bad_uploads FILE...

`--clients` clients have small pages read, one after the other, without an end. Then each FILE is posted, the next when
the answer to the one before has come: what it was answered, after how many seconds, how long the others' requests took
meanwhile (p50, p99, slowest; for comparison without any bad upload), and how much memory the reader and the processes
below it had at most.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.served import Answer, App, Clients, configuration, light_documents, served

_ALONE_SECONDS = 20.0


async def measure(app: App, args: argparse.Namespace) -> list[dict]:
    small = light_documents()
    answers: list[Answer] = []
    ended = False
    async with (
        Clients(app, small + [Path(path).read_bytes() for path in args.files]) as bad,
        Clients(app, small) as load,
    ):
        loop = asyncio.create_task(load.closed_loop(lambda: 0 if ended else args.clients, answers.append))
        memory = asyncio.create_task(_watch_memory(app, samples := []))
        await asyncio.sleep(_ALONE_SECONDS)
        rows = [{"file": "-"} | _others(answers, samples, 0.0)]
        for number, path in enumerate(args.files):
            since = time.perf_counter()
            answer = await bad.send(len(small) + number)
            body = json.loads(answer.body) if answer.body.startswith(b"{") else {}
            kind = body.get("page_error", {}).get("type", "")
            row = {"file": Path(path).name, "status": answer.status, "error": kind, "seconds": round(answer.seconds, 1)}
            rows.append(row | _others(answers, samples, since))
        ended = True
        await loop
        memory.cancel()
    return rows


def _others(answers: list[Answer], samples: list[tuple[float, float]], since: float) -> dict:
    """Of the requests that were under way after `since`."""
    under_way = [answer for answer in answers if answer.sent + answer.seconds > since]
    seconds = np.array([answer.seconds for answer in under_way])
    p50, p99 = np.quantile(seconds, (0.5, 0.99))
    return {
        "others": len(under_way),
        "others_not_200": sum(answer.status != 200 for answer in under_way),
        "p50_s": round(float(p50), 2),
        "p99_s": round(float(p99), 2),
        "slowest_s": round(float(seconds.max()), 2),
        "reader_mib": round(max(mib for when, mib in samples if when > since)),
    }


async def _watch_memory(app: App, samples: list[tuple[float, float]]) -> None:
    """Record (time, MiB resident) of the reader replicas and their child processes, five times a second."""
    while True:
        total = 0
        for pid in app.replicas("reader"):
            try:
                reader = psutil.Process(pid)
                total += sum(process.memory_info().rss for process in (reader, *reader.children(recursive=True)))
            except psutil.Error:  # ended meanwhile
                continue
        samples.append((time.perf_counter(), total / 2**20))
        await asyncio.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--clients", type=int, default=4)
    args = parser.parse_args()
    with served(configuration("documents", replicas=1)) as app:
        for row in asyncio.run(measure(app, args)):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
