"""Language models of characters: what is counted, files of them, and what they decide in a line."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.text_recognition import ctc
from models.text_recognition.language_model import ORDER, START, LanguageModel, LanguageModelError, likeliest
from ray_apps.cli.main import main as ocray

TEXTS = ["하여 주십시오", "주십시오", "주십시오", "추가 12개", "추가 34개"]
ALL = (1, 1, 1, 1)


def score(model: LanguageModel, text: str) -> float:
    """Log-probability of the last character after those before it, at the beginning of a text."""
    points = [START] * ORDER + [ord(character) for character in text]
    return float(model.score(np.array([points[-ORDER:]], np.uint32))[0])


@pytest.fixture(scope="module")
def model():
    return LanguageModel.of(TEXTS, ALL)


def test_probabilities_are_relative_frequencies(model):
    assert score(model, "주십") == pytest.approx(0, abs=0.05)  # nothing else ever stands there
    assert score(model, "주") == pytest.approx(np.log(2 / 5), abs=0.05)
    assert score(model, "추") == pytest.approx(np.log(2 / 5), abs=0.05)


def test_what_is_unknown_backs_off_to_shorter_ones(model):
    characters = sum(len(text) + 1 for text in TEXTS)  # each text has an end
    assert score(model, "가나다오") == pytest.approx(np.log(0.4**3 * 3 / characters), abs=0.05)
    assert score(model, "가나다라") < -16


def test_digits_count_as_one(model):
    folded = [0x20, ord("0"), ord("0"), ord("개")]
    assert float(model.score(np.array([folded], np.uint32))[0]) == pytest.approx(0, abs=0.05)
    alternatives = [[("추", 0.0)], [("가", 0.0)], [(" ", 0.0)], [("7", -0.5), ("8", -1.0)], [("9", 0.0)], [("개", 0.0)]]
    assert likeliest(alternatives, model, 0.5) == [0] * 6  # of a number's digits it knows nothing


def test_rare_n_grams_are_left_out():
    assert len(LanguageModel.of(TEXTS, ALL)) > len(LanguageModel.of(TEXTS, (1, 2, 3, 3))) > 0


def test_a_file_holds_all_of_it(model):
    content = model.save()
    again = LanguageModel.load(content)
    assert len(again) == len(model) and again.save() == content
    for text in ("주십시", "추가 ", "가나다라"):
        assert score(again, text) == score(model, text)


@pytest.mark.parametrize("content", [b"", b"not a file", b"PK\x03\x04 broken"])
def test_other_files_are_refused(content):
    with pytest.raises(LanguageModelError, match="not a language model"):
        LanguageModel.load(content)


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    np.savez(tmp_path / "odd.npz", gaps=np.zeros((4, 3), np.uint8), values=np.zeros(2, np.uint8))
    with pytest.raises(LanguageModelError, match="do not fit"):
        LanguageModel.load((tmp_path / "odd.npz").read_bytes())


def test_no_texts_make_no_model():
    with pytest.raises(LanguageModelError, match="no text"):
        LanguageModel.of(["", "  "])


def test_a_later_character_settles_an_earlier_one(model):
    """추 is likelier to the eye, and as likely at the beginning of a text; what follows decides."""
    doubt = [("추", np.log(0.6)), ("주", np.log(0.4))]
    assert likeliest([doubt, [("십", 0.0)], [("시", 0.0)], [("오", 0.0)]], model, 0.3) == [1, 0, 0, 0]
    assert likeliest([doubt, [("가", 0.0)], [(" ", 0.0)], [("5", 0.0)]], model, 0.3) == [0, 0, 0, 0]
    assert likeliest([doubt, [("십", 0.0)], [("시", 0.0)]], model, 0.0) == [0, 0, 0]


def steps(*columns: dict[str, float], characters: list[str]) -> np.ndarray:
    """Return (1, T, C) probabilities; a blank stands behind each column."""
    array = np.zeros((1, 2 * len(columns), len(characters)), np.float32)
    array[0, 1::2, 0] = 1
    for step, column in enumerate(columns):
        for character, probability in column.items():
            array[0, 2 * step, characters.index(character)] = probability
    return array


def test_decoding_uses_the_language_model_where_the_network_is_in_doubt(model):
    characters = ["", *"주추십시오 가"]
    rest = [{"십": 1.0}, {"시": 1.0}, {"오": 1.0}]
    doubtful = steps({"추": 0.6, "주": 0.4}, *rest, characters=characters)
    sure = steps({"추": 0.99, "주": 0.01}, *rest, characters=characters)
    unlikely = steps({"추": 0.9, "가": 0.1}, *rest, characters=characters)
    assert ctc.decode(doubtful, characters)[0][0] == "추십시오"
    (text, confidence, _), *_ = ctc.decode(doubtful, characters, ctc.Calibration(), 0.0, model, 0.3)
    assert text == "주십시오" and confidence == pytest.approx(0.4**0.25, abs=1e-3)  # as sure as the network was of it
    assert ctc.decode(sure, characters, None, 0.0, model, 0.3)[0][0] == "추십시오"
    assert ctc.decode(unlikely, characters, None, 0.0, model, 0.3)[0][0] == "추십시오"  # 주 was never thought of
    assert ctc.decode(doubtful, characters, None, 0.0, model, 0.0)[0][0] == "추십시오"


def test_a_line_of_nothing_is_read_as_before(model):
    characters = ["", "주"]
    blank = np.zeros((2, 5, 2), np.float32)
    blank[:, :, 0] = 1
    assert ctc.decode(blank, characters, None, 0.0, model, 0.3) == [("", 0.0, ())] * 2


def test_the_command_counts_training_sentences_and_labels(tmp_path, capsys):
    sentences = [f"문장 {number}번은 시험에 쓰는 글이다" for number in range(300)]
    pq.write_table(pa.table({"text": sentences}), tmp_path / "texts.parquet")
    (tmp_path / "lines").mkdir()
    pq.write_table(pa.table({"image": [b""], "text": ["합계 3,000원"]}), tmp_path / "lines" / "a.parquet")
    arguments = ["--texts", str(tmp_path / "texts.parquet"), "--lines", str(tmp_path / "lines")]
    assert ocray(["language-model", *arguments, "--output", str(tmp_path / "model.npz")]) == 0
    reported = capsys.readouterr().out
    assert "n-grams of" in reported
    texts = int(reported.split(" n-grams of ")[1].split(" texts")[0])
    assert 200 < texts < 301  # sentences of the validation split are left out
    assert len(LanguageModel.load((tmp_path / "model.npz").read_bytes())) > 20


def test_the_command_names_what_is_missing(tmp_path, capsys):
    assert (
        ocray(["language-model", "--texts", str(tmp_path / "none.parquet"), "--output", str(tmp_path / "model.npz")])
        == 2
    )
    assert "none.parquet" in capsys.readouterr().err
    assert ocray(["language-model", "--output", str(tmp_path / "model.npz")]) == 2
    assert "no text" in capsys.readouterr().err
    pq.write_table(pa.table({"label": ["합계"]}), tmp_path / "lines.parquet")
    lines = ["--lines", str(tmp_path / "lines.parquet")]
    assert ocray(["language-model", *lines, "--output", str(tmp_path / "model.npz")]) == 2
    assert "lines.parquet is not a set of lines" in capsys.readouterr().err
    assert not (tmp_path / "model.npz").exists()
