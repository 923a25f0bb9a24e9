"""`ocray angles` on rendered pages: the figures, and the cards that record them."""

import shutil

import pytest

from models.bundle import load_bundle
from ray_apps.cli.main import main as ocray
from tests.labelled_images import ocray as ocray_output
from tests.render_fonts import font_set
from trainers.render.shards import render_shards


@pytest.fixture
def pages(tmp_path, monkeypatch):
    (tmp_path / "fonts").mkdir()
    fonts = font_set(tmp_path / "fonts")
    monkeypatch.setattr("trainers.render.page.system_fonts", lambda: fonts)
    render_shards(tmp_path / "pages", 4, 0, "validation")
    return tmp_path / "pages"


def test_figures_go_into_the_card_with_the_whole_command(pages, tmp_path, capsys):
    deskew = tmp_path / "my bundle"
    shutil.copytree(load_bundle("deskew@1").folder, deskew)
    arguments = ["angles", "--pages", str(pages), "--deskew", str(deskew), "--limit", "4", "--seed", "3", "--record"]
    assert ocray(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:20].strip() for line in lines[:2]] == ["rendered", "rendered"]
    assert lines[0].endswith("(4)")
    new = [measured for measured in load_bundle(deskew).card.metrics if measured.data.endswith("(4)")]
    assert {measured.data for measured in new} == {"rendered (4)", "rendered, damaged (4)"}
    command = f"ocray angles --pages {pages} --deskew '{deskew}' --limit 4 --seed 3 --record"
    assert {measured.command for measured in new} == {command}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --data FOLDER, --pages FOLDER or both"),
        (["--pages", "p", "--range", "0"], "'0' is not a number above 0"),
        (["--pages", "p", "--limit", "0"], "'0' is not a whole number above 0"),
        (["--pages", "nowhere"], "nowhere"),
        (["--pages", "p", "--deskew", "nothing@1"], "nothing"),
    ],
)
def test_faults_are_named(capsys, arguments, message):
    code, text = ocray_output(capsys, "angles", *arguments)
    assert code == 2 and message in text and "Traceback" not in text
