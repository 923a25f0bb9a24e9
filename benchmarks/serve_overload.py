"""The served documents app at ten times the load it can carry, and with its readers killed under load.

    python -m benchmarks.serve_overload
    python -m benchmarks.serve_overload --seconds 10 --kill-seconds 20

Two reader replicas, documents of one light page. First the capacity is measured (clients that wait for their answers),
then requests come in at `--times` as many per second, whatever comes back, for `--seconds`: every one must be answered
with 200 and the text that the same document gave without load, or refused with 503, Retry-After and problem details in
less than 100 ms. Memory is that of the app's whole process tree, Ray included.

Then a reader replica is killed (SIGKILL) every `--kill-every` seconds, at half the clients that the readers could
hold. A client that is refused, or loses its connection, sends its document again after Retry-After. No answer may be
wrong, and none may blame the document.
"""

import argparse
import asyncio
import collections
import json
import os
import signal
import statistics
import time

import numpy as np

from benchmarks.served import Answer, App, Clients, configuration, light_documents, served

REPLICAS = 2
CLIENTS = 8
PROBLEM = "application/problem+json"


def text(answer: Answer) -> str:
    return json.loads(answer.body)["pages"][0]["text"]


class Judge:
    """Counts answers by what they are worth, against the texts that the documents gave without load."""

    def __init__(self, texts: list[str]):
        self.texts = texts
        self.counts: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}

    def __call__(self, answer: Answer) -> str:
        kind = self._kind(answer)
        self.counts[kind] += 1
        if kind not in ("right", "refused"):
            self.examples.setdefault(kind, f"{answer.status} {answer.body[:300]!r}")
        return kind

    def _kind(self, answer: Answer) -> str:
        if answer.status == 200:
            return "right" if text(answer) == self.texts[answer.document] else "wrong"
        if answer.status == 503:
            plain = "retry-after" not in answer.headers or answer.headers.get("content-type") != PROBLEM
            return "refused without Retry-After or problem" if plain else "refused"
        return "connection lost" if answer.status == 0 else f"status {answer.status}"


async def capacity(clients: Clients, judge: Judge, seconds: float) -> float:
    """Requests/s with all clients waiting for their answers."""
    until = time.perf_counter() + seconds + 2
    done: list[float] = []

    def answered(answer: Answer) -> None:
        judge(answer)
        done.append(time.perf_counter())

    await clients.closed_loop(lambda: 2 * CLIENTS if time.perf_counter() < until else 0, answered)
    return sum(until - seconds < at <= until for at in done) / seconds


async def watch_memory(app: App, samples: list[tuple[float, float]]) -> None:
    """Append (time, MiB) every second until cancelled."""
    while True:
        samples.append((time.perf_counter(), await asyncio.to_thread(app.memory_mib)))
        await asyncio.sleep(1)


