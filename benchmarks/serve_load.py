"""What the served documents app costs over its bare predictors: at saturation, and one request at a time.

    python -m benchmarks.serve_load --data ../shared/data
    python -m benchmarks.serve_load --data ../shared/data --app documents-composed
    python -m benchmarks.serve_load --pages 12 --rounds 1 --pairs 20        (the samples; a quick look)

Saturation: requests/s of two reader replicas under `--clients` clients, over pages/s of the bare two-process loop of
`bulk_throughput`. Both go over the same files twice, in turn, `--rounds` times; the ratio is taken round by round and
its median is the figure. Start-up is left out of both: the app's clock runs between two answers, from the one by which
all of its queues are full, while the clients continue. CPU time a request, by process, says where what is missing went.
The app is started anew each round, so that an idle Ray does not take its share of the bare loop's cores.

One at a time: each page is sent to the app (one reader replica) and read by the same predictors here with one thread,
alternately, the one or the other first. The overhead is the difference of the two times of a page: what a client waits
for beyond the reading. It is also given by part: HTTP and request handling outside of the app's own `total_ms`; the way
to the replica and back (`total_ms` less the stages' time); stages that run slower there than here.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import cv2

from benchmarks.bulk_throughput import PROCESSES, bare_loop, processes_rate
from benchmarks.served import Answer, App, Clients, configuration, pages, served
from pipelines.page import Page
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.stages.base import run_stages

TIMES_OVER = 2


def served_rate(app_name: str, documents: list[bytes], clients: int) -> tuple[float, dict[str, float]]:
    """Requests/s of the app with a reader replica a process of the bare loop, from queues full to the last page; and
    CPU ms a request by kind of process."""
    with served(configuration(app_name, replicas=PROCESSES)) as app:
        return asyncio.run(_saturate(app, documents, clients))


async def _saturate(app: App, documents: list[bytes], clients: int) -> tuple[float, dict[str, float]]:
    warm_up, counted = 2 * clients, TIMES_OVER * len(documents)
    times: list[float] = []
    used: list[dict[str, float]] = []

    def answered(answer: Answer) -> None:
        if answer.status != 200:
            raise SystemExit(f"answer {answer.status}: {answer.body[:500]!r}")
        times.append(time.perf_counter())
        if len(times) in (warm_up, warm_up + counted):
            used.append(app.cpu_seconds())

    async with Clients(app, documents) as load:
        await load.closed_loop(lambda: clients if len(times) < warm_up + counted else 0, answered)
    rate = counted / (times[warm_up + counted - 1] - times[warm_up - 1])
    return rate, {name: (used[1][name] - used[0].get(name, 0)) / counted * 1000 for name in used[1]}


def saturation(args: argparse.Namespace, paths: list[Path]) -> dict[str, float]:
    """Return the medians of rounds of both contenders."""
    documents = [path.read_bytes() for path in paths]
    # Each process reads every file, from another place on, so that neither is idle while the other ends.
    files = [str(path) for path in paths]
    shares = [files[i * len(files) // PROCESSES :] + files[: i * len(files) // PROCESSES] for i in range(PROCESSES)]
    rounds: list[dict[str, float]] = []
    cpu: list[dict[str, float]] = []
    for number in range(args.rounds):
        rates = {}
        for name in ("served", "bare") if number % 2 == 0 else ("bare", "served"):
            if name == "served":
                rates[name], used = served_rate(args.app, documents, args.clients)
                cpu.append(used)
            else:
                rates[name] = processes_rate(bare_loop, shares)
        rounds.append(rates)
        print(f"served {rates['served']:.3f} requests/s  bare {rates['bare']:.3f} pages/s", flush=True)
    return {
        "served_requests_per_s": round(statistics.median(r["served"] for r in rounds), 3),
        "bare_pages_per_s": round(statistics.median(r["bare"] for r in rounds), 3),
        "served ÷ bare": round(statistics.median(r["served"] / r["bare"] for r in rounds), 3),
    } | {f"cpu_ms {name}": round(statistics.median(used.get(name, 0) for used in cpu), 1) for name in cpu[0]}


class Bare:
    """The reader's stages in this process, one thread."""

    def __init__(self):
        cv2.setNumThreads(1)
        self.stages = [(spec.build(), spec.batch_size) for spec in load_reader("documents").stages(threads=1)]

    def __call__(self, content: bytes) -> tuple[float, PageRecord]:
        """Seconds a document of one page takes from its bytes to its record, and the record."""
        started = time.perf_counter()
        record = PageRecord(page_id="", document_uri="", page_number=1, page_count=1)
        (page,) = run_stages(self.stages, [Page(record, content=content)])
        return time.perf_counter() - started, page.record


