"""How a bucket is reached: what flags, the environment and configuration files say."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dataguard.errors import UsageError
from dataguard.model.dataclass import dataclass
from dataguard.model.objects import ObjectPlace

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Access", "Peer", "access_to"]

_DOTLESS = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is talked to."""

    host: str
    port: int
    secure: bool

    @classmethod
    def of(cls, url: str) -> Peer:
        """Read the URL of an endpoint.

        Raises:
            UsageError: it is none.
        """
        hint = "--endpoint-url https://host:port"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as err:
            raise UsageError(f"`{url}` is no endpoint", hint=hint) from err
        if parts.username or parts.password:
            raise UsageError("an endpoint holds no user and no password", hint=hint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise UsageError(f"`{url}` is no endpoint", hint=hint)
        secure = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if secure else 80), secure)

    @property
    def name(self) -> str:
        """Host and port as the `Host` header has them."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.secure else 80) else f"{name}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without a trailing slash."""
        return f"{'https' if self.secure else 'http'}://{self.name}"


@dataclass(frozen=True, slots=True)
class Access:
    """What a client of a bucket needs to know; it holds no secret, so it may be pickled and logged.

    `endpoint` is a URL without a trailing slash, empty for AWS. An empty `region` is asked for
    where the server wants one. `profile` is the name of a profile, empty for the ordinary chain.
    """

    bucket: str
    endpoint: str = ""
    region: str = ""
    profile: str = ""
    anonymous: bool = False
    requester_pays: bool = False

    @property
    def peer(self) -> Peer:
        """Who is talked to: the endpoint, or the bucket's own host at AWS."""
        if self.endpoint:
            return Peer.of(self.endpoint)
        region = self.region or "us-east-1"
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        host = f"s3.{region}.{domain}"
        return Peer(f"{self.bucket}.{host}" if self.is_virtual else host, 443, secure=True)

    @property
    def is_virtual(self) -> bool:
        """Whether the bucket is named by the host; other endpoints know it by the path."""
        # A bucket with dots would need a certificate that nobody has.
        return not self.endpoint and _DOTLESS.fullmatch(self.bucket) is not None


def access_to(
    bucket: str, asked: ObjectPlace, recorded: ObjectPlace | None, environment: Mapping[str, str]
) -> Access:
    """Return how a bucket is reached: what is asked for, the environment, what was recorded.

    What none of them says comes from fsspec's configuration for `s3`, and from AWS's own files.

    Raises:
        UsageError: the endpoint is no URL of one.
    """
    configured = _configured()
    recorded = recorded or ObjectPlace()
    endpoint = (
        asked.endpoint
        or environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or recorded.endpoint
        or _text(configured, "endpoint_url")
    )
    profile = (
        asked.profile
        or environment.get("AWS_PROFILE")
        or recorded.profile
        or _text(configured, "profile")
    )
    region = (
        asked.region
        or environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or recorded.region
        or _text(configured, "region_name")
    )
    anonymous = asked.anonymous or recorded.anonymous or _flag(configured, "anon")
    pays = asked.requester_pays or recorded.requester_pays or _flag(configured, "requester_pays")
    if not (endpoint and region) and _has_own_files(environment):
        from dataguard.stores.s3credentials import profile_settings  # noqa: PLC0415  loads botocore

        named, there = profile_settings(profile)
        endpoint, region = endpoint or named, region or there
    if endpoint:
        endpoint = Peer.of(endpoint).url
    return Access(bucket, endpoint, region, profile, anonymous, pays)


def _has_own_files(environment: Mapping[str, str]) -> bool:
    """Whether there are files of AWS's own that may say something."""
    named = environment.get("AWS_CONFIG_FILE") or "~/.aws/config"
    return os.path.exists(os.path.expanduser(named))


def _configured() -> Mapping[str, object]:
    """Return fsspec's configuration for `s3`: its files and `FSSPEC_S3_*`."""
    from fsspec.config import conf  # noqa: PLC0415  only where a bucket is at hand

    found: Mapping[str, object] = conf.get("s3", {})
    return found


def _text(configured: Mapping[str, object], name: str) -> str:
    nested = configured.get("client_kwargs")
    found = configured.get(name)
    if found is None and isinstance(nested, dict):
        found = nested.get(name)
    return found if isinstance(found, str) else ""


def _flag(configured: Mapping[str, object], name: str) -> bool:
    return str(configured.get(name, "")).lower() in ("true", "1")
