"""A documents reader that takes milliseconds a page, for tests of everything but reading: jobs, faults, clusters, apps.

Its four networks hold a few numbers each, written by hand. They read pages drawn here: each character is a block of one
colour on a black bar, so that every page says something of its own. On other pages they find no text, or nonsense.

    numbered_tiny_pages(tmp_path / "in", 9)                    # page00.png says "PAGE 0" and "TINY", page01.png …
    reader = tiny_documents(tmp_path / "bundles")              # a DocumentsReader, for run_job
    path = write_tiny_reader(tmp_path / "bundles")             # the same as YAML: for --config, a served app

The fixtures `tiny_reader` and `tiny_reader_yaml` (conftest.py) are both, made once a session. Ray's workers and other
processes need nothing but the files of the bundles. Skew and orientation are always 0; arithmetic is f32.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import yaml
from onnx import TensorProto, helper, numpy_helper

from models.bundle import Bundle, Card, save_bundle
from models.deskew import preprocess as deskew
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.settings import DocumentsReaderSettings
from pipelines.readers.registry import load_reader

CHARACTERS = " -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LANGUAGES = ["en", "de", "fr"]
HEIGHT, PITCH, _GAP = 24, 20, 5  # px of a line, from character to character, and between their blocks
MARGIN = 32
_STRIP = 48  # px, height of a strip as the recogniser takes it
_STEP = 8
_TILE = 32
# Green says which character; red that it is one, and not black, or the blend of a block's edge.
_GREENS = np.linspace(0.03, 0.93, len(CHARACTERS))
_ALL_RED = 0.985


def draw_tiny_page(lines: Sequence[str], width: int = 480, height: int = 320) -> np.ndarray:
    """Return (height, width, 3) uint8 RGB, white, with lines of `CHARACTERS`; sides that are multiples of 32 are read
    as they are."""
    page = np.full((height, width, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        top = MARGIN + number * (HEIGHT + 16)
        bar = page[top : top + HEIGHT, MARGIN : MARGIN + len(line) * PITCH + _GAP]
        if bar.shape[:2] != (HEIGHT, len(line) * PITCH + _GAP):
            raise ValueError(f"line {number} does not fit on a page of {width} x {height} px")
        bar[:] = 0
        for place, character in enumerate(line):
            left = _GAP + place * PITCH
            green = round(255 * _GREENS[CHARACTERS.index(character)])
            bar[:, left : left + PITCH - _GAP] = (255, green, 0)
    return page


def write_tiny_page(path: Path, lines: Sequence[str], **kwargs) -> Path:
    """`draw_tiny_page` as an image file of a lossless format (PNG, TIFF, WebP is not)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), draw_tiny_page(lines, **kwargs)[..., ::-1])
    return path


def numbered_tiny_pages(folder: Path, count: int) -> list[Path]:
    """`count` one-page PNG documents; each says its number, and TINY."""
    return [write_tiny_page(folder / f"page{i:02}.png", tiny_text(i).splitlines()) for i in range(count)]


def tiny_text(number: int) -> str:
    """Return what is read of a numbered page."""
    return f"PAGE {number}\nTINY"


def tiny_documents(folder: Path, **changes) -> DocumentsReader:
    """Return the shipped documents reader with the tiny networks, which are written to `folder`; `changes` as in its
    YAML."""
    bundles = {
        "deskew": deskew_bundle(folder / "deskew"),
        "orientation": orientation_bundle(folder / "orientation"),
        "text_detection": detection_bundle(folder / "detection"),
    }
    content = load_reader("documents").settings.model_dump()
    for name, bundle in bundles.items():
        content[name]["bundle"] = str(bundle.folder)
    content["text_recognition"]["recognizers"] = {str(recognition_bundle(folder / "recognition").folder): LANGUAGES}
    content |= {"languages": ["en"], "precision": "f32"} | changes
    return DocumentsReader(DocumentsReaderSettings.model_validate(content))


def write_tiny_reader(folder: Path, **changes) -> Path:
    """`tiny_documents` as a YAML file, for commands and served apps."""
    reader = tiny_documents(folder, **changes)
    path = folder / "reader.yaml"
    path.write_text(yaml.safe_dump(reader.settings.model_dump(), sort_keys=False))
    return path


def deskew_bundle(folder: Path) -> Bundle:
    """`tiny-deskew@1`: every page is level."""
    logits = np.zeros((1, deskew.ANGLES), np.float32)
    logits[0, deskew.ANGLES // 2 - 1 : deskew.ANGLES // 2 + 1] = 50.0
    nodes = [
        helper.make_node("ReduceMean", ["spectrum"], ["mean"], axes=[2], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "level"], ["logits"]),
    ]
    form = {"side": deskew.SIDE, "angles": deskew.ANGLES, "bands": deskew.BANDS}
    return _bundle(
        folder, "deskew", nodes, {"zero": np.float32([0]), "level": logits}, form,
        ("spectrum", ["n", deskew.ANGLES, deskew.BANDS]), {"logits": ["n", deskew.ANGLES]},
        decoding={"range_degrees": 90},
    )  # fmt: skip


