"""TFRecord files and the `tf.train.Example` messages in them, read without TensorFlow.

A record is its length (8 bytes, little-endian), the length's checksum, the data and the data's checksum; a checksum is
CRC-32C, rotated and offset ("masked"). Format: https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

import gzip
import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from trainers.data.importers.rows import LeftOut

Features = Mapping[str, "list[bytes] | np.ndarray"]  # name: byte strings, float32 [n] or int64 [n]

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK = 0xA282EAD8
_GZIP = b"\x1f\x8b"
_PIECE = 2**24


def examples(path: Path) -> Iterator[tuple[int, Features | LeftOut]]:
    """Each record's number, from 0, and its features; `LeftOut` in the place of what is damaged.

    Behind a damaged length nothing can be found any more: the file is left there.
    """
    number = 0
    try:
        with _opened(path) as file:
            for found in _records(file):
                place = f"{path}:record {number}"
                if isinstance(found, bytes):
                    yield number, _features(found, place)
                else:
                    yield number, LeftOut(place, *found)
                number += 1
    except (OSError, EOFError, zlib.error) as error:
        yield number, LeftOut(f"{path}:record {number}", "file cannot be read from here on", str(error))


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of some bytes."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


def _opened(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")


def _records(file: io.BufferedIOBase) -> Iterator[bytes | tuple[str, str]]:
    """Yield the data of each record, or (reason, detail) of a damaged one."""
    while header := file.read(_HEADER.size):
        if len(header) < _HEADER.size:
            yield "file ends within a record", "all before it is imported"
            return
        length, checksum = _HEADER.unpack(header)
        if masked_crc(header[:8]) != checksum:
            yield "no TFRecord from here on", "the checksum of the record's length is wrong"
            return
        data = _read(file, length)
        footer = file.read(_FOOTER.size)
        if len(data) < length or len(footer) < _FOOTER.size:
            yield "file ends within a record", f"{len(data):,} of {length:,} bytes"
            return
        yield data if masked_crc(data) == _FOOTER.unpack(footer)[0] else ("record is damaged", "its checksum is wrong")


def _read(file: io.BufferedIOBase, length: int) -> bytes:
    """Up to `length` bytes, piece by piece: a length that is not the true one would otherwise take all memory."""
    pieces = []
    while length > 0 and (piece := file.read(min(length, _PIECE))):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _features(data: bytes, place: str) -> Features | LeftOut:
    message = example_class()()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        return LeftOut(place, "record is not a tf.train.Example", str(error))
    found: dict[str, list[bytes] | np.ndarray] = {}
    for name, feature in message.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind == "bytes_list":
            found[name] = list(feature.bytes_list.value)
        elif kind == "float_list":
            found[name] = np.array(feature.float_list.value, np.float32)
        elif kind == "int64_list":
            found[name] = np.array(feature.int64_list.value, np.int64)
    return found


@cache
def example_class() -> type:
    """Return the message class of `tf.train.Example`, in a separate pool: TensorFlow may be loaded too."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    for name, kind in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        values = file.message_type.add(name=name)
        values.field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        own_name = name.replace("List", "_list").lower()
        _message_field(feature, own_name, number, f".tensorflow.{name}", field.LABEL_OPTIONAL).oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    _message_field(entry, "value", 2, ".tensorflow.Feature", field.LABEL_OPTIONAL)
    _message_field(features, "feature", 1, ".tensorflow.Features.FeatureEntry", field.LABEL_REPEATED)
    example = file.message_type.add(name="Example")
    _message_field(example, "features", 1, ".tensorflow.Features", field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def _message_field(message, name: str, number: int, of: str, label: int):
    kind = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    return message.field.add(name=name, number=number, type=kind, type_name=of, label=label)
