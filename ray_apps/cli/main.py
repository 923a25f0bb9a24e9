"""The console script `ocray`: each command is a module of this folder, imported only when the command is called."""

import argparse
import difflib
import importlib
import logging
import platform
import sys
from dataclasses import dataclass
from functools import partial

from common.cli import command_line, execute, fail, next_step
from common.errors import ExitCode, ExpectedError, MissingPackageError
from common.project import ROOT, VERSION, installed_version, is_checkout
from ray_apps.packages import PACKAGES


@dataclass(frozen=True)
class Command:
    """A subcommand of `ocray`. Its module has `add_arguments(parser)` and `run(args)`, which returns the exit code.

    Attributes:
        summary: what it does, for `ocray --help`.
        resumes: whether the same command continues what an interrupted one left.
        trains: whether it may need the packages of the [train] extra.
    """

    summary: str
    resumes: bool = False
    trains: bool = False


COMMANDS = {
    "ocr": Command("read documents and meters in bulk", resumes=True),
    "plan": Command("estimate pages, hours and cost of a bulk job"),
    "status": Command("show the progress of a bulk job"),
    "export-records": Command("export a job's records, or write its report, again"),
    "submit": Command("run a command on a cluster", resumes=True),
    "serve": Command("answer requests over HTTP"),
    "mine": Command("select a job's least certain lines for labelling"),
    "data": Command("import and export labelled images", trains=True),
    "render": Command("render training pages, lines and meters"),
    "train": Command("train a model", resumes=True, trains=True),
    "tune": Command("search the best settings of a training", resumes=True, trains=True),
    "evaluate": Command("measure a model", trains=True),
    "angles": Command("measure deskew and orientation together", trains=True),
    "meters": Command("measure both meter networks together", trains=True),
    "language-model": Command("count a language model for text recognition", trains=True),
    "export": Command("make a bundle of a trained model", trains=True),
    "quantize": Command("make a bundle smaller and faster with 8-bit integers", trains=True),
}


def main(argv: list[str] | None = None) -> int:
    """Run `ocray`; `argv` defaults to the process's arguments. Returns the exit code, see docs/cli.md."""
    argv = sys.argv[1:] if argv is None else argv
    name = argv[0] if argv else ""
    if name not in COMMANDS:
        if name and not name.startswith("-"):
            fail(_unknown(name))
            return ExitCode.BAD_REQUEST
        parser, _ = _parsers()
        parser.parse_args(argv)  # --help and --version
        parser.error("give the command first")
    command = COMMANDS[name]
    return execute(
        lambda: _run(name, argv),
        if_interrupted=next_step(command_line(argv), command.resumes),
        explain=partial(_explain, command),
        clean_up=_clean_up,
    )


def _run(name: str, argv: list[str]) -> int:
    # Only this command's module is imported: `ocray ocr` must not need torch.
    module = importlib.import_module(f"ray_apps.cli.{name.replace('-', '_')}")
    parser, subparsers = _parsers(name)
    subparsers[name].description = module.__doc__
    subparsers[name].formatter_class = argparse.RawDescriptionHelpFormatter
    module.add_arguments(subparsers[name])
    args = parser.parse_args(argv)
    args.command_line = command_line(argv)
    _configure_logging()
    return module.run(args)


def _configure_logging() -> None:
    """Show our own progress; of libraries only warnings, since some report that they were imported."""
    logging.basicConfig(format="%(message)s")
    for name in ("ocray", *PACKAGES):
        logging.getLogger(name).setLevel(logging.INFO)


def _parsers(chosen: str | None = None) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of `ocray`, and the parser of each command; only the chosen one has --help already."""
    parser = argparse.ArgumentParser(
        prog="ocray",
        description="Read documents and meters in bulk, on Ray.",
        epilog="ocray COMMAND --help describes a command. In a checkout, python -m ray_apps is the same as ocray.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and what it runs on")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    return parser, {
        name: subparsers.add_parser(name, help=command.summary, add_help=name == chosen)
        for name, command in COMMANDS.items()
    }


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(COMMANDS)}"
    return f"unknown command {name}; {hint}"


def _explain(command: Command, error: BaseException) -> ExpectedError | None:
    if isinstance(error, ModuleNotFoundError):
        return _missing_package(error) if command.trains else None
    from ray_apps.cli import failures  # imports much of `pipelines`: only where something failed

    return failures.explain(error)


def _clean_up() -> None:
    from ray_apps.cli import failures

    failures.end_ray()


def _missing_package(error: ModuleNotFoundError) -> ExpectedError | None:
    """Name the remedy for a package that is not installed; None where one of our own modules is missing."""
    package = (error.name or "").partition(".")[0]
    if not package or package in PACKAGES:
        return None
    return MissingPackageError(f"{package} is not installed; training needs the extra: pip install 'ocray[train]'")


class _Version(argparse.Action):
    """Print what a fault report needs. It is collected only for this option."""

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
