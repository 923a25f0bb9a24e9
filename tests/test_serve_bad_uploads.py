"""A served app with one reader, and uploads that render for ever, take all memory, or hang a stage: each costs its own
request only."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import pytest
import requests

from tests.documents_made import multi_page
from tests.pdf_bombs import endless_pattern, nested_forms
from tests.processes import descendants, replica_pids
from tests.served import Served, deployment, served
from tests.tiny_documents import draw_tiny_page

pytestmark = pytest.mark.serve


@pytest.fixture(scope="module")
def app(tmp_path_factory, tiny_reader_yaml):
    def edit(app):
        """One reader, with faulty stages; short limits."""
        app["import_path"] = "tests.hanging_app:build"
        app["args"]["reader"] = str(tiny_reader_yaml)
        app["args"]["stages"]["reader"][3:3] = ["hanging", "slow", "suicidal"]
        app["args"]["flow"]["request_seconds"] = 60
        reader = deployment(app, "reader")
        reader["autoscaling_config"]["max_replicas"] = 1
        reader["user_config"] |= {"decode_seconds": 4, "decode_mib": 300, "stuck_after_s": 6}

    with served(tmp_path_factory.mktemp("bad_uploads"), "documents", edit) as app:
        yield app


def page(text: str) -> bytes:
    return cv2.imencode(".png", draw_tiny_page([text])[..., ::-1])[1].tobytes()


def reported(answer: requests.Response, status: int) -> tuple[str, str]:
    assert answer.status_code == status, answer.text
    error = answer.json()["page_error"]
    return error["stage"], error["type"]


def texts(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [read["text"] for read in answer.json()["pages"]]


def test_others_are_read_while_pages_render_for_ever(app: Served):
    assert texts(app.read(page("BEFORE"))) == ["BEFORE"]
    pids = replica_pids(app, "reader")
    small_pdf = multi_page([draw_tiny_page(["OTHER"])], "PDF")
    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(app.read, endless_pattern(), name=f"slow{number}.pdf") for number in range(2)]
        large = pool.submit(app.read, nested_forms(), name="large.pdf")
        time.sleep(0.5)
        others = []
        while not all(answer.done() for answer in (*slow, large)):
            started = time.monotonic()
            others += [texts(app.read(page("OTHER"))), texts(app.read(small_pdf))]
            assert time.monotonic() - started < 20  # far below what the bad ones are given together
    assert [reported(answer.result(), 422) for answer in slow] == [("decode", "PageTooSlow")] * 2
    assert reported(large.result(), 413) == ("decode", "PageTooLarge")
    assert others[0] == ["OTHER"] and len(others) >= 4 and all(len(text) == 1 for text in others)
    assert replica_pids(app, "reader") == pids  # none was replaced


def test_a_page_that_hangs_a_stage_ends_its_reader_and_no_other_page(app: Served):
    with ThreadPoolExecutor(3) as pool:
        hanging = pool.submit(app.read, page("HANGING"), name="hanging.png")
        good = [pool.submit(app.read, page(f"GOOD {number}")) for number in range(2)]
    assert reported(hanging.result(), 422) == ("hanging", "PageTooSlow")
    assert [texts(answer.result()) for answer in good] == [["GOOD 0"], ["GOOD 1"]]


def test_a_page_that_kills_its_reader_is_an_error_and_the_others_are_read(app: Served):
    with ThreadPoolExecutor(3) as pool:
        poison = pool.submit(app.read, page("POISON"), name="poison.png")
        good = [pool.submit(app.read, page(f"GOOD {number}")) for number in range(2)]
    # Each death costs a start of the reader: where that takes long, the request ends first.
    if poison.result().status_code != 503:
        assert reported(poison.result(), 500) == ("serve", "WorkerDied")
    for number, answer in enumerate(good):
        if answer.result().status_code != 503:
            assert texts(answer.result()) == [f"GOOD {number}"]


def test_a_reader_that_is_killed_again_and_again_is_held_against_no_page(app: Served):
    while app.read(page("UP")).status_code != 200:
        time.sleep(0.5)
    stop = time.monotonic() + 12
    answers: list[requests.Response] = []

    def ask(number: int) -> None:
        while time.monotonic() < stop:
            answers.append(app.read(page(f"PAGE {number}")))

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, number) for number in range(3)]
        while time.monotonic() < stop:
            for pid in replica_pids(app, "reader"):
                os.kill(pid, signal.SIGKILL)
            time.sleep(3)
    for each in asking:
        each.result()
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)


def test_the_server_answers_what_it_has_and_takes_nothing_else(app: Served):
    """The last test: the server is gone afterwards, and with it all that it started."""
    while app.read(page("UP")).status_code != 200:
        time.sleep(0.5)
    app.read(multi_page([draw_tiny_page(["PDF"])], "PDF"))  # a decoder runs
    ours = descendants(app.process.pid)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(app.read, page("SLOW"), name="slow.png")
        time.sleep(1)
        app.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        late, ready, alive = app.read(page("LATE")), app.get("readyz"), app.get("healthz")
    assert texts(slow.result()) == ["SLOW"]
    assert late.status_code == ready.status_code == 503 and late.headers["retry-after"] == ready.headers["retry-after"]
    assert "shutting down" in late.json()["detail"] and alive.status_code == 200
    assert app.process.wait(60) == 0
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in ours) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [line for pid, line in ours.items() if Path(f"/proc/{pid}").exists()]
