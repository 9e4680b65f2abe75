"""How a bucket is reached: what flags, the environment and configuration files say."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """What a client of a bucket needs to know; it holds no secret, so it may be pickled and logged.

    `endpoint` is a URL without a trailing slash, empty for AWS; `region` may be empty: then the
    client asks the server.
    """

    bucket: str
    endpoint: str = ""
    region: str = ""
    profile: str = ""
    anonymous: bool = False
    requester_pays: bool = False
