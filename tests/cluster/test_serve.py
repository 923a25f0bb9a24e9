"""An app on a cluster of three worker nodes, one of which is lost under load: no wrong answer and no lost job."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import pytest

from ray_apps.client.client import Client
from tests.documents_made import multi_page
from tests.nodes import cluster, kill_on_head, lose_node_with, workers_of
from tests.served import deployment, served
from tests.tiny_documents import draw_tiny_page

pytestmark = [pytest.mark.serve, pytest.mark.timeout(400)]
CLIENTS = 4
KEY = "the-key-of-these-clients"
JOB_PAGES = 40


def page(text: str):
    return draw_tiny_page([text], width=320, height=96)


@pytest.fixture(scope="module")
def nodes():
    with cluster(workers=3, num_cpus=2) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def app(nodes, tiny_reader_yaml, tmp_path_factory):
    """Serve two ingresses and three readers, at most one of each on a node."""

    def edit(app):
        app["args"] |= {"reader": str(tiny_reader_yaml), "flow": {"per": "app", "receiving": 8, "client_share": 1}}
        for name, count in (("ingress", 2), ("reader", 3)):
            replicas = deployment(app, name)
            replicas["autoscaling_config"] |= {"min_replicas": count, "max_replicas": count}
            replicas["max_replicas_per_node"] = 1

    folder = tmp_path_factory.mktemp("served")
    with served(folder, "documents", edit, nodes.address, OCRAY_API_KEYS=KEY) as app:
        yield app


class Load:
    """Clients that have pages read one after the other, until the block ends; each page says something else."""

    def __init__(self, url: str):
        self._url = url
        self._over = threading.Event()
        self.right = 0
        self.wrong: list[tuple[str, str]] = []

    def __enter__(self) -> "Load":
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._clients = [self._pool.submit(self._read, number) for number in range(CLIENTS)]
        return self

    def __exit__(self, *exception) -> None:
        self._over.set()
        for client in self._clients:
            client.result(120)
        self._pool.shutdown()

    def _read(self, number: int) -> None:
        with Client(self._url, KEY) as client:
            turn = 0
            while not self._over.is_set():
                text = f"C{number} P{turn}"
                content = cv2.imencode(".png", page(text)[..., ::-1])[1].tobytes()
                (read,) = client.read(content).pages
                if read.text == text:
                    self.right += 1
                else:
                    self.wrong.append((text, read.text))
                turn += 1

    def wait_for(self, more: int) -> None:
        """Wait until so many more pages were read."""
        goal = self.right + more
        while self.right < goal and not self._over.wait(0.2):
            assert not any(client.done() for client in self._clients)


def test_the_keys_of_the_command_hold_on_all_nodes(app):
    assert {app.read(b"page").status_code for _ in range(8)} == {401}


def test_ingresses_share_the_limits_of_the_app(app):
    """Bodies that do not arrive: four at each of two ingresses are waited for, whichever gets how many."""
    head = "POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 4000\r\n"
    time.sleep(5)  # until both know of each other
    slow = [app.opened(f"{head}X-API-Key: {KEY}\r\n\r\nAB".encode()) for _ in range(40)]
    answers = [connection.recv(100)[9:12] for connection in slow]
    assert (answers.count(b"408"), answers.count(b"503")) == (8, 32)
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("killed", ["ServeController", "ProxyActor"])
def test_a_part_of_serve_that_is_killed_comes_back(nodes, app, killed):
    with Load(app.url) as load:
        load.wait_for(10)
        kill_on_head(nodes, killed)
        load.wait_for(60)
    assert load.wrong == []


@pytest.mark.parametrize("lost", ["jobs", "ingress"])
def test_a_lost_node_gives_no_wrong_answer_and_loses_no_job(nodes, app, lost):
    pages = [page(f"JOB {number}") for number in range(JOB_PAGES)]
    title = f"ServeReplica:documents:{lost}"
    assert workers_of(nodes, title)
    with Client(app.url, KEY) as client, Load(app.url) as load:
        load.wait_for(20)
        job = client.submit(multi_page(pages, "TIFF"))
        load.wait_for(10)
        lose_node_with(nodes, title)
        load.wait_for(60)
        done = client.wait(job.id)
        texts = [read.text for read in client.result(job.id)]
    assert load.wrong == []
    assert done.state == "finished" and texts == [f"JOB {number}" for number in range(JOB_PAGES)]
    nodes.add_node(num_cpus=2)
