"""What a served app runs."""

import psutil

from tests.served import Served


def replica_pids(app: Served, name: str) -> list[int]:
    """Return processes of a deployment's replicas, among the descendants of the app's process."""
    title = f"ray::ServeReplica:documents:{name}"  # and behind a dot what it is doing
    return [pid for pid, line in descendants(app.process.pid).items() if line.partition(".")[0] == title]


def descendants(pid: int) -> dict[int, str]:
    """Command lines of the processes that `pid` has started, by process id."""
    found = {}
    for process in psutil.Process(pid).children(recursive=True):
        try:
            found[process.pid] = " ".join(process.cmdline()).rstrip("\0 ")
        except psutil.Error:  # ended meanwhile
            continue
    return found
