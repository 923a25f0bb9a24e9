"""`python -m trainers.render`: render training pages, lines of text with `--lines`, or meters with `--meters`, into
Parquet shards, or a contact sheet to look at."""

import argparse
from pathlib import Path

import numpy as np

from trainers.render import KINDS, TextSource, degrade, render_page
from trainers.render.lines import shards as line_shards
from trainers.render.meters import shards as meter_shards
from trainers.render.shards import contact_sheet, render_shards
from trainers.render.texts.lines import SHARES


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m trainers.render", description=__doc__)
    parser.add_argument("--count", type=int, default=48, help="pages, lines or meters to render")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("train", "validation"), default="train")
    parser.add_argument("--texts", help="Parquet file with Korean lines in a column `text`")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the shards")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of what is rendered to this PNG")
    parser.add_argument("--kind", choices=KINDS, help="on the sheet: only this kind")
    parser.add_argument("--degrade", action="store_true", help="on the sheet: damage the pages")
    parser.add_argument("--lines", action="store_true", help="render single lines of text with their labels")
    parser.add_argument("--regions", action="store_true", help="in the shards: pages with the regions of their text")
    parser.add_argument("--charset", help="with --lines: the only characters to use, a packaged charset or a file")
    parser.add_argument("--balance", action="store_true", help="with --lines: the rarer a syllable, the more of it")
    parser.add_argument("--rare", type=float, metavar="SHARE", help="with --lines: of words in rare syllables (0.08)")
    parser.add_argument(
        "--meters", choices=("photo", "strip"), help="render meters: photos of them, or their displays cut out"
    )
    options = parser.parse_args(arguments)
    if not options.out and not options.sheet:
        parser.error("give --out DIR, --sheet FILE or both")
    if options.lines and (options.kind or options.degrade or options.regions):
        parser.error("--kind, --degrade and --regions are for pages: leave them out with --lines")
    if options.regions and not options.out:
        parser.error("--regions is for shards: add --out DIR")
    if not options.lines and (options.charset or options.balance or options.rare is not None):
        parser.error("--charset, --balance and --rare are for lines: add --lines")
    if options.meters and (
        options.lines or options.kind or options.degrade or options.regions or options.charset or options.texts
    ):
        parser.error("--meters goes with --count, --seed, --split, --processes, --out and --sheet alone")
    if options.meters:
        try:
            _meters(options)
        except ValueError as error:
            parser.error(str(error))
        return
    if options.lines:
        try:
            _lines(options)
        except (ValueError, KeyError, FileNotFoundError) as error:
            parser.error(str(error))
        return
    if options.sheet:
        texts = TextSource.from_parquet(options.texts) if options.texts else None
        pages = []
        for number in range(min(options.count, 96)):
            seed = (options.seed, number)
            page = render_page(seed, texts=texts, kind=options.kind, split=options.split).image
            pages.append(degrade(page, np.random.default_rng(seed)) if options.degrade else page)
        contact_sheet(pages).save(options.sheet)
    if options.out:
        render_shards(
            options.out,
            options.count,
            options.seed,
            options.split,
            options.texts,
            options.processes,
            regions=options.regions,
        )


def _lines(options: argparse.Namespace) -> None:
    characters = None
    if options.charset:
        from models.text_recognition.charset import charset  # needs more than the renderer

        characters = "".join(charset(options.charset).characters)
    rare = SHARES["rare"] if options.rare is None else options.rare
    if not 0 <= rare <= 1:
        raise ValueError(f"--rare {rare}: give a share from 0 to 1")
    settings = line_shards.Settings(options.split, options.seed, options.texts, characters, options.balance, rare)
    if options.sheet:
        lines = settings.lines()
        line_shards.contact_sheet(lines.line(number) for number in range(min(options.count, 200))).save(options.sheet)
    if options.out:
        line_shards.render_shards(options.out, options.count, settings, options.processes)


def _meters(options: argparse.Namespace) -> None:
    if options.sheet:
        numbers = range(min(options.count, 200))
        samples = (meter_shards.sample(options.meters, options.seed, n, options.split) for n in numbers)
        cell = (330, 350) if options.meters == "photo" else (420, 110)
        meter_shards.contact_sheet(samples, cell=cell).save(options.sheet)
    if options.out:
        meter_shards.render_shards(
            options.out, options.count, options.seed, options.split, options.meters, options.processes
        )


if __name__ == "__main__":
    main()
