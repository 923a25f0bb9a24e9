"""Version tags of files: they change when the file does."""

import os
from typing import Any

_TAG_KEYS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5")
_TIME_KEYS = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


def local_version(status: os.stat_result) -> str:
    """Return the tag of a local file: `size-mtime`."""
    return f"{status.st_size}-{status.st_mtime_ns}"


def remote_version(info: dict[str, Any]) -> str:
    """Return the tag of a file from fsspec's `info`: its ETag, or size and time of modification."""
    for key in _TAG_KEYS:
        if info.get(key):
            return str(info[key]).strip('"')
    time = next((info[key] for key in _TIME_KEYS if info.get(key)), "")
    return f"{info.get('size') or 0}-{time}"
