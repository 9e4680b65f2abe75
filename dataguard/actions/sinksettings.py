"""Reads `[[sinks]]` of `config.toml`, of the home and of the host."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dataguard.actions.configuration import parsed
from dataguard.errors import ConfigurationError
from dataguard.model.alert import SinkKind, SinkSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.model.settings import Settings

__all__ = ["read_sinks"]

_TARGETS = {
    SinkKind.JSONL: "file",
    SinkKind.SYSLOG: "address",
    SinkKind.JOURNALD: "address",
    SinkKind.WEBHOOK: "url",
    SinkKind.PROMETHEUS: "address",
}
_KEYS: dict[SinkKind, dict[str, type]] = {
    SinkKind.JSONL: {"file": str, "max_bytes": int, "keep": int, "sync": bool},
    SinkKind.SYSLOG: {"address": str},
    SinkKind.JOURNALD: {"address": str},
    SinkKind.WEBHOOK: {"url": str, "secret_file": str, "secret_variable": str},
    SinkKind.PROMETHEUS: {"file": str, "address": str},
}
_SHARED: dict[str, type] = {"kind": str, "name": str, "timeout_s": int, "limit": int}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def read_sinks(settings: Settings) -> tuple[SinkSettings, ...]:
    """Return the sinks of the host and the home; names tell them apart.

    Raises:
        ConfigurationError: a table has an unknown key, lacks one, or a value makes no sense.
    """
    found: dict[str, SinkSettings] = {}
    for directory in (settings.host_directory, settings.home.value):
        file = os.path.join(directory, "config.toml")
        tables = parsed(file).get("sinks", [])
        if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
            raise ConfigurationError(f"{file}: `sinks` must be tables", hint="write [[sinks]]")
        for table in tables:
            one = _sink(file, table)
            if one.name in found:
                raise ConfigurationError(
                    f"{file}: there are two sinks `{one.name}`", hint='give one a name = "..."'
                )
            found[one.name] = one
    return tuple(found.values())


def _sink(file: str, table: Mapping[str, Any]) -> SinkSettings:
    where = f"{file}: [[sinks]]"
    if table.get("kind") not in tuple(SinkKind):
        raise ConfigurationError(
            f"{where} has no known `kind`", hint=f"one of {', '.join(SinkKind)}"
        )
    kind = SinkKind(str(table["kind"]))
    where = f"{where} {kind}"
    known = _KEYS[kind] | _SHARED
    for key, value in table.items():
        _check(where, known, key, value)
    name = str(table.get("name", kind))
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(f"{where}: `{name}` is no name", hint="a-z, 0-9, `.`, `_`, `-`")
    given = {key: value for key, value in table.items() if key not in ("kind", "name", "address")}
    target = str(given.pop("file", "") or given.pop("url", "") or table.get("address", ""))
    _check_target(where, kind, target)
    return SinkSettings(kind, name, target, **given)


def _check(where: str, known: Mapping[str, type], key: str, value: object) -> None:
    if key not in known:
        close = get_close_matches(key, known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known keys: {', '.join(known)}"
        raise ConfigurationError(f"{where}: unknown key `{key}`", hint=hint)
    wanted = known[key]
    is_right = isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool)
    if not is_right or (wanted is int and int(str(value)) < 1):
        words = {str: "text", int: "a number from 1", bool: "true or false"}[wanted]
        raise ConfigurationError(f"{where}: `{key}` must be {words}")


def _check_target(where: str, kind: SinkKind, target: str) -> None:
    match kind:
        case SinkKind.JSONL:
            fits = target.startswith("/")
        case SinkKind.WEBHOOK:
            fits = _is_web_address(target)
        case SinkKind.PROMETHEUS:
            host, _, port = target.rpartition(":")
            fits = target.startswith("/") or (host in _LOOPBACK and port.isdigit())
        case SinkKind.SYSLOG:
            fits = not target or target.startswith("/") or target.rpartition(":")[2].isdigit()
        case SinkKind.JOURNALD:
            fits = not target or target.startswith("/")
    if not fits:
        # A web address may hold a token: nothing of it is ever shown.
        shown = "what is given" if kind is SinkKind.WEBHOOK else f"`{target}`"
        raise ConfigurationError(f"{where}: {shown} is no {_TARGETS[kind]}", hint=_HINTS[kind])


def _is_web_address(target: str) -> bool:
    """Whether a target can be asked as it is, and holds no password."""
    try:
        parts = urlsplit(target)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its brackets or its port make no sense
        return False
    plain = target.isascii() and target.isprintable() and " " not in target
    return known and plain and parts.username is None


_HINTS = {
    SinkKind.JSONL: 'file = "/var/log/dataguard/alerts.jsonl"',
    SinkKind.WEBHOOK: 'url = "https://host/path"; a secret goes into secret_file',
    SinkKind.PROMETHEUS: 'file = "/var/lib/node_exporter/dataguard.prom" or '
    'address = "127.0.0.1:9754"',
    SinkKind.SYSLOG: 'address = "/dev/log" or "host:514"',
    SinkKind.JOURNALD: "leave `address` out",
}
