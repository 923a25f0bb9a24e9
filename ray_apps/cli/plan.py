"""Estimate a bulk job before it runs: pages, hours and cost, from a sample that is read on this machine.

ocray plan --input s3://bucket/scans --nodes 32 --machine c7i.4xlarge --price 0.36
ocray plan --input scans/ --nodes 1 --machine 8

Nothing is written. The time of a page is that of one core here; if the machines' cores are faster or slower, say so
with --speed.
"""

import argparse
import re
from typing import Any

from common.cli import positive, positive_number
from common.durations import duration
from common.errors import ExitCode, ExpectedError
from pipelines.estimate import Estimate, count_pages, mean, read_sample
from pipelines.sources import list_documents
from pipelines.watchdog import PageLimits
from ray_apps.cli.reader_options import add_reader_options, chosen_reader

_SHOWN_FAILURES = 3


class NoEstimate(ExpectedError):
    """No page of the sample could be read."""

    exit_code = ExitCode.FAILED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_reader_options(parser)
    parser.add_argument("--nodes", type=positive, default=1, metavar="N", help="machines that read (default 1)")
    parser.add_argument(
        "--machine",
        type=cores_of,
        default="1",
        metavar="TYPE",
        help="c7i.4xlarge, n2-standard-16, Standard_D16s_v5, or the number of its cores (default 1)",
    )
    parser.add_argument("--price", type=positive_number, metavar="P", help="of a machine an hour, in any currency")
    parser.add_argument(
        "--speed",
        type=positive_number,
        default=1.0,
        metavar="F",
        help="of the machine's cores against those here (default 1)",
    )
    parser.add_argument("--sample", type=positive, default=20, metavar="N", help="pages to read (default 20)")


def cores_of(machine: str) -> int:
    """Return the cores (vCPUs) of a machine type, by the names that AWS, Google Cloud and Azure give them.

    Raises:
        argparse.ArgumentTypeError: the name does not say.
    """
    if machine.isdecimal() and int(machine):
        return int(machine)
    aws = re.fullmatch(r"[a-z]+\d[a-z0-9-]*\.(?:(\d*)x)?large", machine)
    if aws:
        return 2 if aws[1] is None else 4 * int(aws[1] or 1)
    google = re.fullmatch(r"[a-z]\d[a-z]?-[a-z]+-(\d+)(?:-[a-z]+)?", machine)
    azure = re.fullmatch(r"Standard_[A-Z]+(\d+)(?:-\d+)?[a-z]*(?:_v\d+)?", machine)
    if google or azure:
        return int((google or azure)[1])  # type: ignore[index] - one of them is there
    raise argparse.ArgumentTypeError(f"{machine} does not say how many cores it has; give their number")


def run(args: argparse.Namespace) -> int:
    reader = chosen_reader(args)
    listing = list_documents(args.input, image_column=args.image_column, columns=reader.manifest_columns())
    pages = count_pages(listing.documents, reader.settings.limits.build(), args.sample)
    for note in listing.notes():
        print(note)
    print(f"{len(listing):,} documents, {_pages(pages.count)} pages" + _opened(pages.opened, pages.to_open))
    seconds = _seconds_a_page(reader, pages.sample)
    seconds = seconds.times(1 / args.speed)
    print(
        f"a page takes {seconds.value:.2f} s of a core ({seconds.low:.2f} to {seconds.high:.2f}; "
        f"{len(pages.sample)} pages read here{'' if args.speed == 1 else f', cores {args.speed:g} times as fast'})"
    )
    cores = args.nodes * args.machine
    hours = pages.count.times(seconds).times(1 / 3600 / cores)
    machine_hours = hours.times(args.nodes)
    machines = f"{args.nodes} machine{'' if args.nodes == 1 else 's'} of {args.machine} cores"
    print(f"{machines}: about {_span(hours)}, {_number(machine_hours.value)} machine-hours")
    if args.price is not None:
        cost = machine_hours.times(args.price)
        million = cost.value / pages.count.value * 1e6
        low, high = _number(cost.low), _number(cost.high)
        print(f"cost: about {_number(cost.value)} ({low} to {high}), {_number(million)} per million pages")
    return ExitCode.OK


def _seconds_a_page(reader: Any, sample: list[dict[str, Any]]) -> Estimate:
    seconds, failures = [], []
    for row, (taken, record) in zip(sample, read_sample(reader, sample, PageLimits()), strict=True):
        seconds.append(taken)
        if record is None:
            failures.append(f"{row['document_uri']}: the page ended its process")
        elif record.error is not None:
            failures.append(f"{row['document_uri']}: {record.error.message}")
    if failures:
        print(f"{len(failures)} of {len(sample)} pages of the sample cannot be read:")
        for failure in failures[:_SHOWN_FAILURES]:
            print(f"  {failure}")
    if len(failures) == len(sample):
        raise NoEstimate("no page of the sample could be read; correct the inputs or the reader and plan again")
    return mean(seconds)


def _pages(count: Estimate) -> str:
    if count.low == count.high:
        return f"{count.value:,.0f}"
    return f"about {count.value:,.0f} ({count.low:,.0f} to {count.high:,.0f})"


def _opened(opened: int, to_open: int) -> str:
    return f"; {opened:,} of {to_open:,} documents of several pages were opened" if to_open else ""


def _span(hours: Estimate) -> str:
    value, low, high = (duration(each * 3600) for each in (hours.value, hours.low, hours.high))
    return f"{value} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
