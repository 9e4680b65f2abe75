"""Configuration that lets other programs show versions read-only, submounts included.

Every form asks for the strongest that its program has, and for an error where that cannot be had:
recursively read-only, and private, so that what is mounted below later does not come in writable.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from typing import TYPE_CHECKING, assert_never

from dataguard.core.yamltext import to_yaml
from dataguard.errors import ConflictError
from dataguard.model.emit import Dialect, Emission

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.emit import Exposure

__all__ = ["UNDOING", "emission"]

UNDOING = (
    "CAP_SYS_ADMIN",
    "CAP_SYS_PTRACE",
    "CAP_DAC_READ_SEARCH",
    "CAP_MKNOD",
    "CAP_SYS_RAWIO",
    "CAP_SYS_MODULE",
    "CAP_SYS_BOOT",
    "CAP_BPF",
    "CAP_PERFMON",
    "CAP_LINUX_IMMUTABLE",
)
"""Capabilities with which a process can undo a read-only mount, or write past it."""

_OPTIONS = ("rbind", "rprivate", "nosuid", "nodev", "ro", "rro")
_KNOWN_TO_OLD_BWRAP = frozenset(UNDOING) - {"CAP_BPF", "CAP_PERFMON"}


def emission(dialect: Dialect, exposures: Iterable[Exposure]) -> Emission:
    """Return the configuration that shows versions read-only.

    Raises:
        ConflictError: a path cannot be written in that form.
    """
    exposures = tuple(exposures)
    for _, path in _pairs(exposures, sources=True):
        _check(path, dialect)
    match dialect:
        case Dialect.DOCKER:
            return _docker(exposures)
        case Dialect.COMPOSE:
            return _document({"services": {"job": {"volumes": [*_volumes(exposures)]}}})
        case Dialect.K8S:
            return _document(_pod(exposures))
        case Dialect.OCI:
            return _oci(exposures)
        case Dialect.SYSTEMD:
            return _systemd(exposures)
        case Dialect.BWRAP:
            return _bwrap(exposures)
        case _:
            assert_never(dialect)


def _pairs(exposures: tuple[Exposure, ...], *, sources: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what is shown and where; with `sources`, sources alone as well."""
    for exposure in exposures:
        if sources:
            yield exposure.source, exposure.source
        yield from ((exposure.source, target) for target in exposure.targets)


def _check(path: str, dialect: Dialect) -> None:
    if not all(c.isprintable() or unicodedata.category(c) == "Zs" for c in path):
        raise ConflictError(
            f"{path!r} cannot be written in configuration for {dialect}: it is not UTF-8, or has "
            "control characters",
            hint="register it under another path, or use `dataguard run` on the host",
        )
    if dialect is Dialect.K8S and ":" in path:
        raise ConflictError(
            f"{path!r} cannot be mounted by Kubernetes, which allows no `:` in a mount path",
            hint="register it under another path",
        )


def _docker(exposures: tuple[Exposure, ...]) -> Emission:
    """See docker-run(1), `--mount`: fields of one line of CSV; Engine 25 or newer."""
    words: list[str] = []
    for source, target in _pairs(exposures):
        fields = ("type=bind", f"source={source}", f"target={target}", "readonly")
        words += ["--mount", ",".join([*map(_csv, fields), *_PRIVATE])]
    return Emission(_in_lines(words, 2), tuple(words))


_PRIVATE = ("bind-propagation=rprivate", "bind-recursive=readonly")


def _volumes(exposures: tuple[Exposure, ...]) -> Iterator[dict[str, object]]:
    """See the long syntax of volumes in the Compose Specification."""
    for source, target in _pairs(exposures):
        yield {
            "type": "bind",
            "source": source.replace("$", "$$"),
            "target": target.replace("$", "$$"),
            "read_only": True,
            "bind": {
                "create_host_path": False,
                "propagation": "rprivate",
                "recursive": "readonly",
            },
        }


def _pod(exposures: tuple[Exposure, ...]) -> dict[str, object]:
    """See VolumeMount in the Kubernetes API; the kubelet refuses what it cannot make recursive."""
    mounts: list[object] = []
    volumes: list[object] = []
    for number, exposure in enumerate(exposures, 1):
        name = f"gold-{number}"
        host_path = {"path": exposure.source, "type": "Directory"}
        volumes.append({"name": name, "hostPath": host_path})
        mounts += [
            {
                "name": name,
                "mountPath": target,
                "readOnly": True,
                "recursiveReadOnly": "Enabled",
                "mountPropagation": "None",
            }
            for target in exposure.targets
        ]
    security = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "capabilities": {"drop": [name.removeprefix("CAP_") for name in UNDOING]},
    }
    container = {
        "name": "job",
        "image": "job",
        "securityContext": security,
        "volumeMounts": mounts,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "job"},
        "spec": {"containers": [container], "volumes": volumes},
    }


def _oci(exposures: tuple[Exposure, ...]) -> Emission:
    """See `mounts` in the OCI Runtime Specification, which has `rro` since 1.1."""
    mounts = [
        {"destination": target, "type": "bind", "source": source, "options": list(_OPTIONS)}
        for source, target in _pairs(exposures)
    ]
    document: dict[str, object] = {"ociVersion": "1.1.0", "mounts": mounts}
    return Emission(json.dumps(document, indent=2) + "\n", document)


def _systemd(exposures: tuple[Exposure, ...]) -> Emission:
    """See systemd.exec(5); a drop-in for the service of the job."""
    settings = [
        f"ReadOnlyPaths={_unit(source)}"
        if source == target
        else f"BindReadOnlyPaths={_unit(source)}:{_unit(target)}:rbind"
        for source, target in _pairs(exposures)
    ]
    settings += [
        "MountFlags=private",
        "NoNewPrivileges=yes",
        f"CapabilityBoundingSet=~{' '.join(UNDOING)}",
        "RestrictNamespaces=yes",
        "SystemCallFilter=~@mount",
        "PrivateDevices=yes",
    ]
    return Emission("\n".join(["[Service]", *settings, ""]), tuple(settings))


def _bwrap(exposures: tuple[Exposure, ...]) -> Emission:
    """See bwrap(1), whose `--ro-bind` is recursive; root keeps its capabilities unless dropped."""
    groups = [["bwrap"], ["--bind", "/", "/"], ["--dev", "/dev"], ["--proc", "/proc"]]
    groups += [["--ro-bind", source, target] for source, target in _pairs(exposures)]
    groups += [["--unshare-pid"], ["--die-with-parent"]]
    groups += [["--cap-drop", name] for name in UNDOING if name in _KNOWN_TO_OLD_BWRAP]
    groups.append(["--"])
    text = " \\\n  ".join(shlex.join(group) for group in groups) + "\n"
    return Emission(text, tuple(word for group in groups for word in group))


def _document(document: dict[str, object]) -> Emission:
    return Emission(to_yaml(document), document)


def _in_lines(words: list[str], each: int) -> str:
    groups = [words[i : i + each] for i in range(0, len(words), each)]
    return " \\\n".join(shlex.join(group) for group in groups) + "\n"


def _csv(field: str) -> str:
    """Quote a field as RFC 4180 has it, where it needs that."""
    if not any(c in field for c in ',"'):
        return field
    return '"' + field.replace('"', '""') + '"'


def _unit(path: str) -> str:
    r"""Quote a path for a list of paths in a unit: `\` before what separates, and no specifiers."""
    escaped = "".join(f"\\{c}" if c in "\\\"': " or c.isspace() else c for c in path)
    return escaped.replace("%", "%%")
