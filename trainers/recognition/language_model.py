"""A language model for text recognition, counted from sentences and labels.

    python -m trainers.recognition.language_model --texts korean_lines.parquet --output language_model.npz
    ocray train configs/train/recognition_ko.yaml --set settings.language_model=language_model.npz

Sentences are only those that the line renderer uses for training, so rendered validation lines stay unseen.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from models.text_recognition.language_model import LanguageModel, LanguageModelError
from trainers.data.layouts import LayoutError, parquet_files
from trainers.render import TextSource


def sentences(path: str) -> Iterator[str]:
    """The training split of the sentences in a Parquet file's column `text`."""
    yield from TextSource.from_parquet(path).items("ko", "sentence", "train")


def labels(folder: str) -> Iterator[str]:
    """The labels of a set of lines."""
    filesystem, paths = parquet_files(folder)
    for path in paths:
        with filesystem.open(path) as file:
            yield from pq.read_table(file, columns=["text"])["text"].to_pylist()


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 2 when the texts cannot be used; the reason goes to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.recognition.language_model", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--texts", action="append", default=[], metavar="FILE", help="Parquet with a column text")
    parser.add_argument("--lines", action="append", default=[], metavar="FOLDER", help="a set of lines: its labels")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        texts = [text for path in options.texts for text in sentences(path)]
        texts += [text for folder in options.lines for text in labels(folder)]
        model = LanguageModel.of(texts)
    except (LanguageModelError, LayoutError, FileNotFoundError, KeyError, ValueError) as error:
        print(f"ocray: {error}", file=sys.stderr)
        return 2
    content = model.save()
    options.output.write_bytes(content)
    print(f"{options.output}: {len(model):,} n-grams of {len(texts):,} texts, {len(content) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
