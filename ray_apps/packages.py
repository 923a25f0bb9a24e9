"""Our packages have everyday names (`models`); where a user's have the same, each program imports its own."""

import importlib.machinery
import os
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("common", "models", "pipelines", "ray_apps", "trainers", "tuners")
ROOT = Path(__file__).resolve().parent.parent


def hidden_by(places: Iterable[str]) -> str | None:
    """Return the first of `places` that holds a foreign package of the same name as one of ours and comes before
    ours."""
    for place in places:
        if Path(place).resolve() == ROOT:
            return None
        for name in PACKAGES:
            found = importlib.machinery.PathFinder.find_spec(name, [place])
            if found is not None and found.origin is not None:  # a folder without __init__.py hides nothing
                return place
    return None


def workers_places() -> list[str]:
    """Return where Ray's workers look before site-packages: the folder where the program was started, then
    PYTHONPATH."""
    return [os.getcwd(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


def own_packages_first() -> None:
    """Let this process import our packages from where this one is, whatever comes first on its path. (The path itself
    would be no good place: Ray puts more before it when a worker begins to work.)"""
    if not any(isinstance(finder, _OwnPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OwnPackages())


class _OwnPackages:
    """Finds our packages, and nothing else."""

    def find_spec(self, name, path=None, target=None) -> importlib.machinery.ModuleSpec | None:
        if path is not None or name not in PACKAGES:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [str(ROOT)])
