"""The recognition task: samples, batches, learning, calibration, other charsets, and the bundle where it is read."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from common.config import ConfigError
from models.bundle import BundleError, load_bundle, save_bundle
from models.text_recognition.charset import Charset, charset
from models.text_recognition.language_model import FILE, LanguageModel
from models.text_recognition.networks.ppocr import published_weights
from models.text_recognition.predictor import TextRecognizer
from models.text_recognition.preprocess import bucket_width
from ray_apps.cli.main import main as ocray
from trainers.core.checkpoint import WeightsError, load_labels, load_state, load_weights
from trainers.core.config import Config, parse_config
from trainers.core.evaluate import evaluate
from trainers.core.export import ModelExportError, export_run
from trainers.core.launch import launch
from trainers.core.loop import TrainingError, train
from trainers.core.reporters import Silent
from trainers.core.runs import Run
from trainers.recognition.augmentation import augment_line
from trainers.recognition.metrics import LANGUAGE_WEIGHTS, SPACE_BONUSES, best_reading
from trainers.recognition.source import LineSample, LinesError
from trainers.recognition.task import RecognitionSettings, RecognitionTask, width_groups

pytestmark = pytest.mark.train

TEXTS = ["135", "204", "97 1", "68 5", "3 30", "49", "722", "016"]


def draw(text: str) -> np.ndarray:
    font = ImageFont.load_default(30)
    image = Image.new("RGB", (int(font.getlength(text)) + 12, 40), "white")
    ImageDraw.Draw(image).text((6, 1), text, fill=(10, 10, 40), font=font)
    return np.asarray(image)


class Drawn:
    """A few lines, over and over."""

    left_out = ""

    def __init__(self, texts=TEXTS):
        self.texts = texts

    def line(self, index):
        text = self.texts[index % len(self.texts)]
        if text == "broken":
            raise LinesError("line 7 is no image")
        return LineSample(draw(text), text)

    def for_charset(self, charset):
        return self


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("charset") / "digits.txt"
    Charset("0123456789 ").save(path)
    return path


@pytest.fixture
def task(digits):
    return make_task(digits)


def make_task(path, texts=TEXTS, **settings):
    settings = RecognitionSettings(**{"charset": str(path), "augmentation": 0, "language": "en"} | settings)
    return RecognitionTask(settings, {"train": Drawn(texts), "validation": Drawn(texts)}, seed=3)


# --- samples and batches


@pytest.mark.parametrize("split", ["train", "validation"])
def test_samples_depend_on_seed_split_and_index_alone(digits, split):
    task = make_task(digits, augmentation=1)
    for index in range(4):
        first, again = task.sample(index, split), task.sample(index, split)
        assert first.keys() == again.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], again[name])
        assert first["image"].dtype == np.uint8 and first["image"].shape[::2] == (48, 3)


def test_a_batch_is_padded_to_its_widest_strip(task):
    samples = [task.sample(index, "train") for index in range(8)]
    batch = task.collate(samples)
    widest = max(sample["image"].shape[1] for sample in samples)
    assert batch["image"].shape == (8, 3, 48, bucket_width(widest, task.form)) and batch["image"].dtype == torch.uint8
    assert batch["length"].tolist() == [len(text) for text in TEXTS]
    row = batch["classes"][2]
    assert task.charset.decode(row.tolist()) == "97 1" and row.shape == (4,)
    strips = task._strips(batch["image"], batch["width"])
    for strip, width in zip(strips, batch["width"], strict=True):
        assert (strip[:, :, width:] == 0).all() and strip[:, :, :width].max() > 0.9


def test_strips_are_what_the_predictor_makes(task, monkeypatch):
    seen = []

    class Reader(TextRecognizer):
        def __init__(self):
            self.input, self.calibration, self.language, self.min_confidence = task.form, None, "en", 0.0
            self.space_bonus, self.characters = 0.0, ["", *task.charset.characters]
            self.language_model, self.language_weight = None, 0.0
            self.network = lambda batch: (seen.append(batch), {"p": np.zeros((len(batch), 4, 12), np.float32)})[1]

    Reader()([draw("204")])
    batch = task.collate([task.sample(1, "validation")])
    np.testing.assert_allclose(task._strips(batch["image"], batch["width"]).numpy(), seen[0], atol=1e-6)


def test_groups_hold_neighbouring_widths():
    widths = torch.tensor([900, 40, 300, 310, 50, 60, 880, 70] * 4)
    groups = width_groups(widths)
    assert len(groups) == 4 and sorted(torch.cat(groups).tolist()) == list(range(32))
    assert [int(widths[group].max()) for group in groups] == [50, 70, 310, 900]
    assert len(width_groups(torch.tensor([5, 3]))) == 1


def test_lines_that_cannot_be_used_weigh_nothing(digits, caplog):
    task = make_task(digits, texts=["12", "broken", "1가2", "７"])
    samples = [task.sample(index, "train") for index in range(4)]
    assert [float(sample["weight"]) for sample in samples] == [1, 0, 0, 1]
    assert "line 7 is no image" in caplog.text
    loss, _ = task.loss(task.network(), task.collate(samples))
    assert torch.isfinite(loss)
    # In validation a label that the charset cannot write is an error, not absent.
    batch = task.collate([task.sample(index, "validation") for index in range(4)])
    with torch.no_grad():
        predictions = task.predict(task.network().eval(), batch)
    assert predictions["true"].tolist() == ["12", "", "1가2", "7"]
    assert predictions["used"].tolist() == [True, False, True, True]
    assert task.metrics(predictions)["cer_hangul"] == 1.0
    with pytest.raises(LinesError, match="no image"):
        task.metrics({name: values[1:2] for name, values in predictions.items()})


def test_a_line_with_more_characters_than_steps_has_no_gradient(digits):
    task = make_task(digits, texts=["1" * 40, "2"], max_width=64)
    network = task.network()
    loss, _ = task.loss(network, task.collate([task.sample(0, "train")]))
    loss.backward()
    assert loss.item() == 0.0
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_settings_name_what_is_wrong():
    content = {"task": "recognition", "train": {"total_steps": 1, "global_batch": 1, "lr": 1}}
    content["card"] = {"name": "a", "version": "1", "licence": "b", "data": "c", "validation_data": "d"}
    with pytest.raises(
        ConfigError, match=r"settings.charset: no charset ko_ful: neither packaged \(ko_common, ko_full, ko"
    ):
        parse_config(content | {"settings": {"charset": "ko_ful"}}, "file")
    with pytest.raises(
        ConfigError, match=r"settings\.language_model: no\.npz is neither a file nor a recogniser's bundle"
    ):
        parse_config(content | {"settings": {"language_model": "no.npz"}}, "file")
    with pytest.raises(ConfigError, match=r"settings\.language_model: bundle ppocrv6-rec@small holds no lan"):
        parse_config(content | {"settings": {"language_model": "ppocrv6-rec@small"}}, "file")
    with pytest.raises(ConfigError, match="tps belongs to architecture crnn"):
        parse_config(content | {"settings": {"tps": False}}, "file")
    for wrong in ({"at": {"a": 0}}, {"at": {}}, {"at": "a", "balance": 2}, {"at": "a", "texts": "b"}, {"bucket": 8}):
        with pytest.raises(ConfigError, match=r"data\.train\."):
            parse_config(content | {"data": {"train": {"kind": "line_shards", **wrong}}}, "file")


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (40, 120), (96, 20)])
def test_augmented_lines_stay_images(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert augment_line(image, np.random.default_rng(0), 0) is image
    for seed in range(60):
        changed = augment_line(image, np.random.default_rng(seed), 1)
        assert changed.dtype == np.uint8 and changed.ndim == 3 and min(changed.shape) > 0


# --- learning, the bundle, and training on


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    """Return a training that learns the few lines by heart, through the loop and its run folder."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "digits"
    shards = write_lines(folder.parent / "lines", TEXTS)
    launch(config(shards, str(digits)), folder, use_ray=False)
    torch.set_num_threads(threads)
    return Run(folder)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """Its bundle's folder; copy it before you change it."""
    return export_run(run, tmp_path_factory.mktemp("bundles") / "digits").folder


