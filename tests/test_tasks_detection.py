"""The detection task: samples, counts as the predictor decodes, training from PaddleOCR's weights, and the bundle."""

import io

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from common.config import ConfigError
from models.bundle import load_bundle
from models.text_detection.predictor import TextDetector
from trainers.core.checkpoint import WeightsError, load_state
from trainers.core.config import Config, parse_config
from trainers.core.evaluate import evaluate, measure
from trainers.core.export import export_run
from trainers.core.launch import launch
from trainers.core.loop import _load_initial, train
from trainers.core.reporters import Reporter
from trainers.core.runs import Run
from trainers.data.layouts import REGIONS_SCHEMA
from trainers.detection.metrics import match
from trainers.detection.source import RegionSample
from trainers.detection.task import UNCLIP_RATIOS, DetectionSettings, DetectionTask

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.train]


class Drawn:
    """Pages of a few lines; every third line is to be ignored."""

    def regions(self, index: int) -> RegionSample:
        rng = np.random.default_rng(index)
        image = np.full((560, 600, 3), 255, np.uint8)
        quads = []
        for row in range(6):
            text = "".join(rng.choice(list("ABDEGKLMRSTabdehkltu0123456789")) for _ in range(rng.integers(6, 16)))
            (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.9, 2)
            x, y = int(rng.integers(20, 200)), 70 + 80 * row
            cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA)
            box = x - 3, y - height - 3, x + width + 3, y + 4
            quads.append([[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]])
        return RegionSample(image, np.array(quads, np.float32), np.arange(6) % 3 == 2)


class Silent(Reporter):
    def log(self, step, values):
        pass


def make_task(**settings) -> DetectionTask:
    return DetectionTask(DetectionSettings(**settings), {"train": Drawn(), "validation": Drawn()}, 0)


def published(task: DetectionTask, capsys) -> torch.nn.Module:
    network = task.network()
    _load_initial(task, network, "ppocrv6-det@small", announce=True)
    assert "all 162 tensors loaded; the threshold branch starts anew" in capsys.readouterr().out
    return network


def test_training_samples_are_a_function_of_their_index():
    task = make_task(crop=96)
    one, again = task.sample(3, "train"), task.sample(3, "train")
    assert all((one[name] == again[name]).all() for name in one)
    batch = task.collate([one, task.sample(4, "train")])
    assert batch["image"].shape == (2, 96, 96, 3) and batch["image"].dtype == torch.uint8
    assert all(batch[name].shape == (2, 96, 96) for name in ("text", "used", "threshold", "border"))


def test_validation_pages_are_whole_at_the_predictors_scale():
    task = make_task()
    sample = task.sample(0, "validation")
    assert sample["image"].shape == (576, 608, 3)  # 560 x 600 in multiples of 32
    page = Drawn().regions(0)
    np.testing.assert_allclose(sample["quads"], page.quads * (608 / 600, 576 / 560), rtol=1e-5)
    small = {"image": sample["image"][:32, :64], "quads": sample["quads"][:0], "ignore": sample["ignore"][:0]}
    batch = task.collate([small, sample])
    assert batch["image"].shape == (2, 576, 608, 3)
    assert batch["size"].tolist() == [[32, 64], [576, 608]] and batch["count"].tolist() == [0, 6]
    assert task.validation_length() is None  # drawn pages never repeat
    damaged = make_task(validation_damage=1).sample(0, "validation")
    assert damaged["image"].shape == sample["image"].shape and (damaged["image"] != sample["image"]).any()


def test_pages_are_counted_as_the_predictor_reads_them(capsys):
    task = make_task()
    network = published(task, capsys).eval()
    with torch.no_grad():
        counts = task.predict(network, task.collate([task.sample(index, "validation") for index in range(2)]))
    detector = TextDetector(precision="f32")
    number = UNCLIP_RATIOS.index(detector.decoding.unclip_ratio)
    for index in range(2):
        page = Drawn().regions(index)
        found = np.array([region.polygon for region in detector([page.image])[0]])
        expected = match(found, page.quads, page.ignore)
        assert tuple(int(counts[name][index, number]) for name in ("matched", "found", "true")) == expected
        assert expected.true == 4
    metrics = task.metrics(counts)
    assert metrics.keys() == {"precision", "recall", "hmean", "unclip_ratio"} and metrics["hmean"] > 0.85


def test_the_best_unclip_ratio_is_taken():
    predictions = {name: np.zeros((2, len(UNCLIP_RATIOS)), int) for name in ("matched", "found", "true")}
    predictions["found"] += 4
    predictions["true"] += 5
    predictions["matched"][:, 7] = 3, 4
    metrics = make_task().metrics(predictions)
    assert metrics == {
        "precision": 7 / 8,
        "recall": 7 / 10,
        "hmean": pytest.approx(14 / 18),
        "unclip_ratio": UNCLIP_RATIOS[7],
    }
    assert make_task().fitted_decoding(metrics) == {"unclip_ratio": UNCLIP_RATIOS[7]}


