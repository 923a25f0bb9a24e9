"""Searchable PDF: what readers extract, and where it stands on the page."""

import io
import shutil
import subprocess

import cv2
import numpy as np
import pikepdf
import pypdfium2
import pytest
from PIL import Image, ImageCms

from common.storage import Storage
from models.geometry import transform_points, turn, turn_matrix
from pipelines.documents import encode_png
from pipelines.exports.export import export
from pipelines.exports.pdf.drawn import A4_POINTS
from pipelines.exports.writer import ExportOptions
from pipelines.ledger import Ledger
from pipelines.readers.documents.record import Line, PageRecord
from pipelines.records import PageError
from tests.documents_made import decoded, encoded

TEXTS = ["영수증 합계 12,500원", "Hello World", "漢字 中文 text"]
SIZE = (800, 1000)
# Each line is a dark bar on a grey page, so that the picture says where the text must be.
BOXES = [np.array([[100, y], [500, y], [500, y + 30], [100, y + 30]], np.float32) for y in (150, 400, 650)]


def upright_picture() -> np.ndarray:
    image = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8)
    for left_top, _, right_bottom, _ in (box.astype(int) for box in BOXES):
        image[left_top[1] : right_bottom[1], left_top[0] : right_bottom[0]] = (30, 20, 10)
    return image


def page(degrees: float, number: int = 1, count: int = 1, uri: str = "/in/문서.tif") -> tuple[PageRecord, np.ndarray]:
    matrix, _ = turn_matrix(*SIZE, degrees)
    image = turn(upright_picture(), degrees)
    quarter = 90 * round(degrees / 90)
    record = PageRecord(
        page_id=f"{number:016x}", document_uri=uri, page_number=number, page_count=count, width=image.shape[1],
        height=image.shape[0], skew_degrees=degrees - quarter, orientation_degrees=quarter % 360,
        text="\n".join(TEXTS),
        lines=[
            Line(text=text, confidence=0.9, polygon=transform_points(matrix, box).tolist(), language="ko")
            for text, box in zip(TEXTS, BOXES, strict=True)
        ],
    )  # fmt: skip
    return record, image


def failed(number: int, count: int) -> PageRecord:
    return PageRecord(
        page_id=f"{number:016x}", document_uri="/in/문서.tif", page_number=number, page_count=count, status="error",
        error=PageError(stage="decode", type="ValueError", message="broken"),
    )  # fmt: skip


def export_pdf(folder, records: list[PageRecord], images: dict[str, np.ndarray], **more):
    Ledger(Storage(str(folder))).commit("part.parquet", records)
    export(str(folder), ["pdf"], load_page=lambda record: images[record.page_id], **more)
    (path,) = folder.glob("exports/pdf/*.pdf")
    return path


