"""What goes wrong on the way to a store: tried again where it may pass by itself, else said in a sentence."""

from __future__ import annotations

import contextlib
import errno
import random
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from fsrcnn.errors import Cancelled, FsrcnnError, ImageError
from fsrcnn.places.remote import Remote
from fsrcnn.places.stores import AZURE, FILE_SYSTEMS, GOOGLE, S3, forget

TRIES = 6
# Seconds; then twice as long each time, less a part of it at random, so that many do not come back at once.
FIRST_WAIT = 0.5
PATIENCE = 60.0  # seconds after which no other try begins
LOOK = 0.1  # seconds between looks at whether the work was stopped

# What may pass by itself, by the HTTP status, the store's code, or the class of the exception. Classes are compared by name: those of
# stores that nobody uses are not even installed.
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
_PASSING_CODES = (
    "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded",
    "OperationAborted", "ConditionalRequestConflict", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch",
)  # fmt: skip
_PASSING_CLASSES = {
    "TimeoutError", "FSTimeoutError", "ConnectionError", "EOFError", "gaierror",
    "HTTPClientError", "IncompleteReadError", "IncompleteRead", "ResponseParserError", "FlexibleChecksumError",  # of botocore
    "ClientPayloadError", "ClientConnectionError", "ClientOSError", "ContentLengthError",  # of aiohttp
    "ServiceRequestError", "ServiceResponseError",  # of Azure
    "SSHException", "NoValidConnectionsError",  # of paramiko
}  # fmt: skip
_LASTING_CLASSES = {
    "SSLError", "ClientConnectorCertificateError", "ClientConnectorSSLError", "AuthenticationException", "BadHostKeyException",
    "NoCredentialsError", "InvalidURL", "TooManyRedirects",
}  # fmt: skip
_PASSING_ERRNO = (
    errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH,
)  # fmt: skip
_DROPPED = ("Socket is closed", "Server connection dropped")  # of paramiko, which gives no number

_CREDENTIALS = {
    **dict.fromkeys(
        S3, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (and AWS_ENDPOINT_URL where the store is not Amazon's)"
    ),
    **dict.fromkeys(GOOGLE, "set GOOGLE_APPLICATION_CREDENTIALS to a key file, or type: gcloud auth application-default login"),
    **dict.fromkeys(AZURE, "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
    "sftp": "name the user (sftp://USER@HOST/), and give ssh-agent a key that the host knows",
}  # fmt: skip
_PUBLIC = "; for a public bucket set FSSPEC_S3_ANON=true"
_WRONG_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefreshRequired")
_OTHER_REGION = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "Redirect",
    "301",
)

Result = TypeVar("Result")
_stopped: ContextVar[Callable[[], bool]] = ContextVar("stopped", default=lambda: False)


@contextlib.contextmanager
def heeding(stopped: Callable[[], bool]) -> Iterator[None]:
    """Within, and in this thread, waits between tries end as soon as `stopped()` is true.

    Raises:
        Cancelled: out of whatever waited.
    """
    token = _stopped.set(stopped)
    try:
        yield
    finally:
        _stopped.reset(token)


def patiently(remote: Remote, doing: str, call: Callable[[int], Result]) -> Result:
    """`call(0)`; after what may pass, `call(1)` …

    Args:
        doing: for messages: "cannot DOING s3://…".
        call: takes how many tries were before it.

    Raises:
        FsrcnnError: as the call raises it, or what any other exception of its means.
        Cancelled: it was stopped while it waited.
    """
    began = time.monotonic()
    for number in range(TRIES):
        try:
            return call(number)
        except FsrcnnError:
            raise
        except Exception as error:  # each store's package has its own, few of which are an OSError
            wait = FIRST_WAIT * 2**number * random.uniform(0.5, 1)
            late = time.monotonic() + wait > began + PATIENCE
            if number + 1 == TRIES or late or not may_pass(error):
                raise explained(remote, doing, error, tries=number + 1) from error
        if remote.scheme in FILE_SYSTEMS:  # whose packages open no other connection by themselves where one breaks
            forget(remote.scheme)
        _wait(wait)
    raise AssertionError("unreachable: the last try returns or raises")


def may_pass(error: BaseException) -> bool:
    """Whether another try may do better."""
    names = _names(error)
    if names & _LASTING_CLASSES:
        return False
    if {kind.__name__ for kind in type(error).__mro__} & _PASSING_CLASSES:
        return True
    status, code = code_of(error)
    if status is not None or code:
        return status in _PASSING_STATUS or code in _PASSING_CODES
    number = getattr(error, "errno", None)
    return bool(names & _PASSING_CLASSES) or number in _PASSING_ERRNO or any(said in str(error) for said in _DROPPED)


def code_of(error: BaseException) -> tuple[int | None, str]:
    """What a store answered: the HTTP status, and its own code where it gives one, as `NoSuchKey`."""
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):  # of botocore
            return response.get("ResponseMetadata", {}).get("HTTPStatusCode"), str(
                response.get("Error", {}).get("Code", "")
            )
        for name in ("status", "status_code", "code"):  # of aiohttp, Azure, gcsfs; `code` is many things elsewhere
            found = getattr(cause, name, None) if name != "code" or type(cause).__name__ == "HttpError" else None
            if isinstance(found, int | str) and str(found).isdecimal():
                return int(found), str(getattr(cause, "error_code", None) or "")
    return None, ""


