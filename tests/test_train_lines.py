"""Sources of text lines: shards, their order, shares and charsets."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.text_recognition.charset import Charset, charset
from tests.render_fonts import font_set
from trainers.recognition.source import LinesError, LineShards, LineShardsSettings, RenderedLinesSettings


def write(path, texts, colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for text in texts:
        buffer = io.BytesIO()
        Image.new("RGB", (8 * max(1, len(text)), 16), (colour, len(text) % 256, 0)).save(buffer, "PNG")
        rows.append({"image": b"no image" if text == "broken" else buffer.getvalue(), "text": text})
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([("image", pa.binary()), ("text", pa.string())])), path)
    return str(path.parent)


def test_validation_lines_come_in_the_files_order_and_wrap_around(tmp_path):
    write(tmp_path / "a-00001.parquet", ["c"])
    folder = write(tmp_path / "a-00000.parquet", ["a", "bb"])
    lines = LineShardsSettings(at=folder).open("validation", 3)
    assert [lines.line(index).text for index in range(5)] == ["a", "bb", "c", "a", "bb"]
    assert lines.line(1).image.shape == (16, 16, 3) and lines.line(1).image.dtype == np.uint8


def test_training_order_is_a_function_of_seed_and_index(tmp_path):
    texts = ["x" * length for length in range(1, 41)]
    folder = write(tmp_path / "a.parquet", texts)
    one, again, other = (LineShards(folder, shuffle_seed=seed, bucket=8) for seed in (1, 1, 2))
    order = [one.line(index).text for index in range(120)]
    assert [again.line(index).text for index in reversed(range(120))] == order[::-1]
    assert [other.line(index).text for index in range(120)] != order
    for turn in range(3):
        assert sorted(order[40 * turn : 40 * turn + 40], key=len) == texts  # each line once a pass
    assert order[:40] != order[40:80]


def test_neighbours_in_training_are_about_equally_long(tmp_path):
    folder = write(tmp_path / "a.parquet", ["x" * (1 + number % 50) for number in range(200)])
    lines = LineShards(folder, shuffle_seed=0, bucket=20)
    runs = [[len(lines.line(index).text) for index in range(first, first + 20)] for first in range(0, 200, 20)]
    assert max(max(run) - min(run) for run in runs) <= 5
    assert [run[0] for run in runs] != sorted(run[0] for run in runs)


def test_several_folders_share_as_set(tmp_path):
    old = write(tmp_path / "old" / "a.parquet", ["x"] * 90, colour=1)
    new = write(tmp_path / "new" / "a.parquet", ["y"] * 10, colour=2)
    lines = LineShardsSettings(at={old: 3, new: 1}, bucket=10).open("train", 0)
    texts = [lines.line(index).text for index in range(100)]
    assert texts.count("y") == 25 and len(lines) == 100


def test_balance_evens_word_frequencies_out(tmp_path):
    folder = write(tmp_path / "a.parquet", ["합계"] * 60 + ["부가세"] * 15 + ["총 1,200", "총 3,450"] + ["봉사료"] * 3)
    counts = {}
    for balance in (0, 0.5, 1):
        lines = LineShards(folder, shuffle_seed=4, bucket=8, balance=balance)
        texts = [lines.line(index).text for index in range(800)]  # ten passes
        counts[balance] = {word: sum(word in text for text in texts) for word in ("합계", "부가세", "총", "봉사료")}
    assert counts[0] == {"합계": 600, "부가세": 150, "총": 20, "봉사료": 30}
    assert all(150 <= count <= 250 for count in counts[1].values()), counts[1]
    assert counts[0]["합계"] > counts[0.5]["합계"] > counts[1]["합계"]


def test_a_balanced_order_is_a_function_of_seed_and_index(tmp_path):
    folder = write(tmp_path / "a.parquet", ["자주"] * 50 + [f"드문 {chr(0xAC00 + i)}" for i in range(14)])
    source = LineShardsSettings(at=folder, bucket=8, balance=0.7)
    one, again = (source.open("train", 1).for_charset(charset("ko_full")) for _ in range(2))
    order = [one.line(index).text for index in range(200)]
    assert [again.line(index).text for index in reversed(range(200))] == order[::-1]
    # A rare line weighs more than one of the mean: it comes in every pass.
    assert all(
        set(order[64 * turn : 64 * turn + 64]) >= {f"드문 {chr(0xAC00 + i)}" for i in range(14)} for turn in (0, 1, 2)
    )
    plain = source.open("validation", 1)
    assert [plain.line(index).text for index in range(64)].count("자주") == 50


def test_balance_leaves_the_shares_of_folders_as_told(tmp_path):
    old = write(tmp_path / "old" / "a.parquet", ["가 나"] * 80 + ["다 라"] * 10)
    new = write(tmp_path / "new" / "a.parquet", ["가 x"] * 8 + ["y"] * 2)
    lines = LineShardsSettings(at={old: 3, new: 1}, bucket=10, balance=1).open("train", 0)
    texts = [lines.line(index).text for index in range(1000)]
    new_texts = [text for text in texts if text in ("가 x", "y")]
    assert len(new_texts) == 250 and new_texts.count("y") > 2 * 250 / 10


def test_lines_have_names(tmp_path):
    folder = write(tmp_path / "a.parquet", ["a", "b"])
    table = pq.read_table(tmp_path / "a.parquet").append_column("name", pa.array(["crops/1.png", None]))
    pq.write_table(table, tmp_path / "b.parquet")
    lines = LineShards(folder)
    assert [lines.name(index) for index in range(4)] == ["a.parquet#0", "a.parquet#1", "crops/1.png", "b.parquet#1"]


def test_a_charset_leaves_lines_out_and_is_reported(tmp_path):
    folder = write(tmp_path / "a.parquet", ["가", "漢", "７", ""])
    lines = LineShards(folder)
    korean = lines.for_charset(charset("ko_ksx1001"))
    assert [korean.line(index).text for index in range(3)] == ["가", "７", "가"]
    assert "4 labels: 1 kept, 1 mapped by rule, 2 left out" in korean.left_out and "'漢'" in korean.left_out
    assert len(lines) == 4 and lines.left_out == ""
    with pytest.raises(LinesError, match="the charset letters leaves no line"):
        lines.for_charset(Charset("ab", "letters"))


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(LinesError, match=r"no Parquet files there; import or render some"):
        LineShards(str(tmp_path))
    folder = write(tmp_path / "a.parquet", ["broken"])
    with pytest.raises(LinesError, match=r"line 0 \('broken'\) cannot be decoded"):
        LineShards(folder).line(0)
    pq.write_table(pa.table({"image": [b""]}), tmp_path / "b.parquet")
    with pytest.raises(LinesError, match=r"b\.parquet has no column text"):
        LineShards(folder)
    write(tmp_path / "none" / "a.parquet", [])
    with pytest.raises(LinesError, match="no lines"):
        LineShards(str(tmp_path / "none"))


def test_drawn_lines_write_what_the_charset_has(tmp_path, monkeypatch):
    fonts = font_set(tmp_path)
    monkeypatch.setattr("trainers.render.lines.line.system_fonts", lambda: fonts)
    lines = RenderedLinesSettings(balance=True).open("train", 5)
    few = lines.for_charset(Charset("0123456789.,-: "))
    for index in range(5):
        sample = few.line(index)
        assert sample.text and set(sample.text) <= set("0123456789.,-: ")
        assert sample.image.dtype == np.uint8 and sample.image.shape[2] == 3
        np.testing.assert_array_equal(sample.image, few.line(index).image)
    with pytest.raises(LinesError, match=r"texts .*nowhere"):
        RenderedLinesSettings(texts=str(tmp_path / "nowhere.parquet")).open("train", 0)
