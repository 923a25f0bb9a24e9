"""The meter tab of the page, driven in a real Chromium against canned answers of the API."""

import io
import json

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI, Request, Response
from PIL import Image
from playwright.sync_api import expect

from pipelines.readers.meters.record import Digit
from pipelines.records import PageError
from ray_apps.serving.answers import DocumentInfo, MeterAnswer, MeterPage
from ray_apps.serving.page import page_routes
from tests.browser import open_page, watched
from tests.canned_api import Reader, problem
from tests.http_server import serving

WIDTH, HEIGHT = 640, 480
PLACE = (40, 60)  # px of a digit
CONFIDENCES = (0.99, 0.99, 0.84, 0.55, 0.97, 0.98, 0.99, 0.96)


def photo(turned: int = 0, exif: int | None = None) -> bytes:
    """Return a dark display on a bright wall, turned by quarters counter-clockwise; `exif` says how to turn it back."""
    image = np.full((HEIGHT, WIDTH, 3), 225, np.uint8)
    image[200:260, 120:440] = 20
    image = np.rot90(image, turned)
    if exif is None:
        return cv2.imencode(".png", image)[1].tobytes()
    reported = Image.Exif()
    reported[274] = exif
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", exif=reported, quality=95)
    return stream.getvalue()


def meter_page(reading: str = "00378.547", number: int = 1, count: int = 1, **more) -> MeterPage:
    """Return a photo read: the display is where `photo` has it."""
    characters = reading.replace(".", "")
    behind = len(reading.partition(".")[2])
    digits = [
        Digit(
            character=character, confidence=0.2 if character == "x" else confidence, box=_box(120 + 40 * n, 200, *PLACE)
        )
        for n, (character, confidence) in enumerate(zip(characters, CONFIDENCES, strict=False))
    ]
    unread = "x" in reading
    fields = {
        "success": not unread,
        "reason": f"cannot read place {1 + characters.find('x')} of {len(characters)}" if unread else "",
        "reading": reading, "confidence": 0.55, "meter_class": "analog", "class_confidence": 0.98,
        "screen_corners": _box(120, 200, 320, 60), "digits": digits, "fraction_digits": behind,
        "timings_ms": {"decode": 5.0, "meter": 80.0}, "device": "openvino:CPU f32",
        "models": {"meter_screen": "meter-screen@1", "meter_digits": "meter-digits@1"},
    }  # fmt: skip
    place = {"page_id": f"{number:016x}", "document_uri": "a", "page_number": number, "page_count": count}
    return MeterPage(**place, width=WIDTH, height=HEIGHT, **(fields | more))


def without(reason: str) -> MeterPage:
    return meter_page("", success=False, reason=reason, meter_class="", screen_corners=None, confidence=0.0)


