"""The job store, on a local folder and in a bucket."""

import dataclasses
import json
import pickle
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from common.storage import Storage
from pipelines.records import PageError
from ray_apps.serving.answers import JobAnswer, JobResultAnswer, ReadPage, UprightImage
from ray_apps.serving.jobs import store as store_module
from ray_apps.serving.jobs.record import JobNotFound, is_id, new_id
from ray_apps.serving.jobs.store import JobStore
from ray_apps.serving.requests import Document, ReadOptions

DOCUMENT = Document("scan.pdf", b"%PDF-1.7 seven pages", 7)
AN_ID = "20260102030405-0123456789abcdef0123456789abcdef"
OPTIONS = ReadOptions(pages=(1, 2, 4, 7), languages=("ko",), upright="jpeg")


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    uri = str(tmp_path / "jobs") if request.param == "local" else f"{request.getfixturevalue('s3')}/jobs"
    return JobStore(Storage(uri))


@pytest.fixture
def local(tmp_path):
    return JobStore(Storage(str(tmp_path / "jobs")))


def page(number, status="ok", **values):
    error = PageError(stage="decode", type="UnreadableDocument", message="torn") if status == "error" else None
    return ReadPage(
        page_id=f"{number:016x}",
        document_uri="scan.pdf",
        page_number=number,
        page_count=7,
        status=status,
        error=error,
        **values,
    )


def aged(store, record, hours):
    """Return the job moved into the past: its folder's name and its times."""
    then = datetime.now(timezone.utc) - timedelta(hours=hours)
    old = record.model_copy(
        update={"id": f"{then:%Y%m%d%H%M%S}{record.id[14:]}", "created": then.isoformat(), "updated": then.isoformat()}
    )
    store.delete(record.id)
    store.storage.write(f"{old.id}/document", DOCUMENT.content)
    store.storage.write(f"{old.id}/job.json", old.model_dump_json().encode())
    return old


def test_a_job_is_found_again_by_another_store(store):
    record = store.create(DOCUMENT, OPTIONS)
    again = JobStore(Storage(store.storage.uri))
    assert again.load(record.id) == record
    document = again.document(record)
    assert (document.content, document.info()) == (DOCUMENT.content, DOCUMENT.info())
    assert (record.state, record.pages_done, record.options) == ("queued", 0, OPTIONS)
    answer = record.answer()
    assert answer == JobAnswer.model_validate_json(answer.model_dump_json())
    assert answer.pages == 4 and answer.result_url == f"/v1/jobs/{record.id}/result"
    assert record.answer("/ocr/v1/jobs").status_url == f"/ocr/v1/jobs/{record.id}"


def test_ids_are_long_and_random():
    assert is_id(AN_ID)
    ids = {new_id() for _ in range(100)}
    assert len({each[15:] for each in ids}) == 100 and all(len(each) == 14 + 1 + 32 for each in ids)


@pytest.mark.parametrize(
    "wrong", ["", "..", "../keys", "x" * 5000, f"../{AN_ID}", f"{AN_ID}/..", f"{AN_ID}\n", "%2e%2e", f"{AN_ID}٣"]
)
def test_what_is_not_an_id_is_not_found_and_touches_no_file(local, wrong):
    local.create(DOCUMENT, OPTIONS)
    for call in (local.load, local.result, local.delete):
        with pytest.raises(JobNotFound) as caught:
            call(wrong)
        assert len(str(caught.value)) < 250
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # it travels between processes


def test_an_unknown_job_is_not_found(store):
    with pytest.raises(JobNotFound):
        store.load(new_id())
    assert store.find("nobody's") is None and store.unfinished() == []


def test_pages_are_given_in_order_up_to_the_first_that_is_missing(store):
    record = store.save(store.create(DOCUMENT, OPTIONS).moved("running"))
    for number in (7, 1, 2):
        store.write_page(record.id, page(number))
    assert store.done_pages(record.id) == ({1, 2, 7}, set())
    result = store.result(record.id)
    assert ([p.page_number for p in result.pages], result.next_offset) == ([1, 2], 2)
    assert store.result(record.id, offset=2).next_offset == 2  # nothing new yet: ask again
    store.write_page(record.id, page(4, "error"))
    assert store.done_pages(record.id) == ({1, 2, 4, 7}, {4})
    store.save(record.counted(4, 1).moved("finished"))
    first, rest = store.result(record.id, 0, 3), store.result(record.id, 3, 3)
    assert [p.page_number for p in first.pages] == [1, 2, 4] and first.next_offset == 3
    assert first.pages[2].error.message == "torn"
    assert [p.page_number for p in rest.pages] == [7] and rest.next_offset is None
    assert store.result(record.id, 100).pages == [] and store.result(record.id, 100).next_offset is None
    answer = first.answer()
    assert answer == JobResultAnswer.model_validate_json(answer.model_dump_json())
    assert (answer.job.state, answer.job.pages_done, answer.job.pages_failed) == ("finished", 4, 1)


def test_a_cancelled_job_gives_the_pages_there_are(store):
    record = store.create(DOCUMENT, OPTIONS)
    for number in (1, 7):
        store.write_page(record.id, page(number))
    store.save(record.moved("cancelled"))
    result = store.result(record.id, 0, 2)
    assert ([p.page_number for p in result.pages], result.next_offset) == ([1], 2)
    assert [p.page_number for p in store.result(record.id, 2, 2).pages] == [7]


