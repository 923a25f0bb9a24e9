"""Templates: what is escaped, what is missing, and the frame that all pages share."""

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from markupsafe import Markup

from common.html import render
from tests.browser import open_page
from tests.hostile import check_shown_as_text, hostile

LABELLING = {"title": "T", "lines": []}


def test_values_are_text_unless_they_are_markup():
    html = render("ray_apps.mining/label.html", **LABELLING | {"title": hostile("title")})
    check_shown_as_text(html, ["title"])
    assert "<title><b>x</b>" in render("ray_apps.mining/label.html", **LABELLING | {"title": Markup("<b>x</b>")})


def test_text_in_a_script_cannot_close_it():
    html = render("ray_apps.mining/label.html", **LABELLING | {"lines": [hostile("a"), "한글"]})
    check_shown_as_text(html, [])
    assert '"한글"' in html


def test_what_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="'title' is undefined"):
        render("ray_apps.mining/label.html", lines=[])
    for name in ("common.html/nothing.html", "no_such_package/a.html", "base.html"):
        with pytest.raises(TemplateNotFound):
            render(name)


def test_the_frame_switches_languages_and_follows_the_screen(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render("common.html/base.html"), "utf-8")
    language, ground = "document.documentElement.lang", "getComputedStyle(document.documentElement).backgroundColor"
    with open_page(browser, path.as_uri()) as page:
        assert page.evaluate(language) == "en"
        light = page.evaluate(ground)
        page.get_by_role("radio", name="English").focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate(language) == "ko" and page.get_by_role("radio", name="한국어").is_checked()
    with open_page(browser, path.as_uri(), locale="ko-KR", color_scheme="dark") as page:
        assert page.evaluate(language) == "ko" and page.evaluate(ground) != light
