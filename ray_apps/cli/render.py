"""Render training images: pages, pages with text regions, lines of text, or meters. Needs fonts (`make fonts`).

ocray render pages --sheet samples.png
ocray render lines --count 100000 --out data/lines/train --processes 2
ocray render meters photo --count 20000 --out data/meters/photos

--sheet FILE draws a contact sheet to look at; --out DIR writes Parquet shards. A run that was interrupted resumes.
"""

import argparse
from pathlib import Path

from common.cli import positive, share
from common.errors import ExitCode
from trainers.render import KINDS
from trainers.render.errors import RenderError
from trainers.render.lines import shards as line_shards
from trainers.render.meters import shards as meter_shards
from trainers.render.samples import write_samples
from trainers.render.shards import page_sheet, render_shards
from trainers.render.texts.lines import SHARES

_PAGES_ON_SHEET = 96
_ON_SHEET = 200  # lines or meters
_METER_CELLS = {"photo": (330, 350), "strip": (420, 110)}  # px on the sheet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")

    pages = _add_parser(kinds, "pages", _pages, "upright pages, for deskew and orientation")
    _add_texts(pages)
    _add_outputs(pages)
    pages.add_argument("--kind", choices=KINDS, help="on the sheet: only this kind of page (default: all)")
    pages.add_argument("--degrade", action="store_true", help="on the sheet: damage the pages as training does")

    regions = _add_parser(kinds, "regions", _regions, "pages with the boxes of their text, for text detection")
    _add_texts(regions)
    regions.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the Parquet shards")

    lines = _add_parser(kinds, "lines", _lines, "lines of text with their labels, for text recognition")
    _add_texts(lines)
    _add_outputs(lines)
    lines.add_argument(
        "--charset", metavar="CHARSET", help="use only these characters: a packaged charset or a file (default: all)"
    )
    lines.add_argument("--balance", action="store_true", help="draw rare syllables more often than the texts do")
    lines.add_argument(
        "--rare",
        type=share,
        default=SHARES["rare"],
        metavar="SHARE",
        help="share of lines with words of rare syllables (default: %(default)s)",
    )

    meters = _add_parser(kinds, "meters", _meters, "meters with their readings, for both meter networks")
    meters.add_argument("kind", choices=tuple(_METER_CELLS), help="photos of meters, or strips: displays cut out")
    _add_outputs(meters)

    samples = kinds.add_parser("samples", help="the files of samples/", description="Render the files of samples/.")
    samples.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    samples.set_defaults(render=_samples, sheet=None)


def _add_parser(kinds, name: str, render, summary: str) -> argparse.ArgumentParser:
    parser = kinds.add_parser(name, help=summary, description=f"Render {summary}.")
    parser.set_defaults(render=render)
    parser.add_argument("--count", type=positive, default=48, help="how many to render (default: 48)")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default: 0)")
    parser.add_argument(
        "--split", choices=("train", "validation"), default="train", help="whose texts and fonts (default: train)"
    )
    parser.add_argument("--processes", type=positive, default=1, help="processes that write shards (default: 1)")
    return parser


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--texts", metavar="FILE", help="Parquet with Korean sentences in a column `text` (default: packaged ones)"
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIR", help="write Parquet shards to this folder")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="draw a contact sheet to this image file")


def run(args: argparse.Namespace) -> int:
    if not args.out and not args.sheet:
        raise RenderError("give --out DIR, --sheet FILE or both")
    args.render(args)
    return ExitCode.OK


def _pages(args: argparse.Namespace) -> None:
    if args.sheet:
        count = min(args.count, _PAGES_ON_SHEET)
        page_sheet(count, args.seed, args.split, args.texts, args.kind, args.degrade).save(args.sheet)
    if args.out:
        render_shards(args.out, args.count, args.seed, args.split, args.texts, args.processes)


def _regions(args: argparse.Namespace) -> None:
    render_shards(args.out, args.count, args.seed, args.split, args.texts, args.processes, regions=True)


def _lines(args: argparse.Namespace) -> None:
    characters = None
    if args.charset:
        from models.text_recognition.charset import charset

        characters = "".join(charset(args.charset).characters)
    settings = line_shards.LineRendering(args.split, args.seed, args.texts, characters, args.balance, args.rare)
    if args.sheet:
        lines = settings.lines()
        samples = (lines.line(number) for number in range(min(args.count, _ON_SHEET)))
        line_shards.contact_sheet(samples).save(args.sheet)
    if args.out:
        line_shards.render_shards(args.out, args.count, settings, args.processes)


def _meters(args: argparse.Namespace) -> None:
    if args.sheet:
        numbers = range(min(args.count, _ON_SHEET))
        samples = (meter_shards.sample(args.kind, args.seed, number, args.split) for number in numbers)
        meter_shards.contact_sheet(samples, cell=_METER_CELLS[args.kind]).save(args.sheet)
    if args.out:
        meter_shards.render_shards(args.out, args.count, args.seed, args.split, args.kind, args.processes)


def _samples(args: argparse.Namespace) -> None:
    write_samples(args.out)
