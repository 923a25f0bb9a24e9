"""Records of a job as a table of a lakehouse: Delta Lake, Iceberg or Lance, by the writers of Ray Data.

A table holds all records of the output. Written again, it is replaced in one commit, so that readers see the earlier
or the later records and no page twice.
"""

import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from pyarrow.fs import FSSpecHandler, PyFileSystem
from ray.data import Dataset, SaveMode
from ray.exceptions import RayTaskError

from common.config import nearest
from common.errors import ExpectedError, MissingPackageError
from common.resources import cluster_resources
from common.storage import Storage
from common.storage.locations import local_path
from pipelines.ledger import PARTS, Ledger

_EXTRA = "lake"


class SinkError(ExpectedError):
    """A table that cannot be named or written; the message says why."""


@dataclass(frozen=True)
class Sink:
    """A table: of `kind` (a key of KINDS), at `place`, a URI or what its catalog names."""

    kind: str
    place: str

    @classmethod
    def parse(cls, text: str) -> "Sink":
        """Return the table that `KIND:PLACE` names.

        Raises:
            SinkError: no such kind, or no place. MissingPackageError: its package is not installed.
        """
        kind, _, place = text.partition(":")
        if kind not in KINDS or not place:
            raise SinkError(
                f"--sink {text}: give KIND:PLACE, where KIND is {', '.join(KINDS)}{nearest(kind, tuple(KINDS))}; "
                "for example delta:s3://bucket/pages or iceberg:archive.pages"
            )
        if kind == "iceberg" and not re.fullmatch(r"[\w-]+(\.[\w-]+)+", place):
            raise SinkError(
                f"--sink {text}: an Iceberg table is named NAMESPACE.TABLE; its catalog is set in .pyiceberg.yaml"
            )
        package = KINDS[kind].package
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(f"--sink {text} needs the package {package}: pip install 'ocray[{_EXTRA}]'")
        return cls(kind, place)

    def write(self, output_uri: str) -> int:
        """Write all records of an output, replacing what the table holds; return how many. Ray must be connected.

        Raises:
            SinkError: the table cannot be written. FileNotFoundError: the output holds no records.
        """
        output = Storage(output_uri)
        parts = Ledger(output).parts()
        if not parts:
            raise FileNotFoundError(f"{output_uri} holds no committed pages")
        filesystem = None if output.is_local else PyFileSystem(FSSpecHandler(output.filesystem))
        paths = [output.path(f"{PARTS}/{name}") for name in parts]
        rows = ray.data.read_parquet(
            paths,
            filesystem=filesystem,
            override_num_blocks=_blocks(len(parts)),
            num_cpus=0.25,
        ).map_batches(plain, batch_format="pyarrow", batch_size=None, num_cpus=0.25)
        try:
            rows = rows.materialize()
            KINDS[self.kind].write(rows, self.place)
        except Exception as error:  # each writer and its catalogs raise their own
            raise SinkError(f"{self.kind}:{self.place} cannot be written: {_first_line(error)}") from error
        return rows.count()


def plain(table: pa.Table) -> pa.Table:
    """Return records with types that all table formats have: a map becomes a list of pairs, a 16-bit integer 32 bits
    wide."""
    fields = [field.with_type(_plain_type(field.type)) for field in table.schema]
    arrays = [_plain_column(table[field.name], field.type) for field in fields]
    return pa.table(arrays, schema=pa.schema(fields))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_map(kind):
        return pa.list_(pa.struct([("name", kind.key_type), ("value", kind.item_type)]))
    return pa.int32() if kind == pa.int16() else kind


def _plain_column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if not pa.types.is_map(column.type):
        return column.cast(kind)
    chunks = []
    for chunk in column.chunks:
        pairs = pa.StructArray.from_arrays([chunk.keys, chunk.items], ["name", "value"])
        chunks.append(
            pa.ListArray.from_arrays(chunk.offsets, pairs, mask=chunk.is_null() if chunk.null_count else None)
        )
    return pa.chunked_array(chunks, kind)


def _blocks(parts: int) -> int:
    return max(1, min(parts, 4 * int(cluster_resources().get("CPU", 1))))


def _first_line(error: BaseException) -> str:
    """Return the first line of an exception, of a task's that of its cause: Ray's own text is a traceback."""
    cause = error.cause if isinstance(error, RayTaskError) and error.cause else error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0][:500]}" if lines else type(cause).__name__


@dataclass(frozen=True)
class _Kind:
    package: str
    write: Callable[[Dataset, str], None]


def _write_delta(rows: Dataset, place: str) -> None:
    rows.write_delta(local_path(place) or place, mode=SaveMode.OVERWRITE, storage_options=_storage_options(place))


def _write_lance(rows: Dataset, place: str) -> None:
    rows.write_lance(local_path(place) or place, mode=SaveMode.OVERWRITE, storage_options=_storage_options(place))


def _write_iceberg(rows: Dataset, place: str) -> None:
    from pyiceberg.catalog import load_catalog

    catalog = load_catalog()
    if not catalog.table_exists(place):
        catalog.create_namespace_if_not_exists(place.rpartition(".")[0])
        schema = rows.schema()
        assert schema is not None  # there are rows
        catalog.create_table(place, schema=schema.base_schema)
    rows.write_iceberg(place, catalog_kwargs={"name": catalog.name, **catalog.properties}, mode=SaveMode.OVERWRITE)


def _storage_options(place: str) -> dict[str, str] | None:
    """Return what the writers' own S3 client takes from the variables that ocray's takes, beside those they know."""
    if not place.startswith("s3"):
        return None
    options: Mapping[str, Any] = {"AWS_REGION": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": str(endpoint.startswith("http://")).lower()}
    return {name: value for name, value in options.items() if value}


KINDS = {
    "delta": _Kind("deltalake", _write_delta),
    "iceberg": _Kind("pyiceberg", _write_iceberg),
    "lance": _Kind("lance", _write_lance),
}
