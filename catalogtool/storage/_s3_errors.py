"""What object storage answers, in words that help; never the signed request or the key in them."""

import re

import obstore

from catalogtool.errors import StorageError

FAILURES = (obstore.exceptions.BaseError, OSError)
"""Everything that obstore raises because of the other side."""

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_WORTH_ANOTHER_TRY = (408, 425, 429)
_DENIED = (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)
_ELSEWHERE = ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed")


def is_past_the_end(error: BaseException | None) -> bool:
    """Whether a range was asked for that starts behind the end of an object."""
    return _status(str(error)) == 416  # Range Not Satisfiable


def storage_error(uri: str, error: Exception, *, signed: bool, place: str) -> StorageError:
    """Our error for one of obstore's.

    Parameters
    ----------
    uri : str
        The object.
    error : Exception
        One of `FAILURES`.
    signed : bool
        Whether the request was signed.
    place : str
        Endpoint and region that the request went to.
    """
    text = str(error)
    status, code = _status(text), _code(text)
    if code == "NoSuchBucket":
        bucket = uri.removeprefix("s3://").partition("/")[0]
        return StorageError(f"{uri}: there is no bucket {bucket} at {place}", no_bucket=True)
    if isinstance(error, FileNotFoundError) or status == 404:
        return StorageError(f"{uri}: does not exist", missing=True)
    if isinstance(error, (*_DENIED, PermissionError)) or status in (401, 403):
        return _denied(uri, code, signed=signed)
    if isinstance(error, obstore.exceptions.PreconditionError):
        return StorageError(f"{uri}: was replaced while it was read; read it again")
    return _failed(uri, text, place)


def _failed(uri: str, text: str, place: str) -> StorageError:
    status, code = _status(text), _code(text)
    failed = f"{uri}: object storage failed at {place}"
    if code in _ELSEWHERE or status in (301, 307) or "redirect" in _first_words(text).lower():
        return StorageError(
            f"{failed}: the bucket is elsewhere; set its region or endpoint (AWS_REGION, "
            "AWS_ENDPOINT_URL, or the storage settings)"
        )
    answer = f"{status} {code}" if code else str(status)
    if status is not None and status < 500 and status not in _WORTH_ANOTHER_TRY:
        return StorageError(f"{failed}: it refuses the request: {answer}")
    if status is not None:
        reason = f"it keeps answering {answer}; try again later"
    elif "dns error" in text or "Connect" in text:
        reason = "it cannot be reached; check the endpoint and the network"
    else:
        reason = _first_words(text)
    return StorageError(f"{failed}: {reason}", transient=True)


def _denied(uri: str, code: str | None, *, signed: bool) -> StorageError:
    named = f" ({code})" if code else ""
    if signed:
        return StorageError(
            f"{uri}: access denied; check the credentials and the bucket's policy{named}"
        )
    return StorageError(
        f"{uri}: access denied to requests without a signature{named}; give AWS credentials in the "
        "usual places (AWS_PROFILE, ~/.aws), unless the bucket was meant to be public"
    )


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return int(found[1]) if found else None


def _code(text: str) -> str | None:
    found = _CODE.search(text)
    return found[1] if found else None


def _first_words(text: str) -> str:
    # What follows them may quote the access key and the signed request.
    first = text.split("\n", 1)[0].split("<", 1)[0]
    return re.sub(r"\?\S*", "", first).strip(" -:")
