"""`ocray data import FORMAT SOURCE --output DIR`: labelled images of other tools become a data set for training;
`ocray data export FORMAT DIR --output OUT`: and back. See docs/data.md.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from ray_apps.cli import doors
from trainers.data.exporters import Exported, ExportError, export_lmdb, export_paddleocr
from trainers.data.importers import (
    ai_hub,
    coco,
    label_file,
    label_studio,
    lmdb,
    paddleocr,
    parquet,
    parquet_meters,
    tfrecord,
)
from trainers.data.importers.meter_labels import MEANINGS, LabelNames
from trainers.data.importers.rows import Row, SourceError
from trainers.data.importers.run import MANY_BAD, Summary, import_rows
from trainers.data.layouts import LayoutError
from trainers.data.meter_sample import KINDS, METER_CLASSES
from trainers.data.splits import SPLITS

ERRORS = (SourceError, LayoutError, ExportError)
# Format: what it is, the layouts it can become (the first by default).
IMPORTS = {
    "ai_hub": ("AI Hub JSON: fonts (printed, handwritten) and scenes", ("lines", "regions")),
    "coco": ("COCO JSON: boxes or polygons with text", ("regions", "lines")),
    "label_file": ("gt_*.txt, labels.txt: path, tab or space, label", ("lines",)),
    "label_studio": ("Label Studio JSON or JSON-MIN: meters, their displays and digits", ("meters",)),
    "lmdb": ("LMDB of the deep-text-recognition-benchmark", ("lines",)),
    "paddleocr": ("PaddleOCR Label.txt and rec_gt.txt", ("regions", "lines")),
    "parquet": ("your own Parquet or CSV files", ("lines", "meters")),
    "tfrecord": ("TFRecord files and TensorFlow Datasets of meters", ("meters",)),
}
EXPORTS = {
    "lmdb": ("lines as an LMDB of the deep-text-recognition-benchmark", export_lmdb),
    "paddleocr": ("lines as rec_gt.txt, regions as Label.txt", export_paddleocr),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_subparsers(dest="way", required=True, metavar="import|export")
    importing = ways.add_parser("import", help="make a data set of labels and images")
    formats = importing.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, (text, layouts) in IMPORTS.items():
        _add_import_arguments(formats.add_parser(name, help=text, description=text), name, layouts)
    exporting = ways.add_parser("export", help="write a data set for other tools")
    formats = exporting.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, (text, _) in EXPORTS.items():
        command = formats.add_parser(name, help=text, description=text)
        command.add_argument("source", type=Path, metavar="DIR", help="data set: folder or Parquet file")
        _add_output_arguments(command)


def _add_import_arguments(command: argparse.ArgumentParser, name: str, layouts: tuple[str, ...]) -> None:
    command.add_argument("source", type=Path, help="label file, or folder that holds it")
    _add_output_arguments(command)
    if len(layouts) > 1:
        told = {"lines": "crops of text lines", "regions": "pages with boxes", "meters": "meters or their digits"}
        text = "; ".join(f"{layout}: {told[layout]}" for layout in layouts)
        command.add_argument("--layout", choices=layouts, default=layouts[0], help=f"{text} (default: %(default)s)")
    else:
        command.set_defaults(layout=layouts[0])
    command.add_argument("--validation", type=doors.share, default=0.1, help="share for validation (default: 0.1)")
    command.add_argument("--seed", type=int, default=0, help="of the division (default: 0)")
    command.add_argument(
        "--group-pattern", metavar="REGEX", help="sought in names; rows with the same match are never divided"
    )
    command.add_argument("--name", help="first part of the Parquet files' names (default: the source's)")
    if name not in ("lmdb", "tfrecord"):
        command.add_argument("--images", type=Path, metavar="DIR", help="folder that image paths are relative to")
    if name == "ai_hub":
        command.add_argument(
            "--types",
            type=_types,
            default=("word", "sentence"),
            help="of character,word,sentence (default: word,sentence)",
        )
    if "meters" in layouts:
        text = f"what a label of the source means, may be repeated: {', '.join(MEANINGS)}"
        command.add_argument("--label", action="append", type=_label, default=[], metavar="NAME=MEANING", help=text)
    if name == "tfrecord":
        text = f"name of a feature, may be repeated; KEY: {', '.join(tfrecord.FEATURES)}"
        command.add_argument("--feature", action="append", type=_pair, default=[], metavar="KEY=NAME", help=text)
    if name == "parquet":
        command.add_argument("--image-column", default="image", help="bytes or paths (default: image)")
        command.add_argument("--group-column", help="rows with the same value are never divided")
        command.add_argument("--name-column", help="names of the rows")
        _add_lines_columns(command.add_argument_group("with --layout lines"))
        _add_meters_columns(command.add_argument_group("with --layout meters"))


def _add_lines_columns(command: argparse._ArgumentGroup) -> None:
    command.add_argument("--text-column", default="text", help="(default: text)")


def _add_meters_columns(command: argparse._ArgumentGroup) -> None:
    own = "default: the column of that name, if there is one"
    command.add_argument("--reading-column", help=f'digits as shown, "." before the fraction ({own})')
    command.add_argument("--corners-column", help=f"four points from the display's top left, clockwise, px ({own})")
    command.add_argument("--meter-class-column", help=f"({own})")
    command.add_argument("--position-column", help='single digits: where the wheel stands ("3.7"), or the digit')
    command.add_argument("--split-column", help="train, or val, validation, test for validation")
    command.add_argument("--kind", choices=KINDS, help="default: strip with --position-column, else photo")
    command.add_argument("--meter-class", choices=METER_CLASSES, help="of all rows")
    text = "readings lack the zeros that displays begin with"
    command.add_argument("--leading-zeros-dropped", action="store_true", help=text)
    text = "readings lack the zeros at their end: fill the fraction up to so many digits"
    command.add_argument("--fraction-digits", type=int, default=0, metavar="N", help=text)


def _add_output_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", type=Path, required=True, help="folder to make")
    command.add_argument("--overwrite", action="store_true", help="replace an earlier result in --output")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: done, whatever was left out; 2: source, output or options cannot be used; 130: interrupted."""
    try:
        return (_import if arguments.way == "import" else _export)(arguments)
    except ERRORS as error:
        print(f"ocray: {error}", file=sys.stderr)
        return doors.BAD_REQUEST
    except KeyboardInterrupt:
        print("ocray: interrupted; nothing was written", file=sys.stderr)
        return 130


