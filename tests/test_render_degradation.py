import numpy as np
import pytest

from trainers.render import degrade

MEDIA = ("screen", "scan", "fax", "till", "camera")


def page() -> np.ndarray:
    image = np.full((320, 240, 3), 250, dtype=np.uint8)
    image[40:280:16, 30:210] = 10
    image[100:140, 60:120] = (180, 60, 40)
    return image


@pytest.mark.parametrize("medium", MEDIA)
def test_shape_and_content_survive(medium):
    clean = page()
    for seed in range(60):
        damaged = degrade(clean, np.random.default_rng(seed), medium=medium)
        assert damaged.shape == clean.shape and damaged.dtype == np.uint8
        assert damaged.std() > 2, "the page is gone"
    assert (clean == page()).all(), "the input was changed"


def test_grey_pages_stay_grey():
    grey = np.ascontiguousarray(page()[..., 0])
    assert all(degrade(grey, np.random.default_rng(seed)).shape == grey.shape for seed in range(40))


def test_the_generator_decides_everything():
    clean = page()
    first, again, other = (degrade(clean, np.random.default_rng(seed), medium="scan") for seed in (4, 4, 5))
    assert (first == again).all() and (first != other).any()


def test_nothing_moves():
    clean = page()
    rows = clean[..., 0].mean(axis=1)
    for seed in range(40):
        damaged = degrade(clean, np.random.default_rng(seed), medium="screen")[..., 0].mean(axis=1)
        shifts = [abs(np.corrcoef(rows, np.roll(damaged, shift))[0, 1]) for shift in range(-4, 5)]
        assert abs(int(np.argmax(shifts)) - 4) <= 1


def test_fax_pages_are_mostly_black_and_white():
    shares = []
    for seed in range(20):
        damaged = degrade(page(), np.random.default_rng(seed), medium="fax")
        assert (damaged[..., 0] == damaged[..., 2]).all()
        shares.append(np.mean((damaged < 40) | (damaged > 215)))
    assert np.median(shares) > 0.9


def test_unknown_medium():
    with pytest.raises(ValueError, match="unknown medium 'clay': one of screen"):
        degrade(page(), np.random.default_rng(0), medium="clay")
