"""Detection networks: shapes, what training adds, PaddleOCR's weights, and export with any height and width."""

import numpy as np
import onnxruntime
import pytest
import torch

from models.bundle import load_bundle
from models.text_detection.networks import DBNet, Maps, PPOCRDetector
from models.text_detection.networks.base import STEEPNESS
from models.text_detection.networks.ppocr import published_weights
from trainers.core.export import to_onnx
from trainers.core.task import Export

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.train]


@pytest.mark.parametrize("network", [DBNet(scale=0.5), PPOCRDetector()], ids=["dbnet", "ppocrv6"])
def test_reading_gives_probabilities_and_training_all_maps(network):
    pages = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        read = network.eval()(pages)
    assert read.shape == (2, 1, 64, 96) and read.dtype == torch.float32 and 0 <= read.min() <= read.max() <= 1
    maps = network.train()(pages)
    assert isinstance(maps, Maps) and all(part.shape == (2, 1, 64, 96) for part in maps)
    assert not maps.threshold.any(), "the threshold branch starts at zero, a threshold of a half"
    torch.testing.assert_close(maps.binary, STEEPNESS * (torch.sigmoid(maps.probability) - 0.5))
    sum(part.square().mean() for part in maps).backward()
    missing = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not missing


def test_ppocrv6_with_the_published_weights_is_the_published_network():
    content = load_bundle("ppocrv6-det@small").network
    network = PPOCRDetector().eval()
    missing, unknown = network.load_state_dict(published_weights(content), strict=False)
    assert not unknown and all(name.startswith("threshold.") for name in missing)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for batch, height, width in ((1, 64, 96), (2, 160, 64)):
        pages = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
        with torch.no_grad():
            own = network(pages).numpy()
        (published,) = session.run(None, {session.get_inputs()[0].name: pages.numpy()})
        np.testing.assert_allclose(own, published, atol=2e-5)


def test_another_network_is_named():
    with pytest.raises(ValueError, match=r"not PP-OCRv6's small detector: backbone.stem.first.weight is"):
        published_weights(load_bundle("ppocrv6-rec@small").network)


def test_export_takes_any_size_and_leaves_the_threshold_branch_out():
    network = DBNet(scale=0.25, neck=32).eval()
    dynamic = {"x": {2: "height", 3: "width"}}
    export = Export({"x": torch.randn(2, 3, 64, 96)}, ["probability"], dynamic, training_only=("threshold.",))
    session = onnxruntime.InferenceSession(to_onnx(network, export), providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 96, 64), (3, 3, 32, 160)):
        pages = torch.rand(shape)
        with torch.no_grad():
            expected = network(pages).numpy()
        np.testing.assert_allclose(session.run(None, {"x": pages.numpy()})[0], expected, atol=1e-5)
