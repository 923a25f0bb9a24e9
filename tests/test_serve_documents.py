"""The documents app as it is shipped, in a process of its own: records, bodies, bad input, limits, models."""

import base64
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import ray
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings

from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.registry import load_reader
from pipelines.records import table_to_records
from pipelines.runner import JobOptions, run_job
from ray_apps.cli.cluster import connect
from tests.browser import open_page
from tests.pages import draw_page, write_page
from tests.recognizers import SAYS, dark_line_recognizer
from tests.served import deployment, served

pytestmark = pytest.mark.serve

LANGUAGES = ("ko", "ko,en", "fr,ko")  # beside the reader's own
SAMPLES = Path(__file__).parent.parent / "samples"
# Each kind of file and of page once; what is left out is read by the same stages, and takes as long as all of these.
COMPARED = (
    *("broken_truncated.jpg", "business_card.webp", "fax_three_pages.tiff", "form_turned_37_degrees.jpg"),
    *("report_two_pages.pdf", "table_sideways_90_degrees.png", "영수증 사본.jpg"),
)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """Return a YAML file: the shipped reader with a second recogniser, for Korean, which reads white on black alone."""
    folder = tmp_path_factory.mktemp("reader")
    dark_line_recognizer(folder / "korean")
    content = load_reader("documents").settings.model_dump() | {"languages": ["en"], "precision": "f32"}
    content["text_recognition"]["recognizers"] = {
        "ppocrv6-rec@small": ["en", "zh", "fr"],
        str(folder / "korean"): ["ko"],
    }
    (folder / "reader.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "reader.yaml"


@pytest.fixture(scope="module")
def two_scripts(tmp_path_factory) -> Path:
    """Return a folder with a page of dark lines on white, and a line of white on black."""
    page = draw_page(["Invoice 1047", "Total amount 38.50"], width=640, height=300)
    page[180:260, 20:460] = 255 - draw_page(["Customer name"], width=440, height=80)
    path = tmp_path_factory.mktemp("two_scripts") / "two_scripts.png"
    path.write_bytes(encoded(page))
    return path


@pytest.fixture(scope="module")
def bulk(reader, two_scripts, tmp_path_factory) -> dict[tuple[str, str, int], PageRecord]:
    """Return records of the bulk job by (languages, file name, page number): the samples in the reader's own languages,
    a page of two scripts in several."""
    output = tmp_path_factory.mktemp("bulk")
    opened = load_reader(reader)
    connect()
    try:
        samples = [str(SAMPLES / name) for name in COMPARED]
        run_job(samples, str(output / "en"), opened, JobOptions(max_error_rate=1))
        for languages in LANGUAGES:
            run_job([str(two_scripts)], str(output / languages), opened.for_languages(languages), JobOptions())
    finally:
        ray.shutdown()
    found = {}
    for languages in ("en", *LANGUAGES):
        ledger = Ledger(Storage(str(output / languages)))
        tables = [ledger.read_part(part) for part in ledger.parts()]
        for record in (record for table in tables for record in table_to_records(table, PageRecord)):
            found[languages, record.document_uri.rsplit("/", 1)[-1], record.page_number] = record
    return found


@pytest.fixture(scope="module")
def app(bulk, reader, tmp_path_factory):
    """Serve the app on both cores, with a second recogniser that claims Korean, and small limits."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "readable").mkdir()

    def edit(app):
        app["args"] |= {
            "reader": str(reader),
            "uri_prefixes": [f"file://{folder}/readable/"],
            "limits": {"upload_mib": 2, "megapixels": 20, "pages": 4, "job_pages": 5, "upload_seconds": 2},
        }
        deployment(app, "reader")["autoscaling_config"]["min_replicas"] = 2

    with served(folder, "documents", edit) as app:
        yield app


@pytest.fixture(scope="module")
def page() -> bytes:
    """Return a small page as PNG."""
    return encoded(draw_page(["Invoice 1047", "Total amount 38.50"], width=420, height=140))


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def problem(answer: requests.Response, status: int) -> dict:
    """Return the body of an error answer, checked for what RFC 9457 and this API promise."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["title"] and body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def comparable(record: PageRecord) -> dict:
    """Return a record without what must differ: where it came from, how long it took; numbers as Parquet keeps them."""
    fields = record.model_dump(exclude={"page_id", "document_uri", "timings_ms"})
    if record.error is not None:
        fields["error"]["message"] = record.error.message.replace(record.document_uri, "")
    return fields


def same(bulk: PageRecord, served: PageRecord) -> None:
    ours, theirs = comparable(bulk), comparable(served)
    for name in ("skew_degrees", "skew_confidence", "orientation_confidence"):
        assert ours.pop(name) == pytest.approx(theirs.pop(name), abs=1e-4), name
    for line, other in zip(ours["lines"], theirs["lines"], strict=True):
        assert line.pop("confidence") == pytest.approx(other.pop("confidence"), abs=2e-4)
        assert np.allclose(line.pop("polygon"), other.pop("polygon"), atol=0.02)
        assert np.allclose(line.pop("words"), other.pop("words"), atol=1e-4)
    for table, other in zip(ours["tables"], theirs["tables"], strict=True):
        for cell, served_cell in zip(table["cells"], other["cells"], strict=True):
            assert np.allclose(cell.pop("polygon"), served_cell.pop("polygon"), atol=0.02)
    assert ours.pop("dpi") == pytest.approx(theirs.pop("dpi"), abs=0.01)
    assert ours == theirs


@pytest.mark.timeout(900)  # all of them, twice
def test_bulk_and_serve_give_the_same_record_for_every_sample(bulk, app):
    def read(path: Path) -> requests.Response:
        return app.read(path.read_bytes(), name=path.name)

    paths = [SAMPLES / name for name in COMPARED]
    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(paths, pool.map(read, paths), strict=True))
    compared = 0
    for path, answer in answers.items():
        if answer.status_code == 200:
            for page in answer.json()["pages"]:
                page.pop("upright")
                record = PageRecord.model_validate(page)
                same(bulk["en", path.name, record.page_number], record)
                assert record.timings_ms.keys() == bulk["en", path.name, record.page_number].timings_ms.keys()
                compared += 1
        else:
            error = bulk["en", path.name, 1].error
            reported = problem(answer, 422)["page_error"]
            assert (reported["stage"], reported["type"]) == (error.stage, error.type)
            compared += 1
    assert compared == len(bulk) - len(LANGUAGES)


