"""Clusters of several Ray nodes on this machine, and nodes that see other files than the rest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import ray
from ray._private.node import Node
from ray.cluster_utils import Cluster

# Ray takes half a minute to call a node dead; here the machine is one, and its network does not fail.
_NOTICED_SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}


@contextmanager
def cluster(workers: int = 2, num_cpus: int = 1, connect: bool = True) -> Iterator[Cluster]:
    """Start and connect a cluster as `cluster.yaml` makes them: a head without CPUs, and `workers` nodes of `num_cpus`
    each."""
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": _NOTICED_SOON}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(workers):
            nodes.add_node(num_cpus=num_cpus)
        if connect:
            ray.init(address=nodes.address, logging_level="ERROR", log_to_driver=False)
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def workers_of(nodes: Cluster, title: str) -> list[Node]:
    """Return the worker nodes on which an actor or a task runs whose process is titled `ray::TITLE…`."""
    return [node for node in nodes.worker_nodes if _runs(node, title)]


def lose_node_with(nodes: Cluster, title: str, seconds: float = 60) -> None:
    """Kill a worker node, with all its processes, on which `title` runs; wait until there is one."""
    deadline = time.monotonic() + seconds
    while not (found := workers_of(nodes, title)):
        assert time.monotonic() < deadline, f"no node runs {title}"
        time.sleep(0.1)
    nodes.remove_node(found[0], allow_graceful=False)


def kill_on_head(nodes: Cluster, title: str) -> None:
    """Kill the process on the head whose title is `ray::TITLE…`."""
    (process,) = _processes(nodes.head_node, title)
    process.kill()


def _runs(node: Node, title: str) -> bool:
    return bool(_processes(node, title))


def _processes(node: Node, title: str) -> list[psutil.Process]:
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    found = []
    for process in raylet.children(recursive=True):
        with suppress(psutil.Error):  # ended meanwhile
            if process.cmdline()[0].startswith(f"ray::{title}"):
                found.append(process)
    return found


def can_hide_folders() -> bool:
    """Return whether processes with file systems of their own can be started here; it needs root."""
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    return tried.returncode == 0


@contextmanager
def another_node(address: str, node_address: str, private: Path | None = None) -> Iterator[None]:
    """Start one more node of one CPU, at an address of its own, on which the folder `private` is another, empty one. It
    ends with the block."""
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"]
    start += [f"--address={address}", f"--node-ip-address={node_address}"]
    if private is not None:
        start = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(private), *start]
    node = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not any(there["Alive"] and there["NodeManagerAddress"] == node_address for there in ray.nodes()):
            assert node.poll() is None and time.monotonic() < deadline, "the node did not join"
            time.sleep(0.2)
        yield
    finally:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait(10)
