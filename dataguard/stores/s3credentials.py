"""Credentials for a bucket, found at the moment of use and kept in memory alone."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dataguard.errors import DeniedError, UsageError
from dataguard.stores.objectsigning import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.stores.s3access import Access

__all__ = ["check_extra", "keys_for", "profile_settings"]


def check_extra() -> None:
    """Refuse to go on without the libraries of the extra.

    Raises:
        UsageError: they are not installed.
    """
    if find_spec("botocore") is None:
        raise UsageError(
            "object stores need libraries that are not installed",
            hint="pip install 'dataguard[s3]'",
        )


def keys_for(access: Access) -> Callable[[], Keys | None]:
    """Return what gives the credentials to sign the next request with; None: do not sign.

    Raises:
        DeniedError: there are no credentials.
        UsageError: the extra is not installed.
    """
    if access.anonymous:
        return lambda: None
    found = _configured(access) or _from_environment(access)
    if found is not None:
        return lambda: found
    return _by_botocore(access)


def profile_settings(profile: str) -> tuple[str, str]:
    """Return the endpoint and the region that AWS's own files name for a profile, or empty texts.

    Raises:
        UsageError: the extra is not installed.
    """
    check_extra()
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  an extra
    from botocore.session import Session  # noqa: PLC0415  as above

    try:
        session = Session(profile=profile or None)
        scoped = session.get_scoped_config()
    except BotoCoreError:
        return "", ""
    own = scoped.get("s3")
    endpoint = own.get("endpoint_url") if isinstance(own, dict) else None
    return str(endpoint or scoped.get("endpoint_url") or ""), str(scoped.get("region") or "")


def _configured(access: Access) -> Keys | None:
    """Return the credentials that fsspec's configuration for `s3` names, if any."""
    if access.profile:
        return None
    from fsspec.config import conf  # noqa: PLC0415  only where a bucket is at hand

    own = conf.get("s3", {})
    key, secret, token = own.get("key"), own.get("secret"), own.get("token")
    return Keys(str(key), str(secret), token) if key and secret else None


def _from_environment(access: Access) -> Keys | None:
    """Return what botocore would find first, without loading it in every worker."""
    if access.profile and access.profile != os.environ.get("AWS_PROFILE"):
        return None
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    return Keys(key, secret, os.environ.get("AWS_SESSION_TOKEN")) if key and secret else None


def _by_botocore(access: Access) -> Callable[[], Keys | None]:
    check_extra()
    from botocore.exceptions import BotoCoreError, ProfileNotFound  # noqa: PLC0415  an extra
    from botocore.session import Session  # noqa: PLC0415  as above

    def session_of(profile: str) -> Session:
        return Session(profile=profile or None)

    hint = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; or --anonymous"
    try:
        try:
            held = session_of(access.profile).get_credentials()
        except ProfileNotFound:  # one of another host: the ordinary chain then
            held = Session(profile=None).get_credentials()
    except BotoCoreError as err:
        raise DeniedError(f"no credentials for s3://{access.bucket}: {err}", hint=hint) from err
    if held is None:
        raise DeniedError(f"no credentials for s3://{access.bucket}", hint=hint)

    def keys() -> Keys:
        try:
            now = held.get_frozen_credentials()
        except BotoCoreError as err:
            raise DeniedError(f"no credentials for s3://{access.bucket}: {err}", hint=hint) from err
        return Keys(now.access_key, now.secret_key, now.token)

    return keys
