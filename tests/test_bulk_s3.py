"""A whole run from one S3 prefix to another, against a real S3 API server."""

import s3fs

from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import PageRecord
from pipelines.records import table_to_records
from pipelines.runner import JobOptions, run_job
from ray_apps.cli.main import main as ocray
from tests.tiny_documents import numbered_tiny_pages, tiny_text


def test_from_bucket_to_bucket_and_again(local_ray, s3, tiny_reader, tmp_path, capsys):
    files = s3fs.S3FileSystem()
    for path in numbered_tiny_pages(tmp_path, 3):
        files.put_file(str(path), f"{s3}/scans/한 글/{path.name}")
    output = f"{s3}/results/run 1"
    inputs = [f"{s3}/scans"]
    assert run_job(inputs, output, tiny_reader, JobOptions()).ok == 3
    ledger = Ledger(Storage(output))
    records = [record for part in ledger.parts() for record in table_to_records(ledger.read_part(part), PageRecord)]
    assert sorted(record.text for record in records) == [tiny_text(i) for i in range(3)]
    assert all(record.document_uri.startswith(f"{s3}/scans/한 글/") for record in records)
    assert run_job(inputs, output, tiny_reader, JobOptions()).read_now == 0
    assert ocray(["status", output]) == 0
    assert "3 of 3 pages (100.0 %), 0 failed" in capsys.readouterr().out
