"""What makes a module of this package an importer, and how importers are found.

An importer is a module that defines `IMPORTER`; its file name is the name of the format. Nothing else lists it:
`ocray data import` offers every importer that `importers` finds.
"""

import argparse
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trainers.data.importers.rows import Row
from trainers.data.layouts import Layout


@dataclass(frozen=True)
class Importer:
    """A format that `ocray data import` reads.

    Attributes:
        help: what the format is, in one line of the command line's help.
        layouts: layouts that its rows fit into; the first is the default, more than one add the option --layout.
        read: yields the source's rows. It takes the parsed options: `source`, `layout`, `images` (None without
            --images) and those of `add_arguments`. Faults of single rows are yielded as `LeftOut`.
        add_arguments: adds the format's own options.
        takes_images: whether images lie in files of their own, so that the option --images makes sense.
    """

    help: str
    layouts: tuple[Layout, ...]
    read: Callable[[argparse.Namespace], Iterable[Row]]
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    takes_images: bool = True


def importers() -> dict[str, Importer]:
    """Return all importers by the name of their format, in alphabetical order.

    Raises:
        TypeError: a module's `IMPORTER` is not an `Importer`.
    """
    found = {}
    package = importlib.import_module("trainers.data.importers")
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"{package.__name__}.{name}")
        if not hasattr(module, "IMPORTER"):
            continue
        if not isinstance(module.IMPORTER, Importer):
            raise TypeError(f"{module.__name__}.IMPORTER is a {type(module.IMPORTER).__name__}, not an Importer")
        found[name] = module.IMPORTER
    return found
