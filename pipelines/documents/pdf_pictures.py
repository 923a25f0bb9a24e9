"""What a PDF page shows besides its text: pictures, outlines of letters, form fields and stamps."""

import ctypes
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pypdfium2 as pdfium
from pypdfium2 import raw

from models.geometry import covered_share
from pipelines.documents.pdf_space import PageSpace

Box = tuple[float, float, float, float]

_LEAST_SIDE, _LEAST_AREA = 8.0, 400.0  # points; a picture that is smaller shows no text
_COVERED = 0.6  # share of a picture under lines of text: a rule or an icon among them
_MOST_OBJECTS = 3000
_LETTER = (3.0, 40.0)  # points: sides of an outline that may be a letter
_LEAST_SEGMENTS, _LEAST_LETTERS = 7, 24
_ANNOTATIONS = frozenset({raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP, raw.FPDF_ANNOT_WIDGET})
_HIDDEN = 0b10
_SHOWS_SOMETHING = re.compile(r"\b(Tj|TJ|Do)\b")


def picture_dpi(page: pdfium.PdfPage) -> float | None:
    """Return the resolution of the finest picture that is as wide as half the page; None if there is none."""
    width, height = page.get_size()
    finest = None
    for item, bounds in islice(_objects(page), _MOST_OBJECTS):  # a scan has few
        if item.type != raw.FPDF_PAGEOBJ_IMAGE:
            continue
        across, down = bounds[2] - bounds[0], bounds[3] - bounds[1]
        pixels = ctypes.c_uint(), ctypes.c_uint()
        if across < 0.5 * width or across * down < 0.02 * width * height:
            continue
        if raw.FPDFImageObj_GetImagePixelSize(item.raw, *pixels):
            # The longer sides belong together, also of a scan that lies on its side.
            finest = max(finest or 0.0, 72 * max(pixel.value for pixel in pixels) / max(across, down))
    return finest


def unread_places(page: pdfium.PdfPage, space: PageSpace, text: list[Box]) -> list[list[float]]:
    """Return the places of what may show text that is not in the text layer.

    Args:
        text: boxes of the lines in the text layer, px.

    Returns:
        left, top, right, bottom in px.
    """
    places: list[Box] = []
    letters: list[Box] = []
    for number, (item, bounds) in enumerate(_objects(page)):
        if number >= _MOST_OBJECTS:  # a drawing that takes longer to look through than to read
            return [[0.0, 0.0, space.width, space.height]]
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            places.append(space.box(*bounds))
        elif item.type == raw.FPDF_PAGEOBJ_PATH and _may_be_a_letter(item, bounds):
            letters.append(space.box(*bounds))
    letters = [box for box in letters if not _is_covered(box, text)]
    if len(letters) >= _LEAST_LETTERS:
        lefts, tops, rights, bottoms = zip(*letters, strict=True)
        places.append((min(lefts), min(tops), max(rights), max(bottoms)))
    places += [space.box(*bounds) for bounds in _annotations(page)]
    least_side, least_area = _LEAST_SIDE * space.scale, _LEAST_AREA * space.scale**2
    return [
        list(box)
        for box in places
        if min(box[2] - box[0], box[3] - box[1]) >= least_side
        and _area(box) >= least_area
        and not _is_covered(box, text)
    ]


def _objects(page: pdfium.PdfPage) -> Iterator[tuple[Any, Box]]:
    """Yield the pictures and paths of a page and of its forms, each with left, bottom, right, top in the page's own
    space."""
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH], max_depth=4):
        left, bottom, right, top = item.get_bounds()
        form = item.container
        while form is not None:
            matrix = form.get_matrix()
            corners = [matrix.on_point(x, y) for x in (left, right) for y in (bottom, top)]
            xs, ys = zip(*corners, strict=True)
            left, bottom, right, top = min(xs), min(ys), max(xs), max(ys)
            form = form.container
        yield item, (left, bottom, right, top)


def _may_be_a_letter(item: Any, bounds: Box) -> bool:
    sides = bounds[2] - bounds[0], bounds[3] - bounds[1]
    if not (max(sides) <= _LETTER[1] and sides[1] >= _LETTER[0]):
        return False
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(item.raw, fill, stroke)
    return bool(fill.value) and raw.FPDFPath_CountSegments(item.raw) >= _LEAST_SEGMENTS


def _annotations(page: pdfium.PdfPage) -> Iterator[Box]:
    """Yield the places of filled form fields, stamps and notes written on the page."""
    rectangle = raw.FS_RECTF()
    for index in range(raw.FPDFPage_GetAnnotCount(page.raw)):
        annotation = raw.FPDFPage_GetAnnot(page.raw, index)
        if not annotation:
            continue
        try:
            shown = raw.FPDFAnnot_GetSubtype(annotation) in _ANNOTATIONS
            if shown and not raw.FPDFAnnot_GetFlags(annotation) & _HIDDEN and _has_content(annotation):
                raw.FPDFAnnot_GetRect(annotation, rectangle)
                sides = sorted((rectangle.left, rectangle.right)), sorted((rectangle.bottom, rectangle.top))
                yield sides[0][0], sides[1][0], sides[0][1], sides[1][1]
        finally:
            raw.FPDFPage_CloseAnnot(annotation)


def _has_content(annotation: Any) -> bool:
    """Return whether an annotation draws text or a picture; one without an appearance is drawn by the viewer."""
    size = raw.FPDFAnnot_GetAP(annotation, raw.FPDF_ANNOT_APPEARANCEMODE_NORMAL, None, 0)
    if size <= 2:
        return True
    buffer = (raw.FPDF_WCHAR * (size // 2))()
    raw.FPDFAnnot_GetAP(annotation, raw.FPDF_ANNOT_APPEARANCEMODE_NORMAL, buffer, size)
    return bool(_SHOWS_SOMETHING.search(bytes(buffer).decode("utf-16-le", "replace")))


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _is_covered(box: Box, text: list[Box]) -> bool:
    return covered_share(box, text) >= _COVERED
