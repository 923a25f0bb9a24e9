"""Why storage refused a request, and whether a retry can help, for the exceptions of all back ends.

Exceptions are recognised by the names of their classes and by HTTP statuses, so that no back end must be installed.
"""

import errno
import ssl
from collections.abc import Iterator
from enum import Enum, auto


class Cause(Enum):
    """Why storage refused a request."""

    MISSING = auto()
    FORBIDDEN = auto()
    FOLDER = auto()
    NO_SUCH_STORAGE = auto()  # an unknown protocol, or its package is not installed
    NO_CREDENTIALS = auto()  # none, or expired or unknown ones: concerns every request made with them, not one file
    NO_ANSWER = auto()  # 5xx, throttling, time-outs, resets, DNS, a mount that hangs
    OTHER = auto()


#: Causes that a retry may overcome.
PASSING = frozenset({Cause.NO_ANSWER, Cause.NO_CREDENTIALS})

_CREDENTIAL_CODES = frozenset({
    "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "RequestExpired",
    "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
    "RequestTimeTooSkewed", "AuthFailure",
})  # fmt: skip
_BUSY_CODES = frozenset({
    "SlowDown", "Throttling", "ThrottlingException", "RequestThrottled", "RequestThrottledException",
    "RequestLimitExceeded", "TooManyRequestsException", "BandwidthLimitExceeded", "ServiceUnavailable", "InternalError",
    "RequestTimeout", "RequestTimeoutException", "OperationAborted", "PriorRequestNotComplete",
    "XAmzContentSHA256Mismatch",
})  # fmt: skip
_MISSING_CODES = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion"})
# Exception classes, or their bases, of botocore, aiohttp, google-auth, azure-core, requests, urllib3 and paramiko.
_CREDENTIAL_ERRORS = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "MetadataRetrievalError",
    "TokenRetrievalError", "NoAuthTokenError", "SSOError", "LoginError", "ClientAuthenticationError",
    "DefaultCredentialsError", "RefreshError",
})  # fmt: skip
_ANSWERLESS_ERRORS = frozenset({
    "TimeoutError", "Timeout", "ConnectionError", "ConnectTimeoutError", "HTTPClientError", "HTTPException",
    "ClientConnectionError", "ClientPayloadError", "IncompleteRead", "IncompleteReadError", "ResponseParserError",
    "ProtocolError", "TransportError", "ServiceRequestError", "ServiceResponseError", "SSHException", "gaierror",
    "SSLError",
})  # fmt: skip
_ANSWERLESS_NUMBERS = frozenset(
    getattr(errno, name)
    for name in (
        "EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "ETIME", "EBUSY", "EAGAIN", "EINTR", "ENETDOWN", "ENETUNREACH",
        "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH", "ECONNABORTED", "ECONNRESET", "ECONNREFUSED", "ENOTCONN", "ESHUTDOWN",
        "EPIPE", "EPROTO", "ENOLINK", "ECOMM", "ENONET", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEDIUM",
    )
    if hasattr(errno, name)
)  # fmt: skip
_CREDENTIAL_NUMBERS = frozenset(
    getattr(errno, name) for name in ("ENOKEY", "EKEYEXPIRED", "EKEYREVOKED") if hasattr(errno, name)
)
_BUSY_STATUSES = frozenset({408, 423, 425, 429, 500, 502, 503, 504, 507, 508, 509, 520, 521, 522, 523, 524, 598, 599})
_STATUS_NAMES = ("status", "status_code", "code", "http_status")


def cause_of(error: BaseException) -> Cause:
    """Return why storage refused. The innermost exception decides: it comes from storage, the others wrap it."""
    for chain in (_chain(error, implied=False), _chain(error, implied=True)):
        for link in reversed(list(chain)):
            cause = _cause_of_one(link)
            if cause is not Cause.OTHER:
                return cause
    return Cause.OTHER


