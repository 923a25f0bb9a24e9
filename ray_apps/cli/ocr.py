"""Bulk reading of documents and meters: folders, globs, manifests and buckets in; Parquet, a report and exports out.

ocray ocr --input scans/ --output results/ --export hocr,pdf
ocray ocr --reader meters --input photos.csv --output results/
ray job submit --working-dir . -- python -m ray_apps ocr --input s3://in/scans --output s3://out/results
"""

import argparse

from common.cli import pair, positive, share
from common.durations import duration
from common.errors import ExitCode
from common.storage.locations import spelled_uri
from pipelines.exports.export import check_formats, export
from pipelines.report.job_report import write_report
from pipelines.runner import MIXED, JobOptions, run_job
from pipelines.sinks import Sink
from pipelines.source_pages import SourcePages
from pipelines.watchdog import PageLimits
from ray_apps.cli.cluster import connect
from ray_apps.cli.export_options import add_export_options, export_options
from ray_apps.cli.reader_options import add_reader_options, chosen_reader
from ray_apps.cli.sink_option import add_sink_option, write_sinks

_LIMITS = PageLimits()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_reader_options(parser)
    parser.add_argument(
        "--output",
        type=spelled_uri,
        required=True,
        metavar="URI",
        help="folder for the results; the same command resumes there",
    )
    add_export_options(parser)
    add_sink_option(parser)
    parser.add_argument("--retry-failed", action="store_true", help="read the pages again that failed earlier")
    parser.add_argument("--overwrite", action="store_true", help="start anew where another job's output is")
    parser.add_argument(
        "--max-error-rate", type=share, default=0.5, metavar="R", help="stop when more pages fail (default 0.5)"
    )
    parser.add_argument(
        "--page-seconds",
        type=positive,
        metavar="S",
        help=f"time for a page in one stage, and {_LIMITS.seconds_a_megapixel:g} s more a megapixel; pages that take "
        f"longer become error rows (default {_LIMITS.seconds:g})",
    )
    parser.add_argument(
        "--page-memory",
        type=positive,
        metavar="MIB",
        help=f"pages that take more memory become error rows (default {_LIMITS.memory_mib})",
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda", "tensorrt", MIXED),
        default="cpu",
        help="what runs the networks; auto: GPUs where the cluster has them, and the other cores beside them",
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="actors at most (default: one a core)")
    parser.add_argument("--gpu-fraction", type=share, default=1.0, metavar="F", help="share of a GPU per actor")
    parser.add_argument(
        "--node-label",
        type=pair,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="read pages only on nodes with this Ray label, such as ray.io/market-type=spot; repeatable",
    )
    parser.add_argument("--address", help="Ray cluster (default: $RAY_ADDRESS, else a local Ray is started)")


def run(args: argparse.Namespace) -> int:
    reader = chosen_reader(args)
    formats = check_formats(args.export.split(","), type(reader)) if args.export else []
    sinks = [Sink.parse(text) for text in args.sink]
    connect(args.address)
    result = run_job(
        args.input,
        args.output,
        reader,
        JobOptions(
            device=args.device,
            workers=args.workers,
            gpu_fraction=args.gpu_fraction,
            node_labels=dict(args.node_label),
            image_column=args.image_column,
            retry_failed=args.retry_failed,
            overwrite=args.overwrite,
            max_error_rate=args.max_error_rate,
            page_limits=PageLimits(
                seconds=args.page_seconds or _LIMITS.seconds, memory_mib=args.page_memory or _LIMITS.memory_mib
            ),
        ),
    )
    pages = SourcePages(reader.settings.limits.build(), args.image_column)
    labels = dict(args.node_label)
    write_report(args.output, load_page=pages.page, labels=labels)
    if formats:
        written = export(args.output, formats, options=export_options(args), labels=labels, **pages.for_export())
        print("exported " + ", ".join(f"{count} {name}" for name, count in written.items()))
    write_sinks(sinks, args.output)
    for line in (*result.notes, *result.findings):
        print(line)
    print(
        f"{result.ok} pages read, {result.error} failed, {result.read_now} of {result.pages} in this run "
        f"({duration(result.seconds)}, {result.pages_per_second:.2f} pages/s)\n"
        f"records {args.output}/pages, report {args.output}/report.html"
    )
    return ExitCode.OK
