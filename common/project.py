"""The project as it runs here: its version, and where the files that come with its code are.

A checkout has `configs/` beside the packages; a wheel has it inside this one, so that nothing but packages with our
names lands in site-packages.
"""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path

VERSION = "0.1.0"  # the package's metadata takes it from here: the code that runs knows it without being installed

ROOT = Path(__file__).parent.parent  # where the packages are: a checkout, or site-packages
_PACKAGED_CONFIGS = Path(__file__).parent / "configs"


def is_checkout() -> bool:
    """Return whether the packages run from a checkout (installed or not) rather than from a wheel."""
    return not _PACKAGED_CONFIGS.is_dir()


def config_folder(kind: str) -> Path:
    """Return the folder of the configurations of a kind: `pipelines`, `serve`, `train` or `tune`."""
    return (ROOT / "configs" if is_checkout() else _PACKAGED_CONFIGS) / kind


def installed_version(package: str) -> str:
    """Return the version of an installed distribution; `unknown` if none of that name is installed."""
    try:
        return distribution_version(package)
    except PackageNotFoundError:
        return "unknown"
