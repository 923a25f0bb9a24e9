from io import BytesIO

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.documents import (
    DocumentError,
    EmptyDocument,
    EncryptedDocument,
    Limits,
    PageNotFound,
    PageTooLarge,
    UnknownFormat,
    UnreadableDocument,
    count_pages,
    encode_jpeg,
)
from tests.documents_made import decoded, encoded, multi_page, pdf, picture, png_header

LOSSLESS = [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]
LOSSLESS += [("JPEG2000", {}), ("PPM", {})]


def grey(pixels):
    return pixels[:, :, 0]


@pytest.mark.parametrize(("image_format", "options"), LOSSLESS)
def test_lossless_formats_give_the_same_pixels(image_format, options):
    page = decoded(encoded(picture(), image_format, **options), "page")
    assert page.dtype == np.uint8 and page.flags.c_contiguous and not page.flags.writeable
    np.testing.assert_array_equal(page, picture())


@pytest.mark.parametrize(("image_format", "suffix"), [("GIF", "gif"), ("PPM", "pgm"), ("MPO", "mpo")])
def test_formats_with_few_colours_or_several_pictures(image_format, suffix):
    page = decoded(encoded(Image.fromarray(grey(picture())), image_format, quality=95), f"page.{suffix}")
    assert np.abs(page.astype(int) - grey(picture())[..., None]).mean() < 4


def test_a_portable_bitmap_is_black_on_white():
    assert decoded(b"P1\n3 1\n0 1 0\n", "bits.pbm")[0, :, 0].tolist() == [255, 0, 255]


def test_the_first_frame_of_an_animation_is_the_page():
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (200, 10)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert count_pages(BytesIO(content), "two.gif") == 1
    assert decoded(content, "two.gif").mean() == pytest.approx(200, abs=2)


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_are_close(image_format):
    content = encoded(picture(), image_format, quality=95)
    assert np.abs(decoded(content, "page").astype(int) - picture()).mean() < 4


def test_one_pixel():
    assert decoded(encoded(np.full((1, 1, 3), 7, np.uint8), "PNG"), "dot.png").tolist() == [[[7, 7, 7]]]


def test_the_content_decides_not_the_suffix():
    np.testing.assert_array_equal(decoded(encoded(picture(), "PNG"), "photo.jpg"), picture())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_exif_orientation_is_applied(orientation, image_format):
    """The stored pixels are turned the way the tag undoes; the corner mark must come out top left."""
    upright = picture()
    stored = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}.get(image_format, {})
    page = decoded(encoded(np.ascontiguousarray(stored), image_format, exif=exif, **options), "page")
    assert page.shape == upright.shape
    assert np.abs(page.astype(int) - upright).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_is_ignored():
    content = encoded(picture(), "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff\xff\xff\xffgarbage")
    assert decoded(content, "page").shape == picture().shape


def test_cmyk_jpeg_is_neither_inverted_nor_dark():
    cmyk = Image.fromarray(picture()).convert("CMYK")
    page = decoded(encoded(cmyk, "JPEG", quality=95), "page")
    assert np.abs(page.astype(int) - picture()).mean() < 5


def test_grey_palette_and_one_bit():
    level = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (60, 1))
    np.testing.assert_array_equal(grey(decoded(encoded(level, "PNG"), "page")), level)
    palette = Image.fromarray(level).convert("P")
    np.testing.assert_array_equal(grey(decoded(encoded(palette, "PNG"), "page")), level)
    bits = Image.fromarray((level > 100).astype(np.uint8) * 255).convert("1")
    for content in (encoded(bits, "PNG"), encoded(bits, "BMP"), encoded(bits, "TIFF", compression="group4")):
        np.testing.assert_array_equal(grey(decoded(content, "page")), (level > 100) * 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_white(mode):
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:, 3:] = (40, 40, 40, 255)
    image = Image.fromarray(rgba).convert(mode)
    content = encoded(image, "PNG", **({"transparency": image.getpixel((0, 0))} if mode == "P" else {}))
    page = decoded(content, "page")
    assert (page[:, :3] == 255).all() and (np.abs(page[:, 3:].astype(int) - 40) < 8).all()


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(image_format):
    level = np.tile(np.arange(0, 65536, 1024, dtype=np.uint16), (8, 1))
    page = decoded(encoded(level, image_format), "page")
    np.testing.assert_array_equal(grey(page), np.round(level / 257.0).astype(np.uint8))


def test_twelve_bits_in_sixteen_are_not_dark():
    level = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (8, 1))
    assert grey(decoded(encoded(level, "TIFF"), "page")).max() > 245


def test_sixteen_bit_tiff_where_white_is_zero():
    level = np.full((8, 8), 65535, np.uint16)
    level[:, 4:] = 0
    page = decoded(encoded(level, "TIFF", tiffinfo={262: 0}), "page")
    assert (page[:, :4] == 0).all() and (page[:, 4:] == 255).all()


def test_float_tiff_of_zero_to_one():
    level = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (8, 1))
    np.testing.assert_array_equal(grey(decoded(encoded(level, "TIFF"), "page")), np.round(level * 255))


