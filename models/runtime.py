"""The inference runtime: a bundle's ONNX network opened on a device, and proof of which device that is.

OpenVINO runs on CPUs, ONNX Runtime's CUDA and TensorRT providers on NVIDIA GPUs. Inference never imports torch.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numpy as np

from common.errors import ExitCode, ExpectedError
from models.bundle import Bundle

DEVICES = ("cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", "f32", "bf16")


class DeviceError(ExpectedError):
    """The requested device or precision is not available here; the message says why and what to do."""

    exit_code = ExitCode.CANNOT_START


class Network:
    """A bundle's network on one device.

    Calling it runs one batch. Calls from several threads are safe and take turns.

    Args:
        bundle: the bundle whose `network.onnx` is run.
        device: `cpu` (OpenVINO), `cuda` or `tensorrt` (ONNX Runtime).
        threads: CPU threads one call uses; ignored on GPUs.
        precision: arithmetic of convolutions and matrix products: `f32`, `bf16`, or `auto`: bf16 where the CPU has it
            (AVX512_BF16 or AMX), else f32. Asking for bf16 elsewhere is an error.
        cached_kernels: how many kernels made for one input shape are kept on CPUs, least recently used dropped first; a
            text network needs about 40 for each shape, 5 MB together.

    Attributes:
        name: the bundle's `name@version`.
        device: what really runs, e.g. `openvino:CPU` or `onnxruntime:CUDA`.
        precision: the precision really in use, `f32` or `bf16`.

    Raises:
        DeviceError: unknown device, missing runtime or provider, unsupported precision.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "cpu",
        threads: int = 1,
        precision: str = "f32",
        cached_kernels: int = 400,
    ):
        if device not in DEVICES:
            raise DeviceError(f"unknown device {device!r}; choose one of {', '.join(DEVICES)}")
        if precision not in PRECISIONS:
            raise DeviceError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
        if threads < 1:
            raise DeviceError(f"threads must be at least 1, not {threads}")
        if device == "cpu":
            self._backend = _OpenVino(bundle, threads, precision, cached_kernels)
        else:
            self._backend = _OnnxRuntime(bundle, device, precision)
        self._lock = threading.Lock()
        self.name = bundle.name
        self.device: str = self._backend.device
        self.precision: str = self._backend.precision

    def __call__(self, inputs: np.ndarray | dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run one batch.

        Args:
            inputs: the input array, or arrays by input name when the network has several inputs.

        Returns:
            Arrays by output name, in the ONNX file's order; the caller owns them.
        """
        with self._lock:
            return self._backend.run(inputs)


class _OpenVino:
    def __init__(self, bundle: Bundle, threads: int, precision: str, cached_kernels: int):
        core = _openvino_core()
        has = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "auto":
            precision = automatic_precision()
        if precision == "bf16" and "BF16" not in has:
            raise DeviceError(f"this CPU has no bfloat16 arithmetic (it has {', '.join(has)}); use precision f32")
        compiled = core.compile_model(
            core.read_model(bundle.network),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": precision,
                # Pinning puts every process's threads on the first cores: two one-thread actors would share a core.
                "ENABLE_CPU_PINNING": False,
                # OpenVINO keeps 5,000 by default: memory would grow for hours over pages of ever new sizes.
                "CPU_RUNTIME_CACHE_CAPACITY": cached_kernels,
            },
        )
        devices = compiled.get_property("EXECUTION_DEVICES")
        in_use = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if devices != ["CPU"] or in_use != precision:
            raise DeviceError(f"{bundle.name}: CPU in {precision} was requested, OpenVINO uses {devices} in {in_use}")
        self.device = "openvino:CPU"
        self.precision = precision
        self._outputs = [output.any_name for output in compiled.outputs]
        self._request = compiled.create_infer_request()

    def run(self, inputs: np.ndarray | dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = self._request.infer(inputs, share_inputs=True, share_outputs=False)
        return dict(zip(self._outputs, results.values(), strict=True))


def automatic_precision() -> str:
    """Return what `auto` means on this machine's CPU: `bf16` or `f32`."""
    return "bf16" if "BF16" in _openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


@cache
def _openvino_core() -> Any:
    import openvino  # only CPU inference needs it

    return openvino.Core()


# The first provider is the requested one; operators that TensorRT lacks run on CUDA.
# cuDNN looks for the fastest kernels of every new input shape: by trying them all, its default, for up to a minute.
_CUDA = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})
_PROVIDERS: dict[str, list[str | tuple[str, dict[str, str]]]] = {
    "cuda": [_CUDA],
    "tensorrt": ["TensorrtExecutionProvider", _CUDA],
}
_MOST_SESSIONS = 64  # of one network; some 40 MB of GPU memory each
_BATCH = 8  # batches of 2 to 7 rows are filled up, for fewer shapes


