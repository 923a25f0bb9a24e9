"""A page on its way through the stages: its record so far, and the pixels that later stages still need."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Literal

import cv2
import numpy as np

from pipelines.documents.errors import documented
from pipelines.documents.text_layer import LayerLine, TextLayer
from pipelines.records import PageError, R


@dataclass(slots=True)
class Upright:
    """The image of a page turned upright: `media_type` image/jpeg or image/png, longer side at most `max_side` px.

    Made by `stages.straighten.UprightStage`: `content` encoded, `width` and `height` in px, `matrix` (2, 3) float64
    from original pixels to its own.
    """

    media_type: Literal["image/jpeg", "image/png"]
    max_side: int
    content: bytes = b""
    width: int = 0
    height: int = 0
    matrix: np.ndarray | None = None


@dataclass(slots=True)
class Page(Generic[R]):
    """One page in flight.

    `image` is the decoded page (H, W, 3) uint8 RGB; `view` a copy reduced for the angle networks; `crops` the text line
    strips, one for each of `polygons` (4, 2) float32 in pixels of `image`, in reading order; `blocks` are the text
    blocks, each a list of rows of indices into `polygons`. A stage drops what no later stage needs: pixels are most of
    the memory. `row` and `image_column` say where in a Parquet file the page is (see MANIFEST_SCHEMA). `content` is the
    encoded document of a page that came with a request instead of a URI. `upright` requests the page's upright image
    and, once made, holds it.

    `layer` is the text layer of a PDF page. `layer_lines` says for each polygon which of its lines it is, or -1: only
    those have crops, to be read; it is empty if all have. `samples` are crops of some lines of a layer in doubt, by
    their index.
    """

    record: R
    content: bytes | None = None
    upright: Upright | None = None
    row: int = -1
    image_column: str = ""
    image: np.ndarray | None = None
    view: np.ndarray | None = None
    polygons: list[np.ndarray] = field(default_factory=list)
    blocks: list[list[list[int]]] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)
    layer: TextLayer | None = None
    layer_lines: list[int] = field(default_factory=list)
    samples: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def from_manifest(cls, row: dict[str, Any], record_type: type[R]) -> "Page[R]":
        """Return the page of a row of MANIFEST_SCHEMA; a document that could not be opened is an error page."""
        return cls(record_type.planned(row), row=row["row"], image_column=row["image_column"])

    def layer_line(self, place: int) -> LayerLine | None:
        """Return the line of the text layer that a polygon is; None if it is to be read."""
        if self.layer is None or not self.layer_lines or self.layer_lines[place] < 0:
            return None
        return self.layer.lines[self.layer_lines[place]]

    @property
    def needs_angles(self) -> bool:
        """Whether only its pixels can say how the page is turned."""
        return self.layer is None or self.layer.look == "page"

    @property
    def pixels(self) -> np.ndarray:
        """The decoded page, for stages that need it. Raises ValueError: it was not decoded, or is dropped already."""
        if self.image is None:
            raise ValueError("the page has no pixels here: no stage decoded it, or an earlier one dropped them")
        return self.image

    @property
    def small_view(self) -> np.ndarray:
        """The view for the angle networks. Raises ValueError: as `pixels`."""
        if self.view is None:
            raise ValueError("the page has no view here: decoding made none, or an earlier stage dropped it")
        return self.view

    def fail(self, stage: str, error: BaseException) -> None:
        """Turn the page into an error row; what earlier stages found stays in it. See `documents.errors.documented`."""
        error = documented(error, stage)
        self.fail_as(stage, type(error).__name__, str(error).strip() or "no message")

    def fail_as(self, stage: str, kind: str, message: str) -> None:
        """`fail` with an error that is known by its class name `kind` and its message alone."""
        self.record.status = "error"
        self.record.error = PageError(stage=stage, type=kind, message=message[:2000])
        self.release()

    def release(self) -> None:
        """Forget all pixels."""
        self.image = self.view = self.content = self.layer = None
        self.crops, self.samples = [], {}

    def to_row(self) -> dict[str, Any]:
        """Return the page as plain values, to move it between two actor pools of the bulk job, which has neither
        `content` nor `upright`; pixels as PNG (lossless, fastest level)."""
        return {
            "record": self.record.model_dump_json(),
            "row": self.row,
            "image_column": self.image_column,
            "image": _encode(self.image),
            "view": _encode(self.view),
            "polygons": np.asarray(self.polygons, np.float32).tobytes(),
            "blocks": json.dumps(self.blocks),
            "crops": [_encode(crop) for crop in self.crops],
            "layer": None if self.layer is None else json.dumps(asdict(self.layer)),
            "layer_lines": self.layer_lines,
            "samples": [{"line": line, "crop": _encode(crop)} for line, crop in self.samples.items()],
        }

    @classmethod
    def from_row(cls, row: dict[str, Any], record_type: type[R]) -> "Page[R]":
        """Return the page of `to_row`'s values."""
        return cls(
            record_type.model_validate_json(row["record"]),
            row=row["row"],
            image_column=row["image_column"],
            image=_decode(row["image"]),
            view=_decode(row["view"]),
            polygons=list(np.frombuffer(row["polygons"], np.float32).reshape(-1, 4, 2)),
            blocks=json.loads(row["blocks"]),
            crops=[decoded for crop in row["crops"] if (decoded := _decode(crop)) is not None],
            layer=None if row["layer"] is None else TextLayer.from_dict(json.loads(row["layer"])),
            layer_lines=row["layer_lines"],
            samples={
                sample["line"]: crop for sample in row["samples"] if (crop := _decode(sample["crop"])) is not None
            },
        )


def _encode(image: np.ndarray | None) -> bytes | None:
    if image is None:
        return None
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _decode(content: bytes | None) -> np.ndarray | None:
    return None if content is None else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