def test_pages_of_a_tiff():
    pages = [np.full((10 + number, 20, 3), 50 * number, np.uint8) for number in range(4)]
    content = multi_page(pages, "TIFF")
    assert count_pages(BytesIO(content), "scan.tif") == 4
    for number, page in enumerate(pages, start=1):
        np.testing.assert_array_equal(decoded(content, "scan.tif", number), page)
    with pytest.raises(PageNotFound, match=r"page 5 .* 4 "):
        decoded(content, "scan.tif", 5)


def test_big_tiff_pages():
    content = multi_page([picture(), picture()], "TIFF", big_tiff=True)
    assert count_pages(BytesIO(content), "scan.tif") == 2
    np.testing.assert_array_equal(decoded(content, "scan.tif", 2), picture())


def test_a_preview_in_a_tiff_is_no_page():
    preview = Image.fromarray(picture(6, 8))
    preview.encoderinfo = {"tiffinfo": {254: 1}}
    content = multi_page([picture(), preview, picture(30, 30)], "TIFF")
    assert count_pages(BytesIO(content), "scan.tif") == 2
    assert decoded(content, "scan.tif", 2).shape == (30, 30, 3)


def test_a_cut_off_tiff_keeps_its_whole_pages():
    pages = [np.full((40, 40, 3), number, np.uint8) for number in range(3)]
    content = multi_page(pages, "TIFF")
    cut = content[: len(content) - 6000]
    count = count_pages(BytesIO(cut), "scan.tif")
    assert count == 3
    np.testing.assert_array_equal(decoded(cut, "scan.tif", 1), pages[0])
    with pytest.raises(DocumentError, match="cut off"):
        decoded(cut, "scan.tif", count)


def test_a_pdf_is_rendered_at_the_requested_resolution():
    content = pdf([(144, 72), (72, 144)], drawing=b"1 0 0 rg 0 0 20 20 re f")
    assert count_pages(BytesIO(content), "two.pdf") == 2
    page = decoded(content, "two.pdf", 1, Limits(pdf_dpi=100))
    assert page.shape == (100, 200, 3)
    assert page[95, 5].tolist() == [255, 0, 0] and page[5, 195].tolist() == [255, 255, 255]
    assert decoded(content, "two.pdf", 2).shape == (400, 200, 3)
    with pytest.raises(PageNotFound):
        decoded(content, "two.pdf", 3)


def test_a_huge_pdf_page_is_rendered_smaller():
    limits = Limits(max_megapixels=1)
    for size in [(14400, 14400), (14400, 3), (20, 14400)]:
        height, width, _ = decoded(pdf([size]), "poster.pdf", 1, limits).shape
        assert height * width <= limits.max_pixels
        assert height * width > 0.6 * min(limits.max_pixels, size[0] * size[1] * 7)


def test_the_longest_side_is_limited():
    limits = Limits(max_side=1000)
    for size in [(14400, 30), (30, 14400)]:
        height, width, _ = decoded(pdf([size]), "roll.pdf", 1, limits).shape
        assert 900 <= max(height, width) <= 1000
    content = encoded(np.zeros((2, 1001, 3), np.uint8), "PNG")
    with pytest.raises(PageTooLarge, match=r"roll.png: 1,001 × 2 px, over the limit of 1,000 px a side"):
        decoded(content, "roll.png", 1, limits)


def test_what_was_typed_into_a_pdf_form_is_drawn():
    import pikepdf

    document = pikepdf.new()
    document.add_blank_page(page_size=(72, 72))
    black = document.make_stream(b"0 g 0 0 40 40 re f")
    black.update({"/Type": pikepdf.Name.XObject, "/Subtype": pikepdf.Name.Form, "/BBox": [0, 0, 40, 40]})
    field = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot,
        Subtype=pikepdf.Name.Widget,
        FT=pikepdf.Name.Tx,
        T="name",
        F=4,
        Rect=[0, 0, 40, 40],
        AP=pikepdf.Dictionary(N=black),
    )
    field = document.make_indirect(field)
    document.pages[0].Annots = document.make_indirect(pikepdf.Array([field]))
    document.Root.AcroForm = document.make_indirect(pikepdf.Dictionary(Fields=[field]))
    buffer = BytesIO()
    document.save(buffer)
    assert decoded(buffer.getvalue(), "form.pdf", 1, Limits(pdf_dpi=72))[60, 10].max() < 120


def test_an_empty_file():
    with pytest.raises(EmptyDocument, match=r"scan\.png.*0 bytes"):
        decoded(b"", "scan.png")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Dear Sir, this is text", "begins with"),
        (b"%!PS-Adobe", "is PostScript, which is not read; convert it to one of png"),
        (b"PK\x03\x04..", "is ZIP, which is not read"),
        (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", "is an office document, .*; export it as PDF"),
        (b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/hwp+zip", "is an office document, .*; export it as PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an office document, .*; export it as PDF"),
    ],
)
def test_other_content(content, says):
    with pytest.raises(UnknownFormat, match=rf"letter\.png: the content {says}"):
        decoded(content, "letter.png")


