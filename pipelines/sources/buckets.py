"""Objects of an S3 bucket, a page of a listing at a time: s3fs holds all of them, 1.6 KB each."""

from collections.abc import Callable, Iterator
from typing import Any

from fsspec import AbstractFileSystem


def lists_by_page(filesystem: AbstractFileSystem) -> bool:
    """Return whether `bucket_files` takes a file system: s3fs's, which takes half a second to import."""
    return hasattr(filesystem, "call_s3")


def bucket_files(
    filesystem: Any,
    prefix: str,
    patiently: Callable[[Callable[[], dict[str, Any]]], dict[str, Any]],
    below: bool = True,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and `info`, as fsspec gives it, of the objects whose path begins with `prefix` (`bucket/some/key`).

    Args:
        filesystem: an `s3fs.S3FileSystem`.
        patiently: makes one request, as it sees fit more than once.
        below: also those with a `/` after the prefix.

    Raises:
        What s3fs raises.
    """
    bucket, key, _ = filesystem.split_path(prefix)
    request = {"Bucket": bucket, "Prefix": key, **({} if below else {"Delimiter": "/"}), **filesystem.req_kw}
    while True:
        page = patiently(lambda: filesystem.call_s3("list_objects_v2", **request))
        for found in page.get("Contents", ()):
            if found["Key"].endswith("/"):  # stands for a folder
                continue
            info = {"type": "file", "size": found["Size"], "ETag": found["ETag"], "LastModified": found["LastModified"]}
            yield f"{bucket}/{found['Key']}", info
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]