def test_dbnet_learns():
    torch.manual_seed(0)
    task = make_task(architecture="dbnet", crop=64, damage=0)
    network, batch = task.network().train(), task.collate([task.sample(index, "train") for index in range(2)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    losses = []
    for _ in range(15):
        loss, parts = task.loss(network, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0], losses
    assert parts.keys() == {"probability_loss", "binary_loss", "threshold_loss"}


# --- a run from PaddleOCR's weights, and its bundle


def write_pages(folder, count: int) -> str:
    folder.mkdir()
    rows = []
    for index in range(count):
        page = Drawn().regions(index)
        Image.fromarray(page.image).save(buffer := io.BytesIO(), "PNG")
        regions = [
            {"quad": quad.reshape(-1).tolist(), "text": None, "ignore": bool(ignore)}
            for quad, ignore in zip(page.quads, page.ignore, strict=True)
        ]
        rows.append(
            {"image": buffer.getvalue(), "name": str(index), "group": None, "source": "drawn", "regions": regions}
        )
    pq.write_table(pa.Table.from_pylist(rows, REGIONS_SCHEMA), folder / "pages-00000.parquet")
    return str(folder)


def config(folder: str, **train_settings) -> Config:
    source = {"kind": "region_shards", "at": folder}
    return Config.model_validate(
        {
            "task": "detection",
            "settings": {"architecture": "ppocrv6", "crop": 64, "damage": 0},
            "train": {
                "total_steps": 2,
                "global_batch": 2,
                "lr": 1e-5,
                "weight_decay": 0,
                "precision": "fp32",
                "validation_samples": 2,
                "validate_every": 2,
                "initial_weights": "ppocrv6-det@small",
            }
            | train_settings,
            "data": {"train": source, "validation": source, "processes": 0},
            "logging": {"tensorboard": False, "mlflow": False},
            "card": {"name": "det", "version": "1", "licence": "Apache-2.0", "data": "a", "validation_data": "b"},
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "det"
    launch(config(write_pages(folder.parent / "pages", 2)), folder, use_ray=False)
    return Run(folder)


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory) -> str:
    return str(export_run(run, tmp_path_factory.mktemp("bundles") / "det").folder)


def test_the_bundle_reads_in_the_pipelines_predictor(run, bundle):
    metrics = load_state(run.checkpoint / "best.pt")["metrics"]
    card = load_bundle(bundle, "text_detection").card
    assert card.decoding["unclip_ratio"] == metrics["unclip_ratio"] and card.decoding["box_thresh"] == 0.5
    assert card.input["tile_side"] == 1600 and card.input["colour"] == "BGR"
    counts = []
    detector = TextDetector(bundle, precision="f32")
    for index in range(2):
        page = Drawn().regions(index)
        found = np.array([region.polygon for region in detector([page.image])[0]])
        counts.append(match(found, page.quads, page.ignore))
    matched, found, true = (sum(column) for column in zip(*counts, strict=True))
    assert 2 * matched / (found + true) == pytest.approx(metrics["hmean"], abs=0.01) and metrics["hmean"] > 0.85
    assert run.config().build_task().validation_length() == 2
    assert evaluate(bundle, run.config())["hmean"] == pytest.approx(metrics["hmean"], abs=0.01)
    as_it_comes = evaluate("ppocrv6-det@small", run.config())  # with the ratio of its card, whatever fits these pages
    assert as_it_comes["unclip_ratio"] == load_bundle("ppocrv6-det@small").card.decoding["unclip_ratio"]
    again = measure("ppocrv6-det@small", run.config(), refit=True).metrics
    assert again["hmean"] >= as_it_comes["hmean"]


def test_training_continues_from_a_bundle(run, bundle, tmp_path, capsys):
    settings = config("", total_steps=1, lr=1e-12, initial_weights=bundle).train
    train(make_task(crop=64), settings, reporter=Silent(), checkpoint_dir=tmp_path)
    assert "the threshold branch starts anew" in capsys.readouterr().out
    old, new = load_state(run.checkpoint / "best.pt"), load_state(tmp_path / "last.pt")
    torch.testing.assert_close(
        new["network"]["backbone.stem.first.weight"], old["weights"]["backbone.stem.first.weight"]
    )


def test_weights_of_the_other_architecture_are_refused(bundle, tmp_path):
    for source, message in ((bundle, "missing: "), ("ppocrv6-det@small", "ppocrv6-det@small")):
        settings = config("", initial_weights=source).train
        with pytest.raises(WeightsError, match=message):
            train(make_task(architecture="dbnet"), settings, reporter=Silent(), checkpoint_dir=tmp_path)


def test_settings_name_what_is_wrong():
    content = config("somewhere").model_dump()
    for key, value in (("architecture", "east"), ("crop", 100), ("shrink_ratio", 1.0), ("unclip", 2)):
        with pytest.raises(ConfigError, match=f"settings.{key}"):
            parse_config(content | {"settings": {key: value}}, "file")
