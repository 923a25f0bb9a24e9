"""8-bit bundles: written where they cost no accuracy, refused where they do."""

import json

import onnx
import pytest
import yaml

from models.bundle import load_bundle
from ray_apps.cli.main import main as ocray
from tests.tiny_task import tiny_config
from trainers.core.evaluate import evaluate
from trainers.core.export import export_run
from trainers.core.launch import launch
from trainers.core.runs import Run

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Config file and bundle folder of a tiny network."""
    folder = tmp_path_factory.mktemp("quantize")
    launch(tiny_config(), folder / "run", use_ray=False, command="ocray train tiny.yaml")
    bundle = export_run(Run(folder / "run"), folder / "bundle")
    return folder / "run" / "config.yaml", bundle.folder


def quantized(trained, output, *more: str) -> int:
    config, bundle = trained
    return ocray(["quantize", str(bundle), "--config", str(config), "--output", str(output), "--samples", "40", *more])


def test_a_bundle_in_int8_reads_as_well(trained, tmp_path, capsys):
    assert quantized(trained, tmp_path / "int8", "--most-loss", "0.05") == 0
    printed = json.loads(capsys.readouterr().out)
    bundle = load_bundle(tmp_path / "int8")
    operators = {node.op_type for node in onnx.load_from_string(bundle.network).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    assert bundle.card.architecture == "tiny perceptron, int8"
    config = Run(trained[0].parent).config()
    assert evaluate(str(tmp_path / "int8"), config) == printed["int8"]
    measured = {each.metric: each for each in bundle.card.metrics}
    assert measured["accuracy"].value == printed["int8"]["accuracy"]
    assert measured["accuracy"].command.startswith("ocray quantize ")
    assert printed["int8"]["accuracy"] >= printed["before"]["accuracy"] - 0.05


def test_weights_stored_in_half_are_quantized_too(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.core.export._LEAST_HALVED", 1)
    half = export_run(Run(trained[0].parent), tmp_path / "half", half=True).folder
    assert quantized((trained[0], half), tmp_path / "int8", "--most-loss", "0.05") == 0


def test_what_loses_too_much_is_not_written(trained, tmp_path, capsys):
    assert quantized(trained, tmp_path / "int8", "--most-loss", "-2") == 1  # no network gains two
    assert "accuracy" in (reported := capsys.readouterr().err) and "--keep" in reported
    assert not (tmp_path / "int8").exists()


def test_nodes_can_stay_in_floating_point(trained, tmp_path):
    assert quantized(trained, tmp_path / "int8", "--most-loss", "1", "--keep", ".*") == 0
    graph = onnx.load_from_string(load_bundle(tmp_path / "int8").network).graph
    assert "QuantizeLinear" not in {node.op_type for node in graph.node}


def test_int8_is_made_once(trained, tmp_path, capsys):
    assert quantized(trained, tmp_path / "int8", "--most-loss", "1") == 0
    again = (trained[0], tmp_path / "int8")
    assert quantized(again, tmp_path / "twice") == 2
    assert "int8 already" in capsys.readouterr().err


def test_bad_input_is_named(trained, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"task": "no_such_task"}))
    assert quantized((config, trained[1]), tmp_path / "int8") == 2
    assert quantized((trained[0], tmp_path / "nothing"), tmp_path / "int8") == 2
    assert "no model bundle" in capsys.readouterr().err
