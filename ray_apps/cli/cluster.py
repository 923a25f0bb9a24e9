"""Connecting to Ray: the cluster that is named, or a local Ray that starts with the program and ends with it."""

import logging
import os
import re
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import ray

from common import signals
from common.errors import ExitCode, ExpectedError
from common.ray_private import listen_on_this_machine_only, make_entrypoint_text, resolved_address
from ray_apps import packages

logger = logging.getLogger("ocray")

_REACH_SECONDS = 10
_CORE_LOG = re.compile(rb"^\[\d{4}-\d\d-\d\d [\d:,]+ [A-Z] \d+ \d+\] ")


class RayUnavailable(ExpectedError):
    """There is no Ray cluster at the given address, or Ray does not start on this machine."""

    exit_code = ExitCode.CANNOT_START


def connect(
    address: str | None = None,
    metrics_port: int | None = None,
    dashboard: bool = False,
    this_machine_only: bool = False,
    worker_output: bool = False,
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Connect to `address` (or $RAY_ADDRESS, which `ray job submit` sets), else start a local Ray on this machine;
    its Prometheus metrics are at `metrics_port` (default: any free port). With `dashboard` the local Ray has one: Ray
    Train checks every second whether its controller lives. With `this_machine_only` all ports of the local Ray listen
    on 127.0.0.1, those with metrics too, which ask for no token. With `worker_output` what its workers print is seen
    here. Processes that this program starts on a cluster's nodes get the variables of `environment`; those of a local
    Ray have this process's own.

    Returns:
        Whether a cluster was joined; it may grow, a local Ray does not.

    Raises:
        RayUnavailable: there is no cluster at that address, or Ray did not start here, twice.
    """
    if ray.is_initialized():
        raise RuntimeError("Ray is connected already")
    make_entrypoint_text()
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    # Usage statistics would reach out to the internet; nobody looks at the dashboard of a program that ends.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Token authentication is on by default, and Ray says so at each start.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    # Ray Data's own actors make Ray's core print an error-level advice a line each, which is no error.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    settings: dict[str, Any] = {
        "logging_level": logging.WARNING,
        "log_to_driver": worker_output,
        "runtime_env": _runtime_env(),
    }
    if address != "local":
        if environment:
            settings["runtime_env"] = {**(settings["runtime_env"] or {}), "env_vars": dict(environment)}
        _join(address, settings)
        return True
    if this_machine_only:
        listen_on_this_machine_only()
    settings |= {
        "address": "local",
        "include_dashboard": dashboard,
        "_metrics_export_port": metrics_port,
    }
    others = _children()
    try:
        _init(settings)
    except Exception as error:  # Ray raises what it likes, where a busy machine let it wait for 30 s
        logger.warning("Ray did not start (%s); one more try", _reason(error))
        ray.shutdown()
        _end([process for process in _children() if process not in others])
        try:
            _init(settings)
        except Exception as error:
            raise RayUnavailable(
                f"Ray did not start on this machine, twice ({_reason(error)}); wait until there is less load or more "
                "memory and start again; its logs are in /tmp/ray/session_latest/logs"
            ) from error
    return False


def _join(address: str, settings: dict[str, Any]) -> None:
    remedy = "start it, correct --address or $RAY_ADDRESS, or leave both out for a Ray on this machine"
    try:
        if "://" not in address:
            address = resolved_address(address)
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
        with _variable("RAY_gcs_server_port_wait_time_s", "1"):  # what listens there answers: no 20 tries of 40 s
            _init(settings | {"address": address})
    except Exception as error:
        ray.shutdown()
        raise RayUnavailable(f"there is no Ray cluster at {address} ({_reason(error)}); {remedy}") from error


def _init(settings: dict[str, Any]) -> None:
    with _own_signal_handlers(), _core_log_held_back():
        ray.init(**settings)


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Restore the program's signal handlers after `ray.init`, which installs its own handlers for SIGTERM: in Python
    and, with a print of stack addresses, in C++."""
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        yield
    except SystemExit:  # Ray's handler was in place already
        signals.note(signal.SIGTERM)
        raise KeyboardInterrupt("interrupted by SIGTERM") from None
    finally:
        signal.signal(signal.SIGTERM, handler)


def _reason(error: BaseException) -> str:
    """Its first sentence: what follows is log lines and advice for those who run `ray start`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split(". ")[0].rstrip(".") if lines else type(error).__name__


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for a while, unless the user has set it."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


@contextmanager
def _core_log_held_back() -> Iterator[None]:
    """Within, the log of Ray's core, which it writes to this process's stderr whatever its level, is kept apart; other
    lines are printed at the end."""
    try:
        terminal = os.dup(2)
    except OSError:  # a service without a stderr
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            captured.seek(0)
            for line in captured:
                if not _CORE_LOG.match(line):
                    os.write(2, line)


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _end(processes: list[psutil.Process]) -> None:
    """End what a Ray that did not start in time has started; Ray itself forgets it."""
    for signal_of in (psutil.Process.terminate, psutil.Process.kill):
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                signal_of(process)
        _, processes = psutil.wait_procs(processes, timeout=5)


def _runtime_env() -> dict[str, Any] | None:
    """Ray puts the folder that a program is started in before all else on its workers' path. Where that has a package
    of the name of one of ours (many projects have a `models`), ours go first again."""
    if packages.hidden_by(packages.workers_places()) is None:
        return None
    return {"worker_process_setup_hook": f"{packages.__name__}.own_packages_first"}