def test_every_kind_of_body_is_the_same_document(app, page):
    (app.folder / "readable" / "page.png").write_bytes(page)
    url = f"{app.url}/v1/documents"
    answers = [
        requests.post(url, files={"file": ("page.png", page)}, timeout=60),
        requests.post(url, page, headers={"Content-Type": "image/png"}, timeout=60),
        requests.post(url, json={"content": base64.b64encode(page).decode(), "name": "page.png"}, timeout=60),
        requests.post(url, json={"uri": f"file://{app.folder}/readable/page.png"}, timeout=60),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        (read,) = answer.json()["pages"]
        assert read["text"] == "Invoice 1047\nTotal amount 38.50"
    documents = [answer.json()["document"] for answer in answers]
    assert len({document["sha256"] for document in documents}) == 1
    assert documents[0] == {"name": "page.png", "bytes": len(page), "sha256": documents[0]["sha256"], "page_count": 1}


def test_names_never_hold_a_path(app, page):
    answer = requests.post(f"{app.url}/v1/documents", files={"file": ("../../etc/pass\x07wd", page)}, timeout=60)
    assert answer.json()["document"]["name"] == "passwd"


def test_chosen_pages_of_a_long_document(app):
    pages = [encoded(draw_page([f"Page {number}"], width=240, height=90), ".png") for number in range(1, 7)]
    frames = [cv2.imdecode(np.frombuffer(page, np.uint8), cv2.IMREAD_COLOR) for page in pages]
    path = app.folder / "six.tiff"
    assert cv2.imwritemulti(str(path), frames)
    content = path.read_bytes()
    answer = app.read(content, pages="2,4-5").json()
    assert [page["text"] for page in answer["pages"]] == ["Page 2", "Page 4", "Page 5"]
    assert answer["document"]["page_count"] == 6
    assert "as a job" in problem(app.read(content), 413)["detail"]
    assert "1 to 6" in problem(app.read(content, pages="6-7"), 422)["detail"]
    assert "pages" in problem(app.read(content, pages="last"), 422)["errors"][0]["where"]
    assert "limit of 5" in problem(app.post("v1/jobs", content), 413)["detail"]


def test_deskew_finds_the_angle_and_gives_the_straightened_page(app):
    content = (SAMPLES / "form_turned_37_degrees.jpg").read_bytes()
    (page,) = app.post("v1/deskew", content, upright="png", upright_max_side=500).json()["pages"]
    assert page["skew_degrees"] == pytest.approx(37, abs=0.5) and page["orientation_degrees"] == 0
    image = cv2.imdecode(np.frombuffer(base64.b64decode(page["upright"]["content"]), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == (page["upright"]["height"], page["upright"]["width"])
    matrix = np.array(page["upright"]["matrix"])
    # The page's centre stays its centre.
    centre = matrix @ [(page["width"] - 1) / 2, (page["height"] - 1) / 2, 1]
    assert centre == pytest.approx([(image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2], abs=1)
    assert page["timings_ms"].keys() == {"decode", "deskew", "orientation", "upright"}


def test_languages_choose_the_recognisers_as_in_bulk(app, bulk, two_scripts):
    content = two_scripts.read_bytes()

    def read(languages: str) -> PageRecord:
        (page,) = app.read(content, name=two_scripts.name, languages=languages).json()["pages"]
        page.pop("upright")
        return PageRecord.model_validate(page)

    # Side by side: those of one batch are asked for in several languages.
    requested = [*LANGUAGES, "en", "zh,en"] * 3
    with ThreadPoolExecutor(len(requested)) as pool:
        answers = list(zip(requested, pool.map(read, requested), strict=True))
    for languages, record in answers:
        if languages in LANGUAGES:
            same(bulk[languages, two_scripts.name, 1], record)
    found = {languages: [(line.text, line.language) for line in record.lines] for languages, record in answers}
    dark = ("Customer name", SAYS)
    assert found["ko"] == [(SAYS, "ko")]
    assert found["ko,en"] == [("Invoice 1047", "en"), ("Total amount 38.50", "en"), (SAYS, "ko")]
    assert [language for _, language in found["fr,ko"][:2]] == ["fr", "fr"] and found["fr,ko"][2][0] in dark
    assert {language for _, language in found["en"]} == {language for _, language in found["zh,en"]} == {"en"}
    models = {languages: record.models["text_recognition"] for languages, record in answers}
    assert models == {
        "ko": "korean@1",
        "ko,en": "korean@1+ppocrv6-rec@small",
        "fr,ko": "ppocrv6-rec@small+korean@1",
        "en": "ppocrv6-rec@small",
        "zh,en": "ppocrv6-rec@small",
    }


def test_languages_that_nobody_reads_are_refused(app, page):
    assert "nothing here reads de; known: en, zh, fr, ko" in problem(app.read(page, languages="en,de"), 422)["detail"]
    assert "each once" in problem(app.read(page, languages="en,en"), 422)["detail"]
    assert "languages" in problem(app.read(page, languages="English"), 422)["errors"][0]["where"]
    assert "known: en, zh, fr, ko. Default: en." in app.get("openapi.json").json()["info"]["description"]


def test_a_header_opens_no_recogniser(app, page):
    # Serve takes a model's name from this header too; it must not open anything.
    header = {"serve_multiplexed_model_id": "/etc", "Content-Type": "image/png"}
    assert requests.post(f"{app.url}/v1/documents", page, headers=header, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"", 400, None),
        (b"no image at all", 415, "UnknownFormat"),
        (b"PK\x03\x04 an office document", 415, "UnknownFormat"),
        (b"%PDF-1.7 broken", 422, "UnreadableDocument"),
        (b"II*\0\x08\0\0\0", 422, "UnreadableDocument"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), 422, "UnreadableDocument"),
    ],
)
def test_a_document_that_cannot_be_opened(app, content, status, kind):
    body = problem(app.read(content), status)
    assert body.get("page_error", {}).get("type") == kind


def test_too_many_pixels_are_refused_before_decoding(app):
    bomb = encoded(np.zeros((6000, 6000, 3), np.uint8))
    body = problem(app.read(bomb), 413)
    assert body["page_error"]["type"] == "PageTooLarge" and "36.0 megapixels" in body["detail"]


def test_too_many_bytes_are_refused(app):
    assert "2 MiB" in problem(app.read(bytes(2_200_000)), 413)["detail"]
    problem(app.read(bytes(4_000_000)), 413)  # over what any body may hold: cut off while it arrives


def test_a_body_that_does_not_arrive_is_given_up(app):
    address = urlsplit(app.url)
    head = b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nhalf"
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b'{"content": "%%%"}', "application/json", 422),
        (b'{"content": "QQ==", "uri": "s3://a/b"}', "application/json", 422),
        (b'{"file": "QQ=="}', "application/json", 422),
        (b"hello", "text/plain", 415),
        (b"hello", "multipart/form-data", 400),
        (b"--x\r\n\r\nhello", "multipart/form-data; boundary=x", 400),
    ],
)
def test_malformed_bodies(app, body, kind, status):
    problem(requests.post(f"{app.url}/v1/documents", body, headers={"Content-Type": kind}, timeout=60), status)


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "file://{folder}/readable/../app.yaml",
        "file://{folder}/readable/%2e%2e/app.yaml",
        "file://{folder}/readable/link",
        "s3://bucket/key",
        "simplecache::file://{folder}/readable/page.png",
    ],
)
def test_only_allowed_uris_are_fetched(app, uri):
    link = app.folder / "readable" / "link"
    if not link.is_symlink():
        link.symlink_to("/etc/hostname")
    answer = requests.post(f"{app.url}/v1/documents", json={"uri": uri.format(folder=app.folder)}, timeout=60)
    assert "not below a prefix" in problem(answer, 422)["detail"]


