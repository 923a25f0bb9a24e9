"""A recogniser that says the same of every line: surely of white on black, doubtfully of black on white."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.bundle import Bundle, Card, save_bundle

SAYS = "가나 다라"


def dark_line_recognizer(
    folder: Path,
    text: str = SAYS,
    language: str = "ko+en",
    sure: float = 0.999,
    doubtful: float = 0.3,
    calibration: dict | None = None,
) -> Bundle:
    """Return a bundle `korean@1` whose network reads `text`, with `sure` as the probability of each character where
    strips are dark on average and `doubtful` where they are light. Without `calibration` confidences are those
    probabilities."""
    characters = sorted(set(text + "abc"))
    strips = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 48, "w"])
    steps = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", "t", len(characters) + 1])
    constants = {
        "sure": _steps(text, characters, sure),
        "doubtful": _steps(text, characters, doubtful),
        "shape": np.array([-1, 1, 1]),
        "grey": np.zeros(1, np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "shape"], ["brightness"]),
        helper.make_node("Less", ["brightness", "grey"], ["dark"]),
        helper.make_node("Where", ["dark", "sure", "doubtful"], ["probabilities"]),
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "reader", [strips], [steps], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    form = {"colour": "RGB", "mean": 127.5, "std": 127.5, "height": 48, "min_width": 32, "max_width": 3200}
    card = Card(
        name="korean",
        version="1",
        task="text_recognition",
        architecture="a constant",
        input=form | {"width_step": 32},
        decoding={"language": language, "calibration": calibration or {"scale": 1.0, "offset": 0.0}},
        labels=characters,
        training={"data": "none", "command": "tests/recognizers.py", "steps": 0},
        licence="Apache-2.0",
        sha256="0" * 64,
    )
    return save_bundle(folder, model.SerializeToString(), card)


def _steps(text: str, characters: list[str], probability: float) -> np.ndarray:
    """[1, 2 × length, classes] float32: each character and a blank, with `probability`."""
    steps = np.full((1, 2 * len(text), len(characters) + 1), (1 - probability) / len(characters), np.float32)
    for number, character in enumerate(text):
        steps[0, 2 * number, 1 + characters.index(character)] = probability
        steps[0, 2 * number + 1] = 0.0
        steps[0, 2 * number + 1, 0] = 1.0
    return steps
