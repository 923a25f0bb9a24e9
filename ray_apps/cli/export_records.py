"""Export the records of a bulk job, or write its report, without reading the pages again.

ocray export-records results --export hocr,alto
ocray export-records s3://bucket/results --export pdf --report

Pages are opened again only for the pictures in PDFs and in the report; where a page is gone, its picture is left out.
"""

import argparse

from common.errors import ExitCode
from common.storage import Storage
from common.storage.locations import spelled_uri
from pipelines.exports.export import ExportError, check_formats, export
from pipelines.job import JobError, read_card
from pipelines.ledger import Ledger
from pipelines.readers.base import LimitSettings
from pipelines.readers.registry import job_reader
from pipelines.report.job_report import write_report
from pipelines.sinks import Sink
from pipelines.source_pages import SourcePages
from ray_apps.cli.cluster import connect
from ray_apps.cli.export_options import add_export_options, export_options
from ray_apps.cli.sink_option import add_sink_option, write_sinks

_MANY_PARTS = 800  # of up to 64 pages: more are worth starting Ray for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=spelled_uri, metavar="OUT", help="the job's output folder or URI")
    add_export_options(parser)
    add_sink_option(parser)
    parser.add_argument("--report", action="store_true", help="write report.html again")
    parser.add_argument(
        "--address", help="Ray cluster for large jobs (default: $RAY_ADDRESS, else a local Ray is started)"
    )
    parser.add_argument("--image-column", metavar="NAME", help="of Parquet inputs: the column that holds the images")


def run(args: argparse.Namespace) -> int:
    if not (args.export or args.report or args.sink):
        raise ExportError("nothing to write; give --export FORMATS, --sink KIND:PLACE or --report")
    sinks = [Sink.parse(text) for text in args.sink]
    card = read_card(Storage(args.output))
    if card is None:
        raise JobError(f"no job at {args.output} (no job.json there)")
    formats = check_formats(args.export.split(","), job_reader(card)) if args.export else ()
    limits = LimitSettings.model_validate(card.get("config", {}).get("limits", {}))
    pages = SourcePages(limits.build(), args.image_column)
    try:
        if sinks or ((formats or args.report) and _is_large(args)):
            connect(args.address)
        if args.report:
            write_report(args.output, load_page=pages.page)
            print(f"report {args.output}/report.html")
        if formats:
            written = export(args.output, formats, options=export_options(args), **pages.for_export())
            print("exported " + ", ".join(f"{count} {name}" for name, count in written.items()))
        write_sinks(sinks, args.output)
    except FileNotFoundError as error:
        raise JobError(f"{args.output} holds no records yet; `ocray status` shows how far the job is") from error
    if card["state"] != "finished":
        print(f"the job is {card['state']}: this is what it has read so far")
    return ExitCode.OK


def _is_large(args: argparse.Namespace) -> bool:
    return bool(args.address) or len(Ledger(Storage(args.output)).parts()) > _MANY_PARTS
