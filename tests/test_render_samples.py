import io

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from tests.render_fonts import font_set
from trainers.render import samples

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    fonts = font_set(tmp_path_factory.mktemp("fonts"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainers.render.page.system_fonts", lambda: fonts)
        return dict(samples.sample_files())


def test_the_folder_stays_small(files):
    assert 10 <= len(files) <= 14 and sum(map(len, files.values())) < 2_000_000
    assert any(" " in name and "영" in name for name in files)


def test_every_file_opens_but_the_broken_one(files):
    for name, content in files.items():
        if name.endswith(".pdf"):
            assert len(pypdfium2.PdfDocument(content)) == 2
        elif name.startswith("broken"):
            with pytest.raises(OSError, match="truncated"):
                Image.open(io.BytesIO(content)).load()
        else:
            image = Image.open(io.BytesIO(content))
            image.load()
            assert getattr(image, "n_frames", 1) == (3 if "three" in name else 1)


def test_the_very_tall_page(files):
    assert Image.open(io.BytesIO(files["product_page_very_tall.jpg"])).size == (780, 9000)


def test_turned_is_counter_clockwise():
    page = np.full((40, 60, 3), 255, dtype=np.uint8)
    page[:5, :5] = 0  # the upper left corner goes to the lower left
    assert (samples.turned(page, 90)[-5:, :5] == 0).all()
    slanted = samples.turned(page, 37)
    _, xs = np.nonzero(slanted[..., 0] < 100)
    assert xs.mean() < slanted.shape[1] * 0.25
