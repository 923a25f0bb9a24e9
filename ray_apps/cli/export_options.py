"""The options of commands that write exports."""

import argparse

from pipelines.exports.writer import ExportOptions


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Add `--export` and how it is done."""
    parser.add_argument(
        "--export",
        default="",
        metavar="F,F",
        help="formats to write too: jsonl; of documents also md,csv,text,hocr,alto,pdf",
    )
    parser.add_argument(
        "--pdf-pages",
        choices=("keep", "upright"),
        help="pages of exported PDFs: as they are, or turned upright; default: a PDF's as they are, images upright",
    )
    parser.add_argument(
        "--pdf-a", action="store_true", help="export PDF/A-2b; pages of PDFs are then drawn as pictures"
    )


def export_options(args: argparse.Namespace) -> ExportOptions:
    """Return the options that were given."""
    return ExportOptions(args.pdf_pages, args.pdf_a)
