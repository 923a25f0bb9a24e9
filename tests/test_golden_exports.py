"""Exports, reports and readings made from known records are what they were."""

import pytest

from tests.golden import exports, kept
from tests.golden.comparing import differences, exactly, report, visible_text


def tolerance(where: str, before: float) -> float:
    return 0.02 if ".size." in where else 0.0  # points


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    return folder, exports.made(folder)


@pytest.mark.parametrize("reader", ["documents", "meters"])
def test_known_records_are_exported_as_before(output, reader):
    folder, now = output
    hint = f"The files as they are made now: {folder / reader}"
    assert not (changed := report("exports", now[reader], kept("exports")[reader], tolerance, hint)), changed


def test_differences_are_named():
    before = {"a": {"size": [1.0, 2.0], "text": ["x"]}, "b": True}
    assert differences(before, before, exactly) == []
    assert differences(before | {"c": 1}, before, exactly) == [".c: is new"]
    assert differences({"a": {"size": [1.0, 2.5], "text": ["y"]}}, before, exactly) == [
        ".b: is missing", ".a.size.1: 2.0 became 2.5 (allowed: 0)", ".a.text.0: 'x' became 'y'",
    ]  # fmt: skip
    assert differences([1.0], [1.05], lambda where, value: 0.1) == []
    assert differences([True, None], [False, 0], exactly) == [".0: False became True", ".1: 0 became None"]
    assert differences([[1]], [[1, 2]], exactly) == [".0: [1, 2] became [1]"]
    reported = report("exports", 1, 2, exactly, "see OUT")
    assert ": 2 became 1" in reported and "see OUT" in reported and "python -m tests.golden exports" in reported
    assert report("exports", 1, 1, exactly) == ""


def test_visible_text_leaves_scripts_and_tags_out():
    html = "<style>p {}</style><p title='no'>one\n  <b>two</b></p><script>three</script><svg><text>4</text></svg>"
    assert visible_text(html) == ["one", "two", "4"]
