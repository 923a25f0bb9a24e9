"""Write the kept results anew: all of them, or those named: python -m tests.golden [documents] [meters] [exports] …"""

import argparse
import importlib
import tempfile
from pathlib import Path

from tests.golden import PAGES, read_all, write


def main() -> None:
    makers = {name: read_all for name in PAGES} | {name: _made for name in ("exports", "training", "sweeps")}
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(makers)} (default: all)")
    names = parser.parse_args().names or list(makers)
    if unknown := set(names) - makers.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(makers)}")
    for name in (name for name in makers if name in names):  # exports are made from documents and meters
        write(name, makers[name](name))


def _made(name: str) -> dict:
    with tempfile.TemporaryDirectory(prefix="ocray-golden-") as folder:
        return importlib.import_module(f"tests.golden.{name}").made(Path(folder))


if __name__ == "__main__":
    main()
