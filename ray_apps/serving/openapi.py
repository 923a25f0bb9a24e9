"""What the OpenAPI description says beyond what FastAPI derives: bodies of several kinds, with examples."""

from collections.abc import Sequence
from typing import Any

from ray_apps.serving.uploads import JsonDocument

_DESCRIPTION = """Reads documents: deskew → orientation → text detection → recognition.

Send PNG, JPEG, WebP, BMP, TIFF or PDF as multipart form (`file`), as the raw body, as base64 in JSON, or name a URI the
server may read (`{"uri": "s3://bucket/scans/letter.pdf"}`). Errors are problem details (RFC 9457); every answer carries
its `X-Request-ID`.

    curl -F file=@receipt.jpg http://localhost:8000/v1/documents
    curl -H 'Content-Type: application/pdf' --data-binary @letter.pdf 'http://localhost:8000/v1/documents?pages=1-3'
"""


def description(own: Sequence[str], known: Sequence[str]) -> str:
    """What stands at the top: `own` languages are read unless a request asks for others of those `known`."""
    asked = f"`languages` chooses what is read, the commonest first: {', '.join(known)}. Without it: {','.join(own)}."
    return f"{_DESCRIPTION}\n{asked}\n"


# A PNG of one white pixel.
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTp4XQAAAABJRU5ErkJggg=="

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}

DOCUMENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "the document",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": JsonDocument.model_json_schema(),
                "example": {"name": "pixel.png", "content": _PIXEL},
            },
            "application/octet-stream": _BINARY,
            "application/pdf": _BINARY,
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "image/tiff": _BINARY,
        },
    },
}
