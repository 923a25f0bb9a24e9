import os

import pytest

from common.storage import OutputError, Storage, replacing
from common.storage.local import write_text


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


def test_a_file_takes_the_place_of_the_old_one_only_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "trials.txt"
    write_text(target, "α")
    with replacing(target, durable=True) as temporary:
        temporary.write_text("half")
        assert target.read_text("utf-8") == "α" and temporary.name.startswith(".")
    assert target.read_text("utf-8") == "half"
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("never")
        raise RuntimeError
    with replacing(target, keep=lambda: True) as temporary:
        temporary.write_text("not wanted")
    assert target.read_text("utf-8") == "half"
    assert os.listdir(target.parent) == ["trials.txt"]


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    name = "n" * 255
    Storage(str(tmp_path)).write(name, b"1")
    assert (tmp_path / name).read_bytes() == b"1"


def test_what_cannot_be_written_says_why_and_what_to_do(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="a file is where a folder should be; choose another place"):
        Storage(str(tmp_path / "file")).write("a.json", b"{}")
