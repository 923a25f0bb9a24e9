"""The meters app as it is shipped, in a process of its own: bulk = Serve, histories, /recognize, bad input."""

import base64
import csv
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings

from common.storage import Storage
from pipelines.ledger import Ledger
from pipelines.readers.meters.record import MeterRecord
from pipelines.readers.registry import load_reader
from pipelines.records import table_to_records
from pipelines.runner import JobOptions, run_job
from ray_apps.cli.cluster import connect
from ray_apps.client.client import Client
from ray_apps.serving.photos import EarlierReading, judge_record
from tests.browser import open_page
from tests.meter_bundles import draw_meter, write_meter, write_meter_reader
from tests.served import deployment, served

pytestmark = pytest.mark.serve

KEY = "0123456789-key-of-the-tests"
HEADERS = {"X-API-Key": KEY}
START = datetime(2026, 5, 1, tzinfo=timezone.utc)
TIME = "2026-05-01T10:00:00Z"
# Wheels that turn on, misread once, and the reading that was meant.
HISTORY, MISREAD, MEANT = ["00123.4", "00125.1", "00726.0", "00127.3", "00128.0"], 2, "00126.0"


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    return write_meter_reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Return a folder with a meter seen five times, once misread, and photos of everything else."""
    folder = tmp_path_factory.mktemp("photos")
    for day, reading in enumerate(HISTORY):
        write_meter(folder / f"day{day}.png", reading)
    write_meter(folder / "wall.png", None)
    write_meter(folder / "digital.png", "041.07", meter_class="digital")
    write_meter(folder / "illegible.png", "00123.4", meter_class="analog_illegible")
    write_meter(folder / "unread.png", "00x23.4")
    cv2.imwrite(str(folder / "thumbnail.png"), draw_meter("00123.4")[:40, :40])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "letter.txt.png").write_bytes(b"no image at all")
    return folder


@pytest.fixture(scope="module")
def bulk(reader, photos, tmp_path_factory) -> tuple[dict[str, MeterRecord], dict[str, dict]]:
    """Return records and judgements of the bulk job by file name."""
    output = tmp_path_factory.mktemp("bulk")
    with (photos / "list.csv").open("w", newline="") as file:
        rows = [("uri", "meter_id", "time", "max_rate")]
        for path in sorted(photos.glob("*.png")):
            day = path.stem.removeprefix("day")
            seen = ("A", (START + timedelta(days=int(day))).isoformat(), 5) if day.isdigit() else ("", "", "")
            rows.append((path, *seen))
        csv.writer(file).writerows(rows)
    connect()
    try:
        run_job([str(photos / "list.csv")], str(output / "out"), load_reader(reader), JobOptions(max_error_rate=1))
    finally:
        ray.shutdown()
    ledger = Ledger(Storage(str(output / "out")))
    records = [each for part in ledger.parts() for each in table_to_records(ledger.read_part(part), MeterRecord)]
    judged = pq.read_table(output / "out" / "readings.parquet").to_pylist()
    return {name(r.document_uri): r for r in records}, {name(row["document_uri"]): row for row in judged}


@pytest.fixture(scope="module")
def app(bulk, reader, tmp_path_factory):
    """Serve the app with keys and small limits."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "readable").mkdir()

    def edit(app):
        app["args"] |= {
            "reader": str(reader),
            "uri_prefixes": [f"file://{folder}/readable/"],
            "limits": {"upload_mib": 4, "megapixels": 2, "pages": 3, "json_megapixels": 0.1},
            "require_api_key": True,
        }
        deployment(app, "reader")["autoscaling_config"]["max_replicas"] = 1

    with served(folder, "meters", edit, OCRAY_API_KEYS=KEY) as app:
        yield app


def name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def post(app, path: str = "v1/meters", **request) -> requests.Response:
    headers = HEADERS | request.pop("headers", {})
    return requests.post(f"{app.url}/{path}", headers=headers, timeout=120, **request)


def read(app, photo: Path, **stated) -> requests.Response:
    return post(app, files={"file": (photo.name, photo.read_bytes())}, data=stated)


