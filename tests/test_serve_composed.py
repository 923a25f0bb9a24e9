"""A deployment a stage, and what happens when stages raise, replicas die, readers are full and the server restarts."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import pytest
import requests

from ray_apps.client.client import ApiError, Client
from tests.processes import replica_pids
from tests.served import deployment, served
from tests.tiny_documents import draw_tiny_page, write_tiny_page

pytestmark = pytest.mark.serve

KEY = "0123456789-key-of-the-tests"
HEADERS = {"X-API-Key": KEY, "Content-Type": "image/png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("composed")


@pytest.fixture(scope="module")
def edit(tiny_reader_yaml):
    return partial(_edit, str(tiny_reader_yaml))


@pytest.fixture(scope="module")
def app(folder, edit):
    with served(folder, "documents-composed", edit, OCRAY_API_KEYS=f"another-key-0123456789,{KEY}") as app:
        yield app


def _edit(reader, app):
    """Return a faulty reader in two deployments, few requests at once, keys."""
    app["import_path"] = "tests.faulty_app:build"
    app["args"] |= {
        "reader": reader,
        "stages": {
            "straighten": ["decode", "deskew", "orientation"],
            "text": ["raising", "slow", "suicidal", "text_detection", "text_recognition"],
        },
        "flow": {"requests": 6, "retry_after_s": 1},
        "require_api_key": True,
    }
    app["deployments"] = [deployment(app, name) for name in ("ingress", "jobs", "deskew", "text-recognition")]
    deployment(app, "deskew")["name"] = "straighten"
    deployment(app, "text-recognition")["name"] = "text"


def page(text: str) -> bytes:
    return cv2.imencode(".png", draw_tiny_page([text], width=320, height=96)[..., ::-1])[1].tobytes()


def read(app, content: bytes, **query) -> requests.Response:
    return requests.post(f"{app.url}/v1/documents", content, headers=HEADERS, params=query, timeout=120)


def test_pages_pass_from_deployment_to_deployment(app):
    answer = read(app, page("INVOICE 1047"), upright="jpeg")
    (read_page,) = answer.json()["pages"]
    assert read_page["text"] == "INVOICE 1047" and read_page["upright"]["media_type"] == "image/jpeg"
    expected = {
        "decode",
        "deskew",
        "orientation",
        "upright",
        "suicidal",
        "slow",
        "raising",
        "text_detection",
        "text_recognition",
    }
    assert read_page["timings_ms"].keys() == expected


def test_languages_pass_from_deployment_to_deployment(app):
    for languages in ("fr,en", "de"):
        (read_page,) = read(app, page("INVOICE 1047"), languages=languages).json()["pages"]
        assert [line["language"] for line in read_page["lines"]] == [languages[:2]]


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong-key-0123456789"}, {"Authorization": "Basic x"}])
def test_without_a_key_nothing_is_read(app, headers):
    for method, path in (
        ("POST", "documents"),
        ("POST", "deskew"),
        ("POST", "jobs"),
        ("GET", "jobs/x"),
        ("GET", "models"),
    ):
        answer = requests.request(method, f"{app.url}/v1/{path}", headers=headers, timeout=60)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", path
        assert answer.headers["content-type"] == "application/problem+json"
    assert app.get("healthz").status_code == app.get("").status_code == 200


def test_a_bearer_token_is_a_key_too(app):
    answer = requests.get(f"{app.url}/v1/models", headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
    assert answer.status_code == 200


def test_a_stage_that_raises_is_reported_and_takes_no_other_page_with_it(app):
    with ThreadPoolExecutor(3) as pool:
        bad = pool.submit(read, app, page("BAD"), name="raising.png")
        good = [pool.submit(read, app, page(f"GOOD {number}")) for number in range(2)]
    assert bad.result().status_code == 500
    assert bad.result().json()["page_error"] == {
        "stage": "raising",
        "type": "RuntimeError",
        "message": "cannot read raising.png",
    }
    assert [answer.result().json()["pages"][0]["text"] for answer in good] == ["GOOD 0", "GOOD 1"]


def test_a_page_that_kills_its_reader_is_given_up_and_the_others_are_read(app):
    with ThreadPoolExecutor(3) as pool:
        poison = pool.submit(read, app, page("POISON"), name="poison.png")
        good = [pool.submit(read, app, page(f"GOOD {number}")) for number in range(2)]
    assert poison.result().status_code == 500
    assert poison.result().json()["page_error"]["type"] == "WorkerDied"
    for number, answer in enumerate(good):
        # Refused while no reader runs, or read; never wrong.
        assert answer.result().status_code in (200, 503)
        if answer.result().status_code == 200:
            assert answer.result().json()["pages"][0]["text"] == f"GOOD {number}"


def test_a_reader_killed_under_load_costs_no_answer(folder, app):
    client = Client(app.url, api_key=KEY, retries=12)
    sources = [write_tiny_page(folder / f"{number}-slow.png", [f"INVOICE {number}"]) for number in range(12)]
    client.read(sources[0])  # both deployments run again
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(lambda: list(client.read_many(sources, concurrency=4)))
        time.sleep(1)
        for pid in replica_pids(app, "text"):
            os.kill(pid, signal.SIGKILL)
        texts = [answer.pages[0].text for _, answer in answers.result()]
    assert texts == [f"INVOICE {number}" for number in range(12)]


def test_what_is_too_much_is_refused_at_once(app):
    content = page("INVOICE")

    def timed(_: int) -> tuple[requests.Response, float]:
        started = time.perf_counter()
        return read(app, content, name="slow.png"), time.perf_counter() - started

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(timed, range(24)))
    refused = [answer for answer, _ in answers if answer.status_code == 503]
    assert refused and all(answer.status_code in (200, 503) for answer, _ in answers)
    for answer in refused:
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"
    assert all(answer.json()["pages"][0]["text"] == "INVOICE" for answer, _ in answers if answer.status_code == 200)


def test_jobs_outlive_the_server(folder, edit, app):
    client = Client(app.url, api_key=KEY)
    path = folder / "three.tiff"
    assert cv2.imwritemulti(str(path), [draw_tiny_page([f"PAGE {number}"])[..., ::-1] for number in (1, 2, 3)])
    done = client.submit(path)
    assert client.wait(done.id, poll=0.2, timeout=60).state == "finished"
    assert [read_page.text for read_page in client.result(done.id)] == ["PAGE 1", "PAGE 2", "PAGE 3"]
    cancelled = client.submit(path.read_bytes() + b"\0")
    client.cancel(cancelled.id)
    assert client.job(cancelled.id).state in ("cancelled", "finished")
    client.delete(cancelled.id)
    with pytest.raises(ApiError, match="404"):
        client.job(cancelled.id)
    app.process.send_signal(signal.SIGTERM)
    app.process.wait(60)
    with served(folder, "documents-composed", edit, OCRAY_API_KEYS=KEY) as again:
        client = Client(again.url, api_key=KEY)
        assert [read_page.text for read_page in client.result(done.id)] == ["PAGE 1", "PAGE 2", "PAGE 3"]