def _box(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


class Meters:
    """Answers /v1/meters from pages made beforehand."""

    def __init__(self):
        self.pages = [meter_page()]
        self.refusals: list[Response] = []

    async def __call__(self, request: Request) -> Response:
        size = len(await request.body())
        if self.refusals:
            return self.refusals.pop(0)
        first, _, last = request.query_params["pages"].partition("-")
        document = DocumentInfo(name="a", bytes=size, sha256="0" * 64, page_count=len(self.pages))
        pages = self.pages[int(first) - 1 : int(last or first)]
        answer = MeterAnswer(request_id="request-1", document=document, pages=pages, total_ms=90.0)
        return Response(answer.model_dump_json(), media_type="application/json")


@pytest.fixture(scope="module")
def server():
    """Address of a server with documents and meters, documents alone and meters alone; and the apps by their paths."""
    root, apps = FastAPI(), {}
    shown = {
        "/both/meters": ("meters", {}),
        "/both": ("documents", {"meters": "/both/meters"}),
        "/documents": ("documents", {"meters": None}),
        "/meters": ("meters", {}),
    }
    for path, (reads, beside) in shown.items():
        app = apps[path] = FastAPI()
        app.include_router(page_routes(reads, beside))
        _answers(app, f"/v1/{reads}")
        root.mount(path, app)
    with serving(root) as address:
        yield address, apps


def _answers(app: FastAPI, path: str) -> None:
    @app.post(path)
    async def answer(request: Request) -> Response:
        return await app.state.reader(request)


@pytest.fixture
def meters(server):
    _, apps = server
    reader = Meters()
    for path, app in apps.items():
        app.state.reader = reader if path.endswith("meters") else Reader()
    return reader


@pytest.fixture
def page(shared_page, server, meters):
    """Yield the page of both, its meter tab chosen."""
    with watched(shared_page, server[0], ("the server responded with a status of",)):
        shared_page.mouse.move(0, 0)
        shared_page.goto(f"{server[0]}/both/")
        shared_page.get_by_role("tab", name="Meter").click()
        yield shared_page
        shared_page.evaluate("localStorage.clear(); sessionStorage.clear()")


def give(page, content: bytes | None = None, name: str = "meter.png"):
    media = {"name": name, "mimeType": "image/png", "buffer": content or photo()}
    page.set_input_files("#file", media)


def places(page) -> list[str]:
    return page.locator("#wheels li b").all_inner_texts()


# --- what the server reads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "title"), [("documents", "Read a document"), ("meters", "Read a meter")])
def test_a_server_of_one_kind_shows_no_tabs(browser, server, meters, path, title):
    with open_page(browser, f"{server[0]}/{path}/") as page:
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        expect(page.locator("#tabs")).to_be_hidden()
        assert page.locator("#panel").get_attribute("role") is None
        if path == "meters":
            give(page)
            expect(page.locator("#reading-text")).to_have_text("00378.547")
            assert page.title() == "ocray · meter reader"


def test_each_tab_keeps_what_it_read_and_is_remembered(page):
    give(page)
    expect(page.locator("#reading-text")).to_have_text("00378.547")
    page.get_by_role("tab", name="Document").click()
    expect(page.get_by_role("heading", name="Read a document")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()
    give(page, name="receipt.png")
    expect(page.locator("#lines button")).to_have_count(3)
    page.keyboard.press("Tab")
    page.locator("#tab-documents").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Meter")).to_be_focused()
    expect(page.get_by_role("tab", name="Meter")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#reading-text")).to_be_visible()
    expect(page.locator("#lines")).to_be_hidden()
    assert page.locator("#file-name").inner_text() == "meter.png"
    assert page.locator("#api").get_attribute("href") == "meters/docs"
    page.reload()
    expect(page.get_by_role("heading", name="Read a meter")).to_be_visible()


# --- a meter is read --------------------------------------------------------------------------------------------------


def test_the_reading_is_large_each_digit_with_its_confidence(page):
    give(page)
    expect(page.locator("#status")).to_have_text("Read: 00378.547")
    assert places(page) == list("00378547")
    assert page.locator("#wheels li").nth(5).inner_text() == "."
    assert page.locator("#wheels .fraction b").all_inner_texts() == list("547")
    reported = page.locator("#wheels .unseen").all_text_contents()
    assert reported[0] == "0, confidence 99 %"
    assert reported[2] == "3, confidence 84 %, less sure"
    assert reported[3] == "7, confidence 55 %, unsure"
    assert reported[5] == "5, fraction, confidence 98 %"
    assert page.locator("#wheels .mark").all_inner_texts() == ["?", "!"]
    assert page.locator("#verdict").inner_text().split() == ["✓", "This", "reading", "may", "be", "used."]
    assert "Wheels (analog) 98 %" in page.locator("#meter-class").inner_text()
    details = page.locator("#meter-details").inner_text()
    assert [
        fact for fact in ("640 × 480 px", "meter-screen@1, meter-digits@1", "request-1") if fact not in details
    ] == []


def test_a_place_that_cannot_be_read_is_marked(page, meters):
    meters.pages = [meter_page("00x78.547")]
    give(page)
    expect(page.locator("#verdict")).to_contain_text("Not to be used: place 3 of 8 cannot be read for sure.")
    assert page.locator("#wheels .unread b").all_inner_texts() == ["x"]
    assert "x, cannot be read" in page.locator("#wheels .unseen").all_text_contents()
    expect(page.locator("#status")).to_have_text("Read, without a reading that may be used.")


@pytest.mark.parametrize(
    ("reason", "english", "korean"),
    [
        ("not sure where the decimal point is", "where the decimal point is", "소수점의 위치"),
        ("no display found", "no meter display was found", "표시창을 찾지 못했습니다"),
        ("more than one display found: send one meter a photo", "more than one display", "둘 이상"),
        ("the display is illegible", "illegible", "알아볼 수 없습니다"),
        ("the display is less than 6 px high: go closer", "Go closer", "더 가까이서"),
        ("the photo is too small: 40 × 30 px, 64 are needed", "40 × 30 px; 64 px are needed", "64 px 이상"),
        ("no digits seen", "no digits were seen", "숫자가 보이지 않습니다"),
        ("only 2 digits seen", "only 2 digits were seen", "2개만"),
        ("not sure of place 2, 3 of 5", "places 2, 3 of 5 may be read wrong", "2, 3번째 자리를 잘못"),
        ("cannot read place 2, 3 of 5", "places 2, 3 of 5", "5자리 가운데 2, 3번째"),
        ("the meter is upside the moon", "the meter is upside the moon", "the meter is upside the moon"),
    ],
)
def test_reasons_in_plain_words_of_both_languages(page, meters, reason, english, korean):
    meters.pages = [without(reason)]
    give(page)
    expect(page.locator("#verdict")).to_contain_text(english)
    expect(page.locator("#copy-reading")).to_be_disabled()
    page.get_by_role("button", name="한국어").click()
    expect(page.locator("#verdict")).to_contain_text(korean)
    expect(page.get_by_role("tab", name="계량기")).to_be_visible()
    page.get_by_role("button", name="English").click()


@pytest.mark.parametrize(("turned", "exif"), [(0, None), (1, 6)])
def test_the_display_is_marked_where_it_is(page, turned, exif):
    """Ground truth is the screen itself: the only dark thing in the picture. A turned photo is shown upright."""
    give(page, photo(turned, exif))
    expect(page.locator("#photo image")).to_have_count(1)
    page.evaluate("document.querySelector('#photo image').decode()")
    page.evaluate("document.querySelectorAll('.digit').forEach((digit) => digit.remove())")
    page.evaluate("document.querySelector('.screen').style.stroke = 'none'")  # it belongs to the bounding box
    stage = page.locator("#photo svg").bounding_box()
    marked = page.locator("#photo .screen").bounding_box()
    page.evaluate("document.querySelector('.screen').remove()")
    shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    left, top = round(stage["x"]), round(stage["y"])
    part = shot[top : top + round(stage["height"]), left : left + round(stage["width"])]
    ys, xs = np.nonzero(part < 100)
    seen = [xs.min() + left, ys.min() + top, xs.max() + 1 + left, ys.max() + 1 + top]
    drawn = [marked["x"], marked["y"], marked["x"] + marked["width"], marked["y"] + marked["height"]]
    assert np.abs(np.subtract(seen, drawn)).max() <= 3, (seen, drawn)


def test_the_display_is_cut_out_upright(page, meters):
    upside_down = [*_box(120, 200, 320, 60)[2:], *_box(120, 200, 320, 60)[:2]]
    meters.pages = [meter_page(screen_corners=upside_down)]
    give(page)
    expect(page.locator("#display svg")).to_have_attribute("aria-label", "The display, cut out: 00378.547")
    first, last = (page.locator(f'#display [data-digit="{n}"]').bounding_box()["x"] for n in (0, 7))
    assert first > last  # the photo hangs upside down in the test alone: its first digit is now on the right
    page.hover('#wheels [data-digit="2"]')
    expect(page.locator("[data-digit].on")).to_have_count(3)


def test_copy_and_download(page):
    give(page)
    page.get_by_role("button", name="Copy reading").click()
    expect(page.locator("#toast")).to_have_text("Copied: 00378.547")
    assert page.evaluate("navigator.clipboard.readText()") == "00378.547"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert download.value.suggested_filename == "meter.json"
    answer = json.loads(download.value.path().read_bytes())
    assert MeterAnswer.model_validate(answer).pages[0].reading == "00378.547" and "upright" not in answer["pages"][0]


def test_a_file_the_browser_cannot_show_is_read_all_the_same(page, meters):
    failed = MeterPage(
        page_id="0", document_uri="", page_number=2, page_count=2, status="error",
        error=PageError(stage="decode", type="UnreadableDocument", message="damaged: scan it again"),
    )  # fmt: skip
    meters.pages = [meter_page(count=2), failed]
    give(page, b"II*\0", "two.tiff")
    expect(page.locator("#photo")).to_contain_text("The browser cannot show this kind of file")
    expect(page.locator("#reading-text")).to_have_text("00378.547")
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("#photo")).to_contain_text("damaged: scan it again")
    expect(page.locator("#status")).to_have_text("This page could not be read")


def test_problems_are_reported_and_tried_again(page, meters):
    meters.refusals = [
        problem(503, "Busy", "Too many requests.", {"Retry-After": "1"}),
        problem(415, "Unsupported Media Type", "no image"),
    ]
    give(page)
    expect(page.locator("#status")).to_contain_text("The server is busy")
    expect(page.get_by_role("alert")).to_contain_text("no image")
    expect(page.locator("#meter-columns")).to_be_hidden()
    page.click("#retry")
    expect(page.locator("#reading-text")).to_have_text("00378.547")


# --- for everyone -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, server, meters, scheme):
    with open_page(browser, f"{server[0]}/both/", color_scheme=scheme, reduced_motion="reduce") as page:
        page.get_by_role("tab", name="Meter").click()
        states = {"start": Axe().run(page)}
        meters.pages = [meter_page("00x78.547")]
        give(page)
        expect(page.locator("#photo image")).to_have_count(1)
        states["read"] = Axe().run(page)
        meters.pages = [without("no display found")]
        give(page)
        expect(page.locator("#verdict")).to_contain_text("no meter display")
        states["nothing"] = Axe().run(page)
    found = {state: result.generate_report() for state, result in states.items() if result.violations_count}
    assert not found, found


def test_a_phone_needs_no_sideways_scrolling(browser, server, meters):
    shape = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with open_page(browser, f"{server[0]}/both/", **shape) as page:
        page.get_by_role("tab", name="Meter").tap()
        expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
        give(page)
        expect(page.locator("#photo image")).to_have_count(1)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
