"""Count a language model for text recognition from sentences and labels.

ocray language-model --texts korean_lines.parquet --output language_model.npz
ocray train recognition_ko --set settings.language_model=language_model.npz
"""

import argparse
from pathlib import Path

from common.errors import ExitCode
from trainers.recognition.language_model import count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--texts", action="append", default=[], metavar="FILE", help="Parquet with a column `text`; may be repeated"
    )
    parser.add_argument(
        "--lines", action="append", default=[], metavar="FOLDER", help="a set of lines: its labels; may be repeated"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the model's file (.npz)")


def run(args: argparse.Namespace) -> int:
    model, texts = count(args.texts, args.lines)
    content = model.save()
    args.output.write_bytes(content)
    print(f"{args.output}: {len(model):,} n-grams of {texts:,} texts, {len(content) / 1e6:.1f} MB")
    return ExitCode.OK
