"""Every use of what Ray keeps private, so that an upgrade of Ray is read and tested here.

`tests/test_ray_private.py` fails with the name of what changed. Ray is imported within the functions: programs without
Ray import this module too. Two hooks must be subclasses and lie with their types: `tuners.schedulers.Population`
(PopulationBasedTraining._exploit) and `ray_apps.serving.front.ImpatientProtocol` (uvicorn's HTTP protocol).
"""

import os
from typing import Any


def largest_resources() -> dict[str, float]:
    """Return what the connected cluster may grow to, by the autoscaler's configuration; empty where it has none.

    Checked with Ray 2.60: `GlobalState.get_max_resources_from_cluster_config`, which Ray Data and Ray Train call.
    """
    from ray._private import state

    return dict(state.state.get_max_resources_from_cluster_config() or {})


def resolved_address(address: str) -> str:
    """Return the `HOST:PORT` of a cluster's address, which may be `auto` or a host name.

    Checked with Ray 2.60: `services.canonicalize_bootstrap_address`, which `ray.init` calls.
    """
    from ray._private import services

    return services.canonicalize_bootstrap_address(address) or address


def make_entrypoint_text() -> None:
    """Let Ray start where the command line holds a file name that is not UTF-8: Ray sends the line on as text.

    Checked with Ray 2.60: `utils.get_entrypoint_name`, called as `ray._private.utils.get_entrypoint_name()`.
    """
    from ray._private import utils

    entrypoint = utils.get_entrypoint_name()
    readable = entrypoint.encode(errors="backslashreplace").decode()
    if readable != entrypoint:
        utils.get_entrypoint_name = lambda: readable


def listen_on_this_machine_only() -> None:
    """Have a Ray that starts in this process listen on 127.0.0.1 with all its ports.

    Ray takes a loopback address for one that others must replace, unless this switch, which it has for the firewalls of
    desktop systems, is off. Checked with Ray 2.60: `ray_constants.ENABLE_RAY_CLUSTER` and its variable.
    """
    from ray._private import ray_constants

    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def deploy_apps(schema: Any) -> None:
    """Start deploying the apps of a `ray.serve.schema.ServeDeploySchema` on the Serve that runs.

    Checked with Ray 2.60: `ServeControllerClient.deploy_apps`, which `serve run` calls; it returns at once.
    """
    _serve_client().deploy_apps(schema)


def serve_details() -> dict[str, Any]:
    """Return the state of Serve with the state of each replica, as `ray.serve.schema.ServeInstanceDetails` has it.

    Checked with Ray 2.60: `ServeControllerClient.get_serve_details`, which `serve status` calls.
    """
    return _serve_client().get_serve_details()


def replica_listens_on_node_address() -> None:
    """Have this Serve replica's gRPC server, by which proxies and replicas call it, listen on the node's address.

    Ray has it listen on all interfaces, and whoever reaches it may call the replica, past keys and limits. To be called
    in a replica's constructor: the server starts after it. Checked with Ray 2.60: `serve._private.replica`'s
    `add_port_to_grpc_server(server, "[::]:0")`.
    """
    import ray
    import ray.serve._private.replica

    replica: Any = ray.serve._private.replica
    add_port = replica.add_port_to_grpc_server
    host = ray.util.get_node_ip_address()
    host = f"[{host}]" if ":" in host else host
    replica.add_port_to_grpc_server = lambda server, address: add_port(server, address.replace("[::]", host))


def set_proxy_protocol(import_path: str) -> None:
    """Have Serve's HTTP proxy speak by the uvicorn protocol class at `module:Class`.

    Checked with Ray 2.60 and uvicorn 0.54: Serve leaves uvicorn's `http` at `auto`, which uvicorn looks up in
    `config.HTTP_PROTOCOLS`.
    """
    from uvicorn import config

    config.HTTP_PROTOCOLS["auto"] = import_path


def _serve_client() -> Any:
    """Return the client of the Serve that runs; ray.serve.exceptions.RayServeException: there is none."""
    from ray.serve.context import _get_global_client

    return _get_global_client(raise_if_no_controller_running=True)
