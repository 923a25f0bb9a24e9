"""Text, JSON Lines, hOCR and ALTO files, and how exports are written."""

import json
import re
from xml.etree import ElementTree

import fsspec
import numpy as np
import pytest

from common.storage import Storage, atomic_file
from models.geometry import transform_points, turn_matrix
from pipelines.exports.export import ExportError, check_formats, export, known_formats
from pipelines.ledger import Ledger
from pipelines.readers.documents.reader import DocumentsReader
from pipelines.readers.documents.record import Block, Line, PageRecord
from pipelines.records import PageError

XHTML = "{http://www.w3.org/1999/xhtml}"
ALTO = "{http://www.loc.gov/standards/alto/ns-v4#}"
TEXTS = ["영수증 <합계> & 12,500원", "Hello World"]


def page(uri: str, number: int, count: int, degrees: float = 0) -> PageRecord:
    matrix, (width, height) = turn_matrix(400, 300, degrees)
    boxes = [np.array([[20, y], [220, y], [220, y + 20], [20, y + 20]]) for y in (40, 140)]
    quarter = 90 * round(degrees / 90)
    return PageRecord(
        page_id=f"{abs(hash(uri)) % 2**32:08x}{number:08x}", document_uri=uri, page_number=number, page_count=count,
        width=width, height=height, skew_degrees=degrees - quarter, orientation_degrees=quarter % 360,
        text="\n\n".join(TEXTS), models={"deskew": "deskew@1", "text_recognition": "reader@2"}, device="CPU",
        lines=[
            Line(
                text=text, confidence=0.875, polygon=transform_points(matrix, box).tolist(), language="ko", block=number
            )
            for number, (text, box) in enumerate(zip(TEXTS, boxes, strict=True))
        ],
        blocks=[Block(), Block()],
    )  # fmt: skip


def failed(uri: str, number: int, count: int) -> PageRecord:
    error = PageError(stage="decode", type="ValueError", message='broken -- "<here>"')
    return PageRecord(
        page_id=f"e{number:015x}", document_uri=uri, page_number=number, page_count=count, status="error", error=error
    )


def no_pixels(record: PageRecord) -> np.ndarray:
    raise AssertionError("only PDF needs pixels")


@pytest.fixture
def output(tmp_path):
    ledger = Ledger(Storage(str(tmp_path)))
    ledger.commit("part-b.parquet", [page("/in/책 1.tif", 1, 3), page("/x/a.png", 1, 1)])
    rest = [page("/in/책 1.tif", 3, 3, 37), failed("/in/책 1.tif", 2, 3), page("/y/a.png", 1, 1)]
    ledger.commit("part-a.parquet", rest)
    return tmp_path


def only(output, pattern: str):
    (path,) = output.glob(f"exports/{pattern}")
    return path


def test_unknown_formats_are_refused_before_any_work(tmp_path):
    with pytest.raises(
        ExportError,
        match="the documents reader has no export format docx; known: jsonl, text, md, csv, hocr",
    ):
        export(str(tmp_path), ["text", "docx"], load_page=no_pixels)
    assert check_formats(["pdf", "text", "pdf"], DocumentsReader) == ("pdf", "text")


def test_each_document_is_one_file_and_equal_names_do_not_collide(output):
    counts = export(str(output), ["text", "hocr", "alto", "jsonl"], load_page=no_pixels)
    assert counts == {"text": 3, "hocr": 3, "alto": 3, "jsonl": 1}
    assert len(list(output.glob("exports/text/a-*.txt"))) == 2
    names = sorted(path.name for path in output.glob("exports/*/*"))
    export(str(output), ["text", "hocr", "alto", "jsonl"], load_page=no_pixels)
    assert names == sorted(path.name for path in output.glob("exports/*/*"))


def test_text_has_a_form_feed_between_pages_and_a_note_for_a_failed_one(output):
    export(str(output), ["text"], load_page=no_pixels)
    first, second, third = only(output, "text/책_1-*.txt").read_text("utf-8").split("\f")
    assert first == third == "\n\n".join(TEXTS) + "\n"
    assert second == '[page 2 could not be read: decode: ValueError: broken -- "<here>"]\n'


