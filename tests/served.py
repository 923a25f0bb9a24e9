"""The served app in a process of its own, as `ocray serve` starts it, from an edited copy of a shipped YAML."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import yaml

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs" / "serve"


@dataclass
class Served:
    """A running app; `folder` is its working folder."""

    url: str
    folder: Path
    process: subprocess.Popen

    def read(self, content: bytes, **query: Any) -> requests.Response:
        """POST /v1/documents with a raw body."""
        return self.post("v1/documents", content, **query)

    def post(self, path: str, content: bytes, **query: Any) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream"}
        return requests.post(f"{self.url}/{path}", content, params=query, headers=headers, timeout=120)

    def opened(self, sent: bytes) -> socket.socket:
        """Return a connection on which these first bytes of a request were sent."""
        address = urlsplit(self.url)
        connection = socket.create_connection((address.hostname, address.port), timeout=20)
        connection.sendall(sent)
        return connection

    def get(self, path: str, **query: Any) -> requests.Response:
        return requests.get(f"{self.url}/{path}", query, timeout=60)


@contextmanager
def served(
    folder: Path,
    name: str,
    edit: Callable[[dict[str, Any]], None] = lambda app: None,
    address: str | None = None,
    **environment: str,
) -> Iterator[Served]:
    """Serve `configs/serve/<name>.yaml` from `folder`, after `edit` has changed its applications, each in place; on
    this machine, or on the cluster at `address`, where only the head listens."""
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    cluster = []
    if address is not None:  # its nodes share this machine's ports
        cluster = ["--address", address]
        config["proxy_location"] = "HeadOnly"
    for app in config["applications"]:
        if "jobs" in app["args"]:
            app["args"]["jobs"]["store"] = str(folder / "jobs")
        edit(app)
    (folder / "app.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    log = folder / "app.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray_apps", "serve", "app.yaml", "--port", str(port), *cluster],
            cwd=folder,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
        )
        app = Served(f"http://127.0.0.1:{port}", folder, process)
        try:
            _wait_until_ready(app, log)
            yield app
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def deployment(app: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of one deployment of an application."""
    return next(deployment for deployment in app["deployments"] if deployment["name"] == name)


def _wait_until_ready(app: Served, log: Path) -> None:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline and app.process.poll() is None:
        try:
            if app.get("readyz").status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.25)
    raise RuntimeError(f"the app did not start: {log.read_text()[-2000:]}")
