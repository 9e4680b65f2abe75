"""Which version a reference means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.errors import NotFoundError, UsageError
from dataguard.model.dataset import VersionState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.dataset import Tag, Version
    from dataguard.model.reference import Reference

__all__ = ["choose"]


def choose(reference: Reference, versions: Sequence[Version], tags: Sequence[Tag]) -> Version:
    """Return the version that a reference means, of all versions and tags of its dataset.

    Raises:
        NotFoundError: none; the message says what there is.
        UsageError: a root prefix fits several.
    """
    if reference.root_prefix is not None:
        return _by_prefix(reference, reference.root_prefix, versions)
    if reference.number is not None:
        return _by_number(reference, reference.number, versions)
    if reference.tag is not None:
        return _by_number(reference, _tagged(reference, tags), versions)
    return _newest_active(reference, versions)


def _by_number(reference: Reference, number: int, versions: Sequence[Version]) -> Version:
    for version in versions:
        if version.number == number:
            return version
    raise _not_found(reference, f"it has {_numbers(versions)}")


def _by_prefix(reference: Reference, prefix: str, versions: Sequence[Version]) -> Version:
    found = [version for version in versions if version.root.hex.startswith(prefix)]
    if not found:
        raise _not_found(reference, f"its roots begin with {_roots(versions)}")
    if len(found) > 1:
        raise UsageError(
            f"`{reference}` fits {_numbers(found)}",
            hint=f"write more digits: {found[0].dataset}@{found[0].root}",
        )
    return found[0]


def _tagged(reference: Reference, tags: Sequence[Tag]) -> int:
    for tag in tags:
        if tag.name == reference.tag:
            return tag.version
    names = ", ".join(tag.name for tag in tags)
    raise _not_found(reference, f"its tags are {names}" if names else "it has no tags")


def _newest_active(reference: Reference, versions: Sequence[Version]) -> Version:
    active = [version for version in versions if version.state is VersionState.ACTIVE]
    if active:
        return max(active, key=lambda version: version.number)
    states = ", ".join(f"{version.number} is {version.state}" for version in versions)
    raise NotFoundError(
        f"`{reference}` has no active version" + (f": {states}" if states else ""),
        hint=_way_back(reference.dataset, versions),
    )


def _way_back(dataset: str, versions: Sequence[Version]) -> str:
    """Return what makes a version active again, or who tells why none is."""
    held = [one.reference for one in versions if one.state is VersionState.QUARANTINED]
    if not held:
        return f"`dataguard log {dataset}` shows what happened to them"
    return (
        f"dataguard audit {held[-1]} --level full, then dataguard release {held[-1]} --reason WHY"
    )


def _not_found(reference: Reference, what_there_is: str) -> NotFoundError:
    return NotFoundError(
        f"no version `{reference}`; {what_there_is}",
        hint=f"`dataguard log {reference.dataset}` shows its versions and tags",
    )


def _numbers(versions: Sequence[Version]) -> str:
    if not versions:
        return "no versions"
    return "version " + ", ".join(str(version.number) for version in versions)


def _roots(versions: Sequence[Version]) -> str:
    return ", ".join(f"dg1:{version.root.hex[:8]}" for version in versions) or "nothing"
