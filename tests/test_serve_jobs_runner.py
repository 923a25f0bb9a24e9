"""The job runner, over a real store and a reader that the test holds in its hands."""

import asyncio
import errno
import threading
import time
from contextlib import asynccontextmanager

import pytest

from common.storage import Storage
from common.storage.errors import cannot_be_written
from pipelines.records import PageError, page_id
from ray_apps.serving.answers import ReadPage
from ray_apps.serving.jobs import runner as runner_module
from ray_apps.serving.jobs import store_calls
from ray_apps.serving.jobs.record import JobNotFound
from ray_apps.serving.jobs.runner import JobRunner, JobsFull, KeyReused, TryAgain
from ray_apps.serving.jobs.store import JobStore
from ray_apps.serving.requests import Document, ReadOptions


class Reader:
    """Reads pages once `gate` is open; notes what it was asked for, and how many pages it had in hand at most."""

    def __init__(self, is_open=True, trouble=()):
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()
        self.trouble = dict(trouble)  # page number → exceptions to raise before it is read
        self.begun: list[tuple[str, int]] = []
        self.documents: set[int] = set()
        self.in_hand = self.most = 0

    async def __call__(self, document, number, options):
        self.begun.append((document.name, number))
        self.documents.add(id(document))
        self.in_hand += 1
        self.most = max(self.most, self.in_hand)
        try:
            await self.gate.wait()
            await asyncio.sleep(0.002)
            if self.trouble.get(number):
                raise self.trouble[number].pop(0)
        finally:
            self.in_hand -= 1
        return ReadPage(
            page_id=page_id(document.name, document.sha256, number),
            document_uri=document.name,
            page_number=number,
            page_count=document.page_count,
            text=f"{document.name} {number} {document.content.decode()}",
        )


def document(name, pages):
    return Document(name, f"content of {name}".encode(), pages)


def options(pages):
    return ReadOptions(pages=tuple(range(1, pages + 1)), languages=("en",))


@asynccontextmanager
async def running(store, reader, pages_in_flight=4, max_waiting=10, keep_hours=24, grace_s=5.0, **settings):
    settings |= {"pages_in_flight": pages_in_flight, "max_waiting": max_waiting, "keep_hours": keep_hours}
    runner = JobRunner(store, reader, **settings)
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop(grace_s)


async def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def ended(runner, *records, owner=None):
    deadline = time.monotonic() + 20
    while True:
        now = [await runner.job(record.id, owner) for record in records]
        if all(record.ended for record in now):
            return now[0] if len(now) == 1 else now
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.01)


@pytest.fixture
def store(tmp_path):
    return JobStore(Storage(str(tmp_path / "jobs")))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(runner_module, "_SAVE_SECONDS", 0.02)
    for module in (runner_module, store_calls):
        monkeypatch.setattr(module, "pause", lambda attempt, at_least=0.01: min(at_least, 0.02))


@pytest.mark.parametrize("where", ["local", "s3"])
def test_a_job_is_read(where, tmp_path, request):
    uri = str(tmp_path / "jobs") if where == "local" else f"{request.getfixturevalue('s3')}/jobs"
    store = JobStore(Storage(uri))

    async def main():
        reader = Reader()
        async with running(store, reader) as runner:
            record = await runner.submit(document("a.pdf", 9), options(9))
            assert record.state == "queued"
            record = await ended(runner, record)
            assert (record.state, record.pages_done, record.pages_failed, runner.unfinished) == ("finished", 9, 0, 0)
            assert store.load(record.id) == record
            result = await runner.result(record.id)
            assert [page.text for page in result.pages] == [f"a.pdf {n} content of a.pdf" for n in range(1, 10)]
            assert result.next_offset is None
            assert 1 < reader.most <= 4 and len(reader.documents) == 1
            await runner.delete(record.id)
            with pytest.raises(JobNotFound):
                await runner.job(record.id)

    asyncio.run(main())


def test_a_stopped_runner_ends_the_pages_in_hand_and_the_next_one_reads_the_rest(store):
    async def first():
        reader = Reader(is_open=False)
        async with running(store, reader) as runner:
            record = await runner.submit(document("a.pdf", 20), options(20))
            await until(lambda: reader.in_hand == 4)
            asyncio.get_running_loop().call_later(0.1, reader.gate.set)
        assert len(reader.begun) == 4
        return record

    async def second():
        reader = Reader()
        async with running(store, reader) as runner:
            assert (await ended(runner, record)).pages_done == 20
        return reader

    record = asyncio.run(first())
    assert store.load(record.id).pages_done == 4 and store.load(record.id).state == "running"
    reader = asyncio.run(second())
    assert sorted(number for _, number in reader.begun) == list(range(5, 21))
    assert len(store.result(record.id).pages) == 20