def write_lines(folder, texts):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    rows = []
    for number, text in enumerate(texts):
        buffer = io.BytesIO()
        Image.fromarray(draw(text)).save(buffer, "PNG")
        rows.append({"image": buffer.getvalue(), "text": text, "name": str(number), "group": None, "source": "drawn"})
    pq.write_table(pa.Table.from_pylist(rows), folder / "lines-00000.parquet")
    return str(folder)


def config(shards, charset, **train):
    source = {"kind": "line_shards", "at": shards}
    return Config.model_validate(
        {
            "task": "recognition",
            "settings": {"charset": charset, "augmentation": 0, "height": 32, "max_width": 320, "language": "en"},
            "train": {
                "total_steps": 80,
                "global_batch": 8,
                "lr": 4e-3,
                "warmup_steps": 5,
                "weight_decay": 0.01,
                "ema_decay": 0.8,
                "precision": "fp32",
                "validation_samples": 8,
                "validate_every": 40,
                "log_every": 40,
            }
            | train,
            "data": {"train": source | {"bucket": 8}, "validation": source, "processes": 0},
            "logging": {"tensorboard": False, "mlflow": False},
            "card": {"name": "digits", "version": "1", "licence": "Apache-2.0", "data": "a", "validation_data": "b"},
        }
    )


