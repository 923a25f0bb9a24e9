"""The page, driven in a real Chromium against canned answers of the API."""

import re
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI, Request, Response
from playwright.sync_api import expect

from ray_apps.serving.answers import DocumentAnswer
from ray_apps.serving.page import HEADERS, page_routes
from tests.browser import open_page, watched
from tests.canned_api import WORDS, Reader, failed_page, problem, read_page
from tests.http_server import serving
from tests.pages import draw_page

PNG = {"name": "receipt.png", "mimeType": "image/png", "buffer": cv2.imencode(".png", draw_page(WORDS))[1].tobytes()}
REFUSED = ("the server responded with a status of",)  # what Chromium's console says of every 4xx and 5xx


@pytest.fixture(scope="module")
def server():
    """URL of the page under a prefix, and the app that the canned reader of each test is put into."""
    api, app = FastAPI(), FastAPI()
    api.include_router(page_routes("documents"))

    @api.post("/v1/documents")
    async def documents(request: Request) -> Response:
        return await api.state.reader(request)

    app.mount("/reader", api)
    with serving(app) as address:
        yield f"{address}/reader", api


@pytest.fixture(scope="module")
def url(server):
    return server[0]


@pytest.fixture
def reader(server):
    server[1].state.reader = Reader()
    return server[1].state.reader


@pytest.fixture
def page(shared_page, url, reader):
    """Yield the page anew, as a first visitor sees it (one tab for all tests: a new one takes most of a second)."""
    with watched(shared_page, url, REFUSED):
        shared_page.mouse.move(0, 0)
        shared_page.goto(url)
        yield shared_page
        shared_page.evaluate("localStorage.clear(); sessionStorage.clear()")


def give(page, name: str = "receipt.png"):
    page.set_input_files("#file", {**PNG, "name": name})


def clipboard(page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


# --- routes -----------------------------------------------------------------------------------------------------------


def test_assets_carry_type_policy_and_etag(url):
    assets = {"/": "text/html", "/page/style.css": "text/css", "/page/app.js": "text/javascript"}
    for path, media_type in assets.items():
        with urllib.request.urlopen(url + path) as answer:
            assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
            etag = answer.headers["ETag"]
        with pytest.raises(urllib.error.HTTPError) as unchanged:
            urllib.request.urlopen(urllib.request.Request(url + path, headers={"If-None-Match": f'"other", W/{etag}'}))
        assert unchanged.value.code == 304
        with urllib.request.urlopen(urllib.request.Request(url + path, method="HEAD")) as answer:
            assert answer.read() == b""


@pytest.mark.parametrize("path", ["/page/__init__.py", "/page/..%2Fanswers.py", "/page/index.html", "/page/"])
def test_only_listed_assets_are_served(url, path):
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(url + path)
    assert missing.value.code == 404


def test_page_routes_are_no_part_of_the_api(server):
    assert list(server[1].openapi()["paths"]) == ["/v1/documents"]


# --- a page is read ---------------------------------------------------------------------------------------------------


def test_upload_shows_picture_text_and_how_it_was_read(page):
    give(page)
    expect(page.locator("#stage svg")).to_have_attribute("aria-label", "Page 1, straightened, 3 lines marked")
    assert page.locator("#lines .words").all_inner_texts() == WORDS
    assert page.locator("#file-name").inner_text() == "receipt.png"
    assert page.locator("#status").inner_text() == "3 lines read in 1.31 s."
    details = page.locator("#details").inner_text()
    facts = [
        "8.0° counter-clockwise",
        "openvino:CPU f32",
        "ppocrv6-rec@small",
        "870 ms",
        "1.31 s",
        "1.39 s",
        "request-1",
    ]
    assert [fact for fact in facts if fact not in details] == []
    page.evaluate("document.querySelector('#stage image').decode()")  # raises when the picture cannot be shown


def test_unsure_lines_are_marked_by_shape_and_words(page):
    give(page)
    expect(page.locator("#lines button .mark")).to_have_text(["?", "!"])
    assert "55 %, unsure" in page.locator("#lines button").nth(2).text_content()
    expect(page.locator("#legend")).to_have_text("? 1 less sure (under 90 %)! 1 unsure (under 70 %)")
    assert page.locator("#details .sure.low").text_content() == "!65 % unsure"


@pytest.mark.parametrize("as_received", [False, True])
def test_boxes_are_where_the_ink_is(page, reader, as_received):
    """Ground truth is the screen itself: the only dark thing in the picture is the bar that the line stands for."""
    bar = np.full((500, 700, 3), 255, np.uint8)
    bar[310:350, 120:560] = 0
    quad = [[119.5, 309.5], [559.5, 309.5], [559.5, 349.5], [119.5, 349.5]]
    reader.documents["bar.png"] = [read_page(image=bar, quads=[quad], turned=-33.0)]
    give(page, "bar.png")
    page.locator("label", has_text="None").click()
    if as_received:
        page.get_by_role("button", name="As it came").click()
    page.mouse.move(0, 0)
    page.evaluate("document.querySelector('#stage image').decode()")
    stage = page.locator("#stage svg").bounding_box()
    shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
    part = shot[round(stage["y"]) :, round(stage["x"]) : round(stage["x"] + stage["width"])]
    ys, xs = np.nonzero(part[: round(stage["height"])] < 100)
    seen = [xs.min() + stage["x"], ys.min() + stage["y"], xs.max() + 1 + stage["x"], ys.max() + 1 + stage["y"]]
    box = page.locator("#stage polygon").bounding_box()
    drawn = [box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]]
    assert np.abs(np.subtract(seen, drawn)).max() <= 3, (seen, drawn)


