"""Images written as JSON numbers: what is taken for one, row by row, and what is not."""

import json

import cv2
import numpy as np
import pytest

from ray_apps.serving.photos import PixelForm
from ray_apps.serving.problems import Problem

IMAGE = np.random.default_rng(3).integers(0, 256, (3, 2, 3)).tolist()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(IMAGE),
        json.dumps(IMAGE, indent=2),
        json.dumps(IMAGE, separators=(",", ":")),
        json.dumps({"image": IMAGE, "name": "a b.png"}),
        json.dumps({"name": "]]] [[[1]]]", "image": IMAGE}),
        json.dumps({"image": IMAGE, "name": "[[["}, indent=1),
    ],
)
def test_an_image_is_read_however_it_is_written(body):
    png = PixelForm._parse(body.encode()).encoded()
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].tolist() == IMAGE


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"[[[]]]",
        b"[[[1,2]]]",
        b"[[[1,2,256]]]",
        b"[[[1,2,3]],[[1,2,3],[1,2,3]]]",
        b"[[[1,2,3]] [[1,2,3]]]",
        b"[[[1,2,3]],[]]",
        b"[[[1,2,3]],4]",
        b'[[["1",2,3]]]',
        b"[[[1,2,3]],]",
        b"[[[1,2,3]]",
        b'{"image":[[[1,2,3]]],"content":"QQ=="}',
        b"[[" + b"[1,2,3]," * 70_000 + b"[1,2,3]]]",
    ],
)
def test_what_is_no_image_is_reported(body):
    with pytest.raises(Problem) as caught:
        PixelForm._parse(body)
    assert caught.value.status == 422
