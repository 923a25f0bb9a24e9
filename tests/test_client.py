"""The HTTP client, against a small real server that fails on purpose."""

import itertools
import json
import pickle
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from ray_apps.client import client as client_module
from ray_apps.client.client import ApiError, Client, TransportError
from ray_apps.serving.answers import DocumentAnswer, ModelAnswer

DOCUMENT = {"name": "a.png", "bytes": 3, "sha256": "0" * 64, "page_count": 3}
JOB_ID = "20260101000000-" + "0" * 32
PROBLEM = {
    "type": "about:blank",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "pages 9: the document has the pages 1 to 3",
    "request_id": "from-the-server",
}


def page(number):
    return {"page_id": f"{number:016x}", "document_uri": "a.png", "page_number": number, "page_count": 3, "text": "hi"}


def document_answer(name="a.png"):
    document = {**DOCUMENT, "name": name}
    return {"request_id": "r", "document": document, "pages": [page(1)], "total_ms": 1.5}


def job_answer(state="running", done=0):
    return {
        "id": JOB_ID,
        "state": state,
        "document": DOCUMENT,
        "pages": 3,
        "pages_done": done,
        "pages_failed": 0,
        "created": "2026-01-01T00:00:00+00:00",
        "updated": "2026-01-01T00:00:00+00:00",
        "status_url": f"/v1/jobs/{JOB_ID}",
        "result_url": f"/v1/jobs/{JOB_ID}/result",
    }