def words_of(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("degrees", [0, 37, 180, 90, -3.5])
def test_text_is_extracted_in_order_and_lies_over_its_picture(tmp_path, degrees):
    record, image = page(degrees)
    path = export_pdf(tmp_path, [record], {record.page_id: image})
    document = pypdfium2.PdfDocument(path)
    (pdf_page,) = document
    text_page = pdf_page.get_textpage()
    assert words_of(text_page.get_text_range()) == [word for text in TEXTS for word in text.split()]
    scale = 2
    picture = np.asarray(pdf_page.render(scale=scale).to_pil().convert("L"))
    height = pdf_page.get_height()
    text = text_page.get_text_range()
    for line in TEXTS:
        at = text.index(line)
        boxes = np.array([text_page.get_charbox(at + i, loose=True) for i in range(len(line)) if line[i] != " "])
        left, bottom, right, top = boxes[:, 0].min(), boxes[:, 1].min(), boxes[:, 2].max(), boxes[:, 3].max()
        assert right - left == pytest.approx(400 * 72 / 200, rel=0.02)  # level, and as long as its bar
        rows = slice(round((height - top) * scale), round((height - bottom) * scale))
        inside = picture[rows, round(left * scale) : round(right * scale)]
        assert (inside < 110).mean() > 0.85
    bars = 3 * 400 * 30 * (scale * 72 / 200) ** 2
    assert (picture < 110).sum() == pytest.approx(bars, rel=0.1)  # the text itself draws nothing
    document.close()


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler's pdftotext is not installed")
def test_poppler_reads_the_same(tmp_path):
    record, image = page(37)
    path = export_pdf(tmp_path, [record], {record.page_id: image})
    text = subprocess.run(["pdftotext", "-enc", "UTF-8", path, "-"], capture_output=True, check=True).stdout.decode()
    assert words_of(text) == [word for line in TEXTS for word in line.split()]


def test_all_pages_are_in_one_file_and_failed_ones_are_blank(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.exports.pdf.drawn._PAGES_IN_MEMORY", 2)  # so that temporary files are joined
    pages = [page(0, number, 6) for number in (1, 2, 4, 5, 6)]
    images = {record.page_id: image for record, image in pages}
    path = export_pdf(tmp_path, [failed(3, 6), *(record for record, _ in reversed(pages))], images)
    document = pypdfium2.PdfDocument(path)
    texts = [document[i].get_textpage().get_text_range() for i in range(len(document))]
    assert [bool(text) for text in texts] == [True, True, False, True, True, True]
    assert document[2].get_size() == pytest.approx(A4_POINTS, abs=0.1)
    document.close()
    with pikepdf.open(path) as pdf:
        assert str(pdf.open_metadata()["dc:title"]) == "문서.tif"
        assert not pdf.check_pdf_syntax()


def test_a_page_whose_source_is_gone_keeps_its_text(tmp_path, caplog):
    record, _ = page(0)
    path = export_pdf(tmp_path, [record], {})
    (pdf_page,) = pypdfium2.PdfDocument(path)
    assert "영수증" in pdf_page.get_textpage().get_text_range()
    assert "exported without its image" in caplog.text


def jpeg(image: np.ndarray, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def picture_bytes(path) -> bytes:
    with pikepdf.open(path) as pdf:
        return bytes(pdf.pages[0].Resources.XObject.Im0.read_raw_bytes())


def rendered(path, dpi: float = 200) -> np.ndarray:
    (pdf_page,) = pypdfium2.PdfDocument(path)
    return np.asarray(pdf_page.render(scale=dpi / 72).to_pil().convert("RGB")).astype(int)


@pytest.mark.parametrize("degrees", [0, 90, 180, -90, 12.5])
def test_a_jpeg_is_embedded_as_it_is_however_it_is_turned(tmp_path, degrees):
    record, image = page(degrees)
    original = jpeg(image, quality=95)
    path = export_pdf(tmp_path, [record], {}, load_original=lambda record: original)
    assert picture_bytes(path) == original
    shown, wanted = rendered(path), upright_picture()
    assert np.abs(shown[:20, :20] - wanted[0, 0]).max() < 10  # corners have the colour of the paper
    top, left = ((np.array(shown.shape) - wanted.shape)[:2] // 2).clip(0)  # a page that was askew has a larger canvas
    assert np.abs(shown[top:, left:][: SIZE[1], : SIZE[0]] - wanted).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_turned_by_exif_is_embedded_as_it_is_too(tmp_path, orientation):
    upright = upright_picture()
    upright[:200, :200] = 90  # a corner
    stored = EXIF_STORED[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    original = jpeg(np.ascontiguousarray(stored), exif=exif, quality=95)
    np.testing.assert_allclose(decoded(original, "photo"), upright, atol=60)
    path = export_pdf(tmp_path, [page(0)[0]], {}, load_original=lambda record: original)
    assert picture_bytes(path) == original
    assert np.abs(rendered(path) - upright).mean() < 3


# What a camera stores for each orientation, of the page as it is to be seen.
EXIF_STORED = {
    1: lambda page: page,
    2: lambda page: page[:, ::-1],
    3: lambda page: page[::-1, ::-1],
    4: lambda page: page[::-1],
    5: lambda page: page.transpose(1, 0, 2),
    6: lambda page: np.rot90(page),
    7: lambda page: page[::-1, ::-1].transpose(1, 0, 2),
    8: lambda page: np.rot90(page, -1),
}


@pytest.mark.parametrize("case", ["cmyk", "other size", "png"])
def test_any_other_original_is_encoded_anew(tmp_path, case):
    record, image = page(0)
    original = {
        "cmyk": jpeg(image, mode="CMYK"),
        "other size": jpeg(image[:-1]),
        "png": encode_png(image),
    }[case]
    path = export_pdf(tmp_path, [record], {record.page_id: image}, load_original=lambda record: original)
    picture = cv2.imdecode(np.frombuffer(picture_bytes(path), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(picture.astype(int) - upright_picture()).mean() < 3


def test_black_and_white_pages_stay_lossless(tmp_path):
    record, _ = page(0)
    image = np.where(upright_picture() > 100, 255, 0).astype(np.uint8)
    path = export_pdf(tmp_path, [record], {record.page_id: image})
    with pikepdf.open(path) as pdf:
        stream = pdf.pages[0].Resources.XObject.Im0
        assert stream.BitsPerComponent == 1 and stream.Filter == pikepdf.Name.CCITTFaxDecode
        assert np.array_equal(np.asarray(pikepdf.PdfImage(stream).as_pil_image().convert("L")), image[..., 0])


def test_a_page_larger_than_pdf_allows_is_scaled(tmp_path):
    record, _ = page(0)
    record = record.model_copy(update={"height": 60_000, "width": 100, "lines": [], "text": ""})
    path = export_pdf(tmp_path, [record], {})
    (pdf_page,) = pypdfium2.PdfDocument(path)
    assert pdf_page.get_height() == pytest.approx(14400, abs=1)


@pytest.mark.parametrize("dpi", [300, 600, None])
def test_a_page_is_as_large_as_its_paper(tmp_path, dpi):
    record, image = page(0)
    path = export_pdf(tmp_path, [record.model_copy(update={"dpi": dpi})], {record.page_id: image})
    (pdf_page,) = pypdfium2.PdfDocument(path)
    assert pdf_page.get_size() == pytest.approx([side * 72 / (dpi or 200) for side in SIZE], abs=0.01)


def test_a_fax_keeps_its_own_pixels_at_its_true_size(tmp_path):
    bits = Image.fromarray(np.where(upright_picture()[::2, :, 0] > 100, 255, 0).astype(np.uint8)).convert("1")
    content = encoded(bits, "TIFF", compression="group4", dpi=(200, 100))
    record = page(0)[0].model_copy(update={"dpi": 200.0})
    path = export_pdf(tmp_path, [record], {}, load_original=lambda record: content)
    (pdf_page,) = pypdfium2.PdfDocument(path)
    assert pdf_page.get_size() == pytest.approx((SIZE[0] * 72 / 200, SIZE[1] * 72 / 200), abs=0.01)
    with pikepdf.open(path) as pdf:
        picture = pikepdf.PdfImage(pdf.pages[0].Resources.XObject.Im0).as_pil_image().convert("1")
        assert picture.size == (800, 500) and picture.tobytes() == bits.tobytes()
    assert path.stat().st_size < 1.1 * len(content) + 20_000


def test_pages_of_images_can_be_kept_as_they_are(tmp_path):
    record, image = page(90)
    path = export_pdf(tmp_path, [record], {record.page_id: image}, options=ExportOptions(pdf_pages="keep"))
    assert np.abs(rendered(path) - image).mean() < 3


def test_the_language_and_the_title_are_told(tmp_path):
    record, image = page(0)
    path = export_pdf(tmp_path, [record], {record.page_id: image})
    with pikepdf.open(path) as pdf:
        assert str(pdf.Root.Lang) == "ko" and pdf.Root.ViewerPreferences.DisplayDocTitle


def test_pdf_a_has_what_the_standard_asks_for(tmp_path):
    record, image = page(12.5)
    options = ExportOptions(pdf_a=True)
    original = encoded(image, "PDF")  # a PDF may hold what PDF/A does not allow: its pages are drawn
    images = {record.page_id: image}
    path = export_pdf(tmp_path, [record], images, options=options, load_original=lambda record: original)
    content = path.read_bytes()
    assert content[9:10] == b"%" and min(content[10:14]) > 127  # a comment of four bytes over 127 after the header
    with pikepdf.open(path) as pdf:
        metadata = pdf.open_metadata()
        assert metadata.pdfa_status == "2B" and not pdf.is_encrypted
        assert str(pdf.docinfo.Title) == str(metadata["dc:title"]) and "/Filter" not in pdf.Root.Metadata
        assert len(pdf.trailer.ID) == 2
        (intent,) = pdf.Root.OutputIntents
        profile = ImageCms.ImageCmsProfile(io.BytesIO(intent.DestOutputProfile.read_bytes()))
        assert intent.S == pikepdf.Name.GTS_PDFA1 and profile.profile.xcolor_space == "RGB "
        font = pdf.pages[0].Resources.Font.F0.DescendantFonts[0]
        assert font.FontDescriptor.FontFile2.read_bytes()[:4] == b"\0\1\0\0" and font.CIDToGIDMap.read_bytes()
        assert not any(key in pdf.Root for key in ("/Names", "/AcroForm", "/OpenAction", "/AA"))
        assert not pdf.check_pdf_syntax()
