"""The inference runtime on a small network made here."""

import threading

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

import models.runtime
from models.bundle import Bundle, load_bundle
from models.runtime import DeviceError, Network, SessionsByShape


@pytest.fixture(scope="module")
def detector() -> Bundle:
    return load_bundle("ppocrv6-det@small")


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, 64, 96), np.float32)


def test_reports_device_and_precision_in_use(detector):
    network = Network(detector, precision="f32")
    assert (network.name, network.device, network.precision) == ("ppocrv6-det@small", "openvino:CPU", "f32")


def test_outputs_by_name_owned_by_the_caller(detector, batch):
    network = Network(detector)
    first = network(batch)
    assert list(first) == ["fetch_name_0"]
    assert first["fetch_name_0"].shape == (1, 1, 64, 96)
    kept = first["fetch_name_0"].copy()
    network(-batch)
    np.testing.assert_array_equal(first["fetch_name_0"], kept)


def test_inputs_by_name(detector, batch):
    network = Network(detector)
    np.testing.assert_array_equal(network({"x": batch})["fetch_name_0"], network(batch)["fetch_name_0"])


def test_auto_precision_is_what_the_cpu_has(detector):
    has_bf16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert Network(detector, precision="auto").precision == ("bf16" if has_bf16 else "f32")


def test_bf16_without_hardware_is_an_error(detector, monkeypatch):
    class OldCpu:
        def get_property(self, device, name):
            return ["FP32", "INT8"]

    monkeypatch.setattr(models.runtime, "_openvino_core", lambda: OldCpu())
    with pytest.raises(DeviceError, match="no bfloat16 arithmetic"):
        Network(detector, precision="bf16")


def test_threads_are_not_pinned_to_the_first_cores():
    parameter = ops.parameter([1, 3], np.float32)
    requested = {}

    class Spy:
        def __getattr__(self, name):
            return getattr(ov.Core(), name)

        def read_model(self, content):
            return ov.Model([ops.relu(parameter)], [parameter], "relu")

        def compile_model(self, model, device, settings):
            requested.update(settings)
            return ov.Core().compile_model(model, device, settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.runtime, "_openvino_core", lambda: Spy())
        Network(load_bundle("ppocrv6-det@small"), threads=1, precision="f32")
    assert requested["ENABLE_CPU_PINNING"] is False
    assert requested["INFERENCE_NUM_THREADS"] == 1


def test_calls_from_threads_take_turns(detector, batch):
    network = Network(detector)
    expected = network(batch)["fetch_name_0"]
    answers: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: answers.append(network(batch)["fetch_name_0"])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "unknown device 'gpu'; choose one of cpu, cuda, tensorrt"),
        ({"precision": "int3"}, "unknown precision 'int3'"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"device": "cuda", "precision": "bf16"}, "bf16 is for CPUs"),
    ],
)
def test_wrong_arguments(detector, arguments, message):
    with pytest.raises(DeviceError, match=message):
        Network(detector, **arguments)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_missing_gpu_is_an_error_not_the_cpu(detector, device):
    try:
        network = Network(detector, device)
    except DeviceError as error:
        assert "device cpu" in str(error) or "onnxruntime-gpu" in str(error)
    else:
        assert network.device == f"onnxruntime:{device.upper()}"


def test_onnx_runtime_gives_what_openvino_gives(detector, batch, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setitem(models.runtime._PROVIDERS, "cuda", ["CPUExecutionProvider"])
    network = Network(detector, "cuda")
    assert (network.device, network.precision) == ("onnxruntime:CUDA", "f32")
    expected = Network(detector, precision="f32")(batch)["fetch_name_0"]
    for inputs in (batch, {"x": batch}):
        np.testing.assert_allclose(network(inputs)["fetch_name_0"], expected, atol=1e-3)


def test_onnx_runtime_falling_back_is_an_error(detector, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")

    class FallenBack:
        def __init__(self, *arguments, **options):
            pass

        def get_providers(self):
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", FallenBack)
    with pytest.raises(DeviceError, match="ONNX Runtime fell back to"):
        Network(detector, "cuda")


class CountedSession:
    """A session that adds up each row, and notes the shapes it was given."""

    def __init__(self):
        self.shapes = []

    def disable_fallback(self):
        pass

    def run(self, outputs, feed):
        (rows,) = feed.values()
        self.shapes.append(rows.shape)
        return [rows.sum(axis=(1, 2))]


def test_on_a_gpu_each_input_shape_has_a_session_of_its_own():
    """One that sees another shape prepares its kernels anew, for seconds."""
    opened = []

    def open_session() -> CountedSession:
        opened.append(CountedSession())
        return opened[-1]

    sessions = SessionsByShape(open_session, most=2)
    for rows, width in ((1, 4), (8, 4), (3, 4), (1, 4), (7, 4), (8, 4)):
        values = np.random.default_rng(rows).random((rows, 2, width))
        (result,) = sessions.run(["sums"], {"x": values})
        np.testing.assert_allclose(result, values.sum(axis=(1, 2)))
    assert [set(session.shapes) for session in opened] == [{(1, 2, 4)}, {(8, 2, 4)}]
    sessions.run(["sums"], {"x": np.ones((1, 2, 5))})
    assert len(opened) == 3 and len(sessions.sessions) == 2
    sessions.run(["sums"], {"x": np.ones((8, 2, 4))})  # used later than that of one row, which was dropped
    assert len(opened) == 3