def test_learns_lines_by_heart(run):
    metrics = load_state(run.checkpoint / "best.pt")["metrics"]
    assert metrics["cer"] < 0.05 and metrics["line_accuracy"] >= 0.75, metrics
    assert {"word_accuracy", "cer_digit", "cer_space", "ece", "confidence_scale"} <= metrics.keys()


def test_the_bundle_reads_in_the_pipelines_predictor(run, exported):
    card = load_bundle(exported, "text_recognition").card
    assert card.labels == list("0123456789 ") and card.decoding["calibration"].keys() == {"scale", "offset"}
    assert card.decoding["space_bonus"] in SPACE_BONUSES
    reader = TextRecognizer(str(exported), precision="f32", min_confidence=0)
    results = reader([draw(text) for text in TEXTS])
    right = sum(result.text == text for result, text in zip(results, TEXTS, strict=True))
    metrics = load_state(run.checkpoint / "best.pt")["metrics"]
    assert right / len(TEXTS) == metrics["line_accuracy"]
    assert all(0 <= result.confidence <= 1 and result.language == "en" for result in results)
    assert evaluate(str(exported), run.config())["cer"] == pytest.approx(metrics["cer"])


def test_a_bundles_decoding_is_fitted_again(run, exported, tmp_path, capsys):
    bundle = load_bundle(shutil.copytree(exported, tmp_path / "bundle"))
    fitted = bundle.card.decoding
    other = bundle.card.model_copy(update={"decoding": fitted | {"space_bonus": 9.0, "calibration": None}})
    save_bundle(bundle.folder, bundle.network, other)
    arguments = [str(bundle.folder), "--config", str(run.folder / "config.yaml"), "--fit"]
    assert ocray(["evaluate", *arguments]) == 0, capsys.readouterr().err
    again = load_bundle(bundle.folder).card.decoding
    assert again["space_bonus"] == fitted["space_bonus"] and again["charset"] == fitted["charset"]
    assert again["calibration"] == pytest.approx(fitted["calibration"], rel=1e-3)


