"""Serve an app on this machine, or on the cluster at --address, until interrupted.

ocray serve documents
ocray serve meters
ocray serve documents-meters --port 9000 --replicas 2
"""

import argparse
import os
import signal
import threading
from typing import Any

import ray
from ray import serve

from common.cli import fail, positive
from common.config import ConfigError
from common.errors import ExitCode
from common.resources import cluster_resources
from common.storage.locations import local_path
from ray_apps.cli.cluster import connect
from ray_apps.serving import keys
from ray_apps.serving.deploy import build_apps, drain, fit, load, settings_type, start

_LATENCY_BUCKETS_MS = (5, 10, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000, 10_000)
_LATENCY_BUCKETS_MS += (15_000, 20_000, 30_000, 60_000, 120_000)

# What Ray and Serve read where they are started; docs/serving.md names those that a cluster's nodes should have.
_SERVE_ENVIRONMENT = {
    # Serve's own go from 10 s straight to 60 s.
    "RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS": ",".join(map(str, _LATENCY_BUCKETS_MS)),
    # Ray's workers are all equally nice (15); the readers make themselves so, and the HTTP side goes first.
    "RAY_worker_niceness": "0",
    # Every tenth of a second, Serve's controller takes a twentieth of a core from the readers.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1",
    # Both are for code that blocks its event loop; here they cost each request several milliseconds.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_PROXY_USE_GRPC": "1",
    # Connections whose headers do not arrive are dropped, and headers that Serve cannot read taken out.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "ray_apps.serving.front:middlewares",
}
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("app", help="name in configs/serve or a YAML file, for example documents")
    parser.add_argument("--host", help="address to listen on (default: as the YAML says, 127.0.0.1)")
    parser.add_argument("--port", type=positive, help="port to listen on (default: as the YAML says, 8000)")
    parser.add_argument(
        "--replicas", type=positive, metavar="N", help="replicas of a reading deployment at most (default: cores)"
    )
    parser.add_argument("--jobs", metavar="URI", help="folder or URI that keeps jobs (default: as the YAML says)")
    parser.add_argument("--metrics-port", type=positive, help="Prometheus metrics of a local Ray (default: any)")
    parser.add_argument("--address", help="Ray cluster (default: $RAY_ADDRESS, else a local Ray is started)")


def run(args: argparse.Namespace) -> int:
    config = load(args.app)
    _override(config, args)
    http = config["http_options"]
    if http["host"] not in _LOCAL_HOSTS and not os.environ.get(keys.VARIABLE):
        fail(f"anyone who reaches {http['host']} can send documents; set {keys.VARIABLE}")
    for name, value in _SERVE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not (args.address or os.environ.get("RAY_ADDRESS")):
        build_apps(config)  # an invalid app fails before anything starts
    connect(
        args.address,
        args.metrics_port,
        this_machine_only=http["host"] in _LOCAL_HOSTS,
        # Who may run code on the cluster could read the keys anyway; without them its replicas would let anyone in.
        environment={name: os.environ[name] for name in (*_SERVE_ENVIRONMENT, keys.VARIABLE) if name in os.environ},
    )
    signals = _Signals()  # after Ray has set its own
    try:
        fit(config, cluster_resources(), args.replicas)
        start(config, signals.first.is_set)
        if not signals.first.is_set():
            docs = ", ".join(f"{app.get('route_prefix', '/').rstrip('/')}/docs" for app in config["applications"])
            print(f"ready: http://{http['host']}:{http['port']}/ (API: {docs}); Ctrl-C ends it", flush=True)
            signals.first.wait()
            drain(config, signals.second.is_set)
    finally:
        serve.shutdown()
        ray.shutdown()
    return ExitCode.OK


class _Signals:
    """SIGINT (Ctrl-C) and SIGTERM: `first` is set by the first, which ends the server once its requests are answered,
    `second` by one more, which ends it at once."""

    def __init__(self):
        self.first, self.second = threading.Event(), threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._arrived)

    def _arrived(self, *ignored: object) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _override(config: dict[str, Any], args: argparse.Namespace) -> None:
    http = config.setdefault("http_options", {})
    http["host"] = args.host or http.get("host", "127.0.0.1")
    http["port"] = args.port or http.get("port", 8000)
    if args.jobs:
        with_jobs = [app for app in config["applications"] if "jobs" in settings_type(app).model_fields]
        if not with_jobs:
            raise ConfigError(f"--jobs: {args.app} takes no jobs; leave it out")
        for app in with_jobs:
            app.setdefault("args", {}).setdefault("jobs", {})["store"] = local_path(args.jobs) or args.jobs