async def overload(app: App, clients: Clients, texts: list[str], args: argparse.Namespace) -> dict:
    """Capacity, then `--times` as many requests."""
    quiet = Judge(texts)
    able = await capacity(clients, quiet, args.capacity_seconds)
    memory: list[tuple[float, float]] = []
    watch = asyncio.create_task(watch_memory(app, memory))
    before, judge = app.cpu_seconds(), Judge(texts)
    started = time.perf_counter()
    answers = await clients.open_loop(args.times * able, args.seconds)
    sent_for = max(answer.sent for answer in answers) - started
    used = {name: spent - before.get(name, 0) for name, spent in app.cpu_seconds().items()}
    await asyncio.sleep(5)
    watch.cancel()
    kinds = [judge(answer) for answer in answers]
    refused = [answer.seconds * 1000 for answer, kind in zip(answers, kinds, strict=True) if kind == "refused"]
    accepted = [answer.seconds * 1000 for answer, kind in zip(answers, kinds, strict=True) if kind == "right"]
    after = await capacity(clients, quiet, args.capacity_seconds)
    quarter = max(1, len(memory) // 4)
    return {
        "capacity_per_s": round(able, 2),
        "sent_per_s": round(len(answers) / sent_for, 2),
        "sent": len(answers),
        "answers": dict(judge.counts),
        "accepted_per_s": round(len(accepted) / args.seconds, 2),
        "refused_ms": quantiles(refused),
        "refused_over_100_ms": sum(ms >= 100 for ms in refused),
        "accepted_ms": quantiles(accepted),
        "memory_mib": {
            "before": round(memory[0][1]),
            "second_quarter": round(statistics.median(mib for _, mib in memory[quarter : 2 * quarter] or memory)),
            "last_quarter": round(statistics.median(mib for _, mib in memory[-quarter:])),
            "peak": round(max(mib for _, mib in memory)),
            "after": round(memory[-1][1]),
        },
        "cpu_s": {name: round(spent, 1) for name, spent in sorted(used.items(), key=lambda u: -u[1]) if spent > 0.5},
        "capacity_after_per_s": round(after, 2),
        "unloaded_answers": dict(quiet.counts),
        "examples": judge.examples,
    }


async def kills(app: App, clients: Clients, texts: list[str], args: argparse.Namespace) -> dict:
    """Load from `CLIENTS` patient clients while readers are killed."""
    judge, until = Judge(texts), time.perf_counter() + args.kill_seconds
    tries: list[int] = []
    seconds: list[float] = []
    killed = 0

    async def client(number: int) -> None:
        document = number
        while time.perf_counter() < until:
            document = (document + 1) % len(texts)
            started, kind, tried = time.perf_counter(), "", 0
            while kind not in ("right", "wrong"):
                answer = await clients.send(document)
                kind, tried = judge(answer), tried + 1
                if kind not in ("right", "wrong"):
                    await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
                if kind.startswith("status"):
                    break  # the app blames the document, or itself: nothing that a client would send again
            tries.append(tried)
            seconds.append(time.perf_counter() - started)

    async def killer() -> None:
        nonlocal killed
        while time.perf_counter() + args.kill_every < until:
            await asyncio.sleep(args.kill_every)
            replicas = app.replicas("reader")
            if replicas:
                os.kill(replicas[killed % len(replicas)], signal.SIGKILL)
                killed += 1

    await asyncio.gather(killer(), *map(client, range(CLIENTS)))
    return {
        "killed": killed,
        "documents": len(tries),
        "answers": dict(judge.counts),
        "documents_sent_again": sum(tried > 1 for tried in tries),
        "most_tries": max(tries),
        "document_ms": quantiles([s * 1000 for s in seconds]),
        "seconds_until_replaced": round(await until_replicas(app), 1),
        "capacity_after_per_s": round(await capacity(clients, judge, args.capacity_seconds), 2),
        "examples": judge.examples,
    }


async def until_replicas(app: App) -> float:
    """Seconds until there is a process for every reader replica again; at most 120."""
    started = time.perf_counter()
    while len(app.replicas("reader")) < REPLICAS and time.perf_counter() < started + 120:
        await asyncio.sleep(0.5)
    return time.perf_counter() - started


def quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99 = np.quantile(values, [0.5, 0.99])
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1), "max": round(max(values), 1)}


async def measure(app: App, args: argparse.Namespace) -> dict:
    documents = light_documents()
    async with Clients(app, documents) as clients:
        unloaded = [await clients.send(number) for number in range(len(documents))]
        texts = [text(answer) for answer in unloaded]
        if not all(texts) or len(set(texts)) < len(texts):
            raise SystemExit(f"the documents must read differently, or a mix-up would not show: {texts}")
        figures = {}
        if args.seconds:
            figures["overload"] = await overload(app, clients, texts, args)
        if args.kill_seconds:
            figures["kills"] = await kills(app, clients, texts, args)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", default="documents", help="name in configs/serve, or a YAML file")
    parser.add_argument("--times", type=float, default=10, help="requests sent, in capacities")
    parser.add_argument("--seconds", type=float, default=60, help="of overload; 0: leave it out")
    parser.add_argument("--capacity-seconds", type=float, default=15, help="to measure the capacity for")
    parser.add_argument("--kill-seconds", type=float, default=90, help="of load with kills; 0: leave it out")
    parser.add_argument("--kill-every", type=float, default=10, help="seconds")
    args = parser.parse_args()
    with served(configuration(args.app, replicas=REPLICAS)) as app:
        figures = asyncio.run(measure(app, args))
    for part, values in figures.items():
        print(f"\n{part}")
        for name, value in values.items():
            print(f"  {name:24}{value}")
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
