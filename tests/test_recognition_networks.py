"""Recognition networks: shapes, switches, gradients, rectification, and export with a dynamic width."""

import numpy as np
import onnxruntime
import pytest
import torch

from models.bundle import Card, Training, load_bundle, save_bundle
from models.runtime import Network
from models.text_recognition.hangul import JAMO, jamo_parts
from models.text_recognition.networks import CRNN, PPOCRv6, SVTRLCNet
from models.text_recognition.networks.crnn import ThinPlateSpline
from models.text_recognition.networks.ppocr import published_weights
from trainers.core.export import to_onnx
from trainers.core.task import Export

pytestmark = pytest.mark.train

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


@pytest.mark.parametrize(("height", "step"), [(48, 8), (32, 4), (64, 8)])
def test_ppocrv6_reads_strips_of_other_heights_in_finer_steps(height, step):
    strips = torch.zeros(2, 3, height, 64)
    with torch.no_grad():
        assert PPOCRv6(CLASSES, height, step).eval()(strips).shape == (2, 64 // step, CLASSES)
    with pytest.raises(ValueError, match="a multiple of 16"):
        PPOCRv6(CLASSES, 40)


def test_ppocrv6_with_the_published_weights_is_the_published_network():
    torch.manual_seed(0)
    content = load_bundle("ppocrv6-rec@small").network
    network = PPOCRv6(18_710)
    weights = published_weights(content)
    network.load_state_dict(weights, strict=False)
    assert all(
        name in weights or name.endswith("num_batches_tracked") for name in network.state_dict()
    )  # nothing is left random
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for batch, width in ((1, 160), (2, 320), (3, 72)):
        strips = torch.rand(batch, 3, 48, width) * 2 - 1
        with torch.no_grad():
            read = network.eval()(strips).numpy()
        np.testing.assert_allclose(read, session.run(None, {"x": strips.numpy()})[0], atol=1e-5, rtol=1e-4)


def test_another_network_is_not_taken_for_ppocrv6():
    with pytest.raises(ValueError, match=r"not PP-OCRv6's small recogniser: backbone.0.first.weight"):
        published_weights(load_bundle("ppocrv6-det@small").network)


def test_what_a_syllable_teaches_its_jamo_learn():
    parts = torch.from_numpy(jamo_parts(["", "각", "낙", "몸", "A"]))
    head = PPOCRv6(len(parts), 32, 4, parts).head
    assert head.jamo.shape == (JAMO, 120)
    step = torch.randn(1, 120)
    before = head(step)[0].detach()
    torch.testing.assert_close(before[1:4], torch.zeros(3))  # until they are learned, syllables are alike
    torch.nn.functional.cross_entropy(head(step), torch.tensor([1])).backward()
    with torch.no_grad():
        head.jamo -= 0.05 * head.jamo.grad
    change = head(step)[0].detach() - before
    assert change[1] > change[2] > 0 > change[3] and change[0] == change[4] == 0


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
        for name, network in {
            "crnn": CRNN(1),
            "vgg": CRNN(1, False, "vgg"),
            "svtr": SVTRLCNet(1),
            "ppocrv6": PPOCRv6(1),
        }.items()
    }
    assert million == pytest.approx({"crnn": 48.9, "vgg": 8.4, "svtr": 2.2, "ppocrv6": 3.0}, abs=0.06)


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
        pytest.param(lambda: PPOCRv6(3, 48, 4, torch.from_numpy(jamo_parts(["", "각", "A"]))), id="ppocrv6"),
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