def test_a_killed_runner_loses_only_what_was_in_hand(store):
    """Nothing is said at the end: counts are stale, a reader that hangs is left hanging."""

    async def first():
        reader = Reader(trouble={2: [ValueError("torn")]})
        runner = JobRunner(store, reader, pages_in_flight=2, max_waiting=9, keep_hours=1)
        await runner.start()
        record = await runner.submit(document("a.pdf", 30), options(30))
        await until(lambda: len(reader.begun) > 10)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        runner.calls.close(wait=True)  # a write that had begun is a write that was made
        return record

    async def second():
        reader = Reader()
        async with running(store, reader) as runner:
            return await ended(runner, record), reader

    record = asyncio.run(first())
    written, _ = store.done_pages(record.id)
    assert 8 < len(written) < 14
    after, reader = asyncio.run(second())
    assert {number for _, number in reader.begun} == set(range(1, 31)) - written
    assert (after.state, after.pages_done, after.pages_failed) == ("finished", 30, 1)
    assert [page.page_number for page in store.result(record.id).pages] == list(range(1, 31))


def test_a_job_whose_pages_were_all_there_is_finished_by_the_next_runner(store):
    record = store.create(document("a.pdf", 1), options(1))

    async def main():
        store.write_page(record.id, await Reader()(document("a.pdf", 1), 1, options(1)))
        reader = Reader()
        async with running(store, reader) as runner:
            assert (await ended(runner, record)).state == "finished"
        assert reader.begun == []

    asyncio.run(main())


def test_a_start_that_fails_can_be_tried_again(store, monkeypatch):
    record = store.create(document("a.pdf", 3), options(3))

    async def main():
        reader = Reader()
        runner = JobRunner(store, reader, pages_in_flight=2, max_waiting=9, keep_hours=1)
        with monkeypatch.context() as patch:
            patch.setattr(store, "unfinished", lambda: 1 / 0)
            with pytest.raises(store_calls.StoreFails, match="ZeroDivisionError"):
                await runner.start()
        await asyncio.gather(*(runner.start() for _ in range(3)))
        assert (await ended(runner, record)).state == "finished"
        await runner.stop()
        assert len(reader.begun) == 3 and reader.most <= 2

    asyncio.run(main())


def test_cancelling_stops_at_once_and_nothing_more_is_written(store):
    async def main():
        reader = Reader(is_open=False)
        async with running(store, reader) as runner:
            record = await runner.submit(document("a.pdf", 100), options(100))
            other = await runner.submit(document("b.pdf", 2), options(2))
            await until(lambda: reader.in_hand == 4)
            cancelled = await runner.cancel(record.id)
            assert cancelled.state == "cancelled" == store.load(record.id).state
            reader.gate.set()
            assert (await ended(runner, other)).state == "finished"
            assert len([name for name, _ in reader.begun if name == "a.pdf"]) <= 4
            assert store.done_pages(record.id) == (set(), set())
            assert (await runner.cancel(record.id)).state == "cancelled"
            assert (await runner.cancel(other.id)).state == "finished"
            with pytest.raises(JobNotFound):
                await runner.cancel("../../etc")
        async with running(store, reader) as runner:
            assert runner.unfinished == 0

    asyncio.run(main())


def test_cancelling_waits_for_a_page_that_is_being_written(store, monkeypatch):
    writing, go_on = threading.Event(), threading.Event()
    write_page = store.write_page

    def slow(job_id, page):
        writing.set()
        assert go_on.wait(10)
        write_page(job_id, page)

    monkeypatch.setattr(store, "write_page", slow)

    async def main():
        async with running(store, Reader(), pages_in_flight=1) as runner:
            record = await runner.submit(document("a.pdf", 5), options(5))
            await until(writing.is_set)
            cancelling = asyncio.create_task(runner.cancel(record.id))
            await asyncio.sleep(0.05)
            assert not cancelling.done()
            go_on.set()
            cancelled = await cancelling
            assert (cancelled.state, cancelled.pages_done) == ("cancelled", 1)
            assert store.done_pages(record.id)[0] == {1} and store.load(record.id) == cancelled

    asyncio.run(main())


