"""Fixtures shared by test modules, and how tests are told apart and shared out.

Tests that start Ray, in this process or in one of their own, are marked `ray`. With `pytest -n 2 --dist loadgroup` they
all run in one process, one after the other, for two Rays would fight for the cores; the other process runs the rest,
module by module. `local_ray` is the Ray that tests share; tests that need one of their own just start it: the shared
one is shut down before.
"""

import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from urllib.request import urlopen

import pytest
import s3fs

ROOT = Path(__file__).parent.parent
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1"}
_FIRST = ("train", "slow", "browser")  # what takes longest is not left for the end

# Ray's workers, served apps and other processes that tests start find this checkout and its tests.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
if "PYTEST_XDIST_WORKER" in os.environ:  # before numpy and torch are imported: as many threads as processes
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)  # before marks are selected by -m, and before xdist reads the groups
def pytest_collection_modifyitems(items):
    for item in items:
        if "local_ray" in item.fixturenames:
            item.add_marker(pytest.mark.ray)
        if "browser" in item.fixturenames:
            item.add_marker("browser")
        if item.get_closest_marker("serve"):
            item.add_marker(pytest.mark.ray)
        item.add_marker(pytest.mark.xdist_group("ray" if item.get_closest_marker("ray") else item.path.stem))
        if any(item.get_closest_marker(name) for name in ("ray", *_FIRST)):
            item.add_marker(pytest.mark.no_cover)  # coverage is that of the quick tests: it costs them a fifth
    first_of = {}  # modules stay whole, in the order of their most urgent test
    for item in items:
        first_of[item.path] = min(first_of.get(item.path, 9), _urgency(item))
    items.sort(key=lambda item: (item.get_closest_marker("ray") is None, first_of[item.path], item.path))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    if getattr(session.config.option, "loadgroup", False) and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("pytest-xdist does not group tests under this pytest; two Rays would run side by side")


def _urgency(item):
    """Those that share a Ray before those that start their own, then by kind."""
    if item.get_closest_marker("ray"):
        return 0 if "local_ray" in item.fixturenames else 1
    return next((2 + rank for rank, name in enumerate(_FIRST) if item.get_closest_marker(name)), 8)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.get_closest_marker("ray") is None:
        _SharedRay.stop()
        _end_ray()  # whatever the test before left
    elif "local_ray" not in item.fixturenames:
        _SharedRay.stop()
    else:
        if not _SharedRay.running:
            _end_ray()
        _SharedRay.start_again()


def _end_ray():
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


class _SharedRay:
    """2 CPUs and a GPU on paper. Workers inherit the environment that Ray is started with."""

    environment = None
    running = False

    @classmethod
    def start(cls):
        import ray  # most modules need none

        if not ray.is_initialized():
            with pytest.MonkeyPatch.context() as patched:
                for name, value in cls.environment.items():
                    patched.setenv(name, value)
                # Idle workers stay for the next test, instead of a second: most of a start is importing torch.
                config = {"num_workers_soft_limit": 8, "idle_worker_killing_time_threshold_ms": 120_000}
                options = {"include_dashboard": False, "log_to_driver": False, "_system_config": config}
                ray.init("local", num_cpus=2, num_gpus=1, **options)
            cls.running = True

    @classmethod
    def start_again(cls):
        """Start it again in a module whose last test had a Ray of its own."""
        if cls.environment is not None:
            cls.start()

    @classmethod
    def stop(cls):
        """Stop it, but not a Ray that a module started for its own tests."""
        if cls.running:
            sys.modules["ray"].shutdown()
            cls.running = False


@pytest.fixture(scope="module")
def local_ray(s3_server):
    """Return the Ray that tests share, which stays for the next module; its workers find `tests` and the test's
    bucket."""
    _SharedRay.environment = {**_CREDENTIALS, "AWS_ENDPOINT_URL": s3_server, "TUNE_FUNCTION_THREAD_TIMEOUT_S": "10"}
    _SharedRay.start()


@pytest.fixture(autouse=True)
def _ray_is_marked(request):
    """Fail if a test starts Ray without the mark `ray`: it would run beside another one's."""
    yield
    ray = sys.modules.get("ray")
    if request.node.get_closest_marker("ray") is None and ray is not None and ray.is_initialized():
        ray.shutdown()
        pytest.fail("this test started Ray: mark it with pytest.mark.ray")


def pytest_sessionfinish():
    _SharedRay.stop()


@pytest.fixture(scope="module", params=["f32", "bf16"])
def precision(request):
    """Return the arithmetic that tests of reading run in: both, if the CPU has both. All other tests read in f32."""
    if request.param == "bf16":
        import openvino

        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            pytest.skip("this CPU has no bf16 arithmetic")
    return request.param


@pytest.fixture(scope="session")
def tiny_reader_yaml(tmp_path_factory):
    """Return a documents reader for tests of everything but reading, as a YAML file: see tests/tiny_documents.py."""
    from tests.tiny_documents import write_tiny_reader

    return write_tiny_reader(tmp_path_factory.mktemp("tiny_reader"))


@pytest.fixture(scope="session")
def tiny_reader(tiny_reader_yaml):
    """Return the same as a configuration; make a copy before you change it."""
    from pipelines.readers.registry import load_reader

    return load_reader(tiny_reader_yaml)


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
    """Yield a real headless Chromium."""
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
    s3fs.S3FileSystem.clear_instance_cache()  # a client that another test made may have another endpoint
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
