"""What Ray keeps private and we use: a test each, so that an upgrade of Ray says what changed."""

import asyncio
import inspect
import ipaddress
import subprocess
import sys

import pytest

from common import ray_private


def run(script: str, *arguments: bytes | str) -> str:
    """Return what a Python process prints; what is replaced in Ray stays replaced in that process."""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_importing_it_imports_no_ray():
    assert run("import sys, common.ray_private, common.resources; print('ray' in sys.modules)") == "False"


def test_the_entrypoint_is_text():
    script = """
from ray._private import utils
from common.ray_private import make_entrypoint_text
make_entrypoint_text()
print(utils.get_entrypoint_name().encode().decode().endswith(r"caf\\udce9.png"))
"""
    assert run(script, b"caf\xe9.png") == "True"


def test_ray_looks_the_entrypoint_up_where_it_is_replaced():
    from ray._private import worker

    assert "ray._private.utils.get_entrypoint_name()" in inspect.getsource(worker)


def test_an_address_is_resolved_to_numbers():
    host, _, port = ray_private.resolved_address("localhost:6379").rpartition(":")
    assert ipaddress.ip_address(host) and port == "6379"


def test_a_cluster_without_an_autoscaler_grows_to_nothing_else(monkeypatch):
    from ray._private import state

    monkeypatch.setattr(state.GlobalState, "get_cluster_config", lambda self: None)
    assert ray_private.largest_resources() == {}


def test_a_cluster_with_an_autoscaler_grows_to_its_configuration(monkeypatch):
    from ray._private import state
    from ray.core.generated import autoscaler_pb2

    groups = [autoscaler_pb2.NodeGroupConfig(resources={"CPU": 8}, max_count=3)]
    config = autoscaler_pb2.ClusterConfig(node_group_configs=groups)
    monkeypatch.setattr(state.GlobalState, "get_cluster_config", lambda self: config)
    assert ray_private.largest_resources()["CPU"] == 24


def test_ray_takes_the_loopback_address_where_the_switch_is_off():
    script = """
from common.ray_private import listen_on_this_machine_only
listen_on_this_machine_only()
from ray._private import services
print(services.resolve_ip_for_localhost("127.0.0.1"), services.get_node_ip_address())
"""
    assert run(script) == "127.0.0.1 127.0.0.1"


def test_serve_can_deploy_and_for_its_state():
    from ray.serve._private.client import ServeControllerClient
    from ray.serve.context import _get_global_client

    assert callable(_get_global_client)
    assert list(inspect.signature(ServeControllerClient.deploy_apps).parameters)[:2] == ["self", "config"]
    assert list(inspect.signature(ServeControllerClient.get_serve_details).parameters) == ["self"]


@pytest.mark.parametrize(("node", "address"), [("10.0.0.5", "10.0.0.5:0"), ("fd00::5", "[fd00::5]:0")])
def test_a_replica_listens_on_the_address_of_its_node(monkeypatch, node, address):
    import ray
    from ray.serve._private import replica

    requested = []
    monkeypatch.setattr(replica, "add_port_to_grpc_server", lambda server, address: requested.append(address) or 1)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: node)
    ray_private.replica_listens_on_node_address()
    replica.add_port_to_grpc_server(None, "[::]:0")
    assert requested == [address]
    assert 'add_port_to_grpc_server(self._server, "[::]:0")' in inspect.getsource(replica)


def test_the_proxy_speaks_by_our_protocol(monkeypatch):
    import uvicorn
    from uvicorn import config

    from ray_apps.serving.front import ImpatientProtocol, middlewares

    monkeypatch.setattr(config, "HTTP_PROTOCOLS", dict(config.HTTP_PROTOCOLS))
    middlewares()
    loaded = uvicorn.Config(app=lambda: None)
    loaded.load()
    assert loaded.http_protocol_class is ImpatientProtocol


def test_uvicorns_protocol_has_what_ours_reads():
    import uvicorn
    from uvicorn.server import ServerState

    from ray_apps.serving.front import ImpatientProtocol

    async def attributes() -> set[str]:
        loaded = uvicorn.Config(app=lambda: None, http="h11")
        loaded.load()
        protocol = ImpatientProtocol(config=loaded, server_state=ServerState(), app_state={})
        return {name for name in ("cycle", "timeout_keep_alive_task", "transport") if hasattr(protocol, name)}

    assert asyncio.run(attributes()) == {"cycle", "timeout_keep_alive_task", "transport"}


def test_populations_copy_by_the_method_that_is_overridden():
    from ray.tune.schedulers import PopulationBasedTraining

    parameters = list(inspect.signature(PopulationBasedTraining._exploit).parameters)
    assert parameters == ["self", "tune_controller", "trial", "trial_to_clone"]
    assert "self._exploit(" in inspect.getsource(PopulationBasedTraining)
