"""The formats that are read: their suffixes, for listing folders, and their first bytes, which decide how to decode."""

from pipelines.documents.errors import EmptyDocument, UnknownFormat

#: Suffixes taken from folders -> format. Only these are looked for; the content decides how a document is decoded.
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",  # a camera's: a JPEG with further pictures behind it
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".jpf": "JPEG2000",
    ".jpx": "JPEG2000",
    ".gif": "GIF",
    ".pbm": "PPM",
    ".pgm": "PPM",
    ".ppm": "PPM",
    ".pnm": "PPM",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".pdf": "PDF",
}
MULTI_PAGE = frozenset({"TIFF", "PDF"})
#: How many first bytes `sniff` looks at. PDF readers accept the header anywhere in the first 1,024 bytes.
HEAD_BYTES = 1024

_MAGIC = [
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
]
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # of still pictures first
_OFFICE = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf")  # HWP 5, DOC, XLS, PPT; RTF
# In the first bytes of a ZIP: DOCX, XLSX, PPTX; HWPX, ODT, EPUB.
_OFFICE_PARTS = (b"[Content_Types].xml", b"_rels/.rels", b"mimetypeapplication/")
_ZIP = b"PK\x03\x04"
_FOREIGN = [
    (b"AT&TFORM", "DjVu"),
    (_ZIP, "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"%!PS", "PostScript"),
    (b"<svg", "SVG"),
]


def supported() -> str:
    """Return the supported suffixes, for messages."""
    return ", ".join(suffix[1:] for suffix in SUFFIXES)


def sniff(head: bytes, uri: str) -> str:
    """Format (a value of `SUFFIXES`) by the first `HEAD_BYTES` bytes, whatever the suffix says.

    Raises:
        EmptyDocument: no bytes.
        UnknownFormat: the first bytes are of none of these formats.
    """
    if not head:
        raise EmptyDocument(f"{uri}: the file is empty (0 bytes); copy or scan it again")
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if b"%PDF-" in head[:HEAD_BYTES]:
        return "PDF"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "AVIF"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF:
        return "HEIF"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "PPM"
    if head.startswith(_OFFICE) or (head.startswith(_ZIP) and any(part in head for part in _OFFICE_PARTS)):
        raise UnknownFormat(f"{uri}: the content is an office document, which has its own text; export it as PDF")
    what = next((f"is {name}" for magic, name in _FOREIGN if head.startswith(magic)), None)
    if what is None and head[4:8] == b"ftyp":
        what = "is a video, or an image of an uncommon kind"
    if what is None:
        what = f"begins with {head[:12]!r}"
    raise UnknownFormat(f"{uri}: the content {what}, which is not read; convert it to one of {supported()}")
