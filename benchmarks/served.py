"""A served app for the benchmarks: started in a separate process from an edited copy of its YAML, watched from
outside, loaded by asynchronous clients, and stopped.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import yaml

from benchmarks.real_pages import write_pages
from pipelines.documents.formats import HEAD_BYTES, MULTI_PAGE, sniff
from ray_apps.serving.deploy import load
from ray_apps.serving.settings import OWN_DEPLOYMENTS

SAMPLES = Path(__file__).parent.parent / "samples"
_START_SECONDS = 240
_STOP_SECONDS = 150
_REQUEST_SECONDS = 180


def pages(data: Path | None, sets: list[str], count: int, folder: Path) -> list[Path]:
    """Files of one page each, `count` of them: real pages (see `real_pages.write_pages`), or the repository's samples
    over and over when there is no `data`."""
    if data is not None:
        return write_pages(data, sets, count, folder)
    whole = [path for path in sorted(SAMPLES.iterdir()) if "broken" not in path.name and "tall" not in path.name]
    single = [p for p in whole if sniff(p.read_bytes()[:HEAD_BYTES], p.name) not in MULTI_PAGE]
    return [single[number % len(single)] for number in range(count)]


def light_documents(count: int = 8) -> list[bytes]:
    """Small PNG pages of three lines, each with its own number: an answer mixed up with another's shows."""
    documents = []
    for number in range(count):
        page = np.full((640, 480, 3), 255, np.uint8)
        for row, words in enumerate(("Delivery note", f"Number {1217 * (number + 1)}", "Received with thanks")):
            cv2.putText(page, words, (40, 120 + 70 * row), cv2.FONT_HERSHEY_DUPLEX, 1, (30, 30, 30), 2, cv2.LINE_AA)
        documents.append(cv2.imencode(".png", page)[1].tobytes())
    return documents


def configuration(app: str, replicas: int | None = None) -> dict[str, Any]:
    """Return the YAML of a served app, with its reading deployments fixed at `replicas` if given."""
    config = load(app)
    if replicas is not None:
        for deployment in readers(config):
            deployment["autoscaling_config"] |= {"min_replicas": replicas, "max_replicas": replicas}
    return config


def readers(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the deployments of a configuration's app that read."""
    (app,) = config["applications"]
    return [deployment for deployment in app["deployments"] if deployment["name"] not in OWN_DEPLOYMENTS]


@dataclass(frozen=True)
class App:
    """A running app: where it answers, and the id of the process at the top of its tree."""

    url: str
    pid: int = field(default_factory=os.getpid)

    def processes(self) -> dict[int, str]:
        """{process id: command line} of the tree."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(stat.parent.name))
        found, waiting = {}, [self.pid]
        while waiting:
            pid = waiting.pop()
            waiting += children.get(pid, [])
            with contextlib.suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        return found

    def replicas(self, deployment: str) -> list[int]:
        """Process ids of a deployment's replicas."""
        title = f"ray::ServeReplica:documents:{deployment}"  # and behind a dot what it is doing
        return sorted(pid for pid, command in self.processes().items() if command.partition(".")[0] == title)

    def memory_mib(self) -> float:
        """Memory of the tree: resident, what processes share counted once (PSS)."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                total += int(rollup.partition("\nPss:")[2].split()[0])
        return total / 1024

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time used so far by each kind of process: the deployments, Serve's own actors, the rest of Ray."""
        used: dict[str, float] = {}
        for pid, command in self.processes().items():
            with contextlib.suppress(OSError):
                user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
                title = command.partition(".")[0].rpartition(":")[2]
                kind = title if command.startswith("ray::Serve") or title == "ProxyActor" else "rest of Ray"
                used[kind] = used.get(kind, 0) + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        return used


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def served(config: dict[str, Any]) -> Iterator[App]:
    """Serve the app of a configuration until the block ends.

    Raises:
        SystemExit: it does not start; its last words are in the message.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ocray-bench-serve-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "app.yaml").write_text(yaml.safe_dump(config), "utf-8")
        command = [sys.executable, "-m", "ray_apps", "serve", "app.yaml", "--port", str(port)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, folder / "log")
            yield App(url, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"the app did not end within {_STOP_SECONDS} s of SIGTERM", file=sys.stderr)
                process.kill()


def _wait_until_ready(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:  # not listening yet, or 503
            time.sleep(0.3)
    raise SystemExit(f"the app did not start:\n{log.read_text()[-2000:]}")


@dataclass(frozen=True)
class Answer:
    """What came back for a request: `document` is the index of what was sent, `sent` when (`perf_counter`, s),
    `seconds` what it took until the whole body was there. `status` 0 is a connection that failed; `body` then says how.
    """

    document: int
    sent: float
    seconds: float
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Clients:
    """Sends documents to an app, each request as its clients see it: a connection that is kept, or a new one."""

    def __init__(self, app: App, documents: list[bytes]):
        self.url = f"{app.url}/v1/documents"
        self.documents = documents
        self.ongoing = 0

    async def __aenter__(self) -> "Clients":
        # Idle connections are given up before the server does: one that it closes just then is a failed request.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS))
        return self

    async def __aexit__(self, *_) -> None:
        await self.session.close()

    async def send(self, document: int) -> Answer:
        """Send one document and wait for its answer."""
        self.ongoing += 1
        sent = time.perf_counter()
        try:
            async with self.session.post(
                self.url, data=self.documents[document], headers={"Content-Type": "application/octet-stream"}
            ) as response:
                body = await response.read()
                took = time.perf_counter() - sent
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Answer(document, sent, took, response.status, headers, body)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            return Answer(document, sent, time.perf_counter() - sent, 0, body=repr(error).encode())
        finally:
            self.ongoing -= 1

    async def closed_loop(self, clients: Callable[[], int], answered: Callable[[Answer], None]) -> None:
        """Send the documents over and over from `clients()` clients, each of which sends the next when it has its
        answer. Ends when there are no clients any more and all have their answers.
        """
        sent = 0
        waiting: set[asyncio.Task[Answer]] = set()
        while (wanted := clients()) or waiting:
            while len(waiting) < wanted:
                waiting.add(asyncio.create_task(self.send(sent % len(self.documents))))
                sent += 1
            done, waiting = await asyncio.wait(waiting, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                answered(task.result())

    async def open_loop(self, per_second: float, seconds: float) -> list[Answer]:
        """Answers to requests sent at a fixed rate, whatever comes back; one that is late by the clients' own fault is
        sent at once."""
        started = time.perf_counter()
        tasks = []
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(started + number / per_second - time.perf_counter())
            tasks.append(asyncio.create_task(self.send(number % len(self.documents))))
        return list(await asyncio.gather(*tasks))
