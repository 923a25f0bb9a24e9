"""Files on any storage: finding them by their URI, asking again while storage does not answer, writing them whole."""

from common.storage.errors import OutputError, OutputFull, OutputUnavailable, StorageUnavailable
from common.storage.folder import Storage, atomic_file
from common.storage.local import replacing

__all__ = [
    "OutputError",
    "OutputFull",
    "OutputUnavailable",
    "Storage",
    "StorageUnavailable",
    "atomic_file",
    "replacing",
]
