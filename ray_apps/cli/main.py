"""The console script `ocray`: each door is a subcommand, imported only when it is called."""

import argparse
import importlib
import logging
import platform
import sys

from common.project import ROOT, VERSION, installed_version, is_checkout
from ray_apps.cli import doors

# Name, module, what it does. Training doors need the [train] extra.
DOORS = (
    ("ocr", "ocr", "read documents and meters in bulk"),
    ("status", "status", "how far a job is"),
    ("serve", "serve", "answer requests over HTTP"),
    ("mine", "mine", "the worst lines of a job, to be labelled"),
    ("data", "data", "labelled text images in and out"),
    ("train", "train", "train a model"),
    ("tune", "tune", "search a training's settings"),
    ("evaluate", "evaluate", "measure a model"),
    ("export", "export", "make a bundle of a trained model"),
    ("quantize", "quantize", "make a bundle smaller and faster: 8-bit integers"),
)

# The doors whose same command goes on where it was interrupted.
_RESUMING = ("ocr", "train", "tune")


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="ocray", description="Reads documents and meters in bulk, on Ray.")
    parser.add_argument("--version", action=_Version, nargs=0, help="the version, and what it runs on here")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module, text in DOORS:
        # Only the chosen door is imported: `ocray ocr` must not need torch.
        command = commands.add_parser(name, help=text, add_help=argv[:1] == [name])
        if argv[:1] == [name]:
            door = _door(module)
            command.description = door.__doc__
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            door.add_arguments(command)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    door = _door(dict((name, module) for name, module, _ in DOORS)[args.command])
    return doors.answer(door.run, args, resumes=args.command in _RESUMING)


class _Version(argparse.Action):
    """What a report of a fault needs, found out only when it is asked for."""

    def __call__(self, parser, *ignored) -> None:
        from models.runtime import automatic_precision

        where = f"checkout {ROOT}" if is_checkout() else f"installed in {ROOT}"
        runs_on = {"Python": platform.python_version(), "Ray": installed_version("ray")}
        runs_on |= {"OpenVINO": installed_version("openvino")}
        print(
            f"ocray {VERSION} ({where})\n" + ", ".join(f"{name} {version}" for name, version in runs_on.items()) + "\n"
            f"arithmetic of this CPU (precision auto): {automatic_precision()}"
        )
        parser.exit()


_TRAINING_PACKAGES = (
    *("torch", "timm", "mlflow", "tensorboard", "onnx", "optuna", "plotly", "nncf"),
    *("lmdb", "pyclipper", "shapely", "sklearn"),
)


def _door(module: str):
    try:
        return importlib.import_module(f"ray_apps.cli.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in _TRAINING_PACKAGES:
            sys.exit(f"ocray: {error.name} is not installed; training needs the extra: pip install 'ocray[train]'")
        raise


if __name__ == "__main__":
    sys.exit(main())