def test_a_very_long_picture_is_requested_larger(page, reader):
    give(page)
    expect(page.locator("#lines button")).to_have_count(3)
    long = cv2.imencode(".png", np.full((500, 100), 255, np.uint8))[1].tobytes()
    page.set_input_files("#file", {**PNG, "buffer": long})
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")
    assert reader.sides == [1600, 5333]


def test_pointing_at_a_line_marks_it_on_both_sides(page):
    give(page)
    page.hover('#stage [data-line="1"] polygon')
    expect(page.locator('#lines [data-line="1"]')).to_have_class(re.compile(r"\bon\b"))
    expect(page.locator("#callout")).to_contain_text("Flour 2 kg")
    page.hover('#lines [data-line="2"]')
    expect(page.locator("#stage .line.on")).to_have_attribute("data-line", "2")
    page.mouse.move(0, 0)
    expect(page.locator(".line.on")).to_have_count(0)


def test_text_can_be_shown_in_place_and_the_picture_zoomed(page):
    give(page)
    text = page.locator("#stage text").first
    expect(text).to_be_hidden()
    page.locator("label", has_text="Text").click()
    expect(text).to_be_visible()
    written, box = text.bounding_box(), page.locator("#stage polygon").first.bounding_box()
    assert box["x"] <= written["x"] and written["x"] + written["width"] <= box["x"] + box["width"] + 1
    before = page.locator("#stage svg").bounding_box()["width"]
    page.get_by_role("button", name="Zoom in").click()
    assert page.locator("#stage svg").bounding_box()["width"] == pytest.approx(1.5 * before, rel=0.01)
    page.get_by_role("button", name="Fit").click()
    assert page.locator("#stage svg").bounding_box()["width"] == pytest.approx(before, rel=0.01)


def test_copy_a_line_and_all(page):
    give(page)
    page.click('#lines [data-line="1"]')
    expect(page.locator("#toast")).to_have_text("Copied: Flour 2 kg")
    assert clipboard(page) == "Flour 2 kg"
    page.click('#stage [data-line="2"] polygon')
    expect(page.locator("#toast")).to_have_text("Copied: TOTAL 12.50")
    page.get_by_role("button", name="Copy text").click()
    expect(page.locator("#toast")).to_have_text("The text of the page is copied.")
    assert clipboard(page) == "\n".join(WORDS)


def test_copy_where_the_browser_has_no_clipboard_interface(page):
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    give(page)
    page.click('#lines [data-line="0"]')
    expect(page.locator("#toast")).to_have_text("Copied: Maple Street Bakery")
    page.reload()
    assert clipboard(page) == "Maple Street Bakery"


