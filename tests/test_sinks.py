"""Records as tables of Delta Lake, Iceberg and Lance, read back by each format's own package."""

import sys

import deltalake
import lance
import pyarrow as pa
import pytest

from common.errors import ExitCode, MissingPackageError
from common.project import ROOT
from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.meters.record import MeterRecord
from pipelines.records import records_to_table
from pipelines.sinks import Sink, SinkError, plain
from ray_apps.cli import export_records
from ray_apps.cli.main import main as ocray
from tests.test_exports_kept import bad, good

TEXTS = {"a": "영수증 1", "b": "two", "c": ""}


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(export_records, "connect", lambda address: None)  # it is connected
    folder = tmp_path / "out"
    book = Ledger(Storage(str(folder)))
    first = good("/in/a.png", text=TEXTS["a"])
    first.timings_ms, first.models = {"decode": 1.5, "deskew": 2.0}, {"deskew": "deskew@1"}
    first.orientation_degrees = 270
    book.commit("part-a.parquet", [first, good("/in/b.png", text=TEXTS["b"])])
    book.commit("part-b.parquet", [bad("/in/c.png")])
    (folder / "job.json").write_text('{"identity": {}, "state": "finished", "config": {"reader": "documents"}}')
    return folder


def assert_records(table: pa.Table) -> None:
    rows = {row["document_uri"][-5]: row for row in table.to_pylist()}
    assert len(table) == len(rows) == 3
    assert {name: row["text"] for name, row in rows.items()} == TEXTS
    assert rows["a"]["lines"][0]["text"] == TEXTS["a"] and rows["a"]["orientation_degrees"] == 270
    assert rows["a"]["timings_ms"] == [{"name": "decode", "value": 1.5}, {"name": "deskew", "value": 2.0}]
    assert rows["c"]["error"]["message"] == "gone"
    assert not any((rows["a"]["error"] or {}).values()), "Lance gives a null struct as one of nulls"


def export(output, *sinks: str) -> int:
    return ocray(["export-records", str(output), *(part for sink in sinks for part in ("--sink", sink))])


def test_tables_are_replaced_and_not_added_to(local_ray, output, tmp_path, capsys):
    delta, lanced = str(tmp_path / "delta"), str(tmp_path / "pages.lance")
    for _ in range(2):
        assert export(output, f"delta:{delta}", f"lance:{lanced}") == ExitCode.OK
        assert capsys.readouterr().out == f"3 records in delta:{delta}\n3 records in lance:{lanced}\n"
        assert_records(pa.table(deltalake.DeltaTable(delta).to_pyarrow_table()))
        assert_records(lance.dataset(lanced).to_table())
    assert deltalake.DeltaTable(delta).version() == 1


def test_an_iceberg_table(local_ray, output, tmp_path, capsys, monkeypatch):
    from pyiceberg import catalog
    from pyiceberg.utils.config import Config

    (tmp_path / "warehouse").mkdir()
    for name, value in {
        "PYICEBERG_CATALOG__DEFAULT__TYPE": "sql",
        "PYICEBERG_CATALOG__DEFAULT__URI": f"sqlite:///{tmp_path}/catalog.db",
        "PYICEBERG_CATALOG__DEFAULT__WAREHOUSE": f"file://{tmp_path}/warehouse",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(catalog, "_ENV_CONFIG", Config())  # it reads the variables when it is imported
    for _ in range(2):
        assert export(output, "iceberg:archive.pages") == ExitCode.OK
        assert_records(catalog.load_catalog().load_table("archive.pages").scan().to_arrow())
    assert capsys.readouterr().out.count("3 records in iceberg:archive.pages") == 2


def test_a_table_that_cannot_be_written_is_named(local_ray, output, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert export(output, f"delta:{tmp_path}/file/table") != ExitCode.OK
    error = capsys.readouterr().err
    assert f"delta:{tmp_path}/file/table cannot be written" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("delta", "give KIND:PLACE"),
        ("lanze:x", "did you mean lance?"),
        ("s3://bucket/table", "give KIND:PLACE, where KIND is delta, iceberg, lance"),
        ("iceberg:s3://bucket/table", "an Iceberg table is named NAMESPACE.TABLE"),
    ],
)
def test_sinks_that_cannot_be(text, message):
    with pytest.raises(SinkError, match=message.replace("?", r"\?")):
        Sink.parse(text)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs the package deltalake: pip install 'ocray\[lake\]'"):
        Sink.parse("delta:/table")


@pytest.mark.parametrize("record_type", [PageRecord, MeterRecord])
def test_plain_types(record_type):
    pages = [
        record_type(page_id=str(n), document_uri="/a.png", page_number=1, page_count=1, timings_ms=times)
        for n, times in enumerate([{"decode": 1.0}, {}, {"decode": 2.0, "meter": 3.0}])
    ]
    table = records_to_table(pages)
    found = plain(table)
    assert not [field for field in found.schema if pa.types.is_map(field.type) or field.type == pa.int16()]
    assert [len(times) for times in found["timings_ms"].to_pylist()] == [1, 0, 2]
    assert plain(table.slice(2))["timings_ms"].to_pylist() == [
        [{"name": "decode", "value": 2.0}, {"name": "meter", "value": 3.0}]
    ]
    assert found["page_id"].to_pylist() == ["0", "1", "2"]


def test_the_query_of_the_documentation(output):
    """docs/records.md shows it."""
    import duckdb

    text = (ROOT / "docs" / "records.md").read_text("utf-8")
    query = text.split("```sql\n")[1].split("```")[0]
    assert "< 0.7" in query and "'out/pages" in query
    query = query.replace("'out/pages", f"'{output}/pages").replace("< 0.7", "< 0.95")
    rows = duckdb.sql(query).fetchall()
    assert sorted(row[:3] for row in rows) == [("/in/a.png", 1, TEXTS["a"]), ("/in/b.png", 1, TEXTS["b"])]
