"""What the answers to canary writes mean, and what they prove for how long."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from dataguard.model.canary import SETTINGS, CanaryState
from dataguard.model.duration import format_duration
from dataguard.model.mount import ProbeOutcome

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.canary import CanaryRecord

__all__ = [
    "NO_CANARY",
    "credential_hash",
    "is_proven",
    "masked",
    "meaning",
    "protection_words",
    "role_of",
]

NO_CANARY = "not enforced: no canary was sent"
"""What is said of a place where nobody tried."""

_FORBIDDEN = 403
_OK = range(200, 300)
_PASSED = (409, 412)
_LACKING = (405, 501)

# Refused for who asks, not for what is asked: the answer would be the same to a read.
_NOBODY = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"),
        *("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidClientTokenId"),
        *("RequestTimeTooSkewed", "RequestExpired", "InvalidSecurity", "MissingSecurityHeader"),
        *(
            "AccountProblem",
            "NotSignedUp",
            "XAmzContentSHA256Mismatch",
            "UnrecognizedClientException",
        ),
    }
)
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NotFound", "404"})
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403"})
_ABSENT = frozenset({"NotImplemented", "MethodNotAllowed"})

_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d*):assumed-role/([^/]+)/.+")
_SHOWN = 4
_CLOCK_SKEW = timedelta(minutes=5)


def meaning(status: int, code: str) -> ProbeOutcome:
    """Return what an answer says about a write; `code` is empty where there was no error.

    Refused is only what would have been allowed to somebody else. A name that is missing was
    looked for, so nothing stood against the write. What is none of these proves nothing.
    """
    if code in _NOBODY:
        return ProbeOutcome.FAILED
    if code in _DENIED or status == _FORBIDDEN:
        return ProbeOutcome.REFUSED
    if code in _ABSENT or status in _LACKING:
        return ProbeOutcome.SKIPPED
    if code in _MISSING or status in _PASSED or (status in _OK and not code):
        return ProbeOutcome.ALLOWED
    return ProbeOutcome.FAILED


def credential_hash(identity: str) -> str:
    """Return the name of an identity in records: of an access key id, or of a role's ARN."""
    return hashlib.sha256(f"dataguard-credential-1\n{identity}".encode()).hexdigest()


def masked(access_key: str) -> str:
    """Return an access key id of which no more than a quarter shows at either end."""
    shown = min(_SHOWN, len(access_key) // 4)
    return f"{access_key[:shown]}...{access_key[len(access_key) - shown :]}"


def role_of(arn: str) -> str:
    """Return the ARN of the role of a session, any other ARN as it is."""
    found = _SESSION.fullmatch(arn)
    return arn if found is None else f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}"


def is_proven(record: CanaryRecord | None, max_age: timedelta | None, now: datetime) -> bool:
    """Whether a record shows now that its credential cannot write: refused, and not too long ago.

    One from the future, by more than clocks differ, shows nothing.
    """
    if record is None or record.state is not CanaryState.PROTECTED:
        return False
    young = max_age is None or now - record.verified <= max_age
    return young and record.verified <= now + _CLOCK_SKEW


def protection_words(
    record: CanaryRecord | None, max_age: timedelta | None = None, now: datetime | None = None
) -> str:
    """Return how well a place is protected against a credential, in words that claim no more.

    Without `now` it is what was proven at its time.
    """
    if record is None:
        return "not enforced: no canary was sent with this credential"
    when = f"{record.verified:%Y-%m-%d %H:%M} UTC by canary as {record.caller.name}"
    if record.state is CanaryState.EXPOSED:
        return f"not enforced: {_passed(record)} got through (tried {when})"
    if record.state is CanaryState.UNPROVEN:
        return f"not verified: not all could be tried ({when})"
    if now is not None and not is_proven(record, max_age, now):
        allowed = "" if max_age is None else f", and a canary counts for {format_duration(max_age)}"
        return f"not verified: the last proof is of {when}{allowed}"
    untried = [
        step.operation
        for step in record.probe.steps
        if step.operation in SETTINGS and step.result is ProbeOutcome.FAILED
    ]
    but = f"; not tried: {', '.join(untried)}" if untried else ""
    return f"protected (verified {when}{but})"


def _passed(record: CanaryRecord) -> str:
    allowed = [s.operation for s in record.probe.steps if s.result is ProbeOutcome.ALLOWED]
    return ", ".join(allowed)