class _OnnxRuntime:
    def __init__(self, bundle: Bundle, device: str, precision: str):
        if precision == "bf16":
            raise DeviceError(f"device {device} runs in f32; precision bf16 is for CPUs")
        try:
            import onnxruntime  # only GPU inference needs it
        except ImportError as error:
            raise DeviceError(f"device {device} needs ONNX Runtime for GPUs: pip install 'ocray[gpu]'") from error
        first = _PROVIDERS[device][0]
        provider = first if isinstance(first, str) else first[0]
        available = onnxruntime.get_available_providers()
        if provider not in available:
            raise DeviceError(
                f"device {device} needs ONNX Runtime's {provider}, this build has {', '.join(available)}; "
                "use device cpu, or the wheel for GPUs alone (the one for CPUs owns the same files): "
                "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
            )
        # CUDA and cuDNN as Python packages, which the dynamic linker does not find by itself.
        onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3

        def opened() -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(bundle.network, options, providers=_PROVIDERS[device])

        session = opened()
        # ONNX Runtime answers a provider that fails to start (no driver, wrong CUDA) with the CPU and a log line.
        if session.get_providers()[0] != provider:
            raise DeviceError(
                f"{bundle.name}: {provider} was requested, ONNX Runtime fell back to {session.get_providers()}; "
                "check the NVIDIA driver and the CUDA and cuDNN libraries, or use device cpu"
            )
        self.device = f"onnxruntime:{device.upper()}"
        self.precision = "f32"
        self._sessions = SessionsByShape(opened)
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, inputs: np.ndarray | dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        feed = inputs if isinstance(inputs, dict) else {self._input: inputs}
        return dict(zip(self._outputs, self._sessions.run(self._outputs, feed), strict=True))


class SessionsByShape:
    """Sessions of one network, each for one input shape, least recently used dropped first.

    A session on a GPU prepares its kernels anew whenever the shape changes: 2 s for a text recogniser on an H200, whose
    batches then take 5 ms as long as their shape stays the same.

    Args:
        open_session: opens another one.
        most: sessions at most.
    """

    def __init__(self, open_session: Callable[[], Any], most: int = _MOST_SESSIONS):
        self.open_session, self.most = open_session, most
        self.sessions: OrderedDict[tuple[tuple[int, ...], ...], Any] = OrderedDict()

    def run(self, outputs: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run a batch, whose rows are the first axis of all arrays. One of 2 to 7 rows is filled up to 8."""
        (rows,) = {len(values) for values in feed.values()}
        if 1 < rows < _BATCH:
            feed = {name: np.concatenate([values, *[values[:1]] * (_BATCH - rows)]) for name, values in feed.items()}
        shape = tuple(values.shape for values in feed.values())
        if shape not in self.sessions:
            if len(self.sessions) >= self.most:
                self.sessions.popitem(last=False)
            session = self.sessions[shape] = self.open_session()
            session.disable_fallback()
        self.sessions.move_to_end(shape)
        results = cast(list[np.ndarray], self.sessions[shape].run(outputs, feed))
        return [values[:rows] for values in results]
