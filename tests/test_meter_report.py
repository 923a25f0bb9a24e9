"""Verdicts on meters, their log, and the page of failures in a browser."""

import csv
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from tests.browser import open_page
from tests.hostile import check_shown_as_text, hostile
from trainers.meter import report_page as meter_page
from trainers.meter.metrics import ReadMeter
from trainers.meter.report import write_meter_report
from trainers.meter.verdicts import VERDICTS, judge_meters, verdict

DISPLAY = np.float32([[40, 60], [160, 70], [158, 95], [38, 85]])
ASIDE = np.add(DISPLAY, (0, 60)).astype(np.float32)


def photo() -> np.ndarray:
    return np.full((180, 200, 3), 90, np.uint8)


def meter(name, reading="00123.4", **changes) -> ReadMeter:
    """Return a meter read rightly from photo to digits, but for the changes."""
    given = {
        "name": name,
        "photo": photo,
        "corners": DISPLAY,
        "meter_class": "analog",
        "truth": "123.4",
        "leading_zeros": False,
        "found_corners": DISPLAY,
        "found_class": "analog",
        "reading": reading,
        "digits": tuple((character, 0.9) for character in (reading or "").replace(".", "")),
        "strip": np.full((32, 160, 3), 200, np.uint8),
        "seconds": 0.05,
    }
    return ReadMeter(**given | changes)


ILLEGIBLE = {"meter_class": "analog_illegible", "truth": None}
EMPTY = {"meter_class": "none", "truth": None, "corners": None}
NOT_FOUND = {"found_corners": None, "found_class": "none", "strip": None, "success": False}

METERS = {
    "wrong": meter("w.jpg", "00723.4"),
    "one_off": meter("o.jpg", "00123.5"),
    "invented": meter("<i>.jpg", **ILLEGIBLE),
    "missed": meter("m.jpg", "", **NOT_FOUND, reason="no display found"),
    "upside_down": meter(
        "u.jpg", "0x12", found_corners=np.roll(DISPLAY, 2, axis=0), success=False, reason="cannot read place 2 of 4"
    ),
    "refused": meter("r.jpg", "0012x.4", success=False, reason="cannot read place 5 of 6"),
    "false_alarm": meter("f.jpg", "12", **EMPTY, success=False, reason="only 2 digits seen"),
    "class": meter("c.jpg", found_class="digital"),
    "right": meter("right.jpg"),
}


@pytest.mark.parametrize(
    ("expected", "read"),
    [
        *METERS.items(),
        ("wrong", meter("", "001234")),  # the point
        ("wrong", meter("", "00123.5", found_corners=ASIDE, truth="9.5")),  # worse than a display not found
        ("missed", meter("", "", found_corners=ASIDE, success=False)),
        ("right", meter("", "", **EMPTY, **NOT_FOUND)),
        ("right", meter("", success=False, **ILLEGIBLE, found_class="analog_illegible")),
        ("class", meter("", success=False, **ILLEGIBLE)),
        ("right", meter("", None, truth=None)),  # the screen alone
        ("one_off", ReadMeter("", truth="130.0", leading_zeros=False, reading="00129.9")),  # the digits alone
        ("right", meter("", truth=None)),  # nobody knows what it says
    ],
)
def test_verdicts(expected, read):
    assert verdict(read) == expected


def test_the_worst_come_first():
    judged = judge_meters(reversed(METERS.values()))
    assert [each.verdict for each in judged] == list(VERDICTS)
    unsure = meter("b", "00723.4", digits=(("7", 0.2),))
    surer, placed_worse = meter("a", "00723.4"), meter("a2", "00723.4", found_corners=DISPLAY + 3)
    assert [each.meter.name for each in judge_meters([unsure, surer, placed_worse])] == ["a2", "a", "b"]
    assert judged[0].quad_iou == pytest.approx(1) and judged[0].corner_error == 0 and judged[3].quad_iou is None


