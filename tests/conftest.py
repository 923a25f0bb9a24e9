"""Fixtures shared by test modules."""

import os
import socket
import subprocess
import sys
import time
import uuid
from urllib.request import urlopen

import pytest
import s3fs

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1"}


@pytest.fixture(scope="module")
def one_thread():
    """torch computes on one thread while a module's tests run."""
    import torch  # only modules that ask for this need it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def browser():
    """A real headless Chromium."""
    from tests.browser import chromium  # only modules that ask for this need Playwright

    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_page(browser):
    """One tab for all tests of a module: a new one takes most of a second."""
    from tests.browser import new_page

    with new_page(browser) as page:
        yield page


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """Endpoint URL of an S3 server (moto's, a process of its own); started by the first test that wants it."""
    s3fs.S3FileSystem.clear_instance_cache()  # s3fs keeps clients by their arguments, not by the environment
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "server.log").open("wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **_CREDENTIALS})
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait_for(endpoint, server, log.name)
        yield endpoint
    finally:
        server.terminate()
        server.wait(10)
        log.close()


@pytest.fixture
def s3(s3_server, monkeypatch, tmp_path):
    """URI of a new bucket; the environment holds endpoint and credentials, for this process and those it starts."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    environment = {
        **_CREDENTIALS,
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    uri = f"s3://pages-{uuid.uuid4().hex[:12]}"
    s3fs.S3FileSystem(client_kwargs={"region_name": _CREDENTIALS["AWS_REGION"]}).mkdir(uri)
    return uri


def _wait_for(endpoint, server, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            urlopen(f"{endpoint}/moto-api/", timeout=2).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the S3 server did not start; see {log}")
