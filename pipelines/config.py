"""Configuration of a reader: which bundles read, with which settings. Loaded from `configs/pipelines/*.yaml`."""

import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.documents import Limits
from pipelines.stages.base import StageSpec

CONFIGS = Path(__file__).parent.parent / "configs" / "pipelines"


class ConfigError(Exception):
    """A configuration that cannot be used; the message names the key and the remedy."""


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LimitSettings(Settings):
    """What is decoded at all."""

    max_megapixels: float = Field(default=300, gt=0)
    pdf_dpi: int = Field(default=200, ge=36, le=1200)

    def build(self) -> Limits:
        """The limits as planning and decoding take them."""
        return Limits(**self.model_dump())


class ModelSettings(Settings):
    """A stage that runs one bundle. `batch_size` pages are handed to it at once."""

    bundle: str
    batch_size: int = Field(default=1, ge=1, le=256)


class TextDetectionSettings(ModelSettings):
    """The five parameters of DB postprocessing (PP-OCR's names without `det_db_`); left out, the bundle's own hold."""

    thresh: float | None = Field(default=None, gt=0, lt=1)
    box_thresh: float | None = Field(default=None, ge=0, le=1)
    unclip_ratio: float | None = Field(default=None, ge=0)
    use_dilation: bool | None = None
    score_mode: Literal["fast", "slow"] | None = None


class TextRecognitionSettings(ModelSettings):
    """Lines read with less than `min_confidence` are dropped."""

    min_confidence: float = Field(default=0.5, ge=0, le=1)


class DocumentsConfig(Settings):
    """The documents reader."""

    reader: Literal["documents"] = "documents"
    limits: LimitSettings = LimitSettings()
    precision: Literal["auto", "f32", "bf16"] = "auto"
    deskew: ModelSettings
    orientation: ModelSettings
    text_detection: TextDetectionSettings
    text_recognition: TextRecognitionSettings

    def bundles(self) -> dict[str, str]:
        """Bundle reference of each stage."""
        return {
            name: getattr(self, name).bundle for name in ("deskew", "orientation", "text_detection", "text_recognition")
        }

    def stages(self, device: str = "cpu", threads: int = 1) -> list[StageSpec]:
        """The reader's stages in order."""
        # Imported here so that checking a configuration opens no runtime.
        from pipelines.stages.decode import DecodeStage
        from pipelines.stages.straighten import DeskewStage, OrientationStage
        from pipelines.stages.text import TextDetectionStage, TextRecognitionStage

        def spec(stage: type, settings: ModelSettings, **extra) -> StageSpec:
            kwargs = settings.model_dump(exclude={"batch_size"}) | {"device": device, "threads": threads} | extra
            return StageSpec(stage, kwargs, settings.batch_size, gpu=device != "cpu")

        return [
            StageSpec(DecodeStage, {"limits": self.limits.build()}),
            spec(DeskewStage, self.deskew),
            spec(OrientationStage, self.orientation),
            spec(TextDetectionStage, self.text_detection, precision=self.precision),
            spec(TextRecognitionStage, self.text_recognition, precision=self.precision),
        ]


def load_config(reference: str | Path) -> DocumentsConfig:
    """Load a reader's configuration: a name from `configs/pipelines/` (`documents`) or a YAML file.

    Raises:
        ConfigError: no such file, YAML that does not parse, an unknown key (the nearest known one is named) or a
            value out of range.
    """
    path = find_yaml(reference, CONFIGS, "configuration")
    return validate(DocumentsConfig, read_yaml(path), str(path))


def find_yaml(reference: str | Path, folder: Path, kind: str) -> Path:
    """The file of `reference`: a name in `folder` or a YAML file. Raises ConfigError; `kind` says of what."""
    path = Path(reference)
    if path.suffix not in (".yaml", ".yml"):
        path = folder / f"{reference}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise ConfigError(f"no {kind} {reference}; give a YAML file or one of: {known}")
    return path


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds. Raises ConfigError."""
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a mapping of settings")
    return content


_Model = TypeVar("_Model", bound=BaseModel)


def validate(model: type[_Model], content: dict, name: str) -> _Model:
    """Settings from the content of a YAML file called `name`.

    Raises:
        ConfigError: an unknown key (the nearest known one is named), a missing one, or a value out of range.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{name}: " + "; ".join(_explain(model, e) for e in error.errors())) from error


def _explain(model: type[BaseModel], error) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}" if where else error["msg"]
    for part in error["loc"][:-1]:
        model = model.model_fields[part].annotation
    near = difflib.get_close_matches(str(error["loc"][-1]), model.model_fields, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(model.model_fields)}"
    return f"unknown setting {where}{hint}"