def test_a_language_model_travels_in_the_bundle(run, tmp_path, capsys):
    """Named in the config, it goes into the bundle; its weight is fitted, and the bundle measured as its card says."""
    file = tmp_path / "model.npz"
    file.write_bytes(LanguageModel.of(TEXTS, (1, 1, 1, 1)).save())
    requested = run.config().changed({"settings.language_model": str(file)}, "test")
    bundle = export_run(run, tmp_path / "bundle", requested)
    assert bundle.card.decoding["language_weight"] == 0 and bundle.file(FILE) == file.read_bytes()
    file.unlink()  # the bundle is enough from here on
    config_file = tmp_path / "config.yaml"
    config_file.write_text(run.config().to_yaml(), "utf-8")
    assert ocray(["evaluate", str(bundle.folder), "--config", str(config_file), "--fit"]) == 0, capsys.readouterr().err
    assert load_bundle(bundle.folder).card.decoding["language_weight"] in LANGUAGE_WEIGHTS
    decoding = bundle.card.decoding | {"language_weight": 0.25, "space_bonus": 0.7}
    save_bundle(bundle.folder, bundle.network, bundle.card.model_copy(update={"decoding": decoding}))
    measured = evaluate(str(bundle.folder), run.config())
    assert (measured["language_weight"], measured["space_bonus"]) == (0.25, 0.7)
    reader = TextRecognizer(str(bundle.folder), precision="f32", min_confidence=0)
    right = [result.text == text for result, text in zip(reader([draw(text) for text in TEXTS]), TEXTS, strict=True)]
    assert np.mean(right) == pytest.approx(measured["line_accuracy"])
    loose = bundle.card.model_copy(update={"decoding": decoding, "files": {}})
    with pytest.raises(BundleError, match="holds no language model"):
        TextRecognizer(save_bundle(tmp_path / "loose", bundle.network, loose), precision="f32")


def test_the_mean_with_a_run_of_a_smaller_charset_keeps_the_new_rows(run, digits, tmp_path):
    larger = tmp_path / "larger.txt"
    Charset("0123456789 A").save(larger)
    shards = write_lines(tmp_path / "lines", TEXTS)
    settings = config(shards, str(larger), total_steps=2, validate_every=2, initial_weights=str(run.folder))
    launch(settings, tmp_path / "tuned", use_ray=False)
    tuned = Run(tmp_path / "tuned")
    mean = load_weights(export_run(tuned, tmp_path / "bundle", average=[run.folder]).folder)
    before, after = (load_weights(folder) for folder in (run.folder, tuned.folder))
    torch.testing.assert_close(mean["head.weight"][:12], (before["head.weight"] + after["head.weight"][:12]) / 2)
    torch.testing.assert_close(mean["head.weight"][12], after["head.weight"][12])


def test_another_charset_carries_shared_characters_over(run, digits, tmp_path, capsys):
    other = tmp_path / "other.txt"
    Charset("5A4 ").save(other)
    task = make_task(other, texts=["5", "4"])
    settings = config("", str(other), total_steps=1, lr=1e-12, initial_weights=str(run.folder)).train
    train(task, settings, reporter=Silent(), checkpoint_dir=tmp_path / "checkpoint")
    reported = capsys.readouterr().out
    assert (
        "3 of its 4 characters and the blank were carried over" in reported and "Accuracy starts near zero" in reported
    )
    old, new = load_state(run.checkpoint / "best.pt"), load_state(tmp_path / "checkpoint" / "last.pt")
    assert load_labels(tmp_path / "checkpoint" / "last.pt") == ["5", "A", "4", " "]
    before, after = old["weights"]["head.weight"], new["network"]["head.weight"]
    torch.testing.assert_close(after[[0, 1, 3, 4]], before[[0, 6, 5, 11]])
    torch.testing.assert_close(
        new["network"]["backbone.0.0.weight"], old["weights"]["backbone.0.0.weight"], msg="everything else is loaded"
    )


def test_a_training_starts_from_ppocrv6(digits, tmp_path, capsys):
    """With the digits' rows of the published head, digits are read before anything is learned; what is frozen stays."""
    task = make_task(digits, architecture="ppocrv6", backbone_rate=0)
    settings = config("", str(digits), total_steps=1, lr=1e-3, initial_weights="ppocrv6-rec@small").train
    outcome = train(task, settings, reporter=Silent(), checkpoint_dir=tmp_path / "checkpoint")
    assert "11 of its 11 characters and the blank were carried over" in capsys.readouterr().out
    assert outcome.metrics["cer"] < 0.2, outcome.metrics
    weights = published_weights(load_bundle("ppocrv6-rec@small").network)
    now = load_state(tmp_path / "checkpoint" / "last.pt")["network"]
    assert torch.equal(now["backbone.0.first.weight"], weights["backbone.0.first.weight"])
    assert not torch.equal(now["neck.blocks.0.qkv.weight"], weights["neck.blocks.0.qkv.weight"])
    other = make_task(digits)
    with pytest.raises(WeightsError, match="was not exported by `ocray export`"):
        train(other, settings, reporter=Silent(), checkpoint_dir=tmp_path / "other")


