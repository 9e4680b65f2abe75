"""Who talks to a bucket, and how the same identity is known again without keeping its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataguard.core.canary import credential_hash, masked, role_of
from dataguard.errors import DeniedError, UsageError
from dataguard.model.canary import Caller
from dataguard.model.dataclass import dataclass
from dataguard.stores.objectsigning import Keys
from dataguard.stores.s3credentials import check_extra, keys_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.stores.s3access import Access

__all__ = ["Identity", "check_profile", "named_identity", "ordinary_identity"]

_TIMEOUT_S = 10
_ANONYMOUS = "anonymous"
_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who reaches a bucket; without keys it is nobody in particular."""

    access: Access
    keys: Keys | None

    def caller(self, environment: Mapping[str, str], *, ask: bool = True) -> Caller:
        """Return by what the identity is known; with `ask` STS tells its ARN, where there is one.

        Temporary keys change by the hour: their role is known again, so STS is asked for it.
        """
        if self.keys is None:
            return Caller(credential_hash(_ANONYMOUS), _ANONYMOUS)
        temporary = bool(self.keys.token)
        arn = role_of(self._arn(environment)) if ask or temporary else ""
        known = arn if temporary and arn else self.keys.key
        return Caller(credential_hash(known), masked(self.keys.key), arn)

    def client(self, service: str = "s3", endpoint: str = "") -> Any:
        """Return a client of botocore, which sends what it is told; the caller closes it."""
        check_extra()
        from botocore import UNSIGNED  # noqa: PLC0415  an extra
        from botocore.config import Config  # noqa: PLC0415  as above
        from botocore.session import Session  # noqa: PLC0415  as above

        session = Session()
        if self.keys is not None:
            session.set_credentials(self.keys.key, self.keys.secret, self.keys.token)
        config = Config(
            s3={"addressing_style": "path" if self.access.endpoint else "auto"},
            signature_version=UNSIGNED if self.keys is None else None,
            connect_timeout=_TIMEOUT_S,
            read_timeout=_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        return session.create_client(
            service,
            region_name=self.access.region or _REGION,
            endpoint_url=endpoint or self.access.endpoint or None,
            config=config,
        )

    def _arn(self, environment: Mapping[str, str]) -> str:
        """Ask STS who this is: that of AWS, or one that the environment names; else empty."""
        named = environment.get("AWS_ENDPOINT_URL_STS") or environment.get("AWS_ENDPOINT_URL") or ""
        if self.access.endpoint and not named:
            return ""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  an extra

        client = self.client("sts", named)
        try:
            return str(client.get_caller_identity().get("Arn") or "")
        except (BotoCoreError, ClientError):
            return ""  # nobody tells; then the key is what is known
        finally:
            client.close()


def ordinary_identity(access: Access) -> Identity:
    """Return whom this process is to a bucket.

    Raises:
        DeniedError: there are no credentials.
        UsageError: the extra is not installed.
    """
    return Identity(access, keys_for(access)())


def named_identity(access: Access, environment: Mapping[str, str], prefix: str) -> Identity:
    """Return who is named by `PREFIX_ACCESS_KEY_ID` and `PREFIX_SECRET_ACCESS_KEY`, and no other.

    `PREFIX_SESSION_TOKEN` belongs to them, where it is set.

    Raises:
        UsageError: they are not set.
    """
    names = [f"{prefix}_{one}" for one in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
    key, secret, token = (environment.get(name) for name in names)
    if not (key and secret):
        raise UsageError(
            f"the environment has no {names[0]} with {names[1]}",
            hint="export the job's credential under these names, or give --profile NAME",
        )
    return Identity(access, Keys(key, secret, token or None))


def check_profile(profile: str) -> None:
    """Refuse a profile that this host does not have, in whose place another would be taken.

    Raises:
        DeniedError: there is none of this name.
        UsageError: the extra is not installed.
    """
    check_extra()
    from botocore.session import Session  # noqa: PLC0415  an extra

    if profile not in Session().available_profiles:
        raise DeniedError(
            f"this host has no profile `{profile}`", hint="aws configure list-profiles"
        )
