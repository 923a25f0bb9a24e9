"""Connecting to Ray: the cluster that is named, or a local Ray that starts with the program and ends with it."""

import logging
import os

import ray
from ray._private import ray_constants


def connect(
    address: str | None = None,
    metrics_port: int | None = None,
    dashboard: bool = False,
    this_machine_only: bool = False,
) -> None:
    """Connect to `address` (or $RAY_ADDRESS, which `ray job submit` sets), else start a local Ray on this machine;
    its Prometheus metrics are at `metrics_port` (default: any free port). With `dashboard` the local Ray has one: Ray
    Train asks it every second whether its controller lives. With `this_machine_only` all ports of the local Ray listen
    on 127.0.0.1, those with metrics too, which ask for no token.

    Raises:
        ConnectionError: there is no cluster at that address.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, logging_level=logging.WARNING)
        return
    # Usage statistics would reach out to the internet; nobody looks at the dashboard of a program that ends.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Token authentication is on by default, and Ray says so at each start.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    # Ray Data's own actors make Ray's core print an error-level advice a line each, which is no error.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if this_machine_only:
        # Ray takes a loopback address for the address to be found by others, and replaces it. This switch, which it has
        # for the firewalls of desktop systems, has it take 127.0.0.1 for the machine's address.
        os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
        ray_constants.ENABLE_RAY_CLUSTER = False
    ray.init(
        address="local",
        include_dashboard=dashboard,
        logging_level=logging.WARNING,
        log_to_driver=False,
        _metrics_export_port=metrics_port,
    )
