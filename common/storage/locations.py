"""URIs: where they lead, and how the URI of a listed file is spelled so that it leads back to the file.

S3 goes through s3fs, which takes credentials, profile and endpoint from the usual variables
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3,
AWS_DEFAULT_REGION, and fsspec's FSSPEC_S3_…).
"""

import inspect
import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from fsspec import AbstractFileSystem, filesystem, get_filesystem_class
from fsspec.implementations.chained import ChainedFileSystem

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BARE_PROTOCOL = re.compile(r"([a-z][a-z0-9+.-]*)::")
# Bytes that are not UTF-8, as surrogates in Python's file names, and control characters.
_ODD = re.compile("[\x00-\x1f\x7f\udc80-\udcff]")
_QUOTED = re.compile("[%\x00-\x1f\x7f\udc80-\udcff]")


def is_uri(name: str) -> bool:
    """Return whether `name` is a URI, or a chain of URIs, rather than a local path."""
    return _SCHEME.match(name) is not None or _is_bare_chain(name)


def local_path(uri: str) -> str | None:
    """Return the absolute local path of a plain path or a file:// URI; None for every other URI.

    A file:// URI may spell bytes as `%E9`; one that is not quoted, as fsspec writes them, is taken literally.
    """
    if uri.startswith("file://"):
        path = uri.removeprefix("file://")
        quoted = os.fsdecode(unquote_to_bytes(os.fsencode(path))) if "%" in path else path
        return os.path.abspath(path if os.path.lexists(path) and not os.path.lexists(quoted) else quoted)
    return None if is_uri(uri) else os.path.abspath(uri)


def spelled(path: str) -> str:
    """Return a local path as it is written into records, logs and files: unchanged if it is text.

    One with bytes that are not UTF-8 or with control characters becomes a file:// URI in which these, and `%`, are
    quoted (`file:///scans/caf%E9.png`): readable, unlike any other file's, and `local_path` leads back.
    """
    if not _ODD.search(path):
        return path
    return "file://" + _QUOTED.sub(lambda odd: f"%{os.fsencode(odd[0])[0]:02X}", path)


def spelled_uri(uri: str) -> str:
    """Return `spelled` of a URI or a local path."""
    if not _ODD.search(uri):
        return uri
    path = local_path(uri)
    return spelled(path) if path is not None else _QUOTED.sub(lambda odd: f"%{os.fsencode(odd[0])[0]:02X}", uri)