def explained(remote: Remote, doing: str, error: BaseException, *, tries: int = 1) -> ImageError:
    """What an exception of a store's package means, in a sentence.

    Args:
        doing: what was tried: `read`, `write`, `list`.
        tries: how many times.
    """
    status, code = code_of(error)
    names = _names(error)
    bucket = remote.bucket_and_key()[0]
    cannot = f"cannot {doing} {remote}"
    credentials = _CREDENTIALS.get(remote.scheme, "")
    public = _PUBLIC if remote.scheme in S3 else ""
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return ImageError(f"{cannot}: there is no bucket {bucket}")
    if code in ("InvalidBucketName", "InvalidResourceName") or "ParamValidationError" in names:
        return ImageError(f"{cannot}: no bucket can have the name {bucket!r}")
    if code in ("KeyTooLongError",):
        return ImageError(f"{cannot}: its name is longer than the store allows")
    if code == "InvalidObjectState":
        return ImageError(f"{cannot}: it lies in an archive (Glacier)", "restore it first")
    if names & {"NoCredentialsError", "PartialCredentialsError", "NoAuthInConfigurationError"}:
        return ImageError(f"{cannot}: there are no credentials for it", credentials + public)
    if names & {"ProfileNotFound", "ConfigNotFound", "ConfigParseError", "CredentialRetrievalError", "TokenRetrievalError",
                "UnauthorizedSSOTokenError", "SSOTokenLoadError", "DefaultCredentialsError", "RefreshError",
                "ClientAuthenticationError"}:  # fmt: skip
        return ImageError(f"{cannot}: {_said(error)}", credentials)
    if code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        return ImageError(f"{cannot}: its credentials have expired", "renew AWS_SESSION_TOKEN, or type: aws sso login")
    if code == "RequestTimeTooSkewed":
        return ImageError(f"{cannot}: the clock of this machine is wrong")
    if code in _OTHER_REGION:
        return ImageError(f"{cannot}: the bucket lies in another region", "set AWS_DEFAULT_REGION to it")
    if code in _WRONG_KEYS or status == 401 or "AuthenticationException" in names:
        return ImageError(f"{cannot}: the credentials are wrong{f' ({code})' if code else ''}", credentials)
    if remote.web and status is not None and status < 500 and status not in (404, 410):
        return ImageError(f"{cannot}: the server refuses it ({status})")
    if status == 403 or (status is None and isinstance(error, PermissionError)):
        return ImageError(f"{cannot}: it is not allowed with these credentials{f' ({code})' if code and code != '403' else ''}",
                          credentials + public)  # fmt: skip
    if status in (404, 410) or isinstance(error, FileNotFoundError):
        if doing in ("write", "list") and remote.scheme not in FILE_SYSTEMS:
            return ImageError(f"{cannot}: there is no bucket {bucket}")
        if doing == "write":
            return ImageError(f"{cannot}: what it is to lie in does not exist, or is no folder")
        return ImageError(f"{remote} does not exist")
    if names & {
        "EndpointConnectionError",
        "ClientConnectorError",
        "ServiceRequestError",
        "gaierror",
        "NoValidConnectionsError",
    }:
        said, remedy = "nothing answers there", "is AWS_ENDPOINT_URL right?" if remote.scheme in S3 else ""
    else:
        said, remedy = (
            f"the store answers {status} {code if code != str(status) else ''}".rstrip() if status else _said(error),
            "",
        )
    return ImageError(f"{cannot}: {said}{f' (after {tries} tries)' if tries > 1 else ''}", remedy)


def _said(error: BaseException) -> str:
    """An exception's own words, without what may be a secret in them: addresses."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join("…" if "://" in word and ("?" in word or "@" in word) else word for word in text.split())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, what it was made of, what that was made of …"""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _names(error: BaseException) -> set[str]:
    """The names of an exception's classes, and of those that it was made of."""
    return {kind.__name__ for cause in _causes(error) for kind in type(cause).__mro__}


def _wait(seconds: float) -> None:
    stopped = _stopped.get()
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if stopped():
            raise Cancelled("stopped while a store was waited for")
        time.sleep(min(left, LOOK))
