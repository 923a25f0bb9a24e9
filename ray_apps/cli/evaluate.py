"""`ocray evaluate MODEL`: measure a run, a checkpoint or a bundle on validation samples; prints JSON.

`--report FOLDER` also writes what became of each sample, worst first: a log of all and a page of the worst.
"""

import argparse
import json
import sys
from pathlib import Path

from common.cli import positive
from common.config import ConfigError
from common.errors import ExitCode
from trainers.core.config import load_config
from trainers.core.evaluate import fit, has_fit, has_report, is_bundle, measure, record
from trainers.core.runs import CONFIG_FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="run folder, checkpoint (.pt) or bundle (name@version, folder or URI)")
    parser.add_argument("--config", help="training config of the task (default: the run's own)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument(
        "--samples", type=positive, help="validation samples at most (default: train.validation_samples)"
    )
    parser.add_argument("--output", type=Path, help="write the JSON here as well")
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write the log and report.html of all samples here"
    )
    parser.add_argument(
        "--pictures", type=positive, default=300, help="samples shown in the report, the worst (default: 300)"
    )
    parser.add_argument("--record", metavar="DATA", help="write the metrics into the bundle's card as of DATA")
    parser.add_argument(
        "--fit",
        action="store_true",
        help="write what is fitted on these samples (calibration, space bonus, weight of the language model) into the "
        "bundle's card; without it a bundle is measured as its card says",
    )


def run(args: argparse.Namespace) -> int:
    """Print the metrics as JSON on stdout; all else goes to stderr."""
    overrides = list(args.set)
    if args.samples:
        overrides.append(f"train.validation_samples={args.samples}")
    config = load_config(_config_path(args), overrides)
    for option in ("record", "fit"):
        if getattr(args, option) and not (is_bundle(args.model) and Path(args.model).is_dir()):
            raise ConfigError(f"--{option} needs a bundle folder, which {args.model} is not")
    if args.report and not has_report(config):
        raise ConfigError(f"task {config.task} has no report; leave --report out")
    if args.fit and not has_fit(config):
        raise ConfigError(f"task {config.task} has nothing that is fitted; leave --fit out")
    measured = measure(args.model, config, refit=args.fit)
    written = measured.write_report(args.report, args.pictures) if args.report else ""
    figures = {"model": args.model, "task": config.task, "samples": measured.samples, **measured.metrics}
    text = json.dumps(figures, indent=1)
    print(text)
    if written:
        print(written, file=sys.stderr)  # stdout is JSON alone
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(text + "\n", "utf-8")
    if args.record:
        record(Path(args.model), measured.metrics, args.record, args.command_line)
    if args.fit:
        fit(Path(args.model), measured.task.fitted_decoding(measured.metrics))
    return ExitCode.OK


def _config_path(args: argparse.Namespace) -> str | Path:
    if args.config:
        return args.config
    own = Path(args.model) / CONFIG_FILE
    if not own.is_file():
        raise ConfigError(f"{args.model} is not a run folder: name the task's config with --config")
    return own