def existing_path(path: str) -> str:
    """Return `path`, or the path of the file on disk whose name is the same text in another Unicode form.

    macOS and old archives spell `스캔` or `é` decomposed (NFD), keyboards composed (NFC); people see no difference.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    found = "/"
    for name in path.strip("/").split("/"):
        below = os.path.join(found, name)
        if not os.path.lexists(below):
            wanted = composed(name)
            try:
                below = next(entry.path for entry in os.scandir(found) if composed(entry.name) == wanted)
            except (StopIteration, OSError):
                return path
        found = below
    return found


def composed(text: str) -> str:
    """Return `text` in the Unicode form in which equal texts compare equal (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def split_chain(uri: str) -> list[str]:
    """Return the links of a chain, outermost first: `zip://a.png::s3://b/c.zip` → [`zip://a.png`, `s3://b/c.zip`].

    Only a file system that lies in or over another one (an archive, a cache) begins a chain: a key of a bucket may hold
    `::` and is one link. What follows a `::` shows whether it belongs to the name of an archive's member.
    """
    bare = _BARE_PROTOCOL.match(uri) if _is_bare_chain(uri) else None
    if bare:
        return [f"{bare[1]}://", *split_chain(uri[bare.end() :])]
    scheme = _SCHEME.match(uri)
    if not scheme or "::" not in uri or not _lies_on_another(scheme[1]):
        return [uri]
    places = [found.start() for found in re.finditer("::", uri)]
    place = next((at for at in places if _is_link(uri[at + 2 :])), places[-1])
    return [uri[:place], *split_chain(uri[place + 2 :])]


def naming_link(uri: str) -> str:
    """Return the link of a chain whose path names the file: the first one, but for caches."""
    return next(link for link in split_chain(uri) if not _is_cache(link))


@dataclass(frozen=True)
class Place:
    """Where a URI leads: `path` in the file system of `protocol` with `options`."""

    protocol: str
    options: dict[str, Any]
    path: str

    @property
    def storage(self) -> str:
        """Return a key that all places in one file system share."""
        return f"{self.protocol} {sorted(self.options.items())!r}"

    def filesystem(self) -> AbstractFileSystem:
        """Open the file system. Raises ImportError if the protocol's package is not installed, and what opening an
        archive raises."""
        if "fo" in self.options and "::" in self.storage and not _is_cache(f"{self.protocol}://"):
            # fsspec would take the archive's path for a chain.
            beneath = Place(self.options["target_protocol"], self.options["target_options"], self.options["fo"])
            lower = beneath.filesystem()
            archive = filesystem(self.protocol, fo=lower.open(beneath.path, "rb"))
            archive.lower = lower  # else it would be closed when nobody holds it
            return archive
        return filesystem(self.protocol, **self.options)


def locate(uri: str) -> Place:
    """Return where a URI leads.

    Raises:
        ValueError: unknown protocol. ImportError: the protocol's package is not installed.
    """
    options: dict[str, Any] = {}
    path = protocol = ""
    for link in reversed(split_chain(uri)):
        beneath, beneath_path = protocol, path
        scheme = _SCHEME.match(link)
        protocol = scheme[1] if scheme else "file"
        kind = get_filesystem_class(protocol)
        local = local_path(link) if protocol == "file" else None
        path = str(kind._strip_protocol(link)) if local is None else local
        if protocol == "memory" and not path.startswith("/"):  # it does not strip what looks like a chain
            path = f"/{path}"
        if beneath:
            options = {"target_options": options, "target_protocol": beneath, "fo": beneath_path}
            if not path and issubclass(kind, ChainedFileSystem):
                path = beneath_path  # a cache has the names of what it caches
        options = _options(protocol) | kind._get_kwargs_from_urls(link) | options
    return Place(protocol, options, path)


def open_filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """Return the fsspec file system of a URI and the path in it.

    Listings are not cached: a job that lists a folder again must see its current files.

    Raises:
        ValueError: unknown protocol. ImportError: the protocol's package is not installed.
    """
    place = locate(uri)
    return place.filesystem(), place.path


def uri_in(filesystem: AbstractFileSystem, path: str, given: str) -> str:
    """Return the URI of a path in a file system, in the style of the `given` URI (`zip://…::s3://…` stays a chain)."""
    head, *beneath = split_chain(given)
    if beneath and _is_cache(head):
        below = _SCHEME.match(beneath[0])
        return f"{head.removesuffix('://')}::{below[0] if below else ''}{path}"
    return "::".join([filesystem.unstrip_protocol(path), *(_absolute(link) for link in beneath)])


def _absolute(link: str) -> str:
    path = local_path(link)
    return link if path is None else spelled(path)


def _options(protocol: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if protocol in ("s3", "s3a"):
        options["use_listings_cache"] = False
        # botocore takes the region from AWS_DEFAULT_REGION only; the other SDKs and AWS's own services set AWS_REGION.
        region = os.environ.get("AWS_REGION")
        if region and "AWS_DEFAULT_REGION" not in os.environ:
            options["client_kwargs"] = {"region_name": region}
    return options


def _is_bare_chain(name: str) -> bool:
    """Return whether `name` is a chain like `simplecache::s3://bucket/key`."""
    bare = _BARE_PROTOCOL.match(name)
    return bool(bare and _lies_on_another(bare[1]) and _is_link(name[bare.end() :]))


def _is_link(name: str) -> bool:
    """Return whether `name` can be a later link of a chain: an absolute path, a URI, or a bare protocol and one."""
    return name.startswith("/") or is_uri(name)


def _is_cache(link: str) -> bool:
    """Return whether a link of a chain is only a cache over the next one."""
    scheme = _SCHEME.match(link)
    if not scheme or link != scheme[0] or not _lies_on_another(scheme[1]):
        return False
    return issubclass(get_filesystem_class(scheme[1]), ChainedFileSystem)


@cache
def _lies_on_another(protocol: str) -> bool:
    """Return whether a protocol's file system lies in or over a file or folder of another one."""
    try:
        kind = get_filesystem_class(protocol)
    except ImportError:
        return protocol == "libarchive"
    except ValueError:  # unknown: an error when it is opened
        return False
    return issubclass(kind, ChainedFileSystem) or "fo" in inspect.signature(kind.__init__).parameters
