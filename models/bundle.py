"""Model bundles: a folder with `network.onnx`, its card `bundle.json`, and what else the card names (`files`).

A bundle is named `name@version` when it is packaged in `models/weights/<name>/<version>/`, or by any path or fsspec URI
(`s3://bucket/models/deskew`) otherwise. Loading checks the card's schema and the network's sha256.

A packaged card may instead point at the ONNX file that an installed Python package carries (PP-OCRv6 in `rapidocr`):
its weights need no second copy, and the card's sha256 still says exactly which ones are meant.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from common.errors import ExpectedError
from common.project import VERSION

WEIGHTS = Path(__file__).parent / "weights"
NETWORK_FILE = "network.onnx"
CARD_FILE = "bundle.json"
SCHEMA_VERSION = 1  # of cards; a card without the key was written by hand for the first one
_PACKAGED_NAME = re.compile(r"^[a-z0-9_.-]+@[a-z0-9_.-]+$")


# Cards that were rewritten and mean the same keep their digest, so that unfinished jobs resume: new → former.
_FORMER_DIGESTS = {
    # ppocrv6-rec@small: its card took the charset from the network's own metadata.
    "4893c3c650b71156441a4a6bc27eaddb0e5f5fd4a25e22dcd18c81379c3a0517": (
        "c104579f45e7b26a672f1bc6ee46480e400a05b9919d769fadc3ed3afa0e9ded"
    ),
}
_Settings = TypeVar("_Settings", bound=BaseModel)


class BundleError(ExpectedError):
    """A bundle that cannot be used; the message names it, says why, and what to do."""


class Measurement(BaseModel):
    """One measured figure of a bundle."""

    model_config = ConfigDict(extra="forbid")
    metric: str
    value: float
    data: str = Field(description="the data it was measured on; never data the network was trained on")
    command: str = Field(description="the command that measured it")


class Training(BaseModel):
    """Where the weights come from."""

    model_config = ConfigDict(extra="forbid")
    data: str
    command: str
    steps: int = Field(ge=0)
    note: str = ""


class Card(BaseModel):
    """`bundle.json`. `input` and `decoding` hold what the task's predictor needs, see `Bundle.input`."""

    model_config = ConfigDict(extra="forbid")
    schema_version: int = SCHEMA_VERSION
    name: str
    version: str
    task: str
    architecture: str
    input: dict[str, Any] = Field(description="size, colour and normalisation of the network's input")
    decoding: dict[str, Any] = Field(default_factory=dict, description="how outputs become results")
    labels: list[str] = Field(
        default_factory=list,
        description="class names or charset, in output order; a charset may be written as one string of its characters",
    )
    metrics: list[Measurement] = Field(default_factory=list)
    training: Training
    licence: str
    network: str = Field(
        default=NETWORK_FILE,
        pattern=r"^(network\.onnx|package:[A-Za-z0-9_.-]+/[^\\]+)$",
        description="the ONNX file: in the bundle's folder, or `package:<distribution>/<path>` in an installed package",
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the ONNX file")
    files: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")], str] = Field(
        default_factory=dict, description="the bundle's other files: name → SHA-256"
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _one_string(cls, labels: Any) -> Any:
        return list(labels) if isinstance(labels, str) else labels


class Bundle:
    """A checked bundle on the local disk."""

    def __init__(self, folder: Path, card: Card):
        self.folder = folder
        self.card = card

    @property
    def name(self) -> str:
        """`name@version`, as results report it."""
        return f"{self.card.name}@{self.card.version}"

    def input(self, settings: type[_Settings]) -> _Settings:
        """Return the card's `input` as the settings that its task's predictor needs.

        Raises:
            BundleError: it is not valid; the message names the bundle, the keys and the problems.
        """
        return self._settings("input", settings)

    def decoding(self, settings: type[_Settings]) -> _Settings:
        """Return the card's `decoding` as the settings that its task's predictor needs.

        Raises:
            BundleError: as `input`.
        """
        return self._settings("decoding", settings)

    def _settings(self, part: str, settings: type[_Settings]) -> _Settings:
        try:
            return settings.model_validate(getattr(self.card, part))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, (part, *problem['loc'])))}: {_problem(problem)}" for problem in error.errors()
            )
            raise BundleError(
                f"bundle {self.name}: its card is not valid: {problems}; correct {self.folder / CARD_FILE} or export "
                "the model again"
            ) from error

    @cached_property
    def network(self) -> bytes:
        """The ONNX file's bytes, checked against the card's sha256."""
        if self.card.network == NETWORK_FILE:
            path, remedy = self.folder / NETWORK_FILE, "export the model again"
        else:
            path, remedy = _package_file(self.card.network, self.name)
        if not path.is_file():
            raise BundleError(f"bundle {self.folder}: {path} is missing; {remedy}")
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.card.sha256:
            raise BundleError(
                f"bundle {self.folder}: sha256 of {path} is {digest[:12]}…, its card says {self.card.sha256[:12]}…; "
                f"the file is damaged or the card belongs to other weights; {remedy}"
            )
        return content

    def file(self, name: str) -> bytes:
        """Another file of the bundle, checked against the card's `files`, which must name it."""
        path = self.folder / name
        if not path.is_file():
            raise BundleError(f"bundle {self.folder}: {path} is missing; export the model again")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.card.files[name]:
            raise BundleError(
                f"bundle {self.folder}: {path} is not the file that the card means (its sha256 is another one); export "
                "the model again"
            )
        return content

    @property
    def digest(self) -> str:
        """SHA-256, 64 hex characters, over what results depend on: the network and other files, and input, decoding and
        labels as in the card; everything else in the card may change."""
        read = self.card.model_dump(include={"sha256", "files", "input", "decoding", "labels"})
        digest = hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()
        return _FORMER_DIGESTS.get(digest, digest)

    def require_task(self, task: str) -> "Bundle":
        """Return self, or raise BundleError when the bundle does another task."""
        if self.card.task != task:
            raise BundleError(f"bundle {self.name} does {self.card.task!r}, but {task!r} is needed")
        return self


