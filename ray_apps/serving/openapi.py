"""What the OpenAPI description says beyond what FastAPI derives: bodies of several kinds, with examples."""

from collections.abc import Sequence
from typing import Any

from ray_apps.serving.uploads import JsonDocument

_DOCUMENTS = """Reads documents: deskew → orientation → text detection → recognition.

Send PNG, JPEG, WebP, BMP, TIFF or PDF as multipart form (`file`), as the raw body, as base64 in JSON, or name a URI the
server may read (`{"uri": "s3://bucket/scans/letter.pdf"}`). Errors are problem details (RFC 9457); every answer carries
its `X-Request-ID`.

    curl -F file=@receipt.jpg http://localhost:8000/v1/documents
    curl -H 'Content-Type: application/pdf' --data-binary @letter.pdf 'http://localhost:8000/v1/documents?pages=1-3'
"""


def documents(own: Sequence[str], known: Sequence[str]) -> str:
    """Return the description of the API. `own` languages are read unless a request names others of `known`."""
    languages = (
        f"`languages` sets what is read, most frequent first; known: {', '.join(known)}. Default: {','.join(own)}."
    )
    return f"{_DOCUMENTS}\n{languages}\n"


METERS = """Reads photos of water, gas and electricity meters: display → digits → reading.

Send PNG, JPEG, WebP, BMP, TIFF or PDF as multipart form (`file`), as the raw body, as base64 in JSON, or name a URI the
server may read (`{"uri": "s3://bucket/meters/kitchen.jpg"}`). A photo without a reading that may be used is no error:
it is answered with 200, `success` false and a `reason`. Errors are problem details (RFC 9457); every answer carries its
`X-Request-ID`.

    curl -F file=@meter.jpg http://localhost:8000/v1/meters

With the earlier readings of the meter, the new one is judged by them (`judgement`): no fall, no faster than `max_rate`.

    curl -F file=@meter.jpg -F time=2026-06-01T09:30:00+09:00 -F max_rate=3 \\
         -F history='[{"time": "2026-05-01T10:00:00+09:00", "reading": "00123.4"}]' http://localhost:8000/v1/meters
"""


# A PNG of one white pixel.
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTp4XQAAAABJRU5ErkJggg=="

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without references, which OpenAPI would resolve in the whole description instead of the
    schema."""
    named = schema.get("$defs", {})

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolved(named[part["$ref"].removeprefix("#/$defs/")])
        return {key: resolved(value) for key, value in part.items() if key != "$defs"}

    return resolved(schema)


def body(form: type[JsonDocument], description: str) -> dict[str, Any]:
    """Return the entry of a request body: a document and, in forms and JSON, the fields that may accompany it."""
    schema = _inlined(form.model_json_schema())
    parts = {name: schema["properties"][name] for name in form.parts}
    multipart: dict[str, Any] = {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}} | parts,
    }
    content = {
        "multipart/form-data": {"schema": multipart},
        "application/json": {"schema": schema, "example": {"name": "pixel.png", "content": _PIXEL}},
    }
    raw = ("application/octet-stream", "application/pdf", "image/jpeg", "image/png", "image/tiff")
    content |= dict.fromkeys(raw, _BINARY)
    return {"requestBody": {"required": True, "description": description, "content": content}}


DOCUMENT_BODY = body(JsonDocument, "the document")