def test_download_is_the_api_answer_without_pictures(page, tmp_path):
    give(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert download.value.suggested_filename == "receipt.json"
    answer = DocumentAnswer.model_validate_json(download.value.path().read_bytes())
    assert [line.text for line in answer.pages[0].lines] == WORDS and answer.pages[0].upright is None


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_file_can_be_dropped_or_pasted(page, way):
    page.evaluate(
        """([way, content, name]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(content)], name, {type: "image/png"}));
          const event = way === "drop" ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
            : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
          document.body.dispatchEvent(event);
        }""",
        [way, list(PNG["buffer"][:100]), PNG["name"]],
    )
    expect(page.locator("#lines .words")).to_have_text(WORDS)


# --- documents of several pages ---------------------------------------------------------------------------------------


def test_first_page_comes_alone_then_the_others_in_windows(page, reader):
    reader.documents["five.pdf"] = [failed_page(n, 5) if n == 3 else read_page(n, 5) for n in range(1, 6)]
    give(page, "five.pdf")
    expect(page.locator("#page-count")).to_have_text("of 5")
    expect(page.get_by_role("button", name="Copy 5 pages")).to_be_visible()
    assert reader.requested == ["1", "2-4", "5"]
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("#stage svg")).to_have_attribute("aria-label", re.compile("^Page 2"))
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".page-error")).to_contain_text("damaged: scan it again")
    expect(page.locator("#status")).to_have_text("This page could not be read")
    page.fill("#page-number", "5")
    page.press("#page-number", "Enter")
    expect(page.locator("#stage svg")).to_have_attribute("aria-label", re.compile("^Page 5"))
    expect(page.locator("#next")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Copy 5 pages").click()
    expect(page.locator("#toast")).to_have_text("The text of 5 pages is copied.")
    assert clipboard(page).count("TOTAL 12.50") == 4
    assert reader.requested == ["1", "2-4", "5"]


def test_of_a_long_document_only_pages_looked_at_are_read(page, reader):
    reader.documents["long.pdf"] = [read_page(n, 30) for n in range(1, 31)]
    give(page, "long.pdf")
    expect(page.locator("#lazy-note")).to_contain_text("of its 30 pages only those you look at are read")
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")
    page.fill("#page-number", "12")
    page.press("#page-number", "Enter")
    expect(page.locator("#stage svg")).to_have_attribute("aria-label", re.compile("^Page 12"))
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")
    assert reader.requested == ["1", "2", "12", "13"]


def test_another_document_takes_the_place_of_the_first(page, reader):
    reader.documents["empty.png"] = [read_page(quads=[])]
    give(page)
    expect(page.locator("#lines button")).to_have_count(3)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Read another").click()
    chooser.value.set_files({**PNG, "name": "empty.png"})
    expect(page.locator("#lines")).to_have_text("No text was found on this page.")
    expect(page.locator("#file-name")).to_have_text("empty.png")


# --- when it goes wrong -----------------------------------------------------------------------------------------------


def test_a_problem_is_reported_and_can_be_tried_again(page, reader):
    more = {
        "errors": [{"where": "query.pages", "problem": "page 9 of 1"}],
        "page_error": {"stage": "decode", "type": "PageNotFound", "message": "no page 9"},
    }
    reader.refusals = [problem(422, "The request is not right", "See the errors.", **more)]
    give(page)
    alert = page.get_by_role("alert")
    for words in ("The request is not right", "See the errors.", "query.pages: page 9 of 1", "Decoding · PageNotFound"):
        expect(alert).to_contain_text(words)
    expect(alert).to_contain_text("HTTP 422 · Request request-9")
    expect(page.locator("#columns")).to_be_hidden()
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator("#lines button")).to_have_count(3)
    expect(alert).to_be_hidden()


def test_an_answer_that_is_no_problem_document_is_shown_all_the_same(page, reader):
    reader.refusals = [Response("<h1>Bad Gateway</h1>", 502), Response("not JSON", 200)]
    give(page)
    expect(page.get_by_role("alert")).to_contain_text("Bad Gateway")
    page.click("#retry")
    expect(page.get_by_role("alert")).to_contain_text("The server's answer is not understood")


def test_a_busy_server_is_retried_and_the_page_is_reported(page, reader):
    reader.refusals = [problem(503, "Busy", "Too many requests.", {"Retry-After": "1"})]
    give(page)
    expect(page.locator("#status")).to_have_text("The server is busy. Trying again in 1 s (1 of 2).")
    expect(page.locator("#lines button")).to_have_count(3)
    assert reader.requested == ["1", "1"]


