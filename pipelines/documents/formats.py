"""The formats that are read: their suffixes, for listing folders, and their first bytes, which decide how to decode."""

from pipelines.documents.errors import EmptyDocument, UnknownFormat

#: Suffixes taken from folders -> format. Only these are looked for; the content decides how a document is decoded.
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
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
]
_FOREIGN = [
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"AT&TFORM", "DjVu"),
    (b"PK\x03\x04", "ZIP (or an office document)"),
    (b"\x1f\x8b", "gzip"),
    (b"%!PS", "PostScript"),
    (b"<svg", "SVG"),
]


def supported() -> str:
    """Return the supported suffixes, for messages."""
    return ", ".join(suffix[1:] for suffix in SUFFIXES)


def sniff(head: bytes, uri: str) -> str:
    """Format (PNG, JPEG, WEBP, AVIF, BMP, TIFF or PDF) by the first `HEAD_BYTES` bytes, whatever the suffix says.

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
    what = next((f"is {name}" for magic, name in _FOREIGN if head.startswith(magic)), None)
    if what is None and head[4:8] == b"ftyp":
        what = "is HEIF or video"
    if what is None:
        what = f"begins with {head[:12]!r}"
    raise UnknownFormat(f"{uri}: the content {what}, which is not read; convert it to one of {supported()}")
