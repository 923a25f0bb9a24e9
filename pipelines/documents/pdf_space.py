"""From a PDF page's own space to pixels of what PDFium renders."""

import ctypes

import pypdfium2 as pdfium
from pypdfium2 import raw

# PDFium maps to whole units: a fine grid keeps fractions of points.
_GRID = 1000


class PageSpace:
    """The affine map of a page: its rotation, its boxes, and `scale`, pixels a point."""

    def __init__(self, page: pdfium.PdfPage, scale: float):
        self.scale = scale
        self.width, self.height = (side * scale for side in page.get_size())
        size = [round(side * _GRID) for side in page.get_size()]
        x, y = ctypes.c_int(), ctypes.c_int()

        def at(px: float, py: float) -> tuple[float, float]:
            raw.FPDF_PageToDevice(page.raw, 0, 0, *size, 0, px, py, x, y)
            return x.value * scale / _GRID, y.value * scale / _GRID

        self.e, self.f = at(0, 0)
        (right, down), (up_x, up_y) = at(1000, 0), at(0, 1000)
        self.a, self.b = (right - self.e) / 1000, (down - self.f) / 1000
        self.c, self.d = (up_x - self.e) / 1000, (up_y - self.f) / 1000

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point is, px, y down."""
        return self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f

    def vector(self, x: float, y: float) -> tuple[float, float]:
        """Return how far, and whither, a step goes."""
        return self.a * x + self.c * y, self.b * x + self.d * y

    def box(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom of an upright rectangle, cut off at the page's borders."""
        (x0, y0), (x1, y1) = self.point(left, bottom), self.point(right, top)
        xs, ys = sorted((x0, x1)), sorted((y0, y1))
        return max(0.0, xs[0]), max(0.0, ys[0]), min(self.width, xs[1]), min(self.height, ys[1])
