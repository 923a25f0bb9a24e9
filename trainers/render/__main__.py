"""`python -m trainers.render`: render training pages into Parquet shards, or a contact sheet to look at."""

import argparse
from pathlib import Path

import numpy as np

from trainers.render import KINDS, TextSource, degrade, render_page
from trainers.render.shards import contact_sheet, render_shards


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m trainers.render", description=__doc__)
    parser.add_argument("--count", type=int, default=48, help="pages to render")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("train", "validation"), default="train")
    parser.add_argument("--texts", help="Parquet file with Korean lines in a column `text`")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the shards")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of the pages to this PNG")
    parser.add_argument("--kind", choices=KINDS, help="on the sheet: only this kind")
    parser.add_argument("--degrade", action="store_true", help="on the sheet: damage the pages")
    options = parser.parse_args(arguments)
    if not options.out and not options.sheet:
        parser.error("give --out DIR, --sheet FILE or both")
    if options.sheet:
        texts = TextSource.from_parquet(options.texts) if options.texts else None
        pages = []
        for number in range(min(options.count, 96)):
            seed = (options.seed, number)
            page = render_page(seed, texts=texts, kind=options.kind, split=options.split).image
            pages.append(degrade(page, np.random.default_rng(seed)) if options.degrade else page)
        contact_sheet(pages).save(options.sheet)
    if options.out:
        render_shards(options.out, options.count, options.seed, options.split, options.texts, options.processes)


if __name__ == "__main__":
    main()
