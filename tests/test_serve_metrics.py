"""What a served app tells of itself: metrics for Prometheus, the dashboard over them, logs that name the request."""

import json
import logging
import re
import socket
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest
import ray
from fastapi import FastAPI, Request, Response
from prometheus_client.parser import text_string_to_metric_families
from ray import serve

from pipelines.page import Page
from pipelines.readers.documents.record import Line, PageRecord
from ray_apps.serving.metrics import RequestMetrics, StageMetrics

pytestmark = pytest.mark.serve

ROOT = Path(__file__).parent.parent
STAGES = ["decode", "deskew", "orientation", "text_recognition"]
POLYGON = [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0]]
# Series that exist only after something has gone wrong which a test cannot bring about in a second.
CONDITIONAL = {"ray_serve_health_check_failures_total"}

logger = logging.getLogger("ray.serve")
app = FastAPI()


def page_read(kind: str) -> Page:
    page = Page(PageRecord(page_id="0" * 16, document_uri="made", page_number=1, page_count=1))
    if kind == "bad":
        page.fail("decode", ValueError("no image"))
        return page
    if kind == "failed-before":
        page.fail("open", ValueError("no document"))
        return page
    page.record.timings_ms = {"decode": 4.0, "deskew": 2.5, "text_recognition": 600.0}
    page.record.skew_confidence, page.record.orientation_confidence = 0.94, 0.99
    page.record.lines = [
        Line(text="a", confidence=confidence, polygon=POLYGON, language="en") for confidence in (0.7, 0.9)
    ]
    return page


@serve.deployment(
    max_ongoing_requests=8,
    ray_actor_options={"num_cpus": 0.1},
    autoscaling_config={"min_replicas": 1, "max_replicas": 1},
)
class Reader:
    def __init__(self):
        self.metrics = StageMetrics()

    async def read(self, kind: str) -> str:
        logger.info("asked for a page", extra={"kind": kind})
        if kind == "broken":
            raise RuntimeError("the reader breaks")
        return await self.together(kind)

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0.5)
    async def together(self, kinds: list[str]) -> list[str]:
        self.metrics.observe([page_read(kind) for kind in kinds], STAGES, len(kinds), 0.61)
        return kinds


@serve.deployment(max_ongoing_requests=8, ray_actor_options={"num_cpus": 0.1})
@serve.ingress(app)
class Ingress:
    def __init__(self, reader):
        self.reader = reader
        self.metrics = RequestMetrics()

    @app.post("/v1/documents/{kind}")
    async def documents(self, kind: str, request: Request) -> str:
        self.metrics.received("/v1/documents/{kind}", len(await request.body()))
        return await self.reader.read.remote(kind)

    @app.post("/v1/full")
    async def full(self) -> Response:
        self.metrics.refused("queue")
        return Response(status_code=503)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Yield (samples {name: [(labels, value)]}, folder of Serve's logs) after some requests to an app."""
    logs = tmp_path_factory.mktemp("logs")
    logging_config = {"encoding": "JSON", "logs_dir": str(logs)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={
            "env_vars": {
                "RAY_SERVE_REPLICA_UTILIZATION_REPORT_INTERVAL_S": "1",
            }
        },
        _system_config={"metrics_report_interval_ms": 1000},  # 10 s by default
    )
    try:
        serve.start(http_options={"port": port}, logging_config=logging_config)
        serve.run(Ingress.bind(Reader.bind()), name="documents", logging_config=logging_config)
        ask_all(f"http://127.0.0.1:{port}/v1")
        yield wait_for_samples(expressions()), logs
    finally:
        serve.shutdown()
        ray.shutdown()


def ask_all(api):
    def ask(path, request_id="any"):
        try:
            urlopen(HttpRequest(f"{api}/{path}", b"12345", {"X-Request-ID": request_id}), timeout=30).close()
        except HTTPError as error:
            error.close()

    ask("documents/good", "the-one-to-follow")
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(ask, ["documents/good"] * 2 + ["documents/bad", "documents/failed-before"]))
    ask("documents/broken")
    ask("full")


def scrape():
    node = ray.nodes()[0]
    with urlopen(f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    samples = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name].append((sample.labels, sample.value))
    return samples


def wait_for_samples(expressions):
    """Return the latest of all samples, once each that the expressions ask for has been seen. A gauge that nothing sets
    anew is exported for two reports only."""
    wanted = {name for expression in expressions for name in metric_names(expression)} - CONDITIONAL
    seen = {}
    deadline = time.monotonic() + 30
    while not wanted <= seen.keys() and time.monotonic() < deadline:
        time.sleep(0.5)
        seen |= scrape()
    time.sleep(2)  # what was counted last is in the next report
    return defaultdict(list, seen | scrape())


