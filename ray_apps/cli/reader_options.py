"""The options that say what pages are and how they are read, shared by the commands that read."""

import argparse
from typing import Any, get_args

from common.cli import positive, share
from common.config import ConfigError
from common.storage.locations import spelled_uri
from pipelines.documents import TextLayerUse
from pipelines.readers.base import Reader
from pipelines.readers.registry import DEFAULT, load_reader, reader_names


def add_reader_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input",
        nargs="+",
        type=spelled_uri,
        required=True,
        metavar="URI",
        help="files, folders, globs, Parquet/CSV manifests of URIs",
    )
    parser.add_argument(
        "--reader", choices=reader_names(), help="what the pages are (default: as --config says, documents)"
    )
    parser.add_argument("--config", help="name in configs/pipelines or a YAML file (default: the reader's name)")
    parser.add_argument(
        "--languages",
        metavar="L,L",
        help="what to read, the commonest first: ko,en (default: as the configuration says)",
    )
    parser.add_argument(
        "--turn-below",
        type=share,
        metavar="CONFIDENCE",
        help="pages whose orientation is less sure are left as they are; 0: none, 1: nearly all (default 0.7)",
    )
    parser.add_argument(
        "--text-layer",
        choices=get_args(TextLayerUse),
        help="text of PDFs: used where it is sound (auto, the default), always, or never: all is read from pixels",
    )
    parser.add_argument("--image-column", metavar="NAME", help="the column of encoded images in Parquet inputs")
    parser.add_argument("--pages", metavar="N-M,N", help="pages of each document: 1-3,7 or 5- (default: all)")
    parser.add_argument("--password-file", metavar="FILE", help="passwords of encrypted PDFs, one a line")
    parser.add_argument(
        "--max-megapixels", type=positive, metavar="N", help="larger pages become error rows (default 300)"
    )


def chosen_reader(args: argparse.Namespace) -> Reader[Any, Any]:
    """Return the reader that the options ask for. Raises ConfigError."""
    reader = load_reader(args.config or args.reader or DEFAULT)
    if args.reader not in (None, reader.settings.reader):
        raise ConfigError(
            f"--reader {args.reader} contradicts --config {args.config}, which is of the {reader.name} reader; "
            "leave one of them out"
        )
    if args.languages:
        reader = reader.for_languages(args.languages)
    if args.turn_below is not None:
        reader = reader.with_turn_below(args.turn_below)
    if args.text_layer is not None:
        reader = reader.with_text_layer(args.text_layer)
    given = {name: getattr(args, name) for name in ("max_megapixels", "pages", "password_file")}
    if limits := {name: value for name, value in given.items() if value is not None}:
        reader = reader.with_limits(**limits)
        reader.settings.limits.build()  # now, not when the job has begun
    return reader
