"""`mount --emit`: configuration that lets another program show versions read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.resolution import wanted_entries
from dataguard.core.emit import emission
from dataguard.core.objectplaces import is_objects
from dataguard.errors import ConflictError, NotFoundError
from dataguard.model.emit import EmitReport, Exposure
from dataguard.model.workspace import Workspace
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.emit import Dialect
    from dataguard.model.reference import Reference
    from dataguard.model.workspace import LockEntry

__all__ = ["emit"]


def emit(
    ctx: Context,
    dialect: Dialect,
    reference: Reference | None,
    *,
    workspace: str | None,
    name: str | None = None,
) -> EmitReport:
    """Return configuration for a version, or for all that a workspace declares; changes nothing.

    A version is shown at its registered place, so that gate, run and audit find it there, and in
    a workspace at `data/NAME` as well.

    Raises:
        ConfigurationError: a workspace file makes no sense.
        ConflictError: the version may not be used, or its path cannot be written in that form.
        NotFoundError: there is no such version or workspace, or nothing is declared.
        StoreUnreachableError: no location of the version can be reached from this host.
    """
    declared = Workspace("", "") if workspace is None else workspaces.read(workspace)
    entries = wanted_entries(ctx, declared, reference, name)
    if not entries:
        raise NotFoundError(
            "nothing is declared in this workspace", hint=f"dataguard mount REF --emit {dialect}"
        )
    for entry in entries:
        _check_directory(entry)
    exposures = tuple(_exposure(entry, declared.directory) for entry in entries)
    made = emission(dialect, exposures)
    return EmitReport(dialect, exposures, made.configuration, made.text)


def _check_directory(entry: LockEntry) -> None:
    if is_objects(entry.location):
        raise ConflictError(
            f"{entry.dataset}@{entry.version} lies in an object store, which no runtime mounts",
            hint=f"`dataguard mount {entry.dataset}@{entry.version}` on the host makes a directory",
        )


def _exposure(entry: LockEntry, directory: str) -> Exposure:
    targets = [entry.location]
    if directory:
        targets.append(workspaces.target(directory, entry.name))
    return Exposure(
        name=entry.name,
        dataset=entry.dataset,
        version=entry.version,
        root=str(entry.root),
        source=entry.location,
        targets=tuple(targets),
    )
