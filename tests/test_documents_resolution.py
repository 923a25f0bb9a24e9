"""How large a page is on paper: what its file says, and pixels that are not square."""

import numpy as np
import pytest
from PIL import ExifTags, Image, TiffImagePlugin

from pipelines.documents import Limits, PageTooLarge, decode_page
from tests.documents_made import encoded, pdf, picture


def exif(across: float, down: float, unit: int = 2, orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution] = across, down
    tags[ExifTags.Base.ResolutionUnit], tags[ExifTags.Base.Orientation] = unit, orientation
    return tags.tobytes()


def dpi(content: bytes) -> float | None:
    page = decode_page(content, "page")
    assert page.image.shape == picture().shape
    return page.dpi


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF", "BMP"])
def test_the_resolution_is_the_files(image_format):
    content = encoded(picture(), image_format, dpi=(300, 300))
    assert dpi(content) == pytest.approx(300, abs=0.02)  # PNG and BMP say it per metre
    unsaid = dpi(encoded(picture(), image_format))
    assert unsaid is None or (image_format == "BMP" and unsaid == 96.01)  # what Pillow writes there


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "AVIF"])
def test_exif_says_the_resolution_too(image_format):
    assert dpi(encoded(picture(), image_format, exif=exif(300, 300))) == 300
    assert dpi(encoded(picture(), image_format, exif=exif(100, 100, unit=3))) == pytest.approx(254)
    assert dpi(encoded(picture(), image_format, exif=exif(100, 100, unit=1))) is None


@pytest.mark.parametrize("value", [0, 1, 72, 60_000])
def test_what_is_no_resolution_counts_as_none(value):
    assert dpi(encoded(picture(), "JPEG", dpi=(value, value))) is None


def test_a_resolution_in_a_damaged_header_counts_as_none():
    nothing = TiffImagePlugin.IFDRational(1, 0)
    assert dpi(encoded(picture(), "TIFF", tiffinfo={282: nothing, 283: nothing, 296: 2})) is None
    assert dpi(encoded(picture(), "TIFF", dpi=(1200, 100))) is None  # twelve times as fine one way as the other
    assert dpi(encoded(picture(), "JPEG", exif=b"Exif\x00\x00broken")) is None


def test_the_pixels_of_a_fax_become_square():
    for image_format in ("TIFF", "PNG"):
        page = decode_page(encoded(picture(60, 80), image_format, dpi=(204, 98)), "fax")
        assert page.image.shape == (125, 80, 3) and page.dpi == pytest.approx(204, abs=0.02)
        wide = decode_page(encoded(picture(60, 80), image_format, dpi=(100, 200)), "fax")
        assert wide.image.shape == (60, 160, 3)
    assert decode_page(encoded(picture(60, 80), "TIFF", dpi=(204, 203)), "scan").image.shape == (60, 80, 3)
    ratio_alone = encoded(picture(60, 80), "TIFF", tiffinfo={282: 2.0, 283: 1.0, 296: 1})
    assert decode_page(ratio_alone, "fax").image.shape == (120, 80, 3)
    assert decode_page(ratio_alone, "fax").dpi is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_fax_that_lies_on_its_side_is_stretched_the_right_way(orientation):
    stored = picture(60, 80)
    content = encoded(stored, "TIFF", tiffinfo={274: orientation, 282: 200.0, 283: 100.0, 296: 2})
    page = decode_page(content, "fax")
    assert page.image.shape == ((120, 80, 3) if orientation < 5 else (80, 120, 3))
    photo = decode_page(encoded(stored, "JPEG", exif=exif(200, 100, orientation=orientation)), "fax")
    assert photo.image.shape == page.image.shape


def test_a_stretched_page_is_within_the_limits_too():
    content = encoded(picture(1000, 900), "TIFF", dpi=(400, 100))
    with pytest.raises(PageTooLarge, match="900 × 4,000 px"):
        decode_page(content, "fax", 1, Limits(max_megapixels=2))


def test_a_pdf_page_says_the_resolution_it_was_rendered_at():
    assert decode_page(pdf([(144, 72)]), "a.pdf").dpi == 200
    lowered = decode_page(pdf([(7200, 7200)]), "b.pdf", 1, Limits(max_megapixels=1))
    assert lowered.dpi == pytest.approx(72 * lowered.image.shape[1] / 7200, rel=0.01)
    assert np.prod(lowered.image.shape[:2]) <= 1_000_000
