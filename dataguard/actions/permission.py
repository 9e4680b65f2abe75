"""What the policy says to a change before it is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dataguard.catalog.change import Change, EventKind
from dataguard.errors import PolicyError
from dataguard.model.digest import Algorithm, Strength
from dataguard.model.mount import Guarantee, MountState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dataguard.model.policy import Policy

__all__ = ["permission"]


def permission(policy: Policy) -> Callable[[Change], None]:
    """Return the check that every recorded change passes; it raises PolicyError.

    Actions say the same earlier and better; this is the place that no action can forget.
    """

    def check(change: Change) -> None:
        if change.kind is EventKind.VERSION_REGISTERED:
            for version in _records(change, "version"):
                _check_digest(policy, version)
        if change.kind is EventKind.MOUNT_PUT:
            for mount in _records(change, "mount"):
                _check_mount(policy, mount)

    return check


def _check_digest(policy: Policy, version: Mapping[str, object]) -> None:
    strong = Algorithm(str(version["algorithm"])).strength is Strength.ADVERSARIAL
    needed = policy.digest.required_strength is Strength.ADVERSARIAL
    # A superseded version may be as weak as it was.
    if needed and not strong and not version["digest_sheet"] and version["state"] == "active":
        raise PolicyError(
            f"the policy `{policy.name}` asks for an adversarial digest",
            hint="register with --digest sha256, or --also sha256",
        )


def _check_mount(policy: Policy, mount: Mapping[str, object]) -> None:
    required = policy.mount.required_guarantee
    made = mount["state"] == MountState.ACTIVE
    if made and not Guarantee(str(mount["guarantee"])).may_be_recorded(required):
        raise PolicyError(f"the policy `{policy.name}` asks for mounts that are {required}")


def _records(change: Change, table: str) -> list[Mapping[str, object]]:
    put = cast("Mapping[str, list[Mapping[str, object]]]", change.payload.get("put", {}))
    return put.get(table, [])
