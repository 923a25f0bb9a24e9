"""Bytes of a document, from a local path or any fsspec URI.

S3 goes through s3fs, which takes credentials, profile and endpoint from the usual variables by itself
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3,
AWS_DEFAULT_REGION, and fsspec's FSSPEC_S3_…).
"""

import os
from typing import Any, BinaryIO

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from pipelines.documents.errors import InaccessibleDocument


def local_path(uri: str) -> str | None:
    """Absolute local path of a plain path or a file:// URI; None for every other URI."""
    if "::" in uri and "://" in uri:
        return None
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    return None if "://" in uri else os.path.abspath(uri)


def open_filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """fsspec file system of a URI and the path in it.

    Listings are not cached: a job that asks again must see what is there now.

    Raises:
        ValueError: unknown protocol. ImportError: the protocol's package is not installed.
    """
    options: dict[str, Any] = {}
    if uri.startswith(("s3://", "s3a://")):
        options["use_listings_cache"] = False
        # botocore takes the region from AWS_DEFAULT_REGION only; the other SDKs and AWS's own services set AWS_REGION.
        region = os.environ.get("AWS_REGION")
        if region and "AWS_DEFAULT_REGION" not in os.environ:
            options["client_kwargs"] = {"region_name": region}
    return url_to_fs(uri, **options)


def open_file(uri: str, block_bytes: int = 64 * 1024) -> BinaryIO:
    """A file open for reading and seeking; remote ones are fetched in blocks. Raises what the storage raises."""
    path = local_path(uri)
    if path is not None:
        return open(path, "rb")
    filesystem, remote = open_filesystem(uri)
    return filesystem.open(remote, "rb", block_size=block_bytes)


def read_bytes(uri: str) -> bytes:
    """All bytes of a file.

    Raises:
        InaccessibleDocument: missing, no permission, a folder, or the storage fails; its cause is chained.
    """
    path = local_path(uri)
    try:
        if path is not None:
            with open(path, "rb") as file:
                return file.read()
        filesystem, remote = open_filesystem(uri)
        return filesystem.cat_file(remote)
    except Exception as error:  # storage back ends raise anything: OSError, botocore's, aiohttp's, asyncio's
        raise inaccessible(uri, error) from error


def inaccessible(uri: str, error: Exception) -> InaccessibleDocument:
    """The DocumentError for a failed access, in words a user can act on."""
    return InaccessibleDocument(f"{uri}: {access_problem(error)}")


def access_problem(error: Exception) -> str:
    """What went wrong when storage was asked, and the remedy."""
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "does not exist; check the path (a link may point nowhere)"
    if isinstance(error, PermissionError):
        return f"may not be read ({error}); check its permissions, or the credentials for the bucket"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file"
    if isinstance(error, ImportError) or "Protocol not known" in str(error):
        return f"cannot be opened ({error}); check the URI's protocol and that its fsspec package is installed"
    if kind in ("NoCredentialsError", "PartialCredentialsError"):
        return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (a public bucket: FSSPEC_S3_ANON=true)"
    if kind in ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError"):
        return f"the storage does not answer ({error}); check AWS_ENDPOINT_URL and the network, then retry"
    return f"cannot be read ({kind}: {error}); retry, and check the storage if it fails again"