def expressions():
    board = json.loads((ROOT / "deploy/grafana/ocray-documents.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]


def metric_names(text):
    return set(re.findall(r"\bray_\w+", text))


def test_dashboard_requests_what_is_exported(served):
    samples, _ = served
    for expression in expressions():
        missing = metric_names(expression) - samples.keys() - CONDITIONAL
        assert not missing, expression


def test_dashboard_groups_and_selects_by_labels_that_exist(served):
    samples, _ = served
    for expression in expressions():
        grouped = {label for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(", ")}
        made = set(re.findall(r'label_replace\(.*?, "(\w+)", "\$1"', expression))
        for name, selector in re.findall(r"\b(ray_\w+)(?:\{([^}]*)\})?", expression):
            requested = (grouped - made) | set(re.findall(r'(\w+)[=!]~?"', selector))
            for labels, _ in samples.get(name, []):
                assert requested <= labels.keys(), expression


def test_docs_name_what_is_exported(served):
    samples, _ = served
    names = metric_names((ROOT / "docs/monitoring.md").read_text())
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in samples}
    assert {name for name in names if name.startswith("ray_ocray_")} == {
        name for name in families if name.startswith("ray_ocray_")
    }
    assert names - families - samples.keys() - CONDITIONAL == set()


def test_pages_are_counted_where_they_end(served):
    samples, _ = served
    assert total(samples, "ray_ocray_pages_total", status="ok") == 3
    assert total(samples, "ray_ocray_pages_total", status="error") == 1
    assert total(samples, "ray_ocray_page_errors_total", stage="decode", type="ValueError") == 1
    assert total(samples, "ray_ocray_page_errors_total") == 1  # the page that failed before is another's
    assert total(samples, "ray_ocray_lines_total") == 6


def test_stages_batches_and_confidence(served):
    samples, _ = served
    assert total(samples, "ray_ocray_stage_seconds_count", stage="deskew") == 3
    assert total(samples, "ray_ocray_stage_seconds_count", stage="orientation") == 0  # it took no time: it did not run
    assert total(samples, "ray_ocray_stage_seconds_bucket", stage="text_recognition", le="0.7") == 3
    assert total(samples, "ray_ocray_stage_seconds_bucket", stage="text_recognition", le="0.5") == 0
    assert total(samples, "ray_ocray_batch_pages_sum") == 5  # exact, though Ray makes sums up from buckets
    assert total(samples, "ray_ocray_confidence_sum", stage="text_recognition") / 3 == pytest.approx(0.8, abs=0.03)
    assert total(samples, "ray_ocray_confidence_sum", stage="deskew") / 3 == pytest.approx(0.94, abs=0.02)


def test_requests_are_counted_by_template(served):
    samples, _ = served
    route = "/v1/documents/{kind}"
    assert total(samples, "ray_ocray_documents_total", route=route) == 6
    assert total(samples, "ray_ocray_document_bytes_total", route=route) == 30
    assert total(samples, "ray_ocray_refused_requests_total", reason="queue") == 1
    assert total(samples, "ray_serve_num_http_requests_total", route=route, status_code="200") == 5
    assert total(samples, "ray_serve_num_http_requests_total", route=route, status_code="500") == 1


def test_series_name_deployment_and_application(served):
    samples, _ = served
    for labels, _ in samples["ray_ocray_pages_total"]:
        assert (labels["application"], labels["deployment"]) == ("documents", "Reader")
        assert labels["replica"]


def test_one_request_can_be_followed_through_the_logs(served):
    _, logs = served
    lines = [json.loads(line) for path in logs.glob("*.log") for line in path.read_text().splitlines()]
    followed = [line for line in lines if line.get("request_id") == "the-one-to-follow"]
    access = {line["message"].rsplit(" ", 1)[0]: line["component_name"] for line in followed}
    assert access["POST /v1/documents/{kind} 200"] in ("proxy", "replica")
    assert access["CALL read OK"] == "replica"
    assert {line["component_name"] for line in followed} == {"proxy", "replica"}
    assert {line["route"] for line in followed} == {"/v1/documents/{kind}"}
    (own,) = [line for line in followed if line["message"] == "asked for a page"]
    assert (own["kind"], own["deployment"], own["application"]) == ("good", "documents_Reader", "documents")


def total(samples, name, **labels):
    return sum(value for found, value in samples[name] if labels.items() <= found.items())
