"""Links and paths that the documentation names exist."""

import re
from pathlib import Path

import pytest

from common.errors import ExitCode
from common.project import ROOT
from ray_apps.cli.main import COMMANDS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = r"(?:benchmarks|common|models|pipelines|trainers|tuners)"
FILE = re.compile(rf"(?:{PACKAGES}|configs|deploy|docs|ray_apps|tests)/[\w./-]+\.(?:py|yaml|md|json|conf|yml)")
MODULE = re.compile(rf"(?:python -m |`)({PACKAGES}(?:\.[a-z]\w*)+)")
# Files that a reader of the documentation is told to write.
TO_BE_WRITTEN = re.compile(r"sharpness|json_lines|brightness|NAME")


def prose(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    paths = [span for span in re.findall(r"`([^`\s]+)`", prose(page)) if FILE.fullmatch(span)]
    assert [path for path in paths if not TO_BE_WRITTEN.search(path) and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_named_exist(page):
    for name in MODULE.findall(page.read_text("utf-8")):
        modules = [name, name.rpartition(".")[0]]  # the last part may be what the module defines
        paths = [ROOT / module.replace(".", "/") for module in modules]
        assert TO_BE_WRITTEN.search(name) or any(p.is_dir() or p.with_suffix(".py").exists() for p in paths), name


def table_cells(page: Path, heading: str, column: int) -> list[str]:
    """Return a column of the first table below a line of a page."""
    rows = re.search(rf"^{re.escape(heading)}\n\|[-|]+\n((?:\|.*\n)+)", page.read_text("utf-8"), re.MULTILINE)
    assert rows, heading
    return [row.split("|")[column + 1].strip() for row in rows[1].splitlines()]


def test_every_command_and_exit_code_is_documented():
    page = ROOT / "docs" / "cli.md"
    heading = "| command | what it does | more |"
    commands = dict(zip(table_cells(page, heading, 0), table_cells(page, heading, 1), strict=True))
    assert commands == {f"`{name}`": command.summary for name, command in COMMANDS.items()}
    codes = table_cells(page, "| exit code | commands | meaning |", 0)
    assert codes == [*(str(int(code)) for code in ExitCode), "129, 130, 143"]
