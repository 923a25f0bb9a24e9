"""The option that writes a job's records to tables as well."""

import argparse
from collections.abc import Sequence

from pipelines.sinks import Sink


def add_sink_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="KIND:PLACE",
        help="write all records to a table too: delta:URI, lance:URI or iceberg:NAMESPACE.TABLE; repeatable",
    )


def write_sinks(sinks: Sequence[Sink], output_uri: str) -> None:
    """Write the records of an output to tables, and print how many there are. Ray must be connected."""
    for sink in sinks:
        print(f"{sink.write(output_uri)} records in {sink.kind}:{sink.place}")
