"""A command as a job of a cluster's Jobs API: submitted once, its log followed, its exit code returned."""

import asyncio
import hashlib
import logging
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from common.cli import command_line
from common.errors import ExitCode, ExpectedError

# Ray kills a job that has not ended this long after it was told to stop. A command ends its workers first.
_STOP_SECONDS = 60
_POLL_SECONDS = 1.0
_LOST_SECONDS = 120.0  # a job server that restarts, or a forwarded port that is opened again


class ClusterUnreachable(ExpectedError):
    """The cluster's job server does not answer, or refuses the token; the message says which."""

    exit_code = ExitCode.CANNOT_START


def open_client(address: str) -> JobSubmissionClient:
    """Connect to a job server (`http://HOST:8265`).

    Raises:
        ClusterUnreachable
    """
    logging.getLogger("ray").setLevel(logging.WARNING)  # it reports each upload
    try:
        return JobSubmissionClient(address)
    except Exception as error:  # Ray raises ConnectionError, RuntimeError, and what requests raises
        raise ClusterUnreachable(
            f"no job server of Ray answers at {address} ({_one_line(error)}); forward the dashboard's port "
            "(`ray dashboard cluster.yaml`, `kubectl port-forward`), or give --address; with token authentication set "
            "RAY_AUTH_MODE=token"
        ) from error


def job_id(argv: Sequence[str]) -> str:
    """Return the id of a command's job: the same command has the same id, so that it runs once at a time."""
    return f"ocray-{argv[0]}-{hashlib.sha256(shlex.join(argv).encode()).hexdigest()[:12]}"


def is_running(client: JobSubmissionClient, name: str) -> bool:
    """Return whether a job is running, or waits to be."""
    details = _details(client, name)
    return details is not None and not details.status.is_terminal()


def submit(client: JobSubmissionClient, argv: Sequence[str], payload: Path, wheel: str | None = None) -> None:
    """Submit a command whose job does not run; the record of an earlier one is replaced.

    Args:
        argv: the command without `ocray`.
        payload: the folder that becomes its current folder on the cluster. Without ocray's code in it, the ocray that
            is installed there runs.
        wheel: name of a wheel in the payload, which pip installs for the job on each node.
    """
    name = job_id(argv)
    if _details(client, name) is not None:
        client.delete_job(name)
    environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS), "PYTHONUNBUFFERED": "1"}
    runtime_env: dict[str, Any] = {"env_vars": environment}
    if any(payload.iterdir()):
        runtime_env["working_dir"] = str(payload)
    if wheel is not None:
        runtime_env["pip"] = {"packages": [f"${{RAY_RUNTIME_ENV_CREATE_WORKING_DIR}}/{wheel}"], "pip_check": False}
    client.submit_job(
        entrypoint=shlex.join(["python", "-m", "ray_apps", *argv]),
        submission_id=name,
        runtime_env=runtime_env,
        metadata={"command": command_line(argv)},
    )


class Follower:
    """Prints a job's log as it grows, until the job ends."""

    def __init__(self, client: JobSubmissionClient, name: str):
        self._client, self._name = client, name
        self._shown = 0  # characters of the log

    def follow(self) -> int:
        """Print the log until the job ends, and return the command's exit code.

        Raises:
            ClusterUnreachable: the job server did not answer for two minutes; the job may be running.
        """
        answered = time.monotonic()
        while True:
            try:
                asyncio.run(self._print_new())
                details = _details(self._client, self._name)
                answered = time.monotonic()
            except (RuntimeError, OSError, aiohttp.ClientError) as error:
                if time.monotonic() - answered > _LOST_SECONDS:
                    raise ClusterUnreachable(
                        f"the job server does not answer any more ({_one_line(error)}); the job {self._name} may be "
                        "running: run the same command to follow it again"
                    ) from error
                time.sleep(_POLL_SECONDS)
                continue
            if details is None:
                raise ClusterUnreachable(f"the cluster knows no job {self._name} any more; run the same command again")
            if details.status.is_terminal():
                self._print(self._client.get_job_logs(self._name))
                return _exit_code(details)
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop the job, and print its log until it has ended.

        Raises:
            ClusterUnreachable: the job server does not answer; the job runs on.
        """
        try:
            self._client.stop_job(self._name)
            deadline = time.monotonic() + _STOP_SECONDS + 10
            while time.monotonic() < deadline:
                details = _details(self._client, self._name)
                if details is None or details.status.is_terminal():
                    break
                time.sleep(_POLL_SECONDS)
            self._print(self._client.get_job_logs(self._name))
        except (RuntimeError, OSError) as error:
            raise ClusterUnreachable(
                f"the job server does not answer ({_one_line(error)}); the job {self._name} may run on: stop it with "
                f"`ray job stop {self._name}` once the cluster can be reached"
            ) from error

    async def _print_new(self) -> None:
        read = 0
        async for chunk in self._client.tail_job_logs(self._name):  # each time from the start
            read += len(chunk)
            if read > self._shown:
                print(chunk[len(chunk) - (read - self._shown) :], end="", flush=True)
                self._shown = read

    def _print(self, log: str) -> None:
        print(log[self._shown :], end="", flush=True)
        self._shown = max(self._shown, len(log))


def _details(client: JobSubmissionClient, name: str) -> JobDetails | None:
    try:
        return client.get_job_info(name)
    except RuntimeError as error:
        if "404" in str(error) or "does not exist" in str(error):
            return None
        raise


def _exit_code(details: JobDetails) -> int:
    if details.status == JobStatus.SUCCEEDED:
        return ExitCode.OK
    code = details.driver_exit_code
    if code is None:
        print(details.message or f"the job is {details.status}", flush=True)
        return ExitCode.FAILED
    return 128 - code if code < 0 else code  # ended by a signal


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