def test_a_waiting_or_a_backing_off_job_can_be_cancelled_and_deleted(store):
    class Overloaded:
        async def __call__(self, document, number, options):
            raise TryAgain(0.01)

    async def main():
        async with running(store, Overloaded()) as runner:
            first = await runner.submit(document("a.pdf", 5), options(5))
            second = await runner.submit(document("b.pdf", 5), options(5))
            await asyncio.sleep(0.1)
            await runner.delete(first.id)
            assert (await runner.cancel(second.id)).state == "cancelled"
            assert runner.unfinished == 0
            with pytest.raises(JobNotFound):
                store.load(first.id)

    asyncio.run(main())


def test_a_small_job_does_not_wait_for_a_large_one(store):
    async def main():
        reader = Reader()
        async with running(store, reader, pages_in_flight=2) as runner:
            large = [await runner.submit(document(f"large{n}.pdf", 300), options(300)) for n in range(3)]
            await until(lambda: len({name for name, _ in reader.begun}) == 3)
            small = await runner.submit(document("small.pdf", 3), options(3))
            begun = len(reader.begun)
            await ended(runner, small)
            # Three pages of its own, nine of the others in turn, and those begun while it was opened.
            assert len(reader.begun) - begun < 60
            assert runner.unfinished == 3
            assert reader.most == 2
            names = [name for name, _ in reader.begun[begun:]]
            shares = [names.count(f"large{n}.pdf") for n in range(3)]
            assert max(shares) - min(shares) <= 2
            for record in large:
                await runner.cancel(record.id)

    asyncio.run(main())


def test_documents_in_memory_are_bounded(store, monkeypatch):
    monkeypatch.setattr(runner_module, "_DOCUMENT_BYTES", 40)  # two of the documents of 16 bytes

    async def main():
        reader = Reader(is_open=False)
        async with running(store, reader, pages_in_flight=8) as runner:
            records = [await runner.submit(document(f"{n}.pdf", 4), options(4)) for n in range(5)]
            await until(lambda: reader.in_hand == 8)
            await asyncio.sleep(0.1)
            assert {name for name, _ in reader.begun} == {"0.pdf", "1.pdf"}
            assert (await runner.job(records[2].id)).state == "queued"
            await runner.cancel(records[2].id)
            reader.gate.set()
            assert [record.state for record in await ended(runner, *records)] == [
                "finished", "finished", "cancelled", "finished", "finished",
            ]  # fmt: skip

    asyncio.run(main())


def test_a_full_queue_refuses_and_takes_again(store):
    async def main():
        reader = Reader(is_open=False)
        async with running(store, reader, max_waiting=3) as runner:
            tries = [runner.submit(document(f"{n}.pdf", 1), options(1), key=f"key {n}") for n in range(5)]
            results = await asyncio.gather(*tries, return_exceptions=True)
            taken = [each for each in results if not isinstance(each, Exception)]
            assert len(taken) == 3 and sum(isinstance(each, JobsFull) for each in results) == 2
            # A repeated submission of a job that was taken, whichever three came first, is no new job.
            number = results.index(taken[0])
            again = await runner.submit(document(f"{number}.pdf", 1), options(1), key=f"key {number}")
            assert again.id == taken[0].id
            reader.gate.set()
            await ended(runner, *taken)
            assert (await runner.submit(document("4.pdf", 1), options(1))).state == "queued"
        with pytest.raises(JobsFull, match="shutting down"):
            await runner.submit(document("4.pdf", 1), options(1))

    asyncio.run(main())


def test_jobs_and_their_keys_belong_to_who_made_them(store):
    async def main():
        async with running(store, Reader()) as runner:
            ours = await runner.submit(document("a.pdf", 1), options(1), key="order-1", owner="us")
            theirs = await runner.submit(document("b.pdf", 1), options(1), key="order-1", owner="them")
            again = await runner.submit(document("a.pdf", 1), options(1), key="order-1", owner="us")
            assert ours.id == again.id != theirs.id
            for end in (False, True):  # also when it is no longer in the runner's hands
                for method in (runner.job, runner.result, runner.cancel, runner.delete):
                    for owner in ("them", None):
                        with pytest.raises(JobNotFound):
                            await method(ours.id, owner=owner)
                if not end:
                    await ended(runner, ours, owner="us")
            assert (await runner.job(ours.id, "us")).state == "finished"
            nobodys = await runner.submit(document("c.pdf", 1), options(1))
            assert (await runner.job(nobodys.id, "us")).id == nobodys.id
            await runner.delete(ours.id, "us")

    asyncio.run(main())