def test_the_space_bonus_of_the_most_words_is_taken():
    read = np.array([["ab", "a b", "a b", "a  b", "", "", ""], ["cd", "cd", "c d", "c d", "", "", ""]], object)
    assert best_reading(["a b", "cd"], read) == 1
    assert best_reading(["ab", "cd"], read[:, :1].repeat(7, axis=1)) == 0
    # Two lost words weigh more than two characters; at as many words the characters decide.
    assert best_reading(["a b", "cdefg"], np.array([["ab", "a b"], ["cdefg", "cdxxg"]], object)) == 1
    assert best_reading(["a b", "cd"], np.array([["a b", "a b"], ["ceee", "cde"]], object)) == 1


def test_korean_charsets_share_jamo(tmp_path):
    Charset("각나A").save(tmp_path / "ko.txt")
    task = make_task(tmp_path / "ko.txt", texts=["A"])
    network = task.network()
    assert (
        network.head.jamo.shape[0] == 67
        and not make_task(tmp_path / "ko.txt", architecture="crnn").network().head.jamo.any()
    )
    weights = {name: tensor for name, tensor in network.state_dict().items() if name != "head.jamo"}
    adapted, _ = task.adapt_weights(network, weights, ["B"] * 3, "an older run")
    assert adapted.keys() == network.state_dict().keys()


def test_a_charset_that_changed_under_a_run_is_noticed(run, tmp_path):
    backwards = tmp_path / "backwards.txt"
    Charset("9876543210 ").save(backwards)
    with pytest.raises(ModelExportError, match="other labels"):
        export_run(run, tmp_path / "bundle", run.config().changed({"settings.charset": str(backwards)}, "test"))
    with pytest.raises(TrainingError, match="other labels"):
        settings = config("", str(backwards)).train
        train(make_task(backwards), settings, reporter=Silent(), checkpoint_dir=run.checkpoint)


def test_other_mismatches_are_errors(run, digits, tmp_path):
    weights = load_state(run.checkpoint / "best.pt")["weights"]
    other = make_task(digits, architecture="crnn", tps=False, features="vgg")
    settings = config("", str(digits), initial_weights=str(run.folder)).train
    with pytest.raises(WeightsError, match=r"missing: features.*unknown: backbone"):
        train(other, settings, reporter=Silent(), checkpoint_dir=tmp_path)
    task = make_task(digits)
    with pytest.raises(WeightsError, match="does not say its charset"):
        task.adapt_weights(task.network(), weights, None, "somewhere")
    with pytest.raises(WeightsError, match=r"no head.weight of 4 classes"):
        task.adapt_weights(task.network(), weights, ["a", "b", "c"], "somewhere")
    assert task.adapt_weights(task.network(), weights, list("0123456789 "), "x")[0] == weights


def test_the_korean_charset_makes_a_network_and_a_card():
    task = RecognitionTask(RecognitionSettings(charset="ko_full"), {}, 0)
    assert task.network().head.out_features == charset("ko_full").classes == len(task.card_fields().labels) + 1
    assert task.card_fields().decoding == {
        "charset": "labels",
        "language": "ko+en",
        "space_bonus": 0.0,
        "language_weight": 0.0,
    }
    assert task.card_fields().architecture == "SVTR-LCNet (CTC), charset ko_full"
    crnn = RecognitionTask(RecognitionSettings(architecture="crnn", sequence="none"), {}, 0)
    assert crnn.card_fields().architecture == "TPS-resnet-CTC, charset ko_ksx1001"