def packaged_bundles() -> list[str]:
    """Return the names (`name@version`) of the bundles that ship with ocray."""
    return sorted(f"{card.parent.parent.name}@{card.parent.name}" for card in WEIGHTS.glob(f"*/*/{CARD_FILE}"))


def load_bundle(reference: str | Path, task: str | None = None) -> Bundle:
    """Open a bundle by packaged name, local folder or fsspec URI, and check its card.

    Raises:
        BundleError: unknown name, missing file, invalid card, or another task than `task`.
    """
    folder = _local_folder(str(reference))
    card_path = folder / CARD_FILE
    if not card_path.is_file():
        raise BundleError(f"no model bundle at {reference}: {CARD_FILE} not found; packaged: {packaged_bundles()}")
    try:
        content = card_path.read_text("utf-8")
        _require_schema(content, reference)
        card = Card.model_validate_json(content)
    except ValidationError as error:
        raise BundleError(f"bundle {reference}: {CARD_FILE} is not valid: {error}") from error
    if "://" in str(reference):
        _fetch(str(reference), folder, card.files)
    bundle = Bundle(folder, card)
    return bundle if task is None else bundle.require_task(task)


def save_bundle(folder: Path, network: bytes, card: Card, files: Mapping[str, bytes] | None = None) -> Bundle:
    """Write a bundle; the card's checksums are set from `network` and `files`.

    Args:
        files: the bundle's other files; None leaves those of the card as they are, where a bundle is written anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card = card.model_copy(update={"sha256": hashlib.sha256(network).hexdigest()})
    if files is not None:
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        card = card.model_copy(update={"files": sums})
        for name, content in files.items():
            (folder / name).write_bytes(content)
    (folder / NETWORK_FILE).write_bytes(network)
    (folder / CARD_FILE).write_text(json.dumps(card.model_dump(), ensure_ascii=False, indent=1) + "\n", "utf-8")
    return Bundle(folder, card)


def _require_schema(content: str, reference: str | Path) -> None:
    """Refuse a card of another schema: what its keys mean is not known here."""
    try:
        version = json.loads(content)["schema_version"]
    except (ValueError, TypeError, KeyError):  # no JSON object, which validation explains; or no version
        return
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"bundle {reference}: {CARD_FILE} has schema_version {version!r}, but ocray {VERSION} reads "
            f"{SCHEMA_VERSION}; update ocray, or export the model again with this version"
        )


def _problem(problem: Mapping[str, Any]) -> str:
    """One of pydantic's problems, with the value that caused it where that is a plain one."""
    given = problem["input"]
    return f"{problem['msg']}, not {given!r}" if isinstance(given, str | int | float | None) else problem["msg"]


def _package_file(location: str, bundle: str) -> tuple[Path, str]:
    """Path of `package:<distribution>/<path>`, and what to do when it is not the file that the card means."""
    package, _, path = location.removeprefix("package:").partition("/")
    remedy = f"install the version of {package} that ocray pins: pip install --force-reinstall ocray"
    try:
        return Path(str(distribution(package).locate_file(path))), remedy
    except PackageNotFoundError as error:
        raise BundleError(f"bundle {bundle} needs {path} from the package {package}; {remedy}") from error


def _local_folder(reference: str) -> Path:
    if _PACKAGED_NAME.match(reference):
        name, version = reference.split("@")
        folder = WEIGHTS / name / version
        if not folder.is_dir():
            raise BundleError(f"no packaged bundle {reference}; there are: {', '.join(packaged_bundles()) or 'none'}")
        return folder
    if "://" not in reference:
        return Path(reference)
    folder = Path(tempfile.mkdtemp(prefix="ocray-bundle-"))
    _fetch(reference, folder, (CARD_FILE, NETWORK_FILE))
    return folder


def _fetch(reference: str, target: Path, names: Iterable[str]) -> None:
    """Copy a remote bundle's files. Missing files are not an error here; callers that need them raise."""
    import fsspec  # only remote bundles need it

    filesystem, path = fsspec.core.url_to_fs(reference)
    for name in names:
        if filesystem.exists(f"{path}/{name}"):
            filesystem.get_file(f"{path}/{name}", str(target / name))