def _import(arguments: argparse.Namespace) -> int:
    summary = import_rows(
        _rows(arguments),
        arguments.output,
        layout=arguments.layout,
        name=arguments.name or arguments.source.resolve().stem,
        source=arguments.source,
        validation=arguments.validation,
        seed=arguments.seed,
        group_pattern=arguments.group_pattern,
        overwrite=arguments.overwrite,
        progress=_progress,
    )
    _tell(summary, arguments.output)
    return doors.OK


def _rows(arguments: argparse.Namespace) -> Iterator[Row]:
    source = arguments.source
    if arguments.format == "lmdb":
        return lmdb.read(source)
    if arguments.format == "tfrecord":
        return tfrecord.read(source, LabelNames(dict(arguments.label)), features=dict(arguments.feature))
    images = arguments.images
    if images is not None and not images.is_dir():
        raise SourceError(f"--images {images} is no folder")
    if arguments.format == "ai_hub":
        return ai_hub.read(source, images=images, types=arguments.types)
    if arguments.format == "coco":
        return coco.read(source, images=images)
    if arguments.format == "paddleocr":
        return paddleocr.read(source, arguments.layout, images=images)
    if arguments.format == "label_studio":
        return label_studio.read(source, LabelNames(dict(arguments.label)), images=images)
    if arguments.format == "parquet" and arguments.layout == "meters":
        return _parquet_meters(arguments)
    if arguments.format == "parquet":
        a = arguments
        columns = parquet.Columns(a.image_column, a.text_column, a.group_column, a.name_column)
        return parquet.read(source, columns=columns, images=images)
    return label_file.read(source, images=images)


def _parquet_meters(arguments: argparse.Namespace) -> Iterator[Row]:
    a = arguments
    columns = parquet_meters.MeterColumns(
        a.image_column,
        a.reading_column,
        a.corners_column,
        a.meter_class_column,
        a.name_column,
        a.group_column,
        a.position_column,
        a.split_column,
    )
    return parquet_meters.read(
        a.source,
        LabelNames(dict(a.label)),
        columns=columns,
        images=a.images,
        kind=a.kind,
        meter_class=a.meter_class,
        leading_zeros=not a.leading_zeros_dropped,
        fraction_digits=a.fraction_digits,
    )


def _tell(summary: Summary, output: Path) -> None:
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


def _export(arguments: argparse.Namespace) -> int:
    export = EXPORTS[arguments.format][1]
    done: Exported = export(arguments.source, arguments.output, overwrite=arguments.overwrite)
    counts = " · ".join(f"{split} {count:,}" for split, count in done.rows.items())
    print(f"exported {done.rows.total():,} rows to {arguments.output} ({counts})")
    for reason, count in done.left_out.most_common():
        print(f"left out: {count:,} {reason}")
    return doors.OK


def _types(text: str) -> tuple[str, ...]:
    types = tuple(part.strip() for part in text.split(","))
    if unknown := [kind for kind in types if kind not in ai_hub.TYPES]:
        raise argparse.ArgumentTypeError(f"unknown type {unknown[0]!r}; known: {', '.join(ai_hub.TYPES)}")
    return types


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.rpartition("=")
    if not separator or not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _label(text: str) -> tuple[str, str]:
    name, meaning = _pair(text)
    if meaning not in MEANINGS:
        raise argparse.ArgumentTypeError(f"unknown meaning {meaning!r}; known: {', '.join(MEANINGS)}")
    return name, meaning


def _progress(rows: int) -> None:
    if rows % 10_000 == 0:
        print(f"{rows:,} rows looked at", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ocray data", description=__doc__)
    add_arguments(parser)
    return doors.answer(run, parser.parse_args(argv), resumes=False)


if __name__ == "__main__":
    sys.exit(main())
