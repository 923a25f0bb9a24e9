"""Replicas of the served documents app following its load up and down.

    python -m benchmarks.serve_scaling --chart docs/serve_scaling.svg
    python -m benchmarks.serve_scaling --clients 1 8 1 --phase-seconds 10

The app of `configs/serve/documents.yaml` with delays of seconds instead of a minute, and readers that reserve less than
half a core, so that four fit on a machine with two: what is shown is that replicas follow the load, not that more
replicas than cores read faster. Clients that wait for their answers come and go in phases; every second is recorded:
requests under way, replicas that autoscaling wants and that run, answers, and their median latency.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
from ray import serve

from benchmarks.served import Answer, App, Clients, configuration, free_port, light_documents, readers
from common.ray_private import serve_details
from common.resources import cluster_resources
from pipelines.report.charts import nice_ticks
from ray_apps.cli.cluster import connect
from ray_apps.serving.deploy import fit, start

SCALING = {
    "min_replicas": 1,
    "max_replicas": 4,
    "target_ongoing_requests": 4,
    "look_back_period_s": 5,
    "metrics_interval_s": 1,
    "upscale_delay_s": 2,
    "downscale_delay_s": 8,
}


@dataclass(frozen=True)
class Second:
    """What was seen at `at` s after the start: `target` and `running` replicas, `ongoing` requests, answers during the
    second before, and the median of their latencies (None without any)."""

    at: float
    clients: int
    ongoing: int
    target: int
    running: int
    answers: int
    p50_ms: float | None


def quick_to_scale(jobs: str) -> dict[str, Any]:
    """Return the app's YAML with `SCALING`; jobs are stored in the folder `jobs`."""
    config = configuration("documents")
    (reader,) = readers(config)
    reader["autoscaling_config"] |= SCALING
    reader["ray_actor_options"] = {"num_cpus": 0.45}
    config["http_options"]["port"] = free_port()
    config["applications"][0]["args"]["jobs"]["store"] = jobs
    return config


def replicas() -> tuple[int, int]:
    """Reader replicas that autoscaling wants, and that run."""
    deployment = serve_details()["applications"]["documents"]["deployments"]["reader"]
    return deployment["target_num_replicas"], sum(r["state"] == "RUNNING" for r in deployment["replicas"])


async def follow(app: App, phases: Sequence[int], phase_seconds: float, rest_seconds: float) -> list[Second]:
    """Load in phases, a rest without any at the end; a row a second."""
    answers: list[Answer] = []
    started = time.perf_counter()

    def wanted() -> int:
        phase = int((time.perf_counter() - started) / phase_seconds)
        return phases[phase] if phase < len(phases) else 0

    rows = []
    async with Clients(app, light_documents()) as load:
        running = asyncio.create_task(load.closed_loop(wanted, answers.append))
        seen = 0
        while (at := time.perf_counter() - started) < len(phases) * phase_seconds + rest_seconds:
            target, run = await asyncio.to_thread(replicas)
            new, seen = answers[seen:], len(answers)
            bad = [answer for answer in new if answer.status != 200]
            if bad:
                raise SystemExit(f"answer {bad[0].status}: {bad[0].body[:500]!r}")
            p50 = round(statistics.median(answer.seconds for answer in new) * 1000, 1) if new else None
            rows.append(Second(round(at, 1), wanted(), load.ongoing, target, run, len(new), p50))
            print(_line(rows[-1]), flush=True)
            await asyncio.sleep(max(0.0, 1 - (time.perf_counter() - started - at)))
        await running
    return rows


def _line(row: Second) -> str:
    p50 = "–" if row.p50_ms is None else f"{row.p50_ms:.0f}"
    return (
        f"{row.at:6.1f} s {row.clients:4} clients {row.ongoing:4} under way {row.target:3} wanted {row.running:3} run "
        f"{row.answers:4} answers {p50:>7} ms"
    )


WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 760, 120, 70, 20, 16, 34
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd}.axis{stroke:#888}"
    ".line,.wanted{fill:none;stroke:#1463b0;stroke-width:2}.wanted{stroke:#d1662b;stroke-dasharray:5 4}"
)


def chart(rows: Sequence[Second]) -> str:
    """Three panels over time as SVG: requests under way, replicas wanted and running, median latency."""
    latencies = [(row.at, row.p50_ms / 1000) for row in rows if row.p50_ms is not None]
    panels = [
        ("requests under way", [("line", [(row.at, row.ongoing) for row in rows])]),
        (
            "reader replicas: wanted (dashed), running",
            [("line", [(row.at, row.running) for row in rows]), ("wanted", [(row.at, row.target) for row in rows])],
        ),
        ("median latency, s", [("line", latencies)]),
    ]
    end = rows[-1].at
    height = TOP + len(panels) * (PANEL + GAP) + 14
    parts = [f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>']
    for number, (title, lines) in enumerate(panels):
        parts.append(_panel(TOP + number * (PANEL + GAP), title, lines, end))
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 4}" text-anchor="middle">s</text>')
    label = "Requests under way, replicas and latency over time"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">'
        f"<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _panel(top: float, title: str, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], end: float) -> str:
    highest = max((value for _, points in lines for _, value in points), default=1) or 1
    bottom, across = top + PANEL, (WIDTH - LEFT - RIGHT) / end
    up = (PANEL - 22) / highest
    parts = [f'<text x="{LEFT}" y="{top + 8}">{title}</text>']
    for value in nice_ticks(0, highest, 4):
        y = bottom - value * up
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for at in nice_ticks(0, end, 10):
        x = LEFT + at * across
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{at:g}</text>')
    for kind, points in lines:
        steps = "".join(f"H{LEFT + at * across:.1f}V{bottom - value * up:.1f}" for at, value in points)
        if points:
            at, value = points[0]
            parts.append(f'<path class="{kind}" d="M{LEFT + at * across:.1f} {bottom - value * up:.1f}{steps}"/>')
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8, 16, 8, 4, 1], help="in each phase")
    parser.add_argument("--phase-seconds", type=float, default=20)
    parser.add_argument("--rest-seconds", type=float, default=15, help="without load, at the end")
    parser.add_argument("--chart", type=Path, help="SVG file to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ocray-bench-serve-") as folder:
        config = quick_to_scale(folder)
        connect()
        try:
            fit(config, cluster_resources(), None)
            start(config)
            app = App(f"http://127.0.0.1:{config['http_options']['port']}")
            rows = asyncio.run(follow(app, args.clients, args.phase_seconds, args.rest_seconds))
        finally:
            serve.shutdown()
            ray.shutdown()
    if args.chart:
        args.chart.write_text(chart(rows), "utf-8")
    most = max(row.running for row in rows)
    figures = {
        "most_running": most,
        "running_at_start": rows[0].running,
        "running_at_end": rows[-1].running,
        "seconds": [asdict(row) for row in rows],
    }
    print(json.dumps(figures))
    if not (rows[0].running < most > rows[-1].running):
        print("the replicas did not follow the load up and down", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