def test_one_owner_cannot_take_all_the_room(store):
    async def main():
        reader = Reader(is_open=False)
        async with running(store, reader, max_waiting=4, owner_share=0.5) as runner:
            for number in range(2):
                await runner.submit(document(f"{number}.pdf", 1), options(1), owner="us")
            with pytest.raises(JobsFull, match="2 jobs of yours"):
                await runner.submit(document("more.pdf", 1), options(1), owner="us")
            await runner.submit(document("other.pdf", 1), options(1), owner="them")
            reader.gate.set()

    asyncio.run(main())


def test_what_a_full_disk_makes_of_a_write_counts_as_full():
    for number in (errno.ENOSPC, errno.EDQUOT):
        assert store_calls._is_full(cannot_be_written("/store/x", OSError(number, "full")))
    assert not store_calls._is_full(cannot_be_written("/store/x", OSError(errno.EACCES, "forbidden")))


def test_a_store_that_is_full_is_reported_and_keeps_nothing(store, monkeypatch):
    write, is_full = store.storage.write, True

    def full(self, name, content):
        if is_full and name.endswith("document"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(name, content)

    async def main():
        nonlocal is_full
        loop, swept, sweep = asyncio.get_running_loop(), asyncio.Event(), store.delete_expired

        def sweep_and_report(hours):
            loop.call_soon_threadsafe(swept.set)
            return sweep(hours)

        monkeypatch.setattr(store, "delete_expired", sweep_and_report)
        monkeypatch.setattr(Storage, "write", full)
        async with running(store, Reader()) as runner:
            await swept.wait()  # its good answer must not come after the bad one
            await runner.calls.work(int)
            with pytest.raises(store_calls.StoreFails, match="full") as caught:
                await runner.submit(document("a.pdf", 1), options(1))
            assert caught.value.is_full and "full" in runner.calls.trouble
            is_full = False
            await ended(runner, await runner.submit(document("a.pdf", 1), options(1)))
            assert runner.calls.trouble is None

    asyncio.run(main())
    assert len(store.storage.list("", "")) == 1


def test_a_storage_that_hangs_holds_up_nothing_else(store, monkeypatch):
    release, read = threading.Event(), store.storage.read
    requested = []

    def hanging(self, name):
        requested.append(name)
        release.wait(20)
        return read(name)

    async def main():
        async with running(store, Reader()) as runner:
            finished = await ended(runner, await runner.submit(document("a.pdf", 1), options(1)))
            monkeypatch.setattr(Storage, "read", hanging)
            waiting = [asyncio.ensure_future(runner.job(finished.id)) for _ in range(8)]
            await until(lambda: len(requested) == 8)
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
            release.set()
            assert {job.state for job in await asyncio.gather(*waiting)} == {"finished"}

    asyncio.run(main())


def test_a_key_makes_one_job(store):
    async def main():
        async with running(store, Reader()) as runner:
            same = [runner.submit(document("a.pdf", 2), options(2), key="k") for _ in range(5)]
            assert len({record.id for record in await asyncio.gather(*same)}) == 1
            with pytest.raises(KeyReused):
                await runner.submit(document("b.pdf", 2), options(2), key="k")
            with pytest.raises(KeyReused):
                await runner.submit(document("a.pdf", 2), options(1), key="k")

    asyncio.run(main())


def test_a_client_that_leaves_while_its_job_is_taken_does_not_lose_it(store, monkeypatch):
    create, go_on = store.create, threading.Event()
    monkeypatch.setattr(store, "create", lambda *args: go_on.wait(10) and create(*args))

    async def main():
        async with running(store, Reader()) as runner:
            submitting = asyncio.create_task(runner.submit(document("a.pdf", 2), options(2), key="k"))
            await asyncio.sleep(0.05)
            submitting.cancel()
            go_on.set()
            record = await runner.submit(document("a.pdf", 2), options(2), key="k")
            assert (await ended(runner, record)).state == "finished"
            assert len(store._ids()) == 1

    asyncio.run(main())


def test_busy_readers_are_retried_until_they_take_the_page(store):
    async def main():
        trouble = {2: [TryAgain(0.01) for _ in range(6)], 3: [asyncio.CancelledError(), TryAgain(0.01)]}
        async with running(store, Reader(trouble=trouble)) as runner:
            record = await ended(runner, await runner.submit(document("a.pdf", 4), options(4)))
            assert (record.state, record.pages_done, record.pages_failed) == ("finished", 4, 0)

    asyncio.run(main())


def test_the_wait_doubles_is_spread_and_never_shorter_than_requested(monkeypatch):
    monkeypatch.undo()
    for attempt in range(40):
        waits = {store_calls.pause(attempt, 3) for _ in range(20)}
        assert len(waits) > 1 and all(3 <= wait <= 45 for wait in waits)
    assert all(store_calls.pause(0, 60) >= 60 for _ in range(9))


def test_a_reader_that_stays_busy_does_not_hold_up_a_stop(store, monkeypatch):
    monkeypatch.setattr(runner_module, "pause", lambda attempt, at_least=0.01: 60)

    async def main():
        reader = Reader(trouble={n: [TryAgain()] for n in range(1, 5)})
        async with running(store, reader, grace_s=30) as runner:
            record = await runner.submit(document("a.pdf", 4), options(4))
            await until(lambda: len(reader.begun) == 4 and not reader.in_hand)
            start = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - start < 2
        assert store.load(record.id).state == "running" and store.done_pages(record.id)[0] == set()

    asyncio.run(main())


def test_a_page_that_raises_is_an_error_page(store):
    async def main():
        async with running(store, Reader(trouble={2: [MemoryError()], 3: [KeyError("x")]})) as runner:
            record = await ended(runner, await runner.submit(document("a.pdf", 4), options(4)))
            assert (record.state, record.pages_done, record.pages_failed) == ("finished", 4, 2)
            pages = (await runner.result(record.id)).pages
            assert [page.status for page in pages] == ["ok", "error", "error", "ok"]
            assert pages[1].error == PageError(stage="serve", type="MemoryError", message="no message")
            assert pages[1].page_id == page_id("a.pdf", document("a.pdf", 4).sha256, 2)

    asyncio.run(main())


def test_a_storage_that_fails_for_a_while_loses_no_page(store, monkeypatch):
    write, failures = store.storage.write, iter([OSError("full"), ConnectionError(), TimeoutError()] * 5)

    def flaky(self, name, content):
        if not name.endswith("document") and "/" in name:
            for error in failures:
                raise error
        write(name, content)

    async def main():
        async with running(store, Reader()) as runner:
            record = await runner.submit(document("a.pdf", 6), options(6))
            monkeypatch.setattr(Storage, "write", flaky)
            assert (await ended(runner, record)).pages_done == 6
            assert next(failures, None) is None
        assert len(store.result(record.id).pages) == 6

    asyncio.run(main())


def test_a_job_that_lost_its_document_fails_and_the_others_continue(store):
    lost = store.create(document("a.pdf", 2), options(2))
    other = store.create(document("b.pdf", 2), options(2))
    store.storage.delete(f"{lost.id}/document")

    async def main():
        async with running(store, Reader()) as runner:
            failed, finished = await ended(runner, lost, other)
            assert (failed.state, failed.error.stage, failed.error.type) == ("failed", "serve", "FileNotFoundError")
            assert finished.state == "finished" and store.load(lost.id) == failed

    asyncio.run(main())


def test_two_runners_on_one_store_give_one_result(store):
    async def main():
        first, second = Reader(), Reader()
        async with running(store, first) as one:
            record = await one.submit(document("a.pdf", 40), options(40))
            await until(lambda: len(first.begun) > 8)
            async with running(store, second) as other:
                assert (await ended(other, record)).state == "finished"
                assert (await ended(one, record)).state == "finished"
        assert len(second.begun) <= 40
        result = store.result(record.id)
        assert [page.page_number for page in result.pages] == list(range(1, 41))
        assert (result.record.state, result.record.pages_done) == ("finished", 40)

    asyncio.run(main())


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_what_another_runner_ended_is_left_alone(store, how):
    async def main():
        reader, other = Reader(), Reader(is_open=False)
        async with running(store, reader, pages_in_flight=1) as one:
            record = await one.submit(document("a.pdf", 2000), options(2000))
            async with running(store, other, grace_s=0) as two:
                await until(lambda: other.in_hand)
                await getattr(two, how)(record.id)
            await until(lambda: one.unfinished == 0)
            assert len(reader.begun) < 1500
        if how == "cancel":
            assert store.load(record.id).state == "cancelled"
        else:
            assert store.unfinished() == []

    asyncio.run(main())


def test_old_jobs_are_swept(store, monkeypatch):
    monkeypatch.setattr(runner_module, "_SWEEP_SECONDS", 0.05)

    async def main():
        async with running(store, Reader(), keep_hours=1 / 3600) as runner:
            record = await ended(runner, await runner.submit(document("a.pdf", 2), options(2)))
            await until(lambda: not store._ids())
            with pytest.raises(JobNotFound):
                await runner.result(record.id)

    asyncio.run(main())