def problem(answer: requests.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["detail"] and body["request_id"] == answer.headers["x-request-id"]
    return body


def comparable(record: MeterRecord) -> dict:
    """Return a record without what must differ: where it came from, what a manifest says, how long it took; points as
    one list of numbers."""
    fields = record.model_dump(exclude={"page_id", "document_uri", "timings_ms", "meter_id", "time", "digits"})
    fields["screen_corners"] = np.ravel(fields["screen_corners"] or []).tolist()
    fields["boxes"] = np.ravel([digit.box for digit in record.digits]).tolist()
    fields["confidences"] = [digit.confidence for digit in record.digits]
    return fields | {"characters": [digit.character for digit in record.digits]}


def same(bulk: MeterRecord, served: MeterRecord) -> None:
    ours, theirs = comparable(bulk), comparable(served)
    for name, tolerance in {"screen_corners": 0.02, "boxes": 0.02, "confidences": 1e-4, "confidence": 1e-4}.items():
        assert ours.pop(name) == pytest.approx(theirs.pop(name), abs=tolerance), name
    assert ours.pop("class_confidence") == pytest.approx(theirs.pop("class_confidence"), abs=1e-4)
    assert ours == theirs


def test_bulk_and_serve_give_the_same_record_for_every_photo(bulk, app, photos):
    records, _ = bulk
    for photo in sorted(photos.glob("*.png")):
        answer = read(app, photo)
        if records[photo.name].error is not None:
            error = records[photo.name].error
            status = 415 if error.type == "UnknownFormat" else 422
            reported = problem(answer, status)["page_error"]
            assert (reported["stage"], reported["type"]) == (error.stage, error.type)
            continue
        assert answer.status_code == 200, answer.text
        (page,) = answer.json()["pages"]
        assert page.pop("judgement") is None
        record = MeterRecord.model_validate(page)
        same(records[photo.name], record)
        assert record.timings_ms.keys() == records[photo.name].timings_ms.keys() == {"decode", "meter"}
    assert sum(record.success for record in records.values()) == len(HISTORY) + 1
    reasons = {record.reason for record in records.values() if record.status == "ok" and not record.success}
    assert len(reasons) == 4  # no display, illegible, unread, too small: all of them answered with 200


def test_a_history_judges_as_the_bulk_job_does(bulk, app, photos):
    _, judged = bulk
    for day in range(len(HISTORY)):
        others = [number for number in range(len(HISTORY)) if number != day]
        history = [{"time": (START + timedelta(days=n)).isoformat(), "reading": HISTORY[n]} for n in others]
        stated = {"meter_id": "A", "time": (START + timedelta(days=day)).isoformat(), "max_rate": 5}
        form = read(app, photos / f"day{day}.png", **stated, history=json.dumps(history))
        content = base64.b64encode((photos / f"day{day}.png").read_bytes()).decode()
        as_json = post(app, json={"content": content, **stated, "history": history})
        for answer in (form, as_json):
            assert answer.status_code == 200, answer.text
            (page,) = answer.json()["pages"]
            row = judged[f"day{day}.png"]
            assert page["judgement"] == {key: row[key] for key in ("plausible", "reason", "repaired")}
            assert page["meter_id"] == "A" and datetime.fromisoformat(page["time"]) == row["time"]
        assert (page["judgement"]["repaired"] == MEANT) is (day == MISREAD)


def test_meter_and_time_may_stand_in_the_query(app, photos):
    stated = {"meter_id": "계량기 7", "time": "2026-05-01T10:00:00+09:00", "max_rate": 2}
    answer = post(app, data=(photos / "day0.png").read_bytes(), params=stated, headers={"Content-Type": "image/png"})
    (page,) = answer.json()["pages"]
    assert (page["meter_id"], page["time"], page["judgement"]) == ("계량기 7", "2026-05-01T01:00:00Z", None)


@pytest.mark.parametrize(
    ("stated", "reported"),
    [
        ({"history": "[]"}, "time"),
        ({"time": "2026-05-01T10:00:00"}, "time"),
        ({"time": TIME, "history": "yesterday"}, "history"),
        ({"time": TIME, "history": '[{"time": "2026-04-01T10:00:00Z"}]'}, "history.0.reading"),
        (
            {"time": TIME, "history": '[{"time": "2026-04-01T10:00:00Z", "reading": "12a"}]'},
            "pattern",
        ),
        ({"max_rate": "-1"}, "max_rate"),
        ({"max_rate": "nan"}, "max_rate"),
    ],
)
def test_what_is_given_must_make_sense(app, photos, stated, reported):
    assert reported in problem(read(app, photos / "day0.png", **stated), 422)["detail"]


def test_parts_of_a_form_are_known_ones(app, photos):
    assert (
        "part `meter`; send one part, `file`, and optionally `meter_id`"
        in problem(read(app, photos / "day0.png", meter="A"), 400)["detail"]
    )
    problem(read(app, photos / "day0.png", uri="file:///etc/passwd"), 400)


def test_each_page_of_a_document_is_a_photo(app):
    path = app.folder / "three.tiff"
    assert cv2.imwritemulti(
        str(path), [draw_meter(reading)[..., ::-1] for reading in ("00123.4", "00125.1", "00127.3")]
    )
    pages = read(app, path).json()["pages"]
    assert [page["reading"] for page in pages] == ["00123.4", "00125.1", "00127.3"]
    assert len({page["page_id"] for page in pages}) == 3
    problem(post(app, "recognize", files={"file": path.read_bytes()}), 422)
    assert cv2.imwritemulti(str(path), [draw_meter(reading)[..., ::-1] for reading in HISTORY[:3]])
    pages = read(app, path).json()["pages"]
    assert [page["reading"] for page in pages] == HISTORY[:3]
    assert len({page["page_id"] for page in pages}) == 3
    problem(post(app, "recognize", files={"file": path.read_bytes()}), 422)
    assert cv2.imwritemulti(str(path), [draw_meter("00123.4")] * 4)
    assert "limit of 3 in one request; choose some with `pages`" in problem(read(app, path), 413)["detail"]


def test_uris_and_names(app, photos):
    (app.folder / "readable" / "day0.png").write_bytes((photos / "day0.png").read_bytes())
    answer = post(app, json={"uri": f"file://{app.folder}/readable/day0.png"})
    assert answer.json()["pages"][0]["reading"] == HISTORY[0]
    assert "not below a prefix" in problem(post(app, json={"uri": "file:///etc/passwd"}), 422)["detail"]


# --- the source system's endpoint -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda image: image, lambda image: {"image": image}])
def test_an_image_as_numbers_is_recognised(app, wrap):
    answer = post(app, "recognize", json=wrap(draw_meter("00378.547").tolist()))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.pop("time") > 0 and body.pop("counter_score") > 0.9
    assert body == {
        "original_image_shape": [256, 320, 3],
        "success": True,
        "text": "00378.547",
        "counter_class": "analog",
        "reason": "",
    }


def test_recognize_takes_files_too_and_never_gives_a_reading_that_may_not_be_used(app, photos):
    for photo in ("wall.png", "illegible.png", "unread.png", "thumbnail.png"):
        answer = post(app, "recognize", files={"file": (photos / photo).read_bytes()})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["success"], body["text"]) == (False, "") and body["reason"]
    photo = (photos / "day0.png").read_bytes()
    raw = post(app, "recognize", data=photo, headers={"Content-Type": "image/png"}).json()
    assert (raw["success"], raw["text"]) == (True, HISTORY[0])
    problem(post(app, "recognize", files={"file": (photos / "broken.png").read_bytes()}), 422)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([[[0, 0, 256]]], 422),
        ([[[0, 0, -1]]], 422),
        ([[[0, 0, 0.5]]], 422),
        ([[[0, 0, "0"]]], 422),
        ([[[0, 0, 10**40]]], 422),
        ([[[0, 0, 0], [0, 0, 0]], [[0, 0, 0]]], 422),
        ([[0, 0, 0]], 422),
        ([[[0, 0, 0, 0]]], 422),
        ([[[]]], 422),
        ([[]], 422),
        ([], 422),
        ({}, 422),
        ({"image": None}, 422),
        ({"image": "x"}, 422),
        ({"image": [[[0, 0, 0]]], "uri": "file:///etc/passwd"}, 422),
        ({"picture": [[[0, 0, 0]]]}, 422),
        (7, 422),
    ],
)
def test_numbers_that_are_no_image(app, body, status):
    problem(post(app, "recognize", json=body), status)


