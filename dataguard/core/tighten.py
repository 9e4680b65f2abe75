"""Join policies: the result asks for the stricter of both, key by key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dataguard.model.finding import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dataguard.model.finding import Severity
    from dataguard.model.policy import Policy, Rules

    Stricter = Callable[[Any, Any], Any]

__all__ = ["tighten"]


def tighten(floor: Policy, other: Policy) -> Policy:
    """Return `floor` with everything in which `other` is stricter.

    A key that `other` does not set says nothing. Whatever `floor` refuses, the result refuses;
    `tighten(p, p) == p`; the name and the exemptions stay those of `floor`.
    """
    changes: dict[str, Any] = {
        name: _tighten_section(getattr(floor, name), getattr(other, name), rules)
        for name, rules in _STRICTER.items()
    }
    changes["severity"] = _severities(floor, other)
    if "areas" in other.said:
        changes["areas"] = _both(floor.areas, other.areas)
    return replace(floor, **changes, said=floor.said | changes.keys())


def _tighten_section(floor: Rules, other: Rules, rules: Mapping[str, Stricter]) -> Rules:
    changes: dict[str, Any] = {
        key: stricter(getattr(floor, key), getattr(other, key))
        for key, stricter in rules.items()
        if key in other.said
    }
    return replace(floor, **changes, said=floor.said | changes.keys())


def _severities(floor: Policy, other: Policy) -> dict[str, Severity]:
    """Raise what `other` rates higher; it cannot lower what the floor says or leaves at default."""
    raised = {
        name: severity
        for name, severity in other.severity.items()
        if severity.rank > floor.severity_of(Code[name]).rank
    }
    return {**floor.severity, **raised}


def _later_member(floor: Any, other: Any) -> Any:
    """Return the later member of an enum whose members go from weak to strong."""
    members = list(floor.__class__)
    return max(floor, other, key=members.index)


def _shorter(floor: Any, other: Any) -> Any:
    given = [duration for duration in (floor, other) if duration is not None]
    return min(given, default=None)


def _longer(floor: Any, other: Any) -> Any:
    given = [duration for duration in (floor, other) if duration is not None]
    return max(given, default=None)


def _both(floor: Any, other: Any) -> Any:
    """Join lists of which every item has to be satisfied."""
    return (*floor, *(item for item in other if item not in floor))


def _of_both(floor: Any, other: Any) -> Any:
    """Join lists of what is allowed: what both have."""
    return tuple(item for item in floor if item in other)


def _floors_own(floor: Any, other: Any) -> Any:
    """Keep a choice that is neither weak nor strong; `other` may make it where `floor` does not."""
    return other if floor is None else floor


def _the_floors(floor: Any, _other: Any) -> Any:
    """Keep what nobody below may change."""
    return floor


_STRICTER: Mapping[str, Mapping[str, Stricter]] = {
    "digest": {"required_strength": _later_member},
    "inputs": {"pinned": max},
    "outputs": {"allowed": _both, "default": _floors_own},
    "audit": {"max_age": _shorter, "level": _later_member},
    "mount": {"required_guarantee": _later_member},
    "seal": {"required": _later_member},
    "objects": {
        "versioning": _later_member,
        "lock": _later_member,
        "retention": _longer,
        "canary": _later_member,
        "canary_max_age": _shorter,
    },
    "run": {
        "confine": _later_member,
        "required": _later_member,
        "writable": _of_both,
        "writes": _later_member,
        "diverted": _later_member,
        "attempts": _later_member,
    },
    "watch": {
        "bucket_interval": _shorter,
        "quarantine_on": _both,
        "command": _the_floors,
        "command_timeout": _the_floors,
        "maintenance": _the_floors,
    },
    "catalog": {"url": _both, "home": _both},
}