def test_a_server_that_stays_busy_is_left_alone(page, reader):
    reader.refusals = [problem(503, "Busy", "Too many.", {"Retry-After": after}) for after in ("0", "0", "0", "900")]
    give(page)
    expect(page.get_by_role("alert")).to_contain_text("Busy")
    assert len(reader.requested) == 3
    page.click("#retry")
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("alert")).to_contain_text("Busy")
    assert len(reader.requested) == 4  # nobody waits for a quarter of an hour


def test_a_server_that_cannot_be_reached(browser, url, reader):
    with open_page(browser, url, expected=("net::ERR_FAILED",)) as page:
        page.route("**/v1/documents*", lambda route: route.abort())
        give(page)
        expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")


def test_a_key_is_requested_and_kept_for_the_tab(page, reader):
    reader.key = "sesame"
    give(page)
    dialog = page.get_by_role("dialog", name="This server asks for an API key")
    page.fill("#key", "open")
    page.press("#key", "Enter")
    expect(dialog).to_contain_text("The server did not accept that key")
    page.fill("#key", "sesame")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#lines button")).to_have_count(3)
    expect(dialog).to_be_hidden()
    page.reload()
    give(page)
    expect(page.locator("#lines button")).to_have_count(3)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


# --- for everyone -----------------------------------------------------------------------------------------------------


def test_korean_by_the_browser_by_choice_and_remembered(browser, url, reader):
    with open_page(browser, url, locale="ko-KR") as page:
        expect(page.locator("html")).to_have_attribute("lang", "ko")
        give(page)
        expect(page.locator("#status")).to_have_text("3줄을 1.31초에 읽었습니다.")
        page.get_by_role("button", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.locator("#status")).to_have_text("3 lines read in 1.31 s.")
        assert "counter-clockwise" in page.locator("#details").inner_text()
        page.reload()
        expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
        page.get_by_role("button", name="한국어").click()
        expect(page.get_by_role("button", name="파일 선택")).to_be_visible()


def test_both_languages_say_everything(page):
    missing = page.evaluate(
        """async () => {
          const {STRINGS} = await import(new URL("page/strings.js", document.baseURI));
          const naming = [...document.querySelectorAll("[data-text], [data-label]")];
          const named = naming.flatMap((element) => Object.values(element.dataset));
          const keys = new Set([...Object.keys(STRINGS.en), ...Object.keys(STRINGS.ko), ...named]);
          return [...keys].filter((key) => !STRINGS.en[key] || !STRINGS.ko[key]);
        }"""
    )
    assert missing == []


def test_keyboard_alone(page):
    with page.expect_file_chooser() as chooser:
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "choose":
                break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
    chooser.value.set_files(PNG)
    expect(page.locator("#lines button")).to_have_count(3)
    assert page.evaluate("document.activeElement.id") == "file-name"
    visited = []
    for _ in range(20):
        page.keyboard.press("Tab")
        visited.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
        if page.evaluate("document.activeElement.dataset.line") == "0":
            break
    assert {"another", "boxes", "as-received", "zoom-in", "scroller", "copy"} <= set(visited)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#stage .line.on")).to_have_attribute("data-line", "1")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_have_text("Copied: Flour 2 kg")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "download"  # the list is one stop, however long


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, url, reader, scheme):
    reader.documents["two.pdf"] = [read_page(1, 2), failed_page(2, 2)]
    with open_page(browser, url, expected=REFUSED, color_scheme=scheme, reduced_motion="reduce") as page:
        states = {"start": Axe().run(page)}
        give(page, "two.pdf")
        expect(page.get_by_role("button", name="Copy 2 pages")).to_be_visible()
        page.hover('#lines [data-line="2"]')
        states["result"] = Axe().run(page)
        reader.refusals = [problem(413, "Too large", "It has 64 MB.")]
        give(page)
        expect(page.get_by_role("alert")).to_be_visible()
        states["problem"] = Axe().run(page)
    found = {state: result.generate_report() for state, result in states.items() if result.violations_count}
    assert not found, found


def test_a_phone_needs_no_sideways_scrolling(browser, url, reader):
    reader.documents["two.pdf"] = [read_page(1, 2), read_page(2, 2)]
    with open_page(browser, url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as page:
        expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
        give(page, "two.pdf")
        expect(page.locator("#lines button")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        small = page.evaluate(
            "[...document.querySelectorAll('button')].filter(b => b.offsetParent && b.offsetHeight < 24).map(b => b.id)"
        )
        assert small == []
