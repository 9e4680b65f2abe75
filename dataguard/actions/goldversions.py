"""Versions opened to be read: resolved once, and looked at again when the catalog changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.actions.goldrecords import is_input_of, reading, state_of
from dataguard.actions.goldreplicas import Reading, Trees, check_readable, replicas_of
from dataguard.catalog.address import database_path
from dataguard.model.dataclass import dataclass
from dataguard.model.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataguard.actions.goldreplicas import GoldReplica
    from dataguard.model.dataset import Location, Version
    from dataguard.model.ports import Clock
    from dataguard.model.settings import Settings

__all__ = ["GoldVersions", "OpenVersion"]


@dataclass(frozen=True, slots=True)
class OpenVersion:
    """A version that may be read, with the places where it is: `replicas`, nearest first."""

    version: Version
    locations: tuple[Location, ...]
    replicas: tuple[GoldReplica, ...]


class GoldVersions:
    """The versions that somebody reads in one process and those forked from it.

    `run` is the run this process belongs to, or empty; `unrecorded` is told once of each version
    that is read in it and is not among its inputs.

    May be used by several threads: at worst they look the same thing up twice.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        host: str,
        clock: Clock,
        run: str = "",
        unrecorded: Callable[[Version, str], None] = lambda _version, _run: None,
    ) -> None:
        self.settings = settings
        self._catalog = database_path(settings.catalog.value)
        self._reading = Reading(settings, host, clock)
        self._run, self._unrecorded = run, unrecorded
        self._pins: dict[str, str] = {}
        self._trees = Trees(settings.home.value)
        self._open: dict[str, OpenVersion] = {}
        self._before: dict[str, OpenVersion] = {}
        self._told: set[str] = set()
        self._state: tuple[int, int, int] | None = None

    @property
    def pins(self) -> dict[str, str]:
        """What each reference that was asked for means, by root digest."""
        return dict(self._pins)

    def adopt(self, pins: dict[str, str]) -> None:
        """Take over what references mean to another process; what is known here stays."""
        self._pins = pins | self._pins

    def open(self, reference: str) -> OpenVersion:
        """Return the version that a reference means since it was first asked for.

        Raises:
            ConflictError: it is withdrawn, or the catalog is older than this dataguard.
            NotFoundError: there is no such version, or no catalog.
            StoreUnreachableError: it is at no place that can be reached, or the catalog cannot.
            UsageError: it is no reference.
            CatalogDamagedError: the catalog is damaged.
        """
        state = state_of(self._catalog)
        if state != self._state:
            self._before, self._open, self._state = self._before | self._open, {}, state
        found = self._open.get(reference)
        if found is None:
            found = self._open[reference] = self._opened(reference)
        return found

    def _opened(self, reference: str) -> OpenVersion:
        meant = Reference.parse(self._pins.get(reference, reference))
        with reading(self.settings) as records:
            version = records.resolve(meant)
            locations = records.locations(version.dataset, version.number)
            covered = self._run and is_input_of(records, self._run, version)
        check_readable(version)
        self._pins[reference] = f"{version.dataset}@{version.root}"
        if covered is False and version.reference not in self._told:
            self._told.add(version.reference)
            self._unrecorded(version, self._run)
        before = self._before.get(reference)
        if before is not None and (before.version, before.locations) == (version, locations):
            return before  # with what it knows of files by now
        found = replicas_of(version, locations, self._trees, self._reading)
        return OpenVersion(version, locations, found)
