"""`ocray evaluate MODEL`: measure a run, a checkpoint or a bundle on validation samples; prints JSON.

`--report FOLDER` also writes what became of each sample, worst first: a log of all and a page of the worst.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from common.config import ConfigError
from models.bundle import BundleError
from ray_apps.cli import doors
from trainers.core.checkpoint import WeightsError
from trainers.core.config import load_config
from trainers.core.evaluate import fit, has_fit, has_report, is_bundle, measure, record
from trainers.core.runs import CONFIG_FILE
from trainers.data.image_shards import SourceError

ERRORS = (BundleError, ConfigError, SourceError, WeightsError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="run folder, checkpoint (.pt) or bundle (name@version, folder or URI)")
    parser.add_argument("--config", help="training config of the task (default: the run's own)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument(
        "--samples", type=doors.positive, help="validation samples at most (default: train.validation_samples)"
    )
    parser.add_argument("--output", type=Path, help="write the JSON here as well")
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write the log and report.html of all samples here"
    )
    parser.add_argument(
        "--pictures", type=doors.positive, default=300, help="samples shown in the report, the worst (default: 300)"
    )
    parser.add_argument("--record", metavar="DATA", help="write the metrics into the bundle's card as of DATA")
    parser.add_argument(
        "--fit",
        action="store_true",
        help="write what is fitted on these samples (calibration, space bonus, weight of the language model) into the "
        "bundle's card; without it a bundle is measured as its card says",
    )


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0, or 2 when model, config or pages cannot be used; the reason goes to stderr."""
    overrides = list(arguments.set)
    if arguments.samples:
        overrides.append(f"train.validation_samples={arguments.samples}")
    try:
        config = load_config(_config_path(arguments), overrides)
        for option in ("record", "fit"):
            if getattr(arguments, option) and not (is_bundle(arguments.model) and Path(arguments.model).is_dir()):
                raise ConfigError(f"--{option} needs a bundle folder, which {arguments.model} is not")
        if arguments.report and not has_report(config):
            raise ConfigError(f"task {config.task} has no report; leave --report out")
        if arguments.fit and not has_fit(config):
            raise ConfigError(f"task {config.task} has nothing that is fitted; leave --fit out")
        measured = measure(arguments.model, config, refit=arguments.fit)
        written = measured.write_report(arguments.report, arguments.pictures) if arguments.report else ""
    except ERRORS as error:
        print(f"ocray: {error}", file=sys.stderr)
        return 2
    figures = {"model": arguments.model, "task": config.task, "samples": measured.samples, **measured.metrics}
    text = json.dumps(figures, indent=1)
    print(text)
    if written:
        print(written, file=sys.stderr)  # stdout is JSON alone
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text + "\n", "utf-8")
    if arguments.record:
        record(Path(arguments.model), measured.metrics, arguments.record, _command(arguments))
    if arguments.fit:
        fit(Path(arguments.model), measured.task.fitted_decoding(measured.metrics))
    return 0


def _config_path(arguments: argparse.Namespace) -> str | Path:
    if arguments.config:
        return arguments.config
    own = Path(arguments.model) / CONFIG_FILE
    if not own.is_file():
        raise ConfigError(f"{arguments.model} is no run folder: name the task's config with --config")
    return own


def _command(arguments: argparse.Namespace) -> str:
    parts = ["ocray", "evaluate", arguments.model]
    parts += ["--config", arguments.config] if arguments.config else []
    parts += [part for item in arguments.set for part in ("--set", item)]
    parts += ["--samples", str(arguments.samples)] if arguments.samples else []
    return shlex.join(parts)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ocray evaluate", description=__doc__)
    add_arguments(parser)
    return doors.answer(run, parser.parse_args(argv), resumes=False)


if __name__ == "__main__":
    sys.exit(main())
