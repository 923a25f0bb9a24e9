"""PDF pages with text, drawn by the tests themselves."""

import io

import pikepdf
from pikepdf import Dictionary, Name
from PIL import Image

PAGE = (400, 500)  # points


def font_resources(**fonts: str) -> Dictionary:
    """Return resources with Helvetica as F1, and others of PDF's own fonts."""
    names = {"F1": "Helvetica"} | fonts
    return Dictionary(
        Font=Dictionary(
            {
                f"/{name}": Dictionary(
                    Type=Name.Font, Subtype=Name.Type1, BaseFont=Name(f"/{base}"), Encoding=Name.WinAnsiEncoding
                )
                for name, base in names.items()
            }
        )
    )


def show(text: str, x: float, y: float, size: float = 12, mode: int = 0) -> bytes:
    """Return the instructions that show a line."""
    return f"BT {mode} Tr /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n".encode("cp1252")


def text_pdf(*contents: bytes, picture: Image.Image | None = None, **entries) -> bytes:
    """Return a PDF with a page for each content stream; `picture` is Im0 of all, `entries` are those of each page."""
    pdf = pikepdf.new()
    for content in contents:
        page = pdf.add_blank_page(page_size=PAGE)
        page.obj.Resources = font_resources()
        if picture is not None:
            page.obj.Resources.XObject = Dictionary(Im0=picture_object(pdf, picture))
        page.Contents = pdf.make_stream(content)
        for name, value in entries.items():
            page.obj[Name(f"/{name}")] = value
    return saved(pdf)


def picture_object(pdf: pikepdf.Pdf, picture: Image.Image) -> pikepdf.Stream:
    """Return an image object of a picture, RGB or grey."""
    space = Name.DeviceRGB if picture.mode == "RGB" else Name.DeviceGray
    return pdf.make_stream(
        picture.tobytes(), Type=Name.XObject, Subtype=Name.Image, Width=picture.width, Height=picture.height,
        ColorSpace=space, BitsPerComponent=8,
    )  # fmt: skip


def draw_picture(left: float, bottom: float, width: float, height: float) -> bytes:
    """Return the instructions that draw the picture."""
    return f"q {width} 0 0 {height} {left} {bottom} cm /Im0 Do Q\n".encode()


def saved(pdf: pikepdf.Pdf) -> bytes:
    """Return the file's bytes."""
    buffer = io.BytesIO()
    pdf.save(buffer)
    return buffer.getvalue()
