"""A process that decodes documents for another one: what `pipelines.documents.decoders` starts, and may kill.

Each request on stdin is answered on stdout, in the same form: the length of a JSON header (4 bytes, big endian), the
header, and as many bytes as its `bytes` says. Requests: {"do": "count", "uri", "passwords"}, or {"do": "decode", "uri",
"page_number", "limits", "text_layer", "with_pixels"}, and the document. Answers: {"pages"}; {"page": what `read_page`
gives, "shape", "seconds"} and the pixels; or {"error": class of `errors`, "message"}.
"""

import json
import os
import signal
import struct
import sys
import threading
import time
from dataclasses import asdict
from io import BytesIO
from typing import Any, BinaryIO

import cv2

from pipelines.documents.decode import count_pages, read_page
from pipelines.documents.errors import DocumentError
from pipelines.documents.limits import Limits

LENGTH = struct.Struct(">I")
_NICENESS = 19  # as the readers: the HTTP side answers first


def main() -> None:
    """Answer requests until stdin ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints must not be taken for an answer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which lets pages end first
    os.nice(_NICENESS - os.nice(0))
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    while (request := _receive(requests)) is not None:
        header, content = request
        answer, payload = _answer(header, content)
        send(answers, answer, payload)


def send(stream: BinaryIO, header: dict[str, Any], payload: Any = b"") -> None:
    """Write one message; `payload` is bytes-like."""
    view = memoryview(payload).cast("B")
    message = json.dumps(header | {"bytes": view.nbytes}).encode()
    stream.write(LENGTH.pack(len(message)) + message)
    stream.write(view)
    stream.flush()


def _receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    length = stream.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    header = json.loads(stream.read(LENGTH.unpack(length)[0]))
    return header, stream.read(header["bytes"])


def _answer(request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], Any]:
    try:
        if request["do"] == "count":
            return {"pages": count_pages(BytesIO(content), request["uri"], request["passwords"])}, b""
        started = time.perf_counter()
        how = Limits(**request["limits"]), request["text_layer"], request["with_pixels"]
        page = read_page(content, request["uri"], request["page_number"], *how)
        image, page.image = page.image, None
        shape = None if image is None else image.shape
        answer = {"page": asdict(page), "shape": shape, "seconds": time.perf_counter() - started}
        return answer, b"" if image is None else image
    except DocumentError as error:
        return {"error": type(error).__name__, "message": str(error)}, b""
    except MemoryError:
        message = f"{request['uri']}: not enough memory for page {request['page_number']}; scale the page down"
        return {"error": "PageTooLarge", "message": message}, b""


def _end_with_parent(parent: int) -> None:
    """End when the parent has, also in the middle of a page: a killed server leaves nothing behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
