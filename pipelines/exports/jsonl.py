"""JSON Lines: the records as the API gives them, one a line, all documents in one file."""

from typing import BinaryIO

from pipelines.records import BaseRecord

FILE_NAME = "pages.jsonl"


class JsonlWriter:
    """Unlike the other writers it serves the whole job: a million small files would help nobody."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream

    def add(self, record: BaseRecord) -> None:
        self.stream.write(record.model_dump_json().encode() + b"\n")
