"""Settings: each with where it comes from, and the policies that the settings name."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.model.policy import Policy

__all__ = [
    "LoadedPolicy",
    "Origin",
    "PolicyLayer",
    "PolicySource",
    "Setting",
    "Settings",
]


class Origin(StrEnum):
    """What a setting comes from; earlier members win, except over the host's policy."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    WORKSPACE = "workspace"
    HOME = "home"
    HOST = "host"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `source` names the flag, the variable or the file, or says `built in`."""

    name: str
    value: str
    origin: Origin
    source: str


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy that somebody asked for: the name of a ready policy or an absolute path."""

    origin: Origin
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set.

    `home` is absolute; `workers` is `auto` or a number, `engine` `auto`, `serial`, `local` or
    `dask`, `scheduler` the address of a Dask scheduler or empty, `digest` an identity algorithm,
    `color` and `progress` `auto`, `always` or `never`; `outputs` is the place of outputs outside
    workspaces, empty where the policy decides. `cache` is the absolute place of the node cache,
    `cache_high` and `cache_low` its marks: sizes, or shares of its file system; `cache_blocks` is
    how much memory a mount that reads on demand may keep blocks in. `policies` come in the order
    in which they apply, the host's first. `host_home` and `host_catalog` are what the host's
    configuration names, whatever wins, or empty.
    """

    home: Setting
    catalog: Setting
    workers: Setting
    engine: Setting
    scheduler: Setting
    digest: Setting
    color: Setting
    progress: Setting
    outputs: Setting
    cache: Setting
    cache_high: Setting
    cache_low: Setting
    cache_blocks: Setting
    policies: tuple[PolicySource, ...]
    host_directory: str
    host_home: str = ""
    host_catalog: str = ""

    def listed(self) -> tuple[Setting, ...]:
        """Every setting, a policy of each origin that names one included, for `doctor`."""
        policies = tuple(Setting("policy", p.value, p.origin, p.source) for p in self.policies)
        return (
            self.home,
            self.catalog,
            *policies,
            self.workers,
            self.engine,
            self.scheduler,
            self.digest,
            self.color,
            self.progress,
            self.outputs,
            self.cache,
            self.cache_high,
            self.cache_low,
            self.cache_blocks,
        )


@dataclass(frozen=True, slots=True)
class PolicyLayer:
    """A policy as its file says it, before other layers."""

    source: PolicySource
    policy: Policy


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """The rules in force, and the layers they come from: the base first, then what tightens it."""

    policy: Policy
    layers: tuple[PolicyLayer, ...]