def orientation_bundle(folder: Path) -> Bundle:
    """`tiny-orientation@1`: every page stands upright, surely."""
    nodes = [
        helper.make_node("ReduceMean", ["tiles"], ["mean"], axes=[1, 2], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "column"], ["nothings"]),
        helper.make_node("Add", ["nothings", "upright"], ["evidence"]),
        helper.make_node("Reshape", ["nothing", "flat"], ["weight"]),
    ]
    constants = {
        "zero": np.float32([0]), "upright": np.float32([[30, 0, 0, 0]]), "column": np.array([-1, 1]),
        "flat": np.array([-1]),
    }  # fmt: skip
    return _bundle(
        folder, "orientation", nodes, constants, {"long_side": 256, "tile": _TILE, "max_tiles": 1},
        ("tiles", ["n", _TILE, _TILE]), {"evidence": ["n", 4], "weight": ["n"]}, labels=["0", "90", "180", "270"],
    )  # fmt: skip


def detection_bundle(folder: Path) -> Bundle:
    """`tiny-detection@1`: text is where there is no blue."""
    constants = {
        "no_blue": np.float32([0, 0, -10]).reshape(1, 3, 1, 1), "from": np.float32([5]),
        "lowest": np.array(0, np.float32), "highest": np.array(1, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "no_blue", "from"], ["text"]),
        helper.make_node("Clip", ["text", "lowest", "highest"], ["probability"]),
    ]
    form = {"colour": "RGB", "mean": 0.0, "std": 255.0, "min_short_side": 32, "max_short_side": 1280}
    return _bundle(
        folder, "detection", nodes, constants, form | {"tile_side": 1600, "tile_overlap": 192},
        ("image", ["n", 3, "h", "w"]), {"probability": ["n", 1, "h", "w"]}, task="text_detection",
        decoding={"unclip_ratio": 0.0},
    )  # fmt: skip


def recognition_bundle(folder: Path) -> Bundle:
    """`tiny-recognition@1`: colours say which character."""
    middle = _STRIP // 3
    constants = {
        "top": np.array([middle]), "bottom": np.array([2 * middle]), "rows": np.array([2]), "channels": np.array([2]),
        "first": np.array([0]), "second": np.array([1]), "third": np.array([2]), "row": np.array([2]),
        "greens": _GREENS.astype(np.float32).reshape(1, 1, -1), "sharp": np.float32([-20000]),
        "blend": np.float32([_ALL_RED]), "doubt": np.float32([550]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["image", "top", "bottom", "rows"], ["middle"]),
        helper.make_node("AveragePool", ["middle"], ["steps"], kernel_shape=[middle, _STEP], strides=[middle, _STEP]),
        helper.make_node("Squeeze", ["steps", "row"], ["colours"]),
        helper.make_node("Transpose", ["colours"], ["in_order"], perm=[0, 2, 1]),
        helper.make_node("Slice", ["in_order", "first", "second", "channels"], ["red"]),
        helper.make_node("Slice", ["in_order", "second", "third", "channels"], ["green"]),
        helper.make_node("Sub", ["green", "greens"], ["off"]),
        helper.make_node("Mul", ["off", "off"], ["squared"]),
        helper.make_node("Mul", ["squared", "sharp"], ["characters"]),
        helper.make_node("Sub", ["blend", "red"], ["less"]),
        helper.make_node("Mul", ["less", "doubt"], ["blank"]),
        helper.make_node("Concat", ["blank", "characters"], ["scores"], axis=2),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=2),
    ]
    form = {"colour": "RGB", "mean": 0.0, "std": 255.0, "height": _STRIP, "min_width": 32, "max_width": 3200}
    return _bundle(
        folder, "recognition", nodes, constants, form | {"width_step": 32},
        ("image", ["n", 3, _STRIP, "w"]), {"probabilities": ["n", "t", 1 + len(CHARACTERS)]},
        task="text_recognition", labels=list(CHARACTERS),
        decoding={"language": "+".join(LANGUAGES), "calibration": {"scale": 1.0, "offset": 0.0}},
    )  # fmt: skip


def _bundle(folder, name, nodes, constants, form, image, outputs, *, task=None, labels=(), decoding=None) -> Bundle:
    infos = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()]
    initializers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    inputs = [helper.make_tensor_value_info(image[0], TensorProto.FLOAT, image[1])]
    graph = helper.make_graph(nodes, name, inputs, infos, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    card = Card(
        name=f"tiny-{name}",
        version="1",
        task=task or name,
        architecture="constants",
        input=form,
        decoding=decoding or {},
        labels=list(labels),
        training={"data": "none", "command": "tests/tiny_documents.py", "steps": 0},
        licence="Apache-2.0",
        sha256="0" * 64,
    )
    return save_bundle(folder, model.SerializeToString(), card)
