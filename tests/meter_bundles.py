"""Two small networks that read the meter photos drawn here: a mark says where the display is, colours what it says."""

from pathlib import Path

import cv2
import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

from models.bundle import Bundle, Card, save_bundle
from models.meter_digits.predictor import LABELS, STEP
from pipelines.readers.meters.reader import MetersReader
from pipelines.readers.meters.settings import MetersReaderSettings
from pipelines.readers.registry import load_reader

CLASSES = ["analog", "digital", "analog_illegible", "digital_illegible"]
WIDTH, HEIGHT = 320, 256  # px of a photo: the networks see it as it is
DISPLAY = (64, 112, 192, 24)  # left, top, width, height
_MARK = (80, 80)  # left, top of a cell of the screen network, blue; its red says the class
_PLACE = 2 * STEP  # px of a digit
_GREY = 100
_DIRECTIONS = 4


def draw_meter(reading: str | None, meter_class: str = "analog", faint: int | None = None) -> np.ndarray:
    """Return a photo (HEIGHT, WIDTH, 3) uint8 RGB of a meter that shows `reading`; None: there is no display. The digit
    number `faint` is drawn half, so that it is read without confidence."""
    photo = np.full((HEIGHT, WIDTH, 3), _GREY, np.uint8)
    if reading is None:
        return photo
    x, y = _MARK
    photo[y : y + 8, x : x + 8] = (85 * CLASSES.index(meter_class), 0, 255)
    left, top, width, height = DISPLAY
    photo[top - 8 : top + height + 8, left - 8 : left + width + 8] = 0  # with a frame as wide as the strip's margin
    whole, _, fraction = reading.partition(".")
    # A counter is full of wheels; columns are STEP wide. Seven do not fit so.
    pitch = (width - _PLACE) // max(1, len(whole + fraction) - 1) // STEP * STEP
    for number, character in enumerate(whole + fraction):
        start = left + number * pitch
        label = f".{character}" if number >= len(whole) and character != "x" else character
        red, green = _colours()[1 + LABELS.index(label)]
        colour = (round(255 * red), round(255 * green), 0)
        photo[top : top + height, start : start + _PLACE] = colour
        if number == faint:
            photo[top : top + height, start : start + _PLACE] = (colour[0], colour[1] + 10, 0)
    return photo


