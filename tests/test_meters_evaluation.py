import json

import pyarrow as pa
import pyarrow.parquet as pq

from models.bundle import load_bundle
from ray_apps.cli.main import main as ocray
from tests.meter_bundles import DISPLAY, digits_bundle, screen_bundle, write_meter
from trainers.data.layouts import METERS_SCHEMA


def test_both_stages_are_measured_and_reported(tmp_path, capsys):
    left, top, width, height = DISPLAY
    corners = [[left, top], [left + width, top], [left + width, top + height], [left, top + height]]
    truths = {"right": ("00378.547", "00378.547"), "wrong": ("00378.547", "00379.547"), "wall": (None, None)}
    rows = []
    for name, (shown, truth) in truths.items():
        image = write_meter(tmp_path / f"{name}.png", shown).read_bytes()
        rows.append(
            {"image": image, "name": name, "kind": "photo", "meter_class": "analog" if shown else "none"}
            | {"corners": corners if shown else None, "reading": truth, "leading_zeros": True}
        )
    pq.write_table(pa.Table.from_pylist(rows, METERS_SCHEMA), tmp_path / "set.parquet")
    screen, digits = (str(bundle.folder) for bundle in (screen_bundle(tmp_path / "s"), digits_bundle(tmp_path / "d")))
    arguments = ["--data", str(tmp_path / "set.parquet"), "--screen", screen, "--digits", digits, "--precision", "f32"]
    assert ocray(["meters", *arguments, "--report", str(tmp_path / "report")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["photos"] == 3 and figures["quad_iou_50"] == 1 and figures["recognition_rate"] == 0.5
    assert figures["wrong_given"] == 0.5 and figures["false_alarms"] == 0 and figures["invented"] == 0
    assert figures["latency_p50_ms"] > 0
    assert "wrong" in (tmp_path / "report" / "meters.tsv").read_text().splitlines()[1]


def test_how_sure_a_reading_must_be_is_settled_by_a_set(tmp_path, capsys):
    rows = [
        {"image": write_meter(tmp_path / f"{truth}.png", shown, faint=faint).read_bytes(), "name": truth}
        | {"kind": "photo", "meter_class": "analog", "reading": truth, "leading_zeros": True}
        for shown, truth, faint in [("00378.547", "00378.547", None), ("00378.547", "00378.546", 7)]
    ]
    pq.write_table(pa.Table.from_pylist(rows, METERS_SCHEMA), tmp_path / "set.parquet")
    screen, digits = screen_bundle(tmp_path / "s").folder, digits_bundle(tmp_path / "d").folder
    arguments = ["--data", str(tmp_path / "set.parquet"), "--screen", str(screen), "--digits", str(digits)]
    arguments += ["--precision", "f32"]
    assert ocray(["meters", *arguments, "--fit", "0"]) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert fitted["given"] == 0.5 and fitted["wrong_given"] == 0
    assert ocray(["meters", *arguments]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["given"], again["wrong_given"]) == (0.5, 0)
    assert load_bundle(digits).card.decoding["sure"] > 0.5


def test_rounded_truths_and_bad_requests(tmp_path, capsys):
    rows = [
        {"image": write_meter(tmp_path / f"{n}.png", shown).read_bytes(), "name": str(n), "kind": "photo"}
        | {"meter_class": "digital", "reading": truth, "leading_zeros": False}
        for n, (shown, truth) in enumerate([("0092.0", "93"), ("0092.0", "95")])
    ]
    pq.write_table(pa.Table.from_pylist(rows, METERS_SCHEMA), tmp_path / "set.parquet")
    screen, digits = (str(bundle.folder) for bundle in (screen_bundle(tmp_path / "s"), digits_bundle(tmp_path / "d")))
    arguments = ["--screen", screen, "--digits", digits, "--rounded", "--precision", "f32", "--data"]
    assert ocray(["meters", *arguments, str(tmp_path / "set.parquet")]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["within_one_unit"] == 0.5 and figures["wrong_given"] == 0.5
    assert ocray(["meters", *arguments, str(tmp_path / "none.parquet")]) == 2
    assert "none.parquet" in capsys.readouterr().err


def test_a_fit_needs_a_folder(capsys):
    assert ocray(["meters", "--data", "set.parquet", "--fit", "0.1"]) == 2
    assert capsys.readouterr().err == "ocray: --fit needs a bundle folder, which meter-digits@1 is not\n"