def test_the_log_lists_all_meters(tmp_path):
    reported = write_meter_report(tmp_path / "r", METERS.values(), "two@1", "meters data/mine")
    assert "the worst 8 of 8 failures among 9 meters" in reported
    rows = pq.read_table(tmp_path / "r" / "meters.parquet").to_pylist()
    assert [row["verdict"] for row in rows] == list(VERDICTS)
    assert rows[0]["truth"] == "123.4" and rows[0]["reading"] == "00723.4" and rows[0]["success"]
    assert rows[3]["reason"] == "no display found" and rows[3]["corner_error"] is None
    with (tmp_path / "r" / "meters.tsv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [row["name"] for row in table] == [row["name"] for row in rows]
    assert table[0]["confidence"] == "0.9000" and table[3]["quad_iou"] == "" and table[0]["success"] == "True"


def test_the_page_is_one_file_with_photo_strip_and_digits(tmp_path):
    reported = write_meter_report(tmp_path, METERS.values(), "two@<1>", "meters data/mine", pictures=3)
    assert "the worst 3 of 8" in reported
    html = (tmp_path / "report.html").read_text("utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert links and all(link.startswith("data:") for link in links)
    assert html.count("<article") == 3 and html.count("data:image/jpeg") == 6
    assert html.count('<polygon class="true"') == html.count('<polygon class="found"') == 3
    # Of 00723.4 for 123.4 the third place is wrong, and only that.
    assert '<span class="wrong"><small>1</small>7<small>0.90</small></span>' in html
    first = html[html.index("<article") : html.index("</article>")]
    assert first.count('class="wrong"') == 1 and first.count('class="fraction"') == 1
    assert "two@&lt;1&gt;" in html and "&lt;i&gt;.jpg" in html and "<i>.jpg" not in html
    assert len(re.findall('span lang="ko"', html)) == len(re.findall('span lang="en"', html)) > 30


def test_text_from_outside_stays_text(tmp_path):
    given = {"truth": hostile("truth"), "reason": hostile("reason"), "digits": ((hostile("digit"), 0.5),)}
    write_meter_report(tmp_path, [meter(hostile("name"), hostile("read"), **given)], hostile("model"), hostile("data"))
    places = ["name", "truth", "read", "reason", "digit", "model", "data"]
    check_shown_as_text((tmp_path / "report.html").read_text("utf-8"), places)


def test_digits_alone_and_no_failures(tmp_path):
    strips = [ReadMeter("a", truth="12", reading="12"), ReadMeter("b", truth="012", reading="12")]
    write_meter_report(tmp_path / "a", strips, "digits@1", "strips")
    html = (tmp_path / "a" / "report.html").read_text("utf-8")
    assert html.count("<article") == 1 and "<svg" not in html and "IoU" not in html
    write_meter_report(tmp_path / "b", strips[:1], "digits@1", "strips")
    assert "There are none." in (tmp_path / "b" / "report.html").read_text("utf-8")
    write_meter_report(tmp_path / "c", [], "digits@1", "strips")


def test_all_verdicts_have_names():
    assert tuple(meter_page._VERDICT_NAMES) == VERDICTS


def test_the_page_in_a_browser(browser, tmp_path):
    write_meter_report(tmp_path, METERS.values(), "two@1", "meters data/mine")
    url = (tmp_path / "report.html").as_uri()
    with open_page(browser, url, color_scheme="dark") as page:
        expect(page.locator("#shown")).to_have_text("8 / 8")
        page.fill("#search", "cannot read")
        expect(page.locator("article:visible")).to_have_count(2)
        page.fill("#search", "")
        page.select_option("#script", "missed")
        expect(page.locator("article:visible")).to_have_count(1)
        assert page.locator("article:visible svg.photo").is_visible()
        page.check("#korean", force=True)
        assert page.locator("h2 [lang=ko]").first.is_visible()
        assert not page.locator("h2 [lang=en]").first.is_visible()
    with open_page(browser, url, locale="ko-KR", viewport={"width": 390, "height": 800}) as page:
        assert page.locator("h2 [lang=ko]").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    write_meter_report(tmp_path / "none", [METERS["right"]], "two@1", "meters data/mine")
    with open_page(browser, (tmp_path / "none" / "report.html").as_uri()) as page:
        assert page.get_by_text("There are none.").is_visible()
