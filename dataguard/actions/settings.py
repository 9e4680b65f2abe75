"""Load settings and policies: flag, environment, workspace, home, host, default."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from dataguard.actions.configuration import (
    from_environment,
    from_file,
    from_flags,
    from_workspace,
    is_there,
)
from dataguard.actions.defaulthome import default_home
from dataguard.core.tighten import tighten
from dataguard.errors import ConfigurationError, PolicyError
from dataguard.model.digest import IDENTITY_ALGORITHMS
from dataguard.model.home import embedded_catalog, node_cache
from dataguard.model.policy import Policy
from dataguard.model.policy_ready import READY_POLICIES
from dataguard.model.settings import (
    LoadedPolicy,
    Origin,
    PolicyLayer,
    PolicySource,
    Setting,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.actions.configuration import SettingSource

__all__ = ["READY_POLICIES", "load", "load_policy", "read_policy_text"]

_CHOICES = {
    "engine": ("auto", "serial", "local", "dask"),
    "digest": tuple(str(algorithm) for algorithm in IDENTITY_ALGORITHMS),
    "color": ("auto", "always", "never"),
    "progress": ("auto", "always", "never"),
}
_DEFAULTS = {
    "workers": "auto",
    "engine": "auto",
    "scheduler": "",
    "digest": "xxh3-128",
    "color": "auto",
    "progress": "auto",
    "outputs": "",
}
_CACHE = {"high": "80%", "low": "70%", "blocks": "128M"}


def load(
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    *,
    workspace: str | None,
    host_directory: str = "/etc/dataguard",
) -> Settings:
    """Return every setting with its origin.

    `flags` maps setting names to what was given on the command line, `workspace` is the directory
    of a workspace. `host_directory` is a parameter for tests: nothing a user sets moves it.

    Raises:
        ConfigurationError: a file cannot be read, a key is unknown or a value makes no sense.
    """
    host_file = os.path.join(host_directory, "config.toml")
    host = from_file(Origin.HOST, host_file)
    asked = (from_flags(flags), from_environment(environ))
    home = _home((*asked, host))
    home_file = os.path.join(home.value, "config.toml")
    sources = (
        *asked,
        from_workspace(workspace),
        from_file(Origin.HOME, home_file),
        host,
    )
    return Settings(
        home=home,
        catalog=_catalog(sources, home),
        **{name: _checked(_first(name, sources, _DEFAULTS[name])) for name in _DEFAULTS},
        cache=_cache(sources, home),
        **{f"cache_{name}": _first(f"cache.{name}", sources, _CACHE[name]) for name in _CACHE},
        policies=(*_host_policy(host_directory), *_policies(sources)),
        host_directory=host_directory,
        host_home=_home((host,)).value if "home" in host.values else "",
        host_catalog=_catalog((host,), home).value if "catalog" in host.values else "",
    )


def load_policy(settings: Settings) -> LoadedPolicy:
    """Read every policy the settings name and join them.

    The first one is the base, the others only tighten it; the default policy is the base where
    nobody names one. Where the host has a policy, the home and catalog that its configuration
    names are part of the floor.

    Raises:
        PolicyError: a policy cannot be read or is invalid; there is no falling back.
    """
    default = PolicySource(Origin.DEFAULT, "default", "built in")
    layers = [PolicyLayer(s, _read_layer(s)) for s in settings.policies or (default,)]
    if layers[0].source.origin is Origin.HOST:
        layers[1:1] = _host_catalog(settings)
    policy = reduce(tighten, (layer.policy for layer in layers))
    return LoadedPolicy(policy, tuple(layers))


def read_policy_text(value: str) -> str:
    """Return the text of a ready policy or of a file.

    Raises:
        PolicyError: it cannot be read.
    """
    if value in READY_POLICIES:
        from importlib.resources import files  # noqa: PLC0415  loads much, and few ask for it

        return (files("dataguard") / "policies" / f"{value}.toml").read_text("utf-8")
    try:
        with open(value, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as err:
        why = err.strerror if isinstance(err, OSError) else "it is not UTF-8"
        hint = f"name a readable file, or one of {', '.join(READY_POLICIES)}"
        raise PolicyError(f"cannot read policy `{value}`: {why}", hint=hint) from err


def _read_layer(source: PolicySource) -> Policy:
    if source.value in READY_POLICIES:
        return READY_POLICIES[source.value]
    from dataguard.core.policy_text import read_policy  # noqa: PLC0415  loads pydantic

    read = read_policy(read_policy_text(source.value))
    if isinstance(read, Policy):
        return read
    first, *others = read
    more = f" (and {len(others)} more)" if others else ""
    key = f"`{first.key}`: " if first.key else ""
    raise PolicyError(
        f"policy `{source.value}` line {first.line}: {key}{first.message}{more}",
        hint=f"`dataguard policy check {source.value}` shows all problems",
    )


def _host_policy(directory: str) -> tuple[PolicySource, ...]:
    file = os.path.join(directory, "policy.toml")
    return (PolicySource(Origin.HOST, file, file),) if is_there(file) else ()


def _host_catalog(settings: Settings) -> list[PolicyLayer]:
    named = {"home": settings.host_home, "url": settings.host_catalog}
    given = {key: value for key, value in named.items() if value}
    if not given:
        return []
    file = os.path.join(settings.host_directory, "config.toml")
    from dataguard.core.policy_text import catalog_rules  # noqa: PLC0415  loads pydantic

    said = frozenset({"format", "name", "catalog"})
    policy = Policy(name="host configuration", catalog=catalog_rules(given), said=said)
    return [PolicyLayer(PolicySource(Origin.HOST, file, file), policy)]


def _policies(sources: Iterable[SettingSource]) -> tuple[PolicySource, ...]:
    """Return the policies asked for, from the one that binds most to the one that binds least."""
    asked = [source for source in sources if "policy" in source.values]
    return tuple(
        PolicySource(s.origin, _policy_value(s), s.labels["policy"]) for s in reversed(asked)
    )


def _policy_value(source: SettingSource) -> str:
    value = source.values["policy"]
    return value if value in READY_POLICIES else source.absolute(value)


def _home(sources: Iterable[SettingSource]) -> Setting:
    for source in sources:
        if "home" in source.values:
            return replace(source.setting("home"), value=source.absolute(source.values["home"]))
    return Setting("home", default_home(), Origin.DEFAULT, "built in")


def _catalog(sources: Iterable[SettingSource], home: Setting) -> Setting:
    setting = _first("catalog", sources, embedded_catalog(home.value))
    if "://" not in setting.value:
        raise ConfigurationError(
            f"{setting.source}: `{setting.value}` is no database URL",
            hint="write sqlite:////path/to/catalog.db or postgresql://host/database",
        )
    return setting


def _cache(sources: Iterable[SettingSource], home: Setting) -> Setting:
    for source in sources:
        if "cache" in source.values:
            found = source.setting("cache")
            return replace(found, value=source.absolute(found.value))
    return Setting("cache", node_cache(home.value), Origin.DEFAULT, "built in")


def _first(name: str, sources: Iterable[SettingSource], default: str) -> Setting:
    for source in sources:
        if name in source.values:
            return source.setting(name)
    return Setting(name, default, Origin.DEFAULT, "built in")


def _checked(setting: Setting) -> Setting:
    known, value = _CHOICES.get(setting.name), setting.value
    if known is not None and value not in known:
        raise ConfigurationError(
            f"{setting.source}: {setting.name} cannot be `{value}`", hint=f"use {', '.join(known)}"
        )
    if setting.name == "workers" and value != "auto" and not _is_count(value):
        raise ConfigurationError(
            f"{setting.source}: `{value}` is no number of workers", hint="use auto, 1, 2, 3 ..."
        )
    return setting


def _is_count(value: str) -> bool:
    return value.isascii() and value.isdigit() and int(value) > 0
