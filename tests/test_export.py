"""Export to a bundle, evaluation of what was exported, and training on from it."""

import json

import pytest
import torch

from models.bundle import BundleError, load_bundle
from ray_apps.cli.main import main as ocray
from tests.tiny_task import TinyNetwork, TinySettings, TinyTask, tiny_config
from trainers.core.checkpoint import WeightsError, load_weights, strict_load
from trainers.core.evaluate import evaluate
from trainers.core.export import ModelExportError, check_parity, export_network, export_run, to_onnx
from trainers.core.launch import launch
from trainers.core.runs import Run, RunError

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    launch(tiny_config(), folder, use_ray=False, command="ocray train tiny.yaml")
    return Run(folder)


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    return export_run(run, tmp_path_factory.mktemp("bundles") / "tiny")


def test_card_says_where_the_weights_come_from(bundle):
    card = load_bundle(bundle.folder, "tiny").card
    assert (card.name, card.version, card.architecture) == ("tiny", "1", "tiny perceptron")
    assert card.training.command == "ocray train tiny.yaml" and card.training.steps in (30, 60)
    assert {m.metric: m.data for m in card.metrics}["accuracy"] == "other points made"


def test_bundle_and_run_measure_the_same(run, bundle, tmp_path, capsys):
    config = run.config()
    of_run = evaluate(str(run.folder), config)
    assert evaluate(str(bundle.folder), config) == of_run
    arguments = [str(bundle.folder), "--config", str(run.folder / "config.yaml"), "--samples", "20"]
    assert ocray(["evaluate", *arguments, "--output", str(tmp_path / "m.json"), "--record", "twenty points"]) == 0
    report = json.loads((tmp_path / "m.json").read_text())
    assert report["samples"] == 20 and "accuracy" in json.loads(capsys.readouterr().out)
    recorded = [m for m in load_bundle(bundle.folder).card.metrics if m.data == "twenty points"]
    assert {m.metric: m.value for m in recorded}["accuracy"] == report["accuracy"]


def test_a_task_that_fits_nothing_is_reported(run, bundle, capsys):
    arguments = [str(bundle.folder), "--config", str(run.folder / "config.yaml"), "--fit"]
    assert ocray(["evaluate", *arguments]) == 2
    assert "has nothing that is fitted" in capsys.readouterr().err
    assert ocray(["evaluate", str(run.folder), "--fit"]) == 2
    assert "--fit needs a bundle folder" in capsys.readouterr().err


def test_weights_come_back_from_the_bundle(run, bundle):
    trained, returned = load_weights(run.folder), load_weights(bundle.folder)
    assert trained.keys() == returned.keys()
    assert all(torch.equal(trained[name], returned[name]) for name in trained)
    strict_load(TinyNetwork(8, 0.0), returned, bundle.folder)
    with pytest.raises(WeightsError, match=r"first\.bias is \(8,\) there, \(16,\)"):
        strict_load(TinyNetwork(16, 0.0), returned, bundle.folder)
    with pytest.raises(WeightsError, match="neither a run, a checkpoint nor a bundle"):
        load_weights(run.folder.parent / "nothing")


def test_wrong_network_is_noticed(bundle, tmp_path):
    task = TinyTask(TinySettings(), {}, 0)
    with pytest.raises(ModelExportError, match=r"OpenVINO: logits is .* off"):
        check_parity(TinyNetwork(8, 0.0).eval(), task.export(), bundle)

    class Unused(TinyNetwork):
        def __init__(self):
            super().__init__(8, 0.0)
            self.idle = torch.nn.Linear(2, 2)

    with pytest.raises(ModelExportError, match=r"does not use idle\.weight, idle\.bias"):
        export_network(task, Unused(), bundle.card, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_batch_normalisation_survives_the_way_there_and_back(tmp_path, bundle):
    class Normalised(TinyNetwork):
        def __init__(self):
            super().__init__(8, 0.0)
            self.norm = torch.nn.BatchNorm1d(8)

    network = Normalised()
    network.norm.running_mean.uniform_()
    task = TinyTask(TinySettings(), {}, 0)
    saved = export_network(task, network, bundle.card, tmp_path / "bundle")
    other = Normalised()
    strict_load(other, load_weights(saved.folder), saved.folder)
    assert torch.equal(other.norm.running_mean, network.norm.running_mean)
    assert to_onnx(network.eval(), task.export())


def test_half_the_size(bundle, tmp_path):
    class Wide(TinyNetwork):
        def __init__(self):
            super().__init__(8, 0.0)
            self.last = torch.nn.Sequential(torch.nn.Linear(8, 4096), torch.nn.Linear(4096, 4))

    torch.manual_seed(0)
    network, task = Wide(), TinyTask(TinySettings(), {}, 0)
    whole = export_network(task, network, bundle.card, tmp_path / "whole")
    half = export_network(task, network, bundle.card, tmp_path / "half", half=True)
    assert len(half.network) < 0.6 * len(whole.network)
    returned = load_weights(half.folder)
    assert returned.keys() == load_weights(whole.folder).keys()
    for name, tensor in network.state_dict().items():
        assert returned[name].dtype == torch.float32
        torch.testing.assert_close(returned[name], tensor, atol=1e-4, rtol=1e-3)


def test_the_mean_of_two_runs(run, tmp_path, capsys):
    longer = tmp_path / "longer"
    launch(tiny_config(train={"seed": 1}), longer, use_ray=False, command="x")
    assert ocray(["export", str(run.folder), "--average", str(longer), "--output", str(tmp_path / "b")]) == 0
    one, other, mean = (load_weights(folder) for folder in (run.folder, longer, tmp_path / "b"))
    assert all(torch.allclose(mean[name], (one[name] + other[name]) / 2, atol=1e-6) for name in one)
    assert load_bundle(tmp_path / "b").card.metrics == []  # nothing measured it yet
    bundle = ["--average", str(tmp_path / "b"), "--output", str(tmp_path / "d")]
    assert ocray(["export", str(run.folder), *bundle]) == 0
    again = load_weights(tmp_path / "d")
    assert all(torch.allclose(again[name], (one[name] + mean[name]) / 2, atol=1e-6) for name in one)
    assert ocray(["export", str(run.folder), "--average", str(tmp_path), "--output", str(tmp_path / "c")]) == 2
    assert "neither a run, a checkpoint nor a bundle" in capsys.readouterr().err


def test_door_errors(run, tmp_path, capsys):
    assert ocray(["export", str(tmp_path), "--output", str(tmp_path / "b")]) == 2
    assert "is not a run" in capsys.readouterr().err
    assert ocray(["export", str(run.folder), "--output", str(tmp_path / "b"), "--set", "card.version=2"]) == 0
    assert load_bundle(tmp_path / "b").name == "tiny@2"
    assert ocray(["evaluate", str(tmp_path / "b")]) == 2
    assert "--config" in capsys.readouterr().err
    with pytest.raises(BundleError, match="does 'tiny'"):
        load_bundle(tmp_path / "b").require_task("deskew")
    with pytest.raises(RunError):
        export_run(Run(tmp_path), tmp_path / "c")
