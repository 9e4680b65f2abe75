"""Configuration for other programs that mount: what they shall show, and in which form."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Dialect", "Emission", "EmitReport", "Exposure"]


class Dialect(StrEnum):
    """Whom the configuration is for."""

    DOCKER = "docker"
    COMPOSE = "compose"
    K8S = "k8s"
    OCI = "oci"
    SYSTEMD = "systemd"
    BWRAP = "bwrap"


@dataclass(frozen=True, slots=True)
class Exposure:
    """A version, the directory that holds it, and the absolute paths at which it shall be seen."""

    name: str
    dataset: str
    version: int
    root: str
    source: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Emission:
    """Configuration as text to paste, and as the value that the text is a form of.

    `configuration` is a list of arguments (docker, bwrap), of settings (systemd), or a document.
    """

    text: str
    configuration: tuple[str, ...] | Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EmitReport:
    """What `mount --emit` printed, and for which versions."""

    emit: Dialect
    mounts: tuple[Exposure, ...]
    configuration: tuple[str, ...] | Mapping[str, object]
    text: str