def test_large_pages_make_short_answers(local, monkeypatch):
    monkeypatch.setattr(store_module, "_RESULT_BYTES", 10_000)
    monkeypatch.setattr(store_module, "_AT_ONCE", 2)
    numbers = tuple(range(1, 21))
    record = local.create(dataclasses.replace(DOCUMENT, page_count=20), ReadOptions(pages=numbers, languages=("ko",)))
    upright = UprightImage(media_type="image/png", width=9, height=9, matrix=[[1, 0, 0], [0, 1, 0]], content="A" * 4000)
    for number in numbers:
        local.write_page(record.id, page(number, upright=upright))
    seen, offset = [], 0
    while offset is not None:
        result = local.result(record.id, offset)
        assert len(result.pages) == 4
        seen += [p.page_number for p in result.pages]
        offset = result.next_offset
    assert seen == list(numbers)


def test_an_ended_job_stays_as_it_ended_and_gives_up_its_document(store):
    record = store.create(DOCUMENT, OPTIONS)
    running = store.save(record.moved("running"))
    store.save(running.moved("cancelled"))
    assert store.save(running.counted(3, 0)).state == "cancelled"
    assert store.save(running.moved("finished")).state == "cancelled"
    with pytest.raises(FileNotFoundError):
        store.document(record)
    # Another runner's late write of a record that it read before.
    store.storage.write(f"{record.id}/job.json", running.model_dump_json().encode())
    assert store.load(record.id).state == "cancelled" and store.unfinished() == []


@pytest.mark.parametrize(
    "ways", [("finished",), ("running", "queued"), ("cancelled", "running"), ("failed", "finished")]
)
def test_other_changes_of_state_are_refused(local, ways):
    record = local.create(DOCUMENT, OPTIONS)
    with pytest.raises(ValueError, match="cannot become"):
        for state in ways:
            record = record.moved(state)


def test_a_key_leads_to_its_job_until_that_is_deleted(store):
    record = store.create(DOCUMENT, OPTIONS, key="client-7/é")
    assert store.create(DOCUMENT, OPTIONS, key="client-7/é") == record == store.find("client-7/é")
    assert record.is_for(DOCUMENT, OPTIONS)
    assert not record.is_for(dataclasses.replace(DOCUMENT, content=b"other"), OPTIONS)
    assert store.create(DOCUMENT, OPTIONS, key="client-8").id != record.id
    store.delete(record.id)
    assert store.find("client-7/é") is None
    assert store.create(DOCUMENT, OPTIONS, key="client-7/é").id != record.id


def test_a_key_whose_job_never_came_to_be_makes_a_new_one(local, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(local, "_write", lambda record: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError):
            local.create(DOCUMENT, OPTIONS, key="k")
    assert local.unfinished() == []
    assert local.load(local.create(DOCUMENT, OPTIONS, key="k").id).state == "queued"


def test_unfinished_jobs_are_found_oldest_first(store):
    records = [store.create(DOCUMENT, OPTIONS) for _ in range(3)]
    records.append(aged(store, store.create(DOCUMENT, OPTIONS), hours=1))
    store.save(records[1].moved("cancelled"))
    store.save(records[2].moved("running"))
    store.storage.write(f"{new_id()}/job.json", b'{"of": "a version to come"}')
    store.storage.write("notes/readme.txt", b"not a job")
    assert [record.id for record in store.unfinished()] == [records[3].id, records[0].id, records[2].id]


def test_deleting_leaves_nothing(store):
    record = store.create(DOCUMENT, OPTIONS, key="k")
    store.write_page(record.id, page(1))
    store.write_page(record.id, page(2, "error"))
    store.delete(record.id)
    with pytest.raises(JobNotFound):
        store.load(record.id)
    with pytest.raises(JobNotFound):
        store.delete(record.id)
    assert store.storage.list("", "") in ([], ["keys"]) and store.storage.list("keys", "") == []


def test_what_ended_long_ago_is_deleted(store):
    old, new = store.create(DOCUMENT, OPTIONS), store.create(DOCUMENT, OPTIONS)
    old = aged(store, old.moved("running").moved("finished"), hours=30)
    slow = aged(store, store.create(DOCUMENT, OPTIONS), hours=30)
    just_ended = aged(store, store.create(DOCUMENT, OPTIONS), hours=30)
    store.save(just_ended.moved("cancelled"))
    store.save(new.moved("cancelled"))
    remains = f"{datetime.now(timezone.utc) - timedelta(hours=30):%Y%m%d%H%M%S}-{32 * '0'}"
    store.storage.write(f"{remains}/pages/000001.json", b"{}")
    assert set(store.delete_expired(24)) == {old.id, remains}
    assert store.delete_expired(24) == []
    assert {record.id for record in store.unfinished()} == {slow.id}
    assert store.load(just_ended.id).state == "cancelled" and store.load(new.id).state == "cancelled"


def test_a_changed_document_is_reported(local):
    record = local.create(DOCUMENT, OPTIONS)
    local.storage.write(f"{record.id}/document", b"other")
    with pytest.raises(ValueError, match="not the one that was sent"):
        local.document(record)


def test_a_record_is_plain_json(local):
    record = local.create(DOCUMENT, OPTIONS)
    stored = json.loads(local.storage.read(f"{record.id}/job.json"))
    assert stored["document"]["name"] == "scan.pdf" and stored["options"]["pages"] == [1, 2, 4, 7]


def test_jobs_import_no_ray():
    code = "import sys, ray_apps.serving.jobs.runner; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
