"""Why a document or one of its pages cannot be read. One class a cause; the class name is the record's `error.type`."""


class DocumentError(Exception):
    """Base of all; the message names the document and the remedy."""


class InaccessibleDocument(DocumentError):
    """The bytes cannot be fetched: missing, no permission, a folder, or the storage does not answer."""


class EmptyDocument(DocumentError):
    """No bytes at all: a file of size 0 or a null in a Parquet image column."""


class UnknownFormat(DocumentError):
    """The suffix or the first bytes are of no format that is read."""


class EncryptedDocument(DocumentError):
    """A PDF that opens only with a password."""


class UnreadableDocument(DocumentError):
    """A known format, but damaged or cut off."""


class PageTooLarge(DocumentError):
    """More pixels than `Limits.max_megapixels`, or more bytes than `Limits.max_document_mib`. Nothing was decoded."""


class PageNotFound(DocumentError):
    """The document has fewer pages than the page number asked for."""
