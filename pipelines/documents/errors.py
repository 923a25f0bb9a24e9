"""Why a document or one of its pages cannot be read. One class a cause; the class name is the record's `error.type`."""


class DocumentError(Exception):
    """Base of all; the message names the document and the remedy."""


class InaccessibleDocument(DocumentError):
    """The bytes cannot be fetched, and asking again will not help: missing, no permission, a folder, no such protocol.

    See `StorageUnavailable` for what passes.
    """


class StorageUnavailable(DocumentError):
    """Storage did not answer, or took no credentials, for as long as it was asked: it cannot be read *now*.

    That says nothing of the document, so its pages are not done: no row of them is committed, the next run reads them.
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
    """The document has fewer pages than the page number asked for."""
