import pytest

from pipelines.storage import Storage


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    return Storage(str(tmp_path / "out") if request.param == "local" else f"memory://{tmp_path.name}/out")


def test_a_new_output_is_empty_and_reads_raise(storage):
    assert storage.is_empty()
    assert storage.list("pages", ".parquet") == []
    with pytest.raises(FileNotFoundError):
        storage.read("job.json")


def test_write_replaces_and_lists_sorted(storage):
    storage.write("pages/b.parquet", b"1")
    storage.write("pages/a.parquet", b"2")
    storage.write("pages/a.parquet", b"3")
    storage.write("pages/notes.txt", b"")
    assert storage.list("pages", ".parquet") == ["a.parquet", "b.parquet"]
    assert storage.read("pages/a.parquet") == b"3"
    assert not storage.is_empty()


def test_delete_takes_files_and_folders_and_minds_nothing_missing(storage):
    storage.write("pages/a.parquet", b"2")
    storage.write("job.json", b"{}")
    storage.delete("pages")
    storage.delete("pages")
    storage.delete("job.json")
    assert not storage.exists("job.json") and storage.list("pages", ".parquet") == []


def test_a_killed_write_leaves_nothing_that_counts(tmp_path):
    storage = Storage(str(tmp_path))
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / ".a.parquet.12345678.tmp").write_bytes(b"half")
    assert storage.list("pages", "") == []