def is_passing(error: BaseException) -> bool:
    """Return whether the same request may succeed later, once storage, network or credentials have recovered."""
    return cause_of(error) in PASSING


def is_bare_refusal(error: BaseException) -> bool:
    """Return whether storage refused without a reason, as for a HEAD request, whose response has no body: the object or
    the credentials may be the cause."""
    return any(_code(link) in ("400", "403") for link in _chain(error, implied=True))


def access_problem(error: Exception) -> str:
    """Return what went wrong with a request to storage, and the remedy, for people."""
    cause, message = cause_of(error), " ".join(str(error).split())
    if cause is Cause.MISSING:
        return "does not exist; check the path (a link may point nowhere)"
    if cause is Cause.FORBIDDEN:
        return f"may not be read ({message}); check its permissions, or the credentials for the bucket"
    if cause is Cause.FOLDER:
        return "is a folder, not a file"
    if cause is Cause.NO_SUCH_STORAGE:
        return f"cannot be opened ({message}); check the URI's protocol and that its fsspec package is installed"
    if cause is Cause.NO_CREDENTIALS:
        if any(type(link).__name__ == "NoCredentialsError" for link in _chain(error, implied=True)):
            names = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (a public bucket: FSSPEC_S3_ANON=true)"
            return f"no credentials; set {names}"
        return f"the storage does not take the credentials ({message}); renew them, then run the same command again"
    if cause is Cause.NO_ANSWER:
        return (
            f"the storage does not answer ({type(error).__name__}: {message}); check the network, the mount or "
            "AWS_ENDPOINT_URL, then run the same command again"
        )
    return f"cannot be read ({type(error).__name__}: {message})"


def _chain(error: BaseException, implied: bool) -> Iterator[BaseException]:
    """Yield an exception and its causes; `implied`: also exceptions that were being handled when it was raised."""
    link, seen = error, set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ or not implied else link.__context__)


def _cause_of_one(error: BaseException) -> Cause:
    names = {kind.__name__ for kind in type(error).__mro__}
    if "StorageUnavailable" in names:
        return Cause.NO_ANSWER
    if isinstance(error, ImportError) or "Protocol not known" in str(error):
        return Cause.NO_SUCH_STORAGE
    if "FileExpired" in names or isinstance(error, ssl.SSLCertVerificationError):
        return Cause.OTHER
    cause = _cause_of_answer(_code(error), _status(error))
    if cause is not None:
        return cause
    if names & _CREDENTIAL_ERRORS or getattr(error, "errno", None) in _CREDENTIAL_NUMBERS:
        return Cause.NO_CREDENTIALS
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Cause.MISSING
    if isinstance(error, IsADirectoryError):
        return Cause.FOLDER
    if names & _ANSWERLESS_ERRORS or getattr(error, "errno", None) in _ANSWERLESS_NUMBERS:
        return Cause.NO_ANSWER
    if isinstance(error, PermissionError):
        return Cause.FORBIDDEN
    return Cause.OTHER


def _code(error: BaseException) -> str:
    """Return S3's error code, or the HTTP status if the response had no body; empty for other back ends."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _status(error: BaseException) -> int:
    """Return the HTTP status of an exception, 0 if it has none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    for name in _STATUS_NAMES:
        value = getattr(error, name, None)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return 0


def _cause_of_answer(code: str, status: int) -> Cause | None:
    """Return what an HTTP response means; None without a response, OTHER if it means something else."""
    if code in _CREDENTIAL_CODES:
        return Cause.NO_CREDENTIALS
    if code in _BUSY_CODES or status in _BUSY_STATUSES:
        return Cause.NO_ANSWER
    if code in _MISSING_CODES or status in (404, 410):
        return Cause.MISSING
    if status in (401, 407) or code == "400":
        # The response to a HEAD request has no body; status 400 most likely means expired credentials.
        return Cause.NO_CREDENTIALS
    if status == 403:
        return Cause.FORBIDDEN
    return Cause.OTHER if status else None