def test_json_lines_are_the_records(output):
    export(str(output), ["jsonl"], load_page=no_pixels)
    rows = [json.loads(row) for row in (output / "exports/jsonl/pages.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 5
    records = [PageRecord.model_validate(row) for row in rows]
    assert [r.page_number for r in records if r.document_uri == "/in/책 1.tif"] == [1, 2, 3]
    assert records[0].lines[0].text in TEXTS


@pytest.mark.parametrize(("pattern", "resolution"), [("hocr/*.hocr", "scan_res 300 300"), ("alto/*.xml", "x-dpi:300")])
def test_the_resolution_is_told(tmp_path, pattern, resolution):
    records = [page("/a.tif", number, 3, 0).model_copy(update={"dpi": 300.0}) for number in (1, 3)]
    Ledger(Storage(str(tmp_path))).commit("part.parquet", [*records, page("/a.tif", 2, 3, 0)])
    export(str(tmp_path), ["hocr", "alto"], load_page=no_pixels)
    text = only(tmp_path, pattern).read_text("utf-8")
    assert text.count(resolution) == (2 if "hocr" in pattern else 1)
    assert "pages:1,3<" in text or "hocr" in pattern


def test_hocr_structure(output):
    export(str(output), ["hocr"], load_page=no_pixels)
    root = ElementTree.parse(only(output, "hocr/책_1-*.hocr")).getroot()

    def of(kind, node=root):
        return [e for e in node.iter() if e.get("class") == kind]

    pages = of("ocr_page")
    assert pages[0].get("title") == 'image "/in/책 1.tif"; bbox 0 0 400 300; ppageno 0'
    assert [len(of("ocr_line", p)) for p in pages] == [2, 0, 2]
    assert len(of("ocr_carea", pages[0])) == len(of("ocr_par", pages[0])) == 2
    words = of("ocrx_word", pages[0])
    assert [word.text for word in words] == [word for text in TEXTS for word in text.split()]
    assert all(re.fullmatch(r"bbox \d+ \d+ \d+ \d+; x_wconf 88", word.get("title")) for word in words)
    level, _ = of("ocr_line", pages[0])
    assert level.get("title").startswith("bbox 20 40 220 60; baseline 0.0000 -4.0; x_size 20.0")
    turned, _ = of("ocr_line", pages[2])
    slope = float(re.search(r"baseline (\S+) ", turned.get("title"))[1])
    assert slope == pytest.approx(-np.tan(np.radians(37)), abs=1e-3)  # y points down
    assert len(re.search(r"poly ([\d ]+)", turned.get("title"))[1].split()) == 8
    identities = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(identities) == len(set(identities))
    capabilities = root.find(f".//{XHTML}meta[@name='ocr-capabilities']").get("content").split()
    assert {e.get("class") for e in root.iter() if e.get("class")} <= set(capabilities)


@pytest.mark.parametrize(
    ("degrees", "reported"), [(180, "textangle 180.00"), (90, "textangle 90.00"), (-30, "baseline")]
)
def test_hocr_tells_steep_lines_by_textangle(tmp_path, degrees, reported):
    Ledger(Storage(str(tmp_path))).commit("part.parquet", [page("/a.png", 1, 1, degrees)])
    export(str(tmp_path), ["hocr"], load_page=no_pixels)
    assert reported in only(tmp_path, "hocr/*.hocr").read_text("utf-8")


# What the sequences of alto-4-4.xsd allow, in their order, for the elements that are written.
ALTO_ORDER = {
    "alto": ["Description", "Layout"],
    "Description": ["MeasurementUnit", "sourceImageInformation", "Processing"],
    "sourceImageInformation": ["fileName"],
    "Processing": [
        "processingCategory", "processingStepDescription", "processingStepSettings", "processingSoftware",
    ],
    "processingSoftware": ["softwareName", "softwareVersion"],
    "Layout": ["Page"],
    "Page": ["PrintSpace"],
    "PrintSpace": ["TextBlock"],
    "TextBlock": ["TextLine"],
    "Shape": ["Polygon"],
}  # fmt: skip


def test_alto_structure(output):
    export(str(output), ["alto"], load_page=no_pixels)
    root = ElementTree.parse(only(output, "alto/책_1-*.xml")).getroot()
    for element in root.iter():
        children = [child.tag.removeprefix(ALTO) for child in element]
        allowed = ALTO_ORDER.get(element.tag.removeprefix(ALTO))
        if allowed is not None:
            assert [name for name in allowed for child in children if child == name] == children
        elif element.tag == ALTO + "TextLine":
            assert re.fullmatch("Shape(,String(,SP)?)+", ",".join(children)) and children[-1] == "String"
        else:
            assert not children, element.tag
    assert root.get("SCHEMAVERSION") == "4.4" and root.find(f".//{ALTO}MeasurementUnit").text == "pixel"
    settings = [e.text for e in root.iter(ALTO + "processingStepSettings")]
    assert settings == ["model deskew@1, device CPU", "model reader@2, device CPU"]
    pages = list(root.iter(ALTO + "Page"))
    assert [p.get("PHYSICAL_IMG_NR") for p in pages] == ["1", "2", "3"]
    assert pages[1].get("QUALITY") == "Missing" and "<here>" in pages[1].get("QUALITY_DETAIL")
    assert float(pages[2].get("ROTATION")) == pytest.approx(37)
    contents = [e.get("CONTENT") for e in pages[0].iter(ALTO + "String")]
    assert contents == [word for text in TEXTS for word in text.split()]
    first = next(pages[0].iter(ALTO + "TextLine"))
    assert (first.get("HPOS"), first.get("VPOS"), first.get("WIDTH"), first.get("HEIGHT")) == ("20", "40", "200", "20")
    assert first.get("BASELINE") == "20.0,56.0 220.0,56.0" and first.get("LANG") == "ko"
    identities = [e.get("ID") for e in root.iter() if e.get("ID")]
    assert len(identities) == len(set(identities))


def test_exports_go_to_any_filesystem():
    uri = "memory://exports-test/결과"
    Ledger(Storage(uri)).commit("part.parquet", [page("s3://bucket/문서.png", 1, 1)])
    pixels = np.full((300, 400, 3), 255, np.uint8)
    formats = known_formats(DocumentsReader)
    assert formats == ("jsonl", "text", "md", "csv", "hocr", "alto", "pdf")
    assert export(uri, formats, load_page=lambda record: pixels) == dict.fromkeys(formats, 1)
    names = fsspec.filesystem("memory").glob("/exports-test/결과/exports/*/*")
    assert {name.rsplit(".", 1)[-1] for name in names} == {"jsonl", "txt", "md", "csv", "hocr", "xml", "pdf"}


def test_a_file_that_cannot_be_finished_does_not_appear(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("earlier")
    with pytest.raises(RuntimeError), atomic_file(Storage(str(tmp_path)), target.name) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert target.read_text() == "earlier" and [path.name for path in tmp_path.iterdir()] == ["file.txt"]