def test_a_missing_uri_tells_no_more_than_its_name(app):
    uri = f"file://{app.folder}/readable/none.png"
    detail = problem(requests.post(f"{app.url}/v1/documents", json={"uri": uri}, timeout=60), 422)["detail"]
    assert detail == f"{uri} cannot be read (FileNotFoundError); check that it exists"


def test_other_paths_and_methods_are_problems_too(app):
    problem(app.get("nowhere"), 404)
    problem(app.get("v1/documents"), 405)


def test_health_and_models(app):
    assert app.get("healthz").json()["status"] == "alive"
    assert app.get("readyz").json()["deployments"].keys() == {"reader", "jobs"}
    models = {model["name"]: model for model in app.get("v1/models").json()}
    assert models.keys() == {"deskew@1", "orientation@1", "ppocrv6-det@small", "ppocrv6-rec@small", "korean@1"}
    assert models["deskew@1"]["device"] == "openvino:CPU f32"
    assert models["korean@1"]["languages"] == ["ko", "en"] and models["deskew@1"]["training_data"]


def test_the_clients_request_id_is_kept(app, page):
    headers = {"X-Request-ID": "order-7", "Content-Type": "image/png"}
    answer = requests.post(f"{app.url}/v1/documents", page, headers=headers, timeout=60)
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "order-7"


def test_no_request_that_the_description_allows_makes_the_server_fail(app):
    schema = schemathesis.openapi.from_url(f"{app.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 10
    for operation in operations:

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def refused_or_answered(case):
            assert case.call().status_code < 500, case.as_curl_command()

        refused_or_answered()


def test_the_documentation_needs_no_other_server(browser, app):
    with open_page(browser, f"{app.url}/docs") as tab:
        tab.get_by_text("Read a document").first.wait_for(timeout=30_000)


def test_the_page_reads_a_document_in_a_browser(browser, app):
    path = write_page(app.folder / "letter.png", ["Dear customer", "your order 4711 is on its way"])
    with open_page(browser, f"{app.url}/") as tab:
        tab.set_input_files("input[type=file]", str(path))
        words = tab.locator("#lines .words")
        words.nth(1).wait_for(timeout=60_000)
        assert words.all_inner_texts() == ["Dear customer", "your order 4711 is on its way"]
