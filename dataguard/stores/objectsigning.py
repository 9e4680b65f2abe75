"""Signs requests to object stores.

Source: AWS Signature Version 4, "Authenticating Requests (AWS Signature Version 4)" in the
Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["EMPTY_SHA256", "Keys", "Signer", "encoded_path", "encoded_query"]

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What proves who asks; never printed, stored or pickled."""

    key: str
    secret: str
    token: str | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to be written down."""
        raise TypeError("credentials are not pickled")


class Signer:
    """Signs for one region; keeps the key of the day, which is the same for all requests."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._day: tuple[str, str, bytes] = ("", "", b"")

    def headers(
        self,
        line: tuple[str, str, str],
        given: Mapping[str, str],
        *,
        body_sha256: str,
        keys: Keys,
        moment: str,
    ) -> dict[str, str]:
        """Return the headers to send: those given, and those that sign them.

        `line` is method, path and query, encoded as they are sent; the names of `given`, the host
        among them, are lower case. `moment` is `YYYYMMDDTHHMMSSZ`, in UTC.
        """
        sent = {**given, "x-amz-content-sha256": body_sha256, "x-amz-date": moment}
        if keys.token:
            sent["x-amz-security-token"] = keys.token
        names = sorted(name for name in sent if name == "host" or name.startswith("x-amz-"))
        canonical = "".join(f"{name}:{' '.join(sent[name].split())}\n" for name in names)
        signed = ";".join(names)
        request = "\n".join((*line, canonical, signed, body_sha256))
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
        signature = hmac.digest(self._key(keys, moment[:8]), text.encode(), "sha256").hex()
        sent["authorization"] = (
            f"{_ALGORITHM} Credential={keys.key}/{scope},SignedHeaders={signed},"
            f"Signature={signature}"
        )
        return sent

    def _key(self, keys: Keys, day: str) -> bytes:
        known_day, known_secret, known = self._day
        if known_day == day and known_secret == keys.secret:
            return known
        made = f"AWS4{keys.secret}".encode()
        for part in (day, self.region, "s3", "aws4_request"):
            made = hmac.digest(made, part.encode(), "sha256")
        self._day = day, keys.secret, made
        return made


def encoded_path(key: bytes) -> str:
    """Return a key as it stands in a URL: all encoded but letters, digits, `-_.~/`."""
    return quote_from_bytes(key, safe="/")


def encoded_query(parameters: Iterable[tuple[str, str | bytes]]) -> str:
    """Return a query string in the order that signatures want."""
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in parameters)
    return "&".join(f"{name}={value}" for name, value in pairs)
