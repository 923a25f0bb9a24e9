"""The API's answers, made by hand: what the test of the page talks to instead of a reader."""

import base64
import hashlib
import json
import re

import cv2
import numpy as np
from fastapi import Request, Response

from models.geometry import transform_points, turn, turn_matrix
from pipelines.readers.documents.record import Line
from pipelines.records import PageError
from ray_apps.serving.answers import DocumentAnswer, DocumentInfo, ReadPage, UprightImage
from tests.pages import draw_page

WORDS = ["Maple Street Bakery", "Flour 2 kg", "TOTAL 12.50"]
CONFIDENCES = [0.998, 0.84, 0.55]


class Reader:
    """Answers as the API does, from pages prepared by file name; keeps what it was asked."""

    def __init__(self):
        self.documents: dict[str, list[ReadPage]] = {"receipt.png": [read_page()]}
        self.refusals: list[Response] = []
        self.key = ""
        self.requested: list[str] = []  # page ranges
        self.sides: list[int] = []

    async def __call__(self, request: Request) -> Response:
        body = await request.body()
        name = re.search(rb'name="file"; filename="([^"]*)"', body)[1].decode()
        query = request.query_params
        assert query["upright"] == "jpeg"
        self.requested.append(query["pages"])
        self.sides.append(int(query["upright_max_side"]))
        if self.key and request.headers.get("X-API-Key") != self.key:
            return problem(401, "An API key is needed", "Send it in the header X-API-Key.")
        if self.refusals:
            return self.refusals.pop(0)
        first, _, last = query["pages"].partition("-")
        pages = self.documents[name]
        answer = DocumentAnswer(
            request_id="request-1",
            document=DocumentInfo(
                name=name, bytes=len(body), sha256=hashlib.sha256(body).hexdigest(), page_count=len(pages)
            ),
            pages=pages[int(first) - 1 : int(last or first)],
            total_ms=1390.0,
        )
        return Response(answer.model_dump_json(), media_type="application/json")


def read_page(
    number: int = 1, count: int = 1, image: np.ndarray | None = None, quads=None, turned: float = 8.0
) -> ReadPage:
    """Return a page that stood turned by `turned` degrees counter-clockwise; `quads` (n, 4, 2) are its lines when
    upright."""
    image = draw_page(WORDS) if image is None else image
    if quads is None:
        quads = [[[26, y - 26], [400, y - 26], [400, y + 10], [26, y + 10]] for y in (50, 95, 140)]
    height, width = image.shape[:2]
    received = turn(image, turned, (255, 255, 255))
    to_received = turn_matrix(width, height, turned)[0]
    upright = turn(received, -turned, (255, 255, 255))
    to_upright = turn_matrix(received.shape[1], received.shape[0], -turned)[0]
    polygons = [transform_points(to_received, np.float64(quad)) for quad in quads]
    lines = [
        Line(text=word, confidence=confidence, polygon=polygon.tolist(), language="en")
        for word, confidence, polygon in zip(WORDS, CONFIDENCES, polygons, strict=False)
    ]
    return ReadPage(
        page_id=f"{number:016x}", document_uri="receipt.png", page_number=number, page_count=count,
        width=received.shape[1], height=received.shape[0],
        skew_degrees=turned, skew_confidence=0.99, orientation_degrees=0, orientation_confidence=0.65,
        text="\n".join(line.text for line in lines), lines=lines,
        timings_ms={"decode": 12.0, "text_detection": 430.0, "text_recognition": 870.0},
        models={"text_recognition": "ppocrv6-rec@small"}, device="openvino:CPU f32",
        upright=UprightImage(
            media_type="image/jpeg", width=upright.shape[1], height=upright.shape[0], matrix=to_upright.tolist(),
            content=base64.b64encode(cv2.imencode(".jpg", upright)[1].tobytes()).decode(),
        ),
    )  # fmt: skip


def failed_page(number: int, count: int) -> ReadPage:
    error = PageError(stage="decode", type="UnreadableDocument", message="damaged: scan it again")
    return ReadPage(page_id="0", document_uri="", page_number=number, page_count=count, status="error", error=error)


def problem(status: int, title: str, detail: str, headers: dict | None = None, **more) -> Response:
    reported = {"type": "about:blank", "title": title, "status": status, "detail": detail, "request_id": "request-9"}
    return Response(json.dumps(reported | more), status, headers, media_type="application/problem+json")