async def one_at_a_time(app: App, documents: list[bytes], pairs: int) -> list[dict[str, float]]:
    """Return one row per pair, in ms: `served` and `bare`, and the parts of their difference."""
    bare = Bare()
    rows = []
    async with Clients(app, documents) as clients:
        for document in range(min(5, len(documents))):  # both warm
            await clients.send(document)
            bare(documents[document])
        for number in range(pairs):
            document = number % len(documents)
            if number % 2:
                seconds, record = bare(documents[document])
                answer = await clients.send(document)
            else:
                answer = await clients.send(document)
                seconds, record = bare(documents[document])
            rows.append(_row(answer, seconds, record))
    return rows


def _row(answer: Answer, bare_seconds: float, record: PageRecord) -> dict[str, float]:
    if answer.status != 200:
        raise SystemExit(f"answer {answer.status}: {answer.body[:500]!r}")
    content = json.loads(answer.body)
    if content["pages"][0]["text"] != record.text:
        raise SystemExit(f"the app read another text than the predictors here: {content['pages'][0]['text']!r}")
    total, stages = content["total_ms"], sum(content["pages"][0]["timings_ms"].values())
    latency = answer.seconds * 1000
    return {
        "served": latency,
        "bare": bare_seconds * 1000,
        "overhead": latency - bare_seconds * 1000,
        "http": latency - total,
        "handles": total - stages,
        "stages_slower": stages - sum(record.timings_ms.values()),
    }


def latency(args: argparse.Namespace, paths: list[Path]) -> dict[str, float]:
    """Medians over all pairs, and the overhead of the third of the pairs with the quickest and the slowest pages."""
    with served(configuration(args.app, replicas=1)) as app:
        rows = asyncio.run(one_at_a_time(app, [path.read_bytes() for path in paths], args.pairs))
    rows.sort(key=lambda row: row["bare"])

    def median(name: str, some=rows) -> float:
        return round(statistics.median(row[name] for row in some), 2)

    third = max(1, len(rows) // 3)
    return {
        "pairs": len(rows),
        "served_p50_ms": median("served"),
        "bare_p50_ms": median("bare"),
        "median_of_differences_ms": median("overhead"),
        "difference_of_medians_ms": round(median("served") - median("bare"), 2),
        "quickest_third_ms": median("overhead", rows[:third]),
        "slowest_third_ms": median("overhead", rows[-third:]),
        "part_http_ms": median("http"),
        "part_handles_ms": median("handles"),
        "part_stages_slower_ms": median("stages_slower"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with receipts.parquet and forms.parquet (default: samples)")
    parser.add_argument("--app", default="documents", help="name in configs/serve, or a YAML file")
    parser.add_argument("--pages", type=int, default=48, help="different pages")
    parser.add_argument("--rounds", type=int, default=3, help="of both contenders at saturation; 0: leave it out")
    parser.add_argument("--clients", type=int, default=16, help="at saturation")
    parser.add_argument("--pairs", type=int, default=200, help="of requests one at a time; 0: leave them out")
    args = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory(prefix="ocray-bench-in-") as folder:
        paths = pages(args.data, ["receipts", "forms"], args.pages, Path(folder))
        if args.rounds:
            figures["saturation"] = saturation(args, paths)
        if args.pairs:
            figures["one_at_a_time"] = latency(args, paths)
    for part, values in figures.items():
        print(f"\n{part.replace('_', ' ')}")
        for name, value in values.items():
            print(f"  {name:28}{value:>10g}")
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
