"""Saving a PDF to a stream that may fail."""

from typing import BinaryIO, cast

import pikepdf


def save(pdf: pikepdf.Pdf, stream: BinaryIO, **options) -> None:
    """Save `pdf` as `Pdf.save` does. Raise what writing to the stream raises."""
    guarded = _GuardedStream(stream)
    pdf.save(cast(BinaryIO, guarded), **options)  # has what pikepdf needs of a stream
    if guarded.failure is not None:
        raise guarded.failure


class _GuardedStream:
    """A stream whose writes fail later: an exception that crosses qpdf, a full disk's say, would abort the process."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.failure: Exception | None = None
        self.read, self.tell, self.seek, self.seekable = stream.read, stream.tell, stream.seek, stream.seekable
        self.readable, self.writable = stream.readable, stream.writable

    def write(self, content) -> int:
        if self.failure is None:
            try:
                self.stream.write(content)
            except Exception as error:
                self.failure = error
        return len(content)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self.stream.flush()
            except Exception as error:
                self.failure = error