def test_broken_and_oversized_numbers(app):
    headers = {"Content-Type": "application/json"}
    problem(post(app, "recognize", data=b"[[[0,0", headers=headers), 422)
    problem(post(app, "recognize", data=b"[" * 100_000, headers=headers), 422)
    for nothing in (b"", b"null"):
        problem(post(app, "recognize", data=nothing, headers=headers), 422)
    too_many = b"[" + b",".join([b"[" + b",".join([b"[0,0,0]"] * 400) + b"]"] * 300) + b"]"
    assert "0.1 megapixels" in problem(post(app, "recognize", data=too_many, headers=headers), 413)["detail"]
    problem(post(app, "recognize", data=b"[" * 8_000_000, headers=headers), 413)


# --- what every app has -----------------------------------------------------------------------------------------------


def test_models_health_keys_and_the_client(app, photos):
    assert app.get("readyz").json()["deployments"]["reader"].keys() == {"meter_screen", "meter_digits"}
    assert app.get("healthz").status_code == 200
    answer = requests.get(f"{app.url}/v1/models", headers=HEADERS, timeout=60)
    models = {model["stage"]: model for model in answer.json()}
    assert {stage: model["name"] for stage, model in models.items()} == {
        "meter_screen": "meter-screen@test",
        "meter_digits": "meter-digits@test",
    }
    assert models["meter_digits"]["device"].endswith("f32")
    for path in ("v1/meters", "recognize"):
        assert requests.post(f"{app.url}/{path}", b"x", timeout=60).status_code == 401
    problem(requests.get(f"{app.url}/v1/jobs/x", headers=HEADERS, timeout=60), 404)
    with Client(app.url, api_key=KEY) as client:
        earlier = [(START, "00123.4"), (START + timedelta(days=1), "00125.1")]
        answer = client.read_meter(
            photos / f"day{MISREAD}.png", time=START + timedelta(days=2), max_rate=5, history=earlier
        )
        assert answer.pages[0].reading == HISTORY[MISREAD] and answer.pages[0].judgement.plausible is False
        assert client.read_meter(photos / "wall.png").pages[0].success is False


