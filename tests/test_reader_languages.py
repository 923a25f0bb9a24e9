"""Languages of a reader: which recognisers its configuration gives them, and what its stage makes of them."""

import numpy as np
import pytest

from common.config import ConfigError
from common.storage import Storage
from models.bundle import BundleError
from pipelines.job import JobCard, JobError, fingerprint
from pipelines.page import Page
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import PageRecord
from pipelines.readers.documents.settings import DocumentsReaderSettings
from pipelines.readers.registry import load_reader
from pipelines.stages.text import TextRecognitionStage
from tests.pages import draw_page
from tests.recognizers import SAYS, dark_line_recognizer

PP = "ppocrv6-rec@small"


@pytest.fixture
def korean(tmp_path) -> str:
    dark_line_recognizer(tmp_path / "korean")
    return str(tmp_path / "korean")


def reader(recognizers: dict[str, list[str]], languages: str = "en") -> DocumentsReader:
    content = load_reader("documents").settings.model_dump() | {"languages": languages.split(",")}
    content["text_recognition"]["recognizers"] = recognizers
    return DocumentsReader(DocumentsReaderSettings.model_validate(content))


def test_the_shipped_reader_reads_its_languages():
    opened = load_reader("documents")
    recognition = opened.settings.text_recognition
    assert set(opened.settings.languages) <= {"ko", "en"} and {"en", "zh", "ja"} <= set(recognition.languages)
    opened.recognizer_bundles(recognition.languages)


@pytest.mark.parametrize(
    ("languages", "bundles"),
    [("ko", ["a"]), ("en", ["b"]), ("ko,en", ["a", "b"]), ("en,ko", ["b", "a"]), ("zh,ko, en", ["b", "a"])],
)
def test_languages_choose_recognisers_in_their_order(languages, bundles):
    opened = reader({"a": ["ko"], "b": ["en", "zh"]}).for_languages(languages)
    chosen = opened.settings.text_recognition.recognizers_for(opened.settings.languages)
    assert list(chosen) == bundles and {x for named in chosen.values() for x in named} == set(opened.settings.languages)
    assert opened.stages()[-1].kwargs["recognizers"] == chosen


@pytest.mark.parametrize(
    ("languages", "reported"),
    [
        ("en,xx", "nothing here reads xx; known: ko, en, zh"),
        ("", "nothing here reads ; known"),
        ("en,en", "en,en; name one or several, each once"),
    ],
)
def test_other_languages_are_refused(languages, reported):
    with pytest.raises(ConfigError, match=reported):
        reader({"a": ["ko"], "b": ["en", "zh"]}).for_languages(languages)


def test_a_recogniser_must_read_what_it_is_named_for(korean):
    with pytest.raises(ConfigError, match=f"{PP} is named for ko, but its card says that it reads zh, en"):
        reader({PP: ["en", "ko"]}).bundles()
    # Bundles of languages that are not asked for are not looked at.
    opened = reader({PP: ["en"], "nowhere": ["ko"]})
    assert [bundle.name for bundle in opened.bundles()["text_recognition"]] == [PP]
    with pytest.raises(BundleError, match="no model bundle at nowhere"):
        opened.for_languages("ko").bundles()
    with pytest.raises(BundleError, match="does 'deskew'"):
        reader({"deskew@1": ["en"]}).bundles()
    names = [bundle.name for bundle in reader({PP: ["en"], korean: ["ko"]}, "ko,en").bundles()["text_recognition"]]
    assert names == ["korean@1", PP]


def test_several_recognisers_need_calibrations(tmp_path):
    bundle = dark_line_recognizer(tmp_path)
    card = bundle.card.model_copy(update={"decoding": {"language": "ko"}})
    (tmp_path / "bundle.json").write_text(card.model_dump_json())
    reader({str(tmp_path): ["ko"], PP: ["en"]}, "ko").bundles()
    with pytest.raises(ConfigError, match="bundle korean@1 cannot be compared with another"):
        reader({str(tmp_path): ["ko"], PP: ["en"]}, "ko,en").bundles()


def test_other_languages_are_another_job(korean, tmp_path):
    opened = reader({korean: ["ko"], PP: ["en"]}, "ko,en")
    run = {"inputs": ["in"], "device": "cpu", "hosts": 1, "overwrite": False}
    card = JobCard.open(Storage(str(tmp_path / "out")), reader=opened, **run).content
    assert card["models"]["text_recognition"] == f"korean@1+{PP}" and card["config"]["languages"] == ["ko", "en"]
    assert fingerprint(opened)["bundles"].keys() == {"deskew", "orientation", "text_detection", "text_recognition"}
    JobCard.open(Storage(str(tmp_path / "out")), reader=opened, **run)
    with pytest.raises(JobError, match=r"config: languages was \['ko', 'en'\], now \['en'\]"):
        JobCard.open(Storage(str(tmp_path / "out")), reader=opened.for_languages("en"), **run)


def page() -> Page:
    """Return a page on its way into recognition: a line of dark text, a line of white text on black."""
    crops = [draw_page(["Invoice 1047"], 300, 80), 255 - draw_page(["Customer name"], 300, 80)]
    record = PageRecord(page_id="0", document_uri="page.png", page_number=1, page_count=1)
    corners = [np.array([[0, y], [300, y], [300, y + 80], [0, y + 80]], np.float32) for y in (0, 80)]
    return Page(record, crops=crops, polygons=corners, blocks=[[[0], [1]]])


def test_the_stage_reads_in_the_languages_requested(korean):
    specs = reader({korean: ["ko"], PP: ["en", "fr"]}, "ko,en").stages()
    stage = specs[-1].build()
    assert isinstance(stage, TextRecognitionStage)
    french = stage.for_languages(stage.opened, {PP: ["fr"]}, ("fr",))
    alone = stage.for_languages(stage.opened, {korean: ["ko"]}, ("ko",))
    found = {}
    for name, reading in (("ko,en", stage), ("fr", french), ("ko", alone)):
        read = page()
        reading([read])
        assert read.record.models["text_recognition"] == reading.predictor.name
        found[name] = [(line.text, line.language) for line in read.record.lines]
    assert found["ko,en"] == [("Invoice 1047", "en"), (SAYS, "ko")]
    assert found["fr"] == [("Invoice 1047", "fr"), ("Customer name", "fr")]
    assert found["ko"] == [(SAYS, "ko")]
    assert stage.predictor.name == f"korean@1+{PP}" and french.predictor.name == PP
