"""The cluster launcher's file against Ray's own checks."""

from pathlib import Path

import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CONFIG = Path(__file__).parent.parent / "cluster.yaml"


def test_cluster_yaml_is_valid_for_ray():
    config = prepare_config(yaml.safe_load(CONFIG.read_text()))
    validate_config(config)


def test_node_types_and_authentication():
    config = yaml.safe_load(CONFIG.read_text())
    nodes = config["available_node_types"]
    assert nodes[config["head_node_type"]]["resources"] == {"CPU": 0}
    assert any(node["resources"].get("GPU") for node in nodes.values())
    for node in nodes.values():  # `--node-label` goes by them
        spot = "InstanceMarketOptions" in node["node_config"]
        assert node["labels"] == {"ray.io/market-type": "spot" if spot else "on-demand"}
    # The launcher gives a profile to the head alone: workers could not read the bucket.
    assert all(node["node_config"]["IamInstanceProfile"] == {"Name": "ocray-node"} for node in nodes.values())
    assert any("AWS_REGION=" in command for command in config["setup_commands"])
    assert sum(node.get("max_workers", 0) for node in nodes.values()) == config["max_workers"]
    assert any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"])
    assert any("constraints.txt" in command for command in config["setup_commands"])