def test_no_request_that_the_description_allows_makes_the_server_fail(app):
    schema = schemathesis.openapi.from_url(f"{app.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 5
    for operation in operations:

        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def refused_or_answered(case):
            assert case.call(headers=HEADERS).status_code < 500, case.as_curl_command()

        refused_or_answered()


def test_the_page_reads_a_meter_in_a_browser(browser, app, photos):
    refused = ("the server responded with a status of 401",)
    with open_page(browser, f"{app.url}/", expected=refused) as tab:
        tab.set_input_files("#file", str(photos / "day0.png"))
        tab.fill("#key", KEY)
        tab.press("#key", "Enter")
        tab.locator("#reading-text", has_text=HISTORY[0]).wait_for(timeout=60_000)


def test_the_wheels_of_one_reading_are_those_of_its_history():
    """The class of the new photo's display tells whether leading zeros are shown."""
    record = MeterRecord(page_id="0" * 16, document_uri="a", page_number=1, page_count=1)
    record.success, record.reading, record.meter_class, record.time = True, "1234", "analog", START + timedelta(days=2)
    history = [EarlierReading(time=START, reading="11111"), EarlierReading(time=START + timedelta(1), reading="11112")]
    assert judge_record(record, history, None).reason.startswith("places:")
    record.meter_class = "digital"
    assert judge_record(record, history, None).reason.startswith("falls:")
