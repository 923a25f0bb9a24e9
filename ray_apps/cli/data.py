"""`ocray data import FORMAT SOURCE --output DIR`: labelled images of other tools become a data set for training;
`ocray data export FORMAT DIR --output OUT`: and back. See docs/data.md.
"""

import argparse
import sys
from pathlib import Path

from common.cli import share
from common.errors import ExitCode
from trainers.data.exporters import Exported, export_lmdb, export_paddleocr
from trainers.data.importers.importer import Importer, importers
from trainers.data.importers.rows import ImportSourceError
from trainers.data.importers.run import MANY_BAD, ImportSummary, import_rows
from trainers.data.splits import SPLITS

LAYOUTS = {
    "lines": "crops of text lines",
    "regions": "pages with boxes",
    "meters": "meters or their digits",
}
EXPORTS = {
    "lmdb": ("lines as an LMDB of the deep-text-recognition-benchmark", export_lmdb),
    "paddleocr": ("lines as rec_gt.txt, regions as Label.txt", export_paddleocr),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_subparsers(dest="way", required=True, metavar="import|export")
    importing = ways.add_parser("import", help="make a data set of labels and images")
    formats = importing.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, importer in importers().items():
        _add_import_arguments(formats.add_parser(name, help=importer.help, description=importer.help), importer)
    exporting = ways.add_parser("export", help="write a data set for other tools")
    formats = exporting.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, (text, _) in EXPORTS.items():
        command = formats.add_parser(name, help=text, description=text)
        command.add_argument("source", type=Path, metavar="DIR", help="data set: folder or Parquet file")
        _add_output_arguments(command)


def _add_import_arguments(command: argparse.ArgumentParser, importer: Importer) -> None:
    command.add_argument("source", type=Path, help="label file, or folder that holds it")
    _add_output_arguments(command)
    layouts = importer.layouts
    command.set_defaults(importer=importer, layout=layouts[0], images=None)
    if len(layouts) > 1:
        text = "; ".join(f"{layout}: {LAYOUTS[layout]}" for layout in layouts)
        command.add_argument("--layout", choices=layouts, default=layouts[0], help=f"{text} (default: %(default)s)")
    command.add_argument("--validation", type=share, default=0.1, help="share for validation (default: 0.1)")
    command.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")
    command.add_argument(
        "--group-pattern", metavar="REGEX", help="searched for in names; rows with the same match stay in one split"
    )
    command.add_argument("--name", help="prefix of the Parquet files' names (default: the source's name)")
    if importer.takes_images:
        command.add_argument("--images", type=Path, metavar="DIR", help="folder that image paths are relative to")
    if importer.add_arguments:
        importer.add_arguments(command)


def _add_output_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", type=Path, required=True, help="folder to make")
    command.add_argument("--overwrite", action="store_true", help="replace an earlier result in --output")


def run(args: argparse.Namespace) -> int:
    return _import(args) if args.way == "import" else _export(args)


def _import(args: argparse.Namespace) -> int:
    if args.images is not None and not args.images.is_dir():
        raise ImportSourceError(f"--images {args.images} is not a folder")
    summary = import_rows(
        args.importer.read(args),
        args.output,
        layout=args.layout,
        name=args.name or args.source.resolve().stem,
        source=args.source,
        validation=args.validation,
        seed=args.seed,
        group_pattern=args.group_pattern,
        overwrite=args.overwrite,
        progress=_progress,
    )
    _print_summary(summary, args.output)
    return ExitCode.OK


def _print_summary(summary: ImportSummary, output: Path) -> None:
    what = {"lines": "lines", "regions": "pages", "meters": "meters"}[summary.layout]
    left_out = f", {summary.left_out:,} left out (see {output / 'left_out.jsonl'})" if summary.left_out else ""
    print(f"imported {summary.imported:,} {what}{left_out}")
    facts = [f"{split} {summary.rows[split]:,}" for split in SPLITS]
    if summary.layout == "regions":
        facts.append(f"{summary.regions:,} regions, {summary.ignored_regions:,} of them to ignore")
    facts += [f"{fact} {count:,}" for fact, count in summary.meters.most_common()]
    facts.append(f"{len(summary.characters):,} different characters (counted in {output / 'import.json'})")
    print(" · ".join(facts))
    for text, count in summary.understood.most_common():
        print(f"taken: {count:,} {text}")
    for text, count in summary.skipped.most_common():
        print(f"not taken: {count:,} {text}")
    for reason, count in summary.reasons.most_common():
        print(f"left out: {count:,} {reason}")
    for example in summary.examples:
        print(f"  {example}")
    share = summary.left_out / (summary.left_out + summary.imported)
    if share > MANY_BAD:
        print(f"{share:.0%} of all rows were left out: check the format, --images and the reasons above")


def _export(args: argparse.Namespace) -> int:
    export = EXPORTS[args.format][1]
    done: Exported = export(args.source, args.output, overwrite=args.overwrite)
    counts = " · ".join(f"{split} {count:,}" for split, count in done.rows.items())
    print(f"exported {done.rows.total():,} rows to {args.output} ({counts})")
    for reason, count in done.left_out.most_common():
        print(f"left out: {count:,} {reason}")
    return ExitCode.OK


def _progress(rows: int) -> None:
    if rows % 10_000 == 0:
        print(f"{rows:,} rows looked at", file=sys.stderr, flush=True)