def write_meter(path: Path, reading: str | None, **kwargs) -> Path:
    """`draw_meter` as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), draw_meter(reading, **kwargs)[..., ::-1])
    return path


def meter_reader(folder: Path, **changes) -> MetersReader:
    """Return the shipped meters reader with the two networks, which are written to `folder`."""
    screen, digits = screen_bundle(folder / "screen").folder, digits_bundle(folder / "digits").folder
    content = load_reader("meters").settings.model_dump() | {
        "meter_screen": {"bundle": str(screen)}, "meter_digits": {"bundle": str(digits)}, "precision": "f32"
    }  # fmt: skip
    return MetersReader(MetersReaderSettings.model_validate(content | changes))


def write_meter_reader(folder: Path) -> Path:
    """`meter_reader` as a YAML file, for a served app."""
    path = folder / "reader.yaml"
    path.write_text(yaml.safe_dump(meter_reader(folder).settings.model_dump(), sort_keys=False))
    return path


def screen_bundle(folder: Path) -> Bundle:
    """`meter-screen@test`: where there is a mark, the display is at its place, and every cell knows where that is."""
    left, top, width, height = DISPLAY
    quad = np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])
    corners = np.tile((quad / 32).reshape(1, 8, 1, 1), (1, _DIRECTIONS, 1, 1))
    constants = {
        "blue": np.float32([0, -4, 2]).reshape(1, 3, 1, 1),  # less green: only the mark is above 0
        "red": np.float32([1, 0, 0]).reshape(1, 3, 1, 1),
        "less": np.float32([1]),
        "directions": np.float32([1, 0, 0, 0]).reshape(1, _DIRECTIONS, 1, 1),
        "reds": (np.arange(4, dtype=np.float32) / 3).reshape(1, 4, 1, 1),
        "sharp": np.float32([-500]),
        "zero": np.float32([0]),
        "one": np.float32([1]),
        # A cell is 8 px, and corners are given in units of 32 px from its centre.
        "cell": np.float32([8 / 32]),
        "half": np.float32([4 / 32]),
        "rows": np.array(2),
        "columns": np.array(3),
        "lowest": np.array(0, np.float32),
        "highest": np.array(1, np.float32),
        "quad": corners.astype(np.float32),
    }
    nodes = [
        helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["cells", "blue"], ["bluish"]),
        helper.make_node("Sub", ["bluish", "less"], ["above"]),
        helper.make_node("Clip", ["above", "lowest", "highest"], ["mark"]),
        helper.make_node("Mul", ["mark", "directions"], ["presence"]),
        helper.make_node("Conv", ["cells", "red"], ["redness"]),
        helper.make_node("Sub", ["redness", "reds"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["squared"]),
        helper.make_node("Mul", ["squared", "sharp"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["kind"], axis=1),
        helper.make_node("Mul", ["mark", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "one"], ["ones"]),
        *(
            node
            for axis in ("columns", "rows")
            for node in (
                helper.make_node("CumSum", ["ones", axis], [f"{axis}_count"]),
                helper.make_node("Mul", [f"{axis}_count", "cell"], [f"{axis}_end"]),
                helper.make_node("Sub", [f"{axis}_end", "half"], [f"{axis}_centre"]),
            )
        ),
        helper.make_node("Concat", ["columns_centre", "rows_centre"] * 4 * _DIRECTIONS, ["centres"], axis=1),
        helper.make_node("Sub", ["quad", "centres"], ["corners"]),
    ]
    outputs = {"presence": ["n", 4, "h", "w"], "kind": ["n", 4, "h", "w"], "corners": ["n", 32, "h", "w"]}
    return _bundle(folder, "meter-screen", nodes, constants, outputs, {"long_side": WIDTH}, CLASSES)


def digits_bundle(folder: Path) -> Bundle:
    """`meter-digits@test`: a column's red and green say which digit it is; black is none."""
    form = {"height": 32, "display": 24, "margin": 8, "min_width": 64, "max_width": 640, "width_step": 16}
    columns = np.array(_colours(), np.float32)
    constants = {
        "colours": np.ascontiguousarray(columns.T).reshape(1, 2, 1, -1),
        "to_rg": np.eye(3, dtype=np.float32)[:2].reshape(2, 3, 1, 1),
        "sharp": np.float32([-3000]),
        "zero": np.float32([0]),
        # Read at a place's first column.
        "sides": (np.float32([STEP / 2, _PLACE - STEP / 2, 12, 12]) / form["height"]).reshape(1, 1, 4),
        "rows_from": np.array([8]), "rows_to": np.array([24]), "rows_axis": np.array([2]),
        "channel_axis": np.array([1]), "channel": np.array([2]),
        "first": np.array([0]), "second": np.array([2]), "last_of_four": np.array([4]),
    }  # fmt: skip
    nodes = [
        # The display's rows alone: the margin shows what is around it.
        helper.make_node("Slice", ["image", "rows_from", "rows_to", "rows_axis"], ["rows"]),
        helper.make_node("AveragePool", ["rows"], ["row"], kernel_shape=[16, STEP], strides=[16, STEP]),
        helper.make_node("Conv", ["row", "to_rg"], ["rg"]),
        helper.make_node("Transpose", ["rg"], ["tall"], perm=[0, 1, 3, 2]),
        helper.make_node("Sub", ["tall", "colours"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["squared"]),
        helper.make_node("ReduceSum", ["squared", "channel_axis"], ["distance"], keepdims=0),
        helper.make_node("Mul", ["distance", "sharp"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["classes"], axis=-1),
        helper.make_node("Slice", ["classes", "first", "last_of_four", "channel"], ["four"]),
        helper.make_node("Mul", ["four", "zero"], ["no_box"]),
        helper.make_node("Add", ["no_box", "sides"], ["box"]),
        helper.make_node("Slice", ["no_box", "first", "second", "channel"], ["position"]),
    ]
    outputs = {"classes": ["n", "c", 1 + len(LABELS)], "box": ["n", "c", 4], "position": ["n", "c", 2]}
    return _bundle(folder, "meter-digits", nodes, constants, outputs, form, list(LABELS))


def _colours() -> list[tuple[float, float]]:
    """Red and green, 0..1, of each class: blank, digits, digits of the fraction, unreadable."""
    greens = [0.15 + 0.08 * digit for digit in range(10)]
    return [(0.0, 0.0), *((0.0, green) for green in greens), *((1.0, green) for green in greens), (0.5, 1.0)]


def _bundle(folder, name, nodes, constants, outputs, form, labels) -> Bundle:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "height", "width"])
    infos = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()]
    initializers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, [image], infos, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    card = Card(
        name=name,
        version="test",
        task=name.replace("-", "_"),
        architecture="constants",
        input={"colour": "RGB", "mean": 0.0, "std": 255.0} | form,
        labels=labels,
        training={"data": "none", "command": "tests/meter_bundles.py", "steps": 0},
        licence="Apache-2.0",
        sha256="0" * 64,
    )
    return save_bundle(folder, model.SerializeToString(), card)
