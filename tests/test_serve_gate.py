"""What stands before a served app: who may come in, and how much of it one client can take. Small parts, then one app
with two API keys."""

import contextlib
import shutil
import subprocess
import time
from urllib.parse import urlsplit

import cv2
import psutil
import pytest
import requests
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from ray_apps.serving.admission import Admission
from ray_apps.serving.front import RetryLater
from ray_apps.serving.problems import Problem
from ray_apps.serving.settings import FlowSettings
from tests.processes import descendants
from tests.served import ROOT, Served, deployment, free_port, served
from tests.tiny_documents import draw_tiny_page

A, B = "key-of-the-client-a-0123456789", "key-of-the-client-b-0123456789"

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_a_client_has_a_share_of_the_room():
    admission = Admission(FlowSettings(requests=4, receiving=8, client_share=0.5))
    with contextlib.ExitStack() as inside:
        for _ in range(2):
            inside.enter_context(admission.reading("a"))
        with pytest.raises(Problem, match="of yours"), admission.reading("a"):
            pass
        with pytest.raises(Problem, match="of yours"), admission.receiving("a"):  # there is no room to read it
            pass
        for _ in range(4):
            inside.enter_context(admission.receiving("b"))
        with pytest.raises(Problem, match="of yours"), admission.receiving("b"):
            pass
        for _ in range(2):
            inside.enter_context(admission.reading("b"))
        with pytest.raises(Problem, match="4 requests are in progress"), admission.receiving("c"):
            pass
    with admission.receiving("a"), admission.reading("a"):
        pass


def test_ingresses_share_the_limits_of_an_app():
    admission = Admission(FlowSettings(per="app", requests=8, receiving=8, client_share=0.5))
    admission.ingresses = 2
    with admission.reading("a"), admission.reading("a"):
        with pytest.raises(Problem, match="2 requests of yours"), admission.reading("a"):
            pass
        with admission.reading("b"), admission.reading("b"):
            with pytest.raises(Problem, match="4 requests are in progress"), admission.reading("c"):
                pass
            admission.ingresses = 1  # the other is gone
            with admission.reading("c"):
                pass
    admission.ingresses = 100
    # One request always has room.
    with admission.reading("a"), pytest.raises(Problem, match="1 requests are in progress"), admission.reading("b"):
        pass


def test_bodies_that_arrive_share_memory():
    admission = Admission(FlowSettings(receiving_mib=1))
    with admission.receiving("a") as first, admission.receiving("b") as second:
        first.add(700_000)
        with pytest.raises(Problem, match="too many bytes arrive"):
            second.add(400_000)
    with admission.receiving("b") as again:
        again.add(1_000_000)


def test_a_request_whose_process_died_may_be_sent_again():
    """Serve's proxy ends without an answer then."""

    async def lost(scope, receive, send):
        pass

    async def answering(scope, receive, send):
        await PlainTextResponse("read", 200)(scope, receive, send)

    client = TestClient(RetryLater(lost))
    answer = client.post("/v1/documents", content=b"page", headers={"X-Request-ID": "of-the-client"})
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "2"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == "of-the-client" and "send it again" in answer.json()["detail"]
    assert TestClient(RetryLater(answering)).get("/").text == "read"


@pytest.fixture(scope="module")
def app(tmp_path_factory, tiny_reader_yaml):
    def edit(app):
        app["args"] |= {
            "reader": str(tiny_reader_yaml),
            "allowed_hosts": ["127.0.0.1", "*.example.org"],
            "cors_origins": ["https://app.example.org"],
            "flow": {"requests": 4, "receiving": 60},
        }
        deployment(app, "reader")["autoscaling_config"]["max_replicas"] = 1

    with served(tmp_path_factory.mktemp("gate"), "documents", edit, OCRAY_API_KEYS=f"{A},{B}") as app:
        yield app


def page(text: str) -> bytes:
    return cv2.imencode(".png", draw_tiny_page([text])[..., ::-1])[1].tobytes()


def headers(key: str, **others: str) -> dict[str, str]:
    return {"X-API-Key": key, "Content-Type": "image/png", **others}


def answered(app: Served, sent: bytes) -> bytes:
    with app.opened(sent) as connection:
        return connection.recv(10_000)