class Server(ThreadingHTTPServer):
    """Answers the n-th request with the n-th of `script`, and those after with the last one.

    An entry is (status, headers, body), "drop" (the connection is closed without an answer), a number of seconds to
    wait before going on to the next entry, or a function of the request that gives one of these.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = [(200, {}, document_answer())]
        self.requests = []
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        request = {
            "method": self.command,
            "path": parts.path,
            "query": parse_qs(parts.query),
            "headers": self.headers,
            "body": body,
            "at": time.monotonic(),
        }
        with self.server.lock:
            self.server.requests.append(request)
            script = self.server.script
            entry = script.pop(0) if len(script) > 1 else script[0]
        if callable(entry):
            entry = entry(request)
        if isinstance(entry, float):
            time.sleep(entry)
            entry = "drop"
        if entry == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status, headers, content = entry
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server):
    with Client(server.url, api_key="secret", timeout=5, retries=3) as client:
        yield client


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module._Patient, "get_backoff_time", lambda self: 0.01)


def test_read_sends_the_document_and_its_options(server, client, tmp_path):
    path = tmp_path / "스캔 1.png"
    path.write_bytes(b"png")
    answer = client.read(path, pages=[7, 1, 2, 3], languages=["ko", "en"], upright="jpeg")
    assert isinstance(answer, DocumentAnswer) and answer.pages[0].text == "hi"
    (request,) = server.requests
    assert (request["method"], request["path"], request["body"]) == ("POST", "/v1/documents", b"png")
    assert request["query"] == {
        "name": ["스캔 1.png"],
        "pages": ["1-3,7"],
        "languages": ["ko,en"],
        "upright": ["jpeg"],
    }
    assert request["headers"]["Content-Type"] == "application/octet-stream"
    assert request["headers"]["X-API-Key"] == "secret"
    assert len(request["headers"]["X-Request-ID"]) == 32


def test_sources_of_all_kinds(server, client, tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"pdf")
    client.read(str(path))
    client.read(b"pdf", pages="1-2", languages="ko,en")
    with path.open("rb") as file:
        client.read(file)
    client.read(uri="s3://bucket/a.pdf")
    *files, by_uri = server.requests
    assert [request["body"] for request in files] == [b"pdf"] * 3
    assert [request["query"].get("name") for request in files] == [["a.pdf"], None, ["a.pdf"]]
    assert files[1]["query"]["pages"] == ["1-2"] and files[1]["query"]["languages"] == ["ko,en"]
    assert json.loads(by_uri["body"]) == {"uri": "s3://bucket/a.pdf"}
    assert by_uri["headers"]["Content-Type"] == "application/json"
    for wrong in ({}, {"source": b"x", "uri": "s3://x/y"}):
        with pytest.raises(ValueError, match="a source or a uri"):
            client.read(**wrong)
    with pytest.raises(FileNotFoundError):
        client.read(tmp_path / "none.pdf")


def test_deskew_and_models(server, client):
    stood = {"page_number": 1, "width": 9, "height": 9, "status": "ok", "error": None, "skew_degrees": 1.5}
    stood |= {"skew_confidence": 0.9, "orientation_degrees": 90, "orientation_confidence": 0.9}
    stood |= {"timings_ms": {}, "models": {}}
    model = {"stage": "deskew", "name": "deskew@1", "task": "deskew", "architecture": "x", "languages": []}
    model |= {"licence": "Apache-2.0", "training_data": "rendered", "device": "cpu", "metrics": {}}
    if ModelAnswer.model_fields["metrics"].annotation is not dict:
        model["metrics"] = []
    server.script = [(200, {}, {**document_answer(), "pages": [stood]}), (200, {}, [model])]
    assert client.deskew(b"png").pages[0].orientation_degrees == 90
    assert client.models()[0].name == "deskew@1"
    assert [request["path"] for request in server.requests] == ["/v1/deskew", "/v1/models"]


def test_what_a_newer_server_adds_is_left_out(server, client):
    answer = document_answer()
    answer["pages"][0]["handwriting"] = True
    server.script = [(200, {}, {**answer, "cost": 1})]
    assert client.read(b"x").pages[0].page_number == 1


def test_a_busy_server_is_retried_after_the_time_it_names(server, client):
    server.script = [(503, {"Retry-After": "1"}, b"busy"), (200, {}, document_answer())]
    assert client.read(b"x").document.name == "a.png"
    first, second = server.requests
    assert 1 <= second["at"] - first["at"] < 3
    assert first["body"] == second["body"] == b"x"
    assert first["headers"]["X-Request-ID"] == second["headers"]["X-Request-ID"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(server, client, status):
    server.script = [(status, {"Retry-After": "soon"}, b"")] * 2 + [(200, {}, document_answer())]
    client.read(b"x")
    assert len(server.requests) == 3


def test_a_dropped_connection_is_tried_again(server, client):
    server.script = ["drop", "drop", (200, {}, document_answer())]
    client.read(b"x")
    assert len(server.requests) == 3


def test_the_last_refusal_is_reported(server, client):
    busy = {"title": "Service Unavailable", "status": 503, "detail": "all readers are busy", "request_id": "r1"}
    server.script = [(503, {}, busy)]
    with pytest.raises(ApiError) as caught:
        client.read(b"x")
    assert (caught.value.status, caught.value.detail, caught.value.request_id) == (503, "all readers are busy", "r1")
    assert len(server.requests) == 4


def test_a_problem_is_an_error_at_once(server, client):
    server.script = [(422, {"Content-Type": "application/problem+json"}, PROBLEM)]
    with pytest.raises(ApiError, match="pages 9: the document has the pages 1 to 3") as caught:
        client.read(b"x", pages="9")
    error = caught.value
    assert (error.status, error.title, error.request_id) == (422, "Unprocessable Content", "from-the-server")
    assert error.problem == PROBLEM and len(server.requests) == 1
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.problem) == (str(error), PROBLEM)


@pytest.mark.parametrize("body", [b"<html>\n<h1>413 Too   Large</h1>", b"[1]", b"\xff\xfe", b'{"title": 3}', b""])
def test_an_error_page_of_a_proxy_is_an_error(server, client, body):
    server.script = [(413, {"Content-Type": "text/html"}, body)]
    with pytest.raises(ApiError) as caught:
        client.read(b"x")
    assert caught.value.status == 413 and caught.value.request_id == server.requests[0]["headers"]["X-Request-ID"]
    if body.startswith(b"<"):
        assert caught.value.detail == "<html> <h1>413 Too Large</h1>"


def test_a_page_of_something_else_is_an_error(server, client):
    server.script = [(200, {}, b"<html>It works!</html>")]
    with pytest.raises(ApiError, match="It works!"):
        client.read(b"x")


def test_a_server_that_is_silent_is_given_up_and_not_asked_again(server):
    server.script = [1.5]
    with Client(server.url, timeout=0.3) as client, pytest.raises(TransportError, match=r"within 0\.3 s"):
        client.read(b"x")
    assert len(server.requests) == 1


def test_a_server_that_is_not_there(server):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(url, retries=2) as client:
        with pytest.raises(TransportError, match=r"cannot be reached.* in 3 tries .*Connection refused"):
            client.read(b"x")
        assert not client.ready()
    with pytest.raises(ValueError, match="http://"):
        Client("localhost:8000")


def test_ready(server, client):
    server.script = [(503, {"Retry-After": "9"}, PROBLEM), (200, {}, {"status": "ready"})]
    assert (client.ready(), client.ready()) == (False, True)


def test_pauses_double_and_are_spread(monkeypatch):
    monkeypatch.undo()
    policy = client_module._Patient(total=20)
    longest = []
    for _ in range(12):
        policy = policy.increment("GET", "/", error=OSError("no"))
        pauses = [policy.get_backoff_time() for _ in range(50)]
        assert len(set(pauses)) > 10
        longest.append(max(pauses))
    assert 0.3 < longest[0] < 0.7 and 0.6 < longest[1] < 1.3 and 50 < longest[-1] <= 75


def test_a_submission_keeps_its_key_over_its_tries(server, client):
    server.script = ["drop", (503, {}, b""), (202, {}, job_answer("queued"))]
    assert client.submit(b"x", pages=range(1, 400)).state == "queued"
    server.script = [(202, {}, job_answer("queued"))]
    client.submit(b"x")
    client.submit(b"x", idempotency_key="mine")
    keys = [request["headers"]["Idempotency-Key"] for request in server.requests]
    assert len(set(keys[:3])) == 1 and keys[3] != keys[0] and keys[4] == "mine"
    assert server.requests[0]["query"]["pages"] == ["1-399"] and server.requests[0]["path"] == "/v1/jobs"


def test_waiting_for_a_job(server, client):
    server.script = [(200, {}, job_answer("queued")), (200, {}, job_answer()), (200, {}, job_answer("finished", 3))]
    assert client.wait(JOB_ID, poll=0.01).pages_done == 3
    server.script = [(200, {}, job_answer("running", 2))]
    with pytest.raises(TimeoutError, match="2 of 3 pages"):
        client.wait(JOB_ID, poll=0.05, timeout=0.2)


def test_the_result_of_a_running_job_comes_as_it_is_read(server, client):
    def part(state, numbers, next_offset):
        return (200, {}, {"job": job_answer(state), "pages": [page(n) for n in numbers], "next_offset": next_offset})

    server.script = [part("running", [1], 1), part("running", [], 1), part("finished", [2, 3], None)]
    assert [each.page_number for each in client.result(JOB_ID, poll=0.05, limit=2)] == [1, 2, 3]
    assert [request["query"] for request in server.requests] == [
        {"offset": [offset], "limit": ["2"]} for offset in ("0", "1", "1")
    ]
    assert server.requests[2]["at"] - server.requests[1]["at"] >= 0.05


def test_cancel_and_delete(server, client):
    server.script = [(200, {}, job_answer("cancelled")), (204, {}, b""), (404, {}, {**PROBLEM, "status": 404})]
    assert client.cancel(JOB_ID).state == "cancelled"
    client.delete(JOB_ID)
    with pytest.raises(ApiError):
        client.job("../x?y")
    assert [(request["method"], request["path"]) for request in server.requests] == [
        ("POST", f"/v1/jobs/{JOB_ID}/cancel"),
        ("DELETE", f"/v1/jobs/{JOB_ID}"),
        ("GET", "/v1/jobs/..%2Fx%3Fy"),
    ]


def test_read_many_keeps_the_order_and_the_errors(server, client, tmp_path):
    def answer(request):
        number = int(request["body"])
        time.sleep(0.02 * (number % 3))
        if number == 4:
            return 422, {}, PROBLEM
        return 200, {}, document_answer(str(number))

    server.script = [answer]
    sources = [str(number).encode() for number in range(10)]
    sources.insert(5, tmp_path / "none.png")
    results = list(client.read_many(iter(sources), concurrency=4, pages=iter([1, 2])))
    assert [source for source, _ in results] == sources
    assert isinstance(results[4][1], ApiError) and isinstance(results[5][1], FileNotFoundError)
    names = [answer.document.name for _, answer in results if isinstance(answer, DocumentAnswer)]
    assert names == [str(number) for number in range(10) if number != 4]
    assert all(request["query"]["pages"] == ["1-2"] for request in server.requests)


def test_read_many_does_not_run_far_ahead(server, client):
    taken = itertools.count()

    def sources():
        while True:
            next(taken)
            yield b"x"

    results = client.read_many(sources(), concurrency=2)
    for _ in range(5):
        next(results)
    assert next(taken) <= 5 + 4
    results.close()
    requested = len(server.requests)
    time.sleep(0.1)
    assert requested == len(server.requests) <= 9


def test_importing_it_loads_nothing_that_reads():
    code = (
        "import sys, ray_apps.client.client; "
        "heavy = {'ray', 'cv2', 'openvino', 'fsspec', 's3fs', 'PIL', 'pypdfium2', 'torch', 'fastapi'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_redirect_is_reported_and_not_followed_for_another_host_would_see_the_key(server, client):
    with Server() as other:
        server.script = [(302, {"Location": f"{other.url}/v1/models"}, b"")]
        with pytest.raises(ApiError, match="302 Redirected") as caught:
            client.models()
        assert caught.value.status == 302 and f"{other.url}/v1/models" in caught.value.detail
        with pytest.raises(ApiError, match="302"):
            client.read(b"abc")
        assert not client.ready() and not other.requests
