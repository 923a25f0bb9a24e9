"""Recognition networks: shapes, switches, gradients, rectification, and export with a dynamic width."""

import numpy as np
import onnxruntime
import pytest
import torch

from models.bundle import Card, Training, save_bundle
from models.runtime import Network
from models.text_recognition.networks import CRNN, SVTRLCNet
from models.text_recognition.networks.crnn import ThinPlateSpline
from trainers.export import to_onnx
from trainers.tasks.base import Export

CLASSES = 11


@pytest.mark.parametrize("width", [32, 97, 320])
def test_steps_follow_the_width(width):
    strips = torch.zeros(2, 3, 48, width)
    with torch.no_grad():
        light = SVTRLCNet(CLASSES).eval()(strips)
        plain = CRNN(CLASSES, tps=False, features="vgg", sequence="none").eval()(strips)
    assert light.shape == (2, width // 8, CLASSES)
    assert plain.shape == (2, width // 4 - 1, CLASSES)
    torch.testing.assert_close(light.sum(dim=2), torch.ones(2, width // 8))


@pytest.mark.parametrize("height", [32, 48, 64])
def test_other_heights(height):
    strips = torch.zeros(2, 3, height, 64)
    for network in (SVTRLCNet(CLASSES), CRNN(CLASSES, tps=False, features="vgg")):
        assert network.eval()(strips).shape[2] == CLASSES


@pytest.mark.parametrize("blocks", [{}, {"tps": False, "features": "vgg"}, {"features": "vgg", "sequence": "none"}])
def test_every_block_can_be_switched(blocks):
    network = CRNN(CLASSES, **blocks)
    logits = network(torch.randn(2, 3, 32, 48))
    assert logits.shape[0] == 2 and logits.shape[2] == CLASSES
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert ("tps" in names) == blocks.get("tps", True) and ("sequence" in names) == ("sequence" not in blocks)


def test_size():
    million = {
        name: sum(parameter.numel() for parameter in network.parameters()) / 1e6
        for name, network in {"crnn": CRNN(1), "vgg": CRNN(1, False, "vgg"), "svtr": SVTRLCNet(1)}.items()
    }
    assert million == pytest.approx({"crnn": 48.9, "vgg": 8.4, "svtr": 2.2}, abs=0.06)


def test_rectification_starts_as_the_identity():
    strip = torch.nn.functional.interpolate(torch.rand(2, 3, 6, 30), (48, 240), mode="bicubic")
    with torch.no_grad():
        torch.testing.assert_close(ThinPlateSpline().eval()(strip), strip, atol=2e-3, rtol=0)


def test_rectification_follows_the_fiducial_points():
    spline = ThinPlateSpline(20).eval()
    # Every point lies a tenth of the width to the right: the strip moves to the left.
    spline.offsets[2].bias.data.view(-1, 2)[:, 0] = 0.2
    strip = torch.zeros(1, 3, 32, 100)
    strip[..., 40:60] = 1
    with torch.no_grad():
        out = spline(strip)
    assert out[0, 0, 16, 35:45].min() > 0.9 and out[0, 0, 16, 55:].max() < 0.1


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(lambda: SVTRLCNet(CLASSES), id="svtr"),
        pytest.param(lambda: CRNN(CLASSES, features="vgg"), id="tps-vgg-bilstm"),
    ],
)
def test_the_export_reads_any_width(network, tmp_path):
    torch.manual_seed(0)
    network = network().eval()
    if isinstance(network, CRNN):
        torch.nn.init.normal_(network.tps.offsets[2].weight, std=0.05)
    example = {"image": torch.randn(2, 3, 48, 96)}
    content = to_onnx(network, Export(example, ["probabilities"], {"image": {3: "width"}}))
    card = Card(
        name="net",
        version="1",
        task="text_recognition",
        architecture="",
        input={},
        training=Training(data="", command="", steps=0),
        licence="",
        sha256="0" * 64,
    )
    openvino = Network(save_bundle(tmp_path, content, card))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for batch, width in ((1, 32), (3, 160), (2, 328)):
        strips = torch.randn(batch, 3, 48, width)
        with torch.no_grad():
            expected = network(strips).numpy()
        np.testing.assert_allclose(openvino(strips.numpy())["probabilities"], expected, atol=1e-5)
        np.testing.assert_allclose(session.run(None, {"image": strips.numpy()})[0], expected, atol=1e-5)
