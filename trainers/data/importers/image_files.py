"""Image files: found as labels name them, and checked before they are taken."""

import io
import os
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from trainers.data.importers.rows import RowError


class ImageFinder:
    """Finds image files by the names that labels give them: separators of Windows and decomposed Hangul included.

    Args:
        roots: folders that names may be relative to, the first that has the file wins.
        anywhere: a file that is not there is sought by its last name in all folders below the roots. Their file names
            are read once, then kept (about 150 bytes a file).
    """

    def __init__(self, roots: Sequence[Path], *, anywhere: bool = False):
        self._roots = roots
        self._anywhere = anywhere
        self._folders_of: dict[str, list[str]] | None = None

    def find(self, name: str) -> Path:
        """Return the path of an image. Raises RowError: no such file, or several in different folders."""
        for spelling in _spellings(name):
            for root in self._roots:
                path = root / spelling
                if _is_file(path):
                    return path
        if self._anywhere:
            if self._folders_of is None:
                self._folders_of = self._walk()
            base = _nfc(name.replace("\\", "/").rpartition("/")[2])
            found = self._folders_of.get(base, [])
            if len(found) > 1:
                raise RowError("image is in several folders", f"{base} in {' and '.join(found[:2])}; narrow --images")
            if found:
                return next(path for path in (Path(found[0]) / s for s in _spellings(base)) if _is_file(path))
        raise RowError("no such image", name)

    def _walk(self) -> dict[str, list[str]]:
        folders: dict[str, list[str]] = {}
        for root in self._roots:
            for folder, _, files in os.walk(root):
                for file in files:
                    folders.setdefault(_nfc(file), []).append(folder)
        return folders


def load_image(image: bytes | Path) -> tuple[bytes, tuple[int, int]]:
    """Return the encoded bytes unchanged (EXIF included), and (width, height) in px after its EXIF orientation is
    applied.

    The image is decoded, JPEG at an eighth of its size: a truncated file is found here and not in training.

    Raises:
        RowError: it cannot be read or decoded.
    """
    if isinstance(image, Path):
        try:
            content = image.read_bytes()
        except OSError as error:
            raise RowError("image cannot be read", f"{image}: {error.strerror}") from error
    else:
        content = image
    where = str(image) if isinstance(image, Path) else ""
    if not content:
        raise RowError("image is empty", where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as opened:
                width, height = opened.size
                if opened.getexif().get(0x0112, 1) in (5, 6, 7, 8):
                    width, height = height, width
                opened.draft("L", (1, 1))
                opened.load()
    except UnidentifiedImageError as error:
        raise RowError("no image that can be read", where) from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise RowError("image is damaged", f"{where} {error}".strip()) from error
    return content, (width, height)


def decode_upright(content: bytes) -> Image.Image:
    """Return the image in RGB with its EXIF orientation applied."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")


def _spellings(name: str) -> list[str]:
    forward = name.replace("\\", "/")
    spellings = [name, forward, _nfc(forward), unicodedata.normalize("NFD", forward)]
    return list(dict.fromkeys(spellings))


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False
