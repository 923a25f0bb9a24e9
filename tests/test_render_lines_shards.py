import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from common.errors import ExitCode
from ray_apps.cli.main import main as ocray
from tests.labelled_images import ocray as ocray_output
from tests.render_fonts import font_set
from trainers.data.layouts import LINES_SCHEMA
from trainers.render.lines import render_line
from trainers.render.lines.shards import LineRendering, contact_sheet, render_shards


@pytest.fixture
def fonts(tmp_path, monkeypatch):
    fonts = font_set(tmp_path)
    monkeypatch.setattr("trainers.render.lines.line.system_fonts", lambda: fonts)
    monkeypatch.setattr("trainers.render.lines.shards.system_fonts", lambda: fonts)
    return fonts


def test_shards_hold_the_lines_of_their_seeds(fonts, tmp_path):
    paths = render_shards(tmp_path / "out", 5, LineRendering("validation", 9), rows=2)
    assert all(pq.read_schema(path).equals(LINES_SCHEMA) for path in paths)
    assert [p.name for p in paths] == [f"validation-9-0000{i}.parquet" for i in range(3)]
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert [row["name"] for row in rows] == [f"rendered-validation-9-0000000{i}" for i in range(5)]
    for number, row in enumerate(rows):
        sample = render_line((9, number), fonts=fonts, split="validation")
        image = np.asarray(Image.open(io.BytesIO(row["image"])))
        assert row["text"] == sample.text and row["group"] is None and image.shape == sample.image.shape
        assert np.abs(image.astype(int) - sample.image).mean() < 8


def test_a_second_run_does_only_what_is_missing(fonts, tmp_path, monkeypatch):
    out, settings = tmp_path / "out", LineRendering("train", 1)
    paths = render_shards(out, 4, settings, rows=2)
    before = {path: path.read_bytes() for path in paths}
    paths[1].unlink()
    rendered = []

    def counted(seed, **options):
        rendered.append(seed)
        return render_line(seed, **options)

    monkeypatch.setattr("trainers.render.lines.source.render_line", counted)
    render_shards(out, 4, settings, rows=2)
    assert rendered == [(1, 2), (1, 3)]
    assert {path: path.read_bytes() for path in paths} == before
    rendered.clear()
    more = render_shards(out, 5, settings, rows=2)
    assert rendered == [(1, 4)] and len(more) == 3
    render_shards(out, 6, settings, rows=2)  # the last shard was short: it is made anew
    assert rendered == [(1, 4), (1, 4), (1, 5)] and pq.read_metadata(more[2]).num_rows == 2


def test_an_interrupted_shard_leaves_no_file(fonts, tmp_path, monkeypatch):
    def broken(seed, **options):
        if seed == (1, 3):
            raise KeyboardInterrupt
        return render_line(seed, **options)

    monkeypatch.setattr("trainers.render.lines.source.render_line", broken)
    with pytest.raises(KeyboardInterrupt):
        render_shards(tmp_path / "out", 4, LineRendering("train", 1), rows=2)
    assert [p.name for p in (tmp_path / "out").glob("*")] == ["train-1-00000.parquet"]


def test_shards_of_other_settings_are_not_taken_for_finished(fonts, tmp_path):
    render_shards(tmp_path / "out", 2, LineRendering("train", 1), rows=2)
    with pytest.raises(ValueError, match=r"train-1-00000.parquet holds lines of other settings.*another --out"):
        render_shards(tmp_path / "out", 2, LineRendering("train", 1, charset=" 0123456789"), rows=2)
    with pytest.raises(ValueError, match="at least 1"):
        render_shards(tmp_path / "out", 0, LineRendering("train"))


def test_the_command_writes_a_sheet_and_shards(fonts, tmp_path):
    texts = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"text": [f"가나다 {i}" for i in range(400)]}), texts)
    charset = tmp_path / "charset.txt"
    charset.write_text("\n".join([*"가나다0123456789", "U+0020"]), encoding="utf-8")
    out, sheet = tmp_path / "out", tmp_path / "sheet.png"
    arguments = ["render", "lines", "--count", "6", "--texts", str(texts), "--charset", str(charset), "--balance"]
    assert ocray([*arguments, "--sheet", str(sheet), "--out", str(out)]) == 0
    assert Image.open(sheet).width == 4 * 460
    drawn = pq.read_table(out)["text"].to_pylist()
    assert len(drawn) == 6 and set("".join(drawn)) <= set("가나다0123456789 ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lines", "--degrade"], "unrecognized arguments: --degrade"),
        (["pages", "--balance"], "unrecognized arguments: --balance"),
        (["lines", "--charset", "klingon"], "no charset klingon"),
        (["lines", "--texts", "missing.parquet"], "give a Parquet file with a column 'text': missing.parquet: "),
        (["lines", "--count", "0"], "'0' is not a whole number above 0"),
        (["lines", "--rare", "1.5"], "'1.5' is not a number between 0 and 1"),
        (["meters", "face"], "invalid choice: 'face'"),
        (["meters", "strip", "--texts", "t.parquet"], "unrecognized arguments: --texts"),
        (["regions", "--sheet", "s.png"], "unrecognized arguments: --sheet"),
        (["letters"], "invalid choice: 'letters'"),
    ],
)
def test_faults_are_named(fonts, arguments, message, tmp_path, capsys):
    code, text = ocray_output(capsys, "render", *arguments, "--out", tmp_path / "out")
    assert code == ExitCode.BAD_REQUEST and message in text


def test_texts_that_are_not_parquet(fonts, tmp_path, capsys):
    (tmp_path / "t.txt").write_text("가나다")
    code, text = ocray_output(capsys, "render", "pages", "--texts", tmp_path / "t.txt", "--sheet", tmp_path / "s.png")
    assert code == ExitCode.BAD_REQUEST and text.count("\n") == 1 and text.startswith("ocray: give a Parquet file ")


@pytest.mark.parametrize("what", [["pages"], ["lines"], ["meters", "photo"]])
def test_nothing_to_write(what, capsys):
    code, text = ocray_output(capsys, "render", *what)
    assert code == ExitCode.BAD_REQUEST and text == "ocray: give --out DIR, --sheet FILE or both\n"


def test_contact_sheet_shows_every_line(fonts):
    samples = [render_line((0, n), fonts=fonts) for n in range(5)]
    sheet = np.asarray(contact_sheet(samples, columns=2, width=300, fonts=fonts))
    assert sheet.shape[1] == 600
    heights = [min(s.image.shape[0], 288 * s.image.shape[0] / s.image.shape[1]) + 30 for s in samples]
    assert sheet.shape[0] == pytest.approx(max(sum(heights[:3]), sum(heights[3:])) + 8, abs=6)
