"""Why a document or one of its pages cannot be read. One class a cause; the class name is the record's `error.type`."""

from common.storage import StorageUnavailable
from common.storage.causes import access_problem, is_passing


class DocumentError(Exception):
    """Base of all; the message names the document and the remedy."""


class InaccessibleDocument(DocumentError):
    """The bytes cannot be fetched, and a retry will not help: missing, no permission, a folder, no such protocol.

    For passing faults there is `common.storage.StorageUnavailable`. It is no fault of the document, so its pages are
    not done: no row of them is committed, and the next run reads them.
    """


class EmptyDocument(DocumentError):
    """No bytes at all: a file of size 0 or a null in a Parquet image column."""


class UnknownFormat(DocumentError):
    """The suffix or the first bytes are of no format that is read."""


class EncryptedDocument(DocumentError):
    """A PDF that opens only with a password."""


class UnreadableDocument(DocumentError):
    """A known format, but damaged or cut off."""


class PageTooLarge(DocumentError):
    """More pixels than `Limits.max_megapixels`, or more bytes than `Limits.max_document_mib`: nothing was decoded. Or
    reading the page took more memory than a page may take."""


class PageTooSlow(DocumentError):
    """Reading the page took longer than a page may take."""


class PageNotFound(DocumentError):
    """The document has fewer pages than the requested page number."""


class ReadingFailed(DocumentError):
    """A library refused the page in a way nobody foresaw: a fault of the reader rather than of the document."""


def access_error(uri: str, error: Exception) -> DocumentError | StorageUnavailable:
    """Return the error for a failed access, in words a user can act on: StorageUnavailable for what passes."""
    if isinstance(error, DocumentError | StorageUnavailable):
        return error
    kind = StorageUnavailable if is_passing(error) else InaccessibleDocument
    return kind(f"{uri}: {access_problem(error)}")


_LIBRARIES = frozenset({"cv2", "PIL", "numpy", "openvino", "onnxruntime", "pypdfium2", "pypdfium2_raw"})
_OPENCV_OUT_OF_MEMORY = -4  # cv::Error::StsNoMem
_NO_MEMORY_WORDS = ("bad_alloc", "failed to allocate")  # of OpenVINO and ONNX Runtime, which raise RuntimeErrors


def documented(error: BaseException, stage: str) -> BaseException:
    """Return the error of a page's record for an exception of a stage. Libraries' own exceptions, which mean little to
    users, become a `DocumentError` that quotes them; all others are returned unchanged."""
    if isinstance(error, DocumentError):
        return error
    own_words = f"{type(error).__name__}: {error}".strip()
    short_of_memory = (
        isinstance(error, MemoryError)
        or getattr(error, "code", None) == _OPENCV_OUT_OF_MEMORY
        or (isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY_WORDS))
    )
    if short_of_memory:
        return PageTooLarge(f"{stage} of this page takes more memory than there is; scale it down ({own_words})")
    if type(error).__module__.partition(".")[0] in _LIBRARIES:
        return ReadingFailed(f"{stage} failed on this page; convert it to a plain PNG, or report it ({own_words})")
    return error
