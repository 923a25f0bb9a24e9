"""Photos of phones in HEIC, which an extra reads."""

import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipelines.documents import UnknownFormat, UnreadableDocument, decode_page
from pipelines.documents.formats import sniff
from tests.documents_made import decoded, encoded, picture

pillow_heif.register_heif_opener()


def test_a_photo_is_read():
    content = encoded(picture(), "HEIF", quality=95)
    assert sniff(content[:1024], "a.heic") == "HEIF"
    assert np.abs(decoded(content, "a.heic").astype(int) - picture()).mean() < 4


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_is_turned_as_its_exif_says(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    page = decoded(encoded(picture(), "HEIF", quality=95, exif=exif.tobytes()), "a.heic")
    wanted = np.rot90(picture(), {3: 2, 6: -1, 8: 1}[orientation])
    assert page.shape == wanted.shape and np.abs(page.astype(int) - wanted).mean() < 6


def test_a_damaged_photo_is_told():
    content = encoded(picture(), "HEIF")
    with pytest.raises(UnreadableDocument, match=r"a\.heic: .*HEIF"):
        decode_page(content[: len(content) // 2], "a.heic")


def test_without_the_extra_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableDocument, match=r"pip install 'ocray\[heif\]'"):
        decode_page(encoded(picture(), "HEIF"), "a.heic")


def test_a_video_is_no_photo():
    with pytest.raises(UnknownFormat, match="is a video"):
        sniff(b"\0\0\0\x20ftypisom" + bytes(20), "a.mp4")
