"""A cluster of three hosts that `ray up` brings up over SSH, as machines of one's own: `make test-cluster`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import requests
import yaml

from common.project import ROOT
from common.storage import Storage
from pipelines.ledger import Ledger
from tests.cluster.hosts import HEAD, WORKERS, hosts, why_not
from tests.faults import slow_reader_yaml
from tests.tiny_documents import numbered_tiny_pages, tiny_text, write_tiny_page, write_tiny_reader

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(600),
    pytest.mark.skipif("OCRAY_TEST_HOSTS" not in os.environ, reason="takes minutes: make test-cluster"),
]
PAGES = 24
DASHBOARD = f"http://{HEAD}:8265"
PORT = 8431
KEY = "a-key-of-a-client"


@pytest.fixture(scope="module")
def cluster():
    assert why_not() is None
    folder = Path(tempfile.mkdtemp(prefix="ocray-hosts-", dir="/var/tmp"))
    try:
        with hosts(folder) as running:
            running.up()
            wait_for_nodes(running, 3)
            yield running
            running.down()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def python_on_head(running, code: str) -> str:
    script = running.folder / "script.py"
    script.write_text(code)
    return running.run(*running.ssh(HEAD, f"python {script}"), stderr=subprocess.DEVNULL).stdout


def alive(running) -> set[str]:
    """Addresses of the nodes that are alive."""
    code = "import ray; ray.init('auto', logging_level='ERROR')\n"
    code += "print('nodes', *(n['NodeManagerAddress'] for n in ray.nodes() if n['Alive']))"
    lines = [line.split()[1:] for line in python_on_head(running, code).splitlines() if line.startswith("nodes")]
    return set(lines[0]) if lines else set()


def wait_for_nodes(running, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(found := alive(running)) != count:
        assert time.monotonic() < deadline, f"{found} are alive"
        time.sleep(1)


def submitted(running, output: Path, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "ray_apps", "submit", "--address", DASHBOARD, "--installed", "ocr"]
    return [*command, "--output", str(output), *arguments]


def assert_complete(output: Path) -> None:
    rows = Ledger(Storage(str(output))).states()
    assert len(rows) == len(set(rows["page_id"].to_pylist())) == PAGES
    assert set(rows["status"].to_pylist()) == {"ok"}


def test_all_hosts_joined(cluster):
    assert alive(cluster) == {HEAD, *WORKERS}


def test_a_job_is_read_by_the_workers(cluster):
    numbered_tiny_pages(cluster.folder / "in", PAGES)
    reader = write_tiny_reader(cluster.folder / "reader")
    arguments = ["--input", str(cluster.folder / "in"), "--config", str(reader), "--export", "jsonl"]
    job = cluster.run(*submitted(cluster, cluster.folder / "out", *arguments))
    assert job.returncode == 0, job.stdout
    assert f"{PAGES} pages read, 0 failed" in job.stdout
    assert_complete(cluster.folder / "out")
    lines = (cluster.folder / "out" / "exports" / "jsonl" / "pages.jsonl").read_text().splitlines()
    assert {json.loads(line)["text"] for line in lines} == {tiny_text(number) for number in range(PAGES)}


@pytest.mark.parametrize("token", [None, "0" * 64], ids=["no token", "another token"])
def test_a_client_without_the_token_is_refused(cluster, token):
    """By the dashboard, the Jobs API, and Ray's own port."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    refused = 403 if token else 401
    assert requests.get(f"{DASHBOARD}/api/jobs/", headers=headers, timeout=20).status_code == refused
    job = {"entrypoint": "echo stolen"}
    assert requests.post(f"{DASHBOARD}/api/jobs/", json=job, headers=headers, timeout=20).status_code == refused
    assert requests.get(f"{DASHBOARD}/nodes?view=summary", headers=headers, timeout=20).status_code == refused
    environment = {**cluster.environment, "RAY_AUTH_TOKEN": token or "", "RAY_gcs_server_request_timeout_seconds": "5"}
    environment |= {} if token else {"RAY_AUTH_MODE": "disabled"}
    code = f"import ray; ray.init('{HEAD}:6379'); print('joined', ray.cluster_resources())"
    joined = cluster.run(sys.executable, "-c", code, env=environment)
    assert joined.returncode != 0 and "joined" not in joined.stdout
    assert "oken" in joined.stdout or "nauthenticated" in joined.stdout.lower(), joined.stdout[-2000:]
    command = submitted(cluster, cluster.folder / "stolen", "--input", str(cluster.folder / "in"))
    submit = cluster.run(*command, env=environment)
    assert submit.returncode == 3 and "no job server of Ray answers" in submit.stdout, submit.stdout


def test_an_app_is_served_on_all_hosts_to_clients_with_a_key(cluster):
    folder = cluster.folder / "serve"
    content = yaml.safe_load((ROOT / "configs" / "serve" / "documents.yaml").read_text())
    (app,) = content["applications"]
    app["args"] |= {"reader": str(cluster.folder / "reader" / "reader.yaml"), "jobs": {"store": str(folder / "jobs")}}
    folder.mkdir()
    (folder / "app.yaml").write_text(yaml.safe_dump(content))
    serve = f"OCRAY_API_KEYS={KEY} ocray serve {folder}/app.yaml --host 0.0.0.0 --port {PORT} --address auto"
    page = write_tiny_page(folder / "page.png", ["SERVED"]).read_bytes()
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(cluster.ssh(HEAD, f"exec env {serve}"), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 150
        while "ready:" not in (folder / "serve.log").read_text():
            assert server.poll() is None and time.monotonic() < deadline, (folder / "serve.log").read_text()
            time.sleep(0.5)
        for address in (HEAD, *WORKERS):
            url = f"http://{address}:{PORT}/v1/documents"
            image = {"Content-Type": "image/png"}
            assert requests.post(url, page, headers=image, timeout=60).status_code == 401
            answer = requests.post(url, page, headers={**image, "X-API-Key": KEY}, timeout=60)
            assert answer.status_code == 200 and answer.json()["pages"][0]["text"] == "SERVED", answer.text
    finally:
        cluster.run(*cluster.ssh(HEAD, "pkill -INT -f [o]cray.serve"))
        server.wait(60)


def test_a_host_that_is_lost_costs_nothing(cluster):
    """The last test: the host does not come back."""
    numbered_tiny_pages(cluster.folder / "in", PAGES)
    arguments = ["--input", str(cluster.folder / "in"), "--config", str(slow_reader_yaml(cluster.folder))]
    output = cluster.folder / "out-lost"
    command = submitted(cluster, output, *arguments)
    job = subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 120
    while not len(Ledger(Storage(str(output))).states()):
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    cluster.lose(WORKERS[0])
    said = job.communicate(timeout=240)[0]
    assert job.returncode == 0, said
    assert_complete(output)
    assert alive(cluster) == {HEAD, WORKERS[1]}
