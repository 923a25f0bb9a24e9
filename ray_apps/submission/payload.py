"""What a submitted command takes to the cluster: ocray's code, the bundles it reads with, and the user's own files.

Data is never shipped: inputs and outputs are on storage that every node sees.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from common.config import ConfigError
from common.project import ROOT, config_folder, is_checkout
from models.bundle import CARD_FILE, load_bundle, packaged_bundles
from ray_apps.packages import PACKAGES

MOST_MIB = 64  # Ray takes up to 100 MiB, zipped; weights hardly shrink
_CONFIG_KINDS = {"ocr": "pipelines", "train": "train", "evaluate": "train", "tune": "tune"}
_DEFAULT_CONFIGS = {"ocr": ("documents",)}
_NEVER = shutil.ignore_patterns("__pycache__", "weights")


def pack(argv: Sequence[str], current: Path, payload: Path, *, code: bool = True) -> list[str]:
    """Copy what a command needs into a folder, at the paths that it uses relative to its current folder.

    Args:
        argv: the command without `ocray`: `["ocr", "--reader", "mine.yaml", …]`.
        current: the folder where the user typed it.
        payload: an empty folder.
        code: also ocray's packages, configurations, and the packaged bundles that the command names.

    Returns:
        The user's own files and folders that were copied, as they were named.

    Raises:
        ConfigError: the payload is larger than `MOST_MIB`; the message names its largest file.
    """
    own = _own_files(argv, current)
    for name in own:
        source, target = current / name, payload / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
    if code:
        _copy_code(payload, _bundles_in([*argv, *own.values(), *_packaged_configs(argv)]))
    _check_size(payload)
    return list(own)


def _own_files(argv: Sequence[str], current: Path) -> dict[str, str]:
    """Return the YAML files and bundles below the current folder that the command, or one of those YAML files, names:
    relative path → the text of a YAML file, empty for a bundle. What is named by an absolute path or a URI is on
    storage that every node sees."""
    found: dict[str, str] = {}
    # (name, folder that it may be relative to): a sweep names its training relative to itself.
    names = [(name, current) for part in argv for name in (part, part.rpartition("=")[2])]
    while names:
        name, folder = names.pop(0)
        if not name or os.path.isabs(name):
            continue
        path = Path(os.path.normpath(folder / name))
        if not path.is_relative_to(current) or (relative := str(path.relative_to(current))) in found:
            continue
        if (path / CARD_FILE).is_file():
            found[relative] = ""
        elif path.suffix in (".yaml", ".yml") and path.is_file():
            found[relative] = path.read_text("utf-8")
            values = _strings(yaml.safe_load(found[relative]))
            names += [(value, base) for value in values for base in (current, path.parent)]
    return found


def _strings(content: Any) -> Iterable[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _strings(key)
            yield from _strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value)


def _packaged_configs(argv: Sequence[str]) -> list[str]:
    """Return the texts of the packaged configurations that the command names, and of a sweep's training."""
    kind = _CONFIG_KINDS.get(argv[0])
    if kind is None:
        return []
    named = _texts(kind, [part.rpartition("=")[2] for part in argv[1:]]) or _texts(
        kind, _DEFAULT_CONFIGS.get(argv[0], ())
    )
    if kind == "tune":
        for text in list(named):
            named += _texts("train", _strings(yaml.safe_load(text)))
    return named


def _texts(kind: str, names: Iterable[str]) -> list[str]:
    paths = (config_folder(kind) / f"{Path(name).stem}.yaml" for name in names if name)
    return [path.read_text("utf-8") for path in dict.fromkeys(paths) if path.is_file()]


def _bundles_in(texts: Iterable[str]) -> list[str]:
    everything = "\n".join(texts)
    return [name for name in packaged_bundles() if name in everything]


def _copy_code(payload: Path, bundles: Iterable[str]) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, payload / package, ignore=_NEVER)
    if is_checkout():
        shutil.copytree(ROOT / "configs", payload / "configs")
    for bundle in bundles:
        folder = load_bundle(bundle).folder
        shutil.copytree(folder, payload / folder.relative_to(ROOT))


def _check_size(payload: Path) -> None:
    sizes = {path: path.stat().st_size for path in payload.rglob("*") if path.is_file()}
    mib = sum(sizes.values()) / 2**20
    if mib > MOST_MIB:
        largest = max(sizes, key=lambda path: sizes[path])
        raise ConfigError(
            f"{mib:.0f} MiB would be shipped, the largest is {largest.relative_to(payload)}; put bundles on storage "
            "that every node sees, and name them by URI or absolute path"
        )