@pytest.mark.parametrize(
    "whole",
    [
        encoded(picture(200, 300), "JPEG"),
        encoded(picture(200, 300), "JPEG", progressive=True),
        encoded(picture(200, 300), "PNG"),
        encoded(picture(200, 300), "BMP"),
        encoded(picture(200, 300), "WEBP"),
        encoded(picture(200, 300), "AVIF"),
        encoded(picture(200, 300), "TIFF"),
        encoded(picture(200, 300), "TIFF", compression="tiff_lzw"),
        encoded(picture(200, 300), "GIF"),
        encoded(picture(200, 300), "JPEG2000"),
        encoded(picture(200, 300), "JPEG2000", irreversible=True, quality_layers=[20]),
        encoded(picture(200, 300), "PPM"),
    ],
    ids=["jpeg", "progressive", "png", "bmp", "webp", "avif", "tiff", "lzw", "gif", "jp2", "jp2 lossy", "ppm"],
)
def test_a_cut_off_file_is_an_error_wherever_pixels_are_missing(whole):
    errors = 0
    for part in np.linspace(0.02, 0.99, 25):
        try:
            page = decoded(whole[: int(len(whole) * part)], "scan")
        except UnreadableDocument as error:
            assert str(error).startswith("scan")
            errors += 1
        else:  # only what follows the pixels is gone
            np.testing.assert_array_equal(page, decoded(whole, "scan"))
    assert errors >= 23


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_the_message_says_how_far_a_cut_off_file_goes(image_format):
    whole = encoded(picture(200, 300), image_format)
    half = whole[: len(whole) // 2]
    with pytest.raises(UnreadableDocument, match=rf"cut off: .*{len(half):,}"):
        decoded(half, "scan")


def test_encrypted_and_broken_pdf():
    with pytest.raises(EncryptedDocument, match=r"secret\.pdf.*password"):
        decoded(pdf([(72, 72)], password="geheim"), "secret.pdf")
    with pytest.raises(UnreadableDocument, match=r"bad\.pdf: broken PDF"):
        decoded(b"%PDF-1.7\n" + b"\x00rubbish" * 50, "bad.pdf")


def test_a_pdf_without_pages():
    with pytest.raises(UnreadableDocument, match=r"none\.pdf: .*repair it"):
        count_pages(BytesIO(pdf([])), "none.pdf")


def test_a_huge_header_is_refused_without_decoding():
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(PageTooLarge, match=r"60,000 × 60,000 px are 3,600.0 megapixels.* 300;.*--max-megapixels"):
        decoded(png_header(60_000, 60_000), "huge.png")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.filterwarnings("error")
def test_the_megapixel_limit_is_ours_alone():
    """Pillow's own warns from 89 megapixels on."""
    content = encoded(Image.new("1", (10_000, 9_000)), "TIFF", compression="group4")
    with pytest.raises(PageTooLarge, match="page 1"):
        decoded(content, "plan.tif", 1, Limits(max_megapixels=80))
    assert decoded(content, "plan.tif").shape == (9_000, 10_000, 3)


@pytest.mark.parametrize(
    "wrong", [{"max_megapixels": 0}, {"pdf_dpi": -1}, {"max_document_mib": float("nan")}, {"max_side": 0}]
)
def test_limits_must_be_positive(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Limits(**wrong)


def test_encode_jpeg():
    np.testing.assert_allclose(decoded(encode_jpeg(picture(), 95), "page"), picture(), atol=100)
    assert grey(decoded(encode_jpeg(picture()[:, :, 0]), "page")).shape == (60, 80)
    with pytest.raises(ValueError, match="65,500"):
        encode_jpeg(np.zeros((66_000, 1, 3), np.uint8))


SEEDS = [
    encoded(picture(), "PNG"),
    encoded(picture(), "JPEG"),
    encoded(picture(), "WEBP"),
    encoded(picture(), "AVIF"),
    encoded(picture(), "BMP"),
    *(encoded(picture(), image_format) for image_format in ("GIF", "JPEG2000", "PPM")),
    multi_page([picture(), picture()], "TIFF", compression="tiff_lzw"),
    encoded(Image.new("1", (64, 64)), "TIFF", compression="group4"),
    pdf([(72, 72)]),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=300, deadline=None)
@given(seed=st.sampled_from(SEEDS), edits=st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=8)), max_size=6))
@example(seed=SEEDS[4], edits=[(4, b"\xff\xff\xff\xff")])
def test_damaged_files_only_raise_document_errors(seed, edits):
    content = bytearray(seed)
    for place, value in edits:
        place %= len(content)
        content[place : place + len(value)] = value
    _decode_or_document_error(bytes(content))


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=100, deadline=None)
@given(head=st.sampled_from([b"", *(seed[:12] for seed in SEEDS)]), content=st.binary(max_size=400))
def test_random_bytes_only_raise_document_errors(head, content):
    _decode_or_document_error(head + content)


def _decode_or_document_error(content):
    try:
        count_pages(BytesIO(content), "fuzz")
        page = decoded(content, "fuzz", 1, Limits(max_megapixels=1))
    except DocumentError:
        return
    assert page.ndim == 3 and page.dtype == np.uint8