@pytest.mark.serve
@pytest.mark.parametrize(
    "line",
    [b"X-Request-ID: \xff\xfe", b"X-Request-ID: " + 5000 * b"x", b"serve_multiplexed_model_id: \xff", b"X-Y: \xff"],
)
def test_no_header_makes_the_server_fail(app, line):
    head = answered(app, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + line + b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    (reported,) = (each for each in head.split(b"\r\n") if each.lower().startswith(b"x-request-id"))
    assert 10 < len(reported) < 100


@pytest.mark.serve
def test_a_foreign_host_is_refused_and_no_redirect_repeats_it(app):
    for host, status in (("evil.example", 421), ("ocr.example.org:8000", 200), ("example.org.evil", 421)):
        answer = requests.get(f"{app.url}/v1/models", headers=headers(A, Host=host), timeout=20)
        assert answer.status_code == status, host
    assert answer.headers["content-type"] == "application/problem+json"
    assert requests.get(f"{app.url}/healthz", headers={"Host": "10.0.0.7"}, timeout=20).status_code == 200
    moved = requests.get(
        f"{app.url}/v1/models/", headers=headers(A, Host="ocr.example.org"), timeout=20, allow_redirects=False
    )
    assert moved.status_code == 307 and moved.headers["location"] == "/v1/models"


@pytest.mark.serve
def test_a_page_of_an_allowed_origin_may_use_the_api(app):
    requested = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{app.url}/v1/documents", headers=requested, timeout=20)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
    requested["Origin"] = "https://evil.example"
    answer = requests.options(f"{app.url}/v1/documents", headers=requested, timeout=20)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.serve
def test_a_job_belongs_to_the_key_that_made_it(app):
    def jobs(method: str, key: str, path: str = "", content: bytes | None = None, **more: str) -> requests.Response:
        return requests.request(
            method, f"{app.url}/v1/jobs{path}", data=content, headers=headers(key, **more), timeout=60
        )

    named = {"Idempotency-Key": "order-1"}
    ours = jobs("POST", A, "", page("OURS"), **named).json()["id"]
    theirs = jobs("POST", B, "", page("THEIRS"), **named).json()["id"]
    assert ours != theirs and jobs("POST", A, "", page("OURS"), **named).json()["id"] == ours
    for method, path in (("GET", ""), ("GET", "/result"), ("POST", "/cancel"), ("DELETE", "")):
        assert jobs(method, B, f"/{ours}{path}").status_code == 404, (method, path)
    while jobs("GET", A, f"/{ours}").json()["state"] != "finished":
        time.sleep(0.2)
    assert jobs("GET", A, f"/{ours}/result").json()["pages"][0]["text"] == "OURS"
    stored = b"".join(file.read_bytes() for file in (app.folder / "jobs").rglob("*") if file.is_file())
    assert A.encode() not in stored and B.encode() not in stored
    assert jobs("DELETE", A, f"/{ours}").status_code == 204


@pytest.mark.serve
def test_all_ports_listen_on_this_machine_only(app):
    def listening(pid: int) -> set[str]:
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("inet")
            return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
        return set()

    pids = [app.process.pid, *descendants(app.process.pid)]
    assert set().union(*map(listening, pids)) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.serve
def test_slow_clients_hold_up_nobody_and_are_dropped(app):
    head = b"POST /v1/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 4000\r\n"
    halves = [app.opened(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ") for _ in range(30)]
    slow = [app.opened(head + f"X-API-Key: {A}\r\n\r\nAB".encode()) for _ in range(60)]
    time.sleep(0.5)
    started = time.monotonic()
    answer = requests.post(f"{app.url}/v1/documents", page("OTHER"), headers=headers(B), timeout=60)
    assert answer.status_code == 200 and answer.json()["pages"][0]["text"] == "OTHER"
    assert time.monotonic() - started < 5
    reported = [connection.recv(100)[:12] for connection in slow]
    # Above a client's share they are refused at once; the others are given some seconds.
    assert reported.count(b"HTTP/1.1 503") == 15 and reported.count(b"HTTP/1.1 408") == 45
    assert [connection.recv(100) for connection in halves] == 30 * [b""]
    for connection in slow + halves:
        connection.close()


@pytest.mark.serve
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_the_nginx_of_deploy_passes_requests_on_and_drops_slow_ones(app, tmp_path):
    config, port = (ROOT / "deploy" / "nginx.conf").read_text(), free_port()
    for shipped, here in (
        ("/run/nginx.pid", f"{tmp_path}/nginx.pid"),
        ("/var/log/nginx", str(tmp_path)),
        ("server 127.0.0.1:8000", f"server {urlsplit(app.url).netloc}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("client_header_timeout 10s", "client_header_timeout 2s"),
        ("worker_processes auto;", "worker_processes 1; user root;"),  # who may write to the test's folder
        ("http {", "http {" + "".join(f" {kind}_temp_path {tmp_path}/{kind};" for kind in _TEMPORARY)),
    ):
        assert shipped in config
        config = config.replace(shipped, here)
    (tmp_path / "nginx.conf").write_text(config)
    nginx = subprocess.Popen(["nginx", "-c", tmp_path / "nginx.conf", "-g", "daemon off;"])
    try:
        front = Served(f"http://127.0.0.1:{port}", app.folder, nginx)
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if front.get("readyz").status_code == 200:
                    break
            assert nginx.poll() is None
            time.sleep(0.1)
        answer = requests.post(f"{front.url}/v1/documents", page("NGINX"), headers=headers(A), timeout=60)
        assert answer.status_code == 200 and answer.json()["pages"][0]["text"] == "NGINX"
        large = requests.post(f"{front.url}/v1/documents", bytes(3_000_000), headers=headers(A), timeout=60)
        assert large.status_code == 415  # it came through, and is no image
        started = time.monotonic()
        half = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "
        with front.opened(half) as connection, contextlib.suppress(ConnectionResetError):
            connection.recv(1000)
        assert time.monotonic() - started < 10
        assert front.get("-/routes").status_code == 404
    finally:
        nginx.terminate()
        nginx.wait(20)
