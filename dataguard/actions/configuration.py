"""Where settings are written: flags, environment, workspace and configuration files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.errors import ConfigurationError
from dataguard.model.dataclass import dataclass
from dataguard.model.settings import Origin, Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SettingSource",
    "from_environment",
    "from_file",
    "from_flags",
    "from_workspace",
    "is_there",
    "parsed",
]

_HOME_KEYS = (
    "catalog",
    "policy",
    "workers",
    "engine",
    "scheduler",
    "digest",
    "color",
    "progress",
    "outputs",
)
_HOST_KEYS = ("home", *_HOME_KEYS)
_SINKS = "sinks"
_CACHE = "cache"
_CACHE_KEYS = {
    "place": "cache",
    "high": "cache.high",
    "low": "cache.low",
    "blocks": "cache.blocks",
}
_PRIVATE = "private"
_VARIABLES = {name: f"DATAGUARD_{name.upper()}" for name in (*_HOST_KEYS, _CACHE)} | {
    # `run` gives jobs DATAGUARD_OUTPUTS: a job that starts a job must not inherit its place
    "outputs": "DATAGUARD_OUTPUTS_PLACE"
}


@dataclass(frozen=True, slots=True)
class SettingSource:
    """The settings of one origin.

    `labels` say where each was written; relative paths start from `directory`, an empty one being
    the current directory.
    """

    origin: Origin
    values: Mapping[str, str]
    labels: Mapping[str, str]
    directory: str = ""

    def setting(self, name: str) -> Setting:
        """Return one of the settings."""
        return Setting(name, self.values[name], self.origin, self.labels[name])

    def absolute(self, path: str) -> str:
        """Return a path of this source as an absolute one."""
        return os.path.abspath(os.path.join(self.directory, path))


def from_flags(flags: Mapping[str, str | None]) -> SettingSource:
    """Return what was given on the command line."""
    given = {name: value for name, value in flags.items() if value is not None}
    return SettingSource(Origin.FLAG, given, {name: f"--{name}" for name in given})


def from_environment(environ: Mapping[str, str]) -> SettingSource:
    """Take the variables that are set and not empty; NO_COLOR counts, see no-color.org."""
    given = {name: environ[key] for name, key in _VARIABLES.items() if environ.get(key)}
    labels = {name: _VARIABLES[name] for name in given}
    if environ.get("NO_COLOR") and "color" not in given:
        given["color"], labels["color"] = "never", "NO_COLOR"
    return SettingSource(Origin.ENVIRONMENT, given, labels)


def from_workspace(directory: str | None) -> SettingSource:
    """Return what the `dataguard.toml` of a workspace sets.

    Raises:
        ConfigurationError: the file cannot be read or makes no sense.
    """
    if directory is None:
        return SettingSource(Origin.WORKSPACE, {}, {})
    file = os.path.join(directory, "dataguard.toml")
    data = parsed(file)
    named = {"outputs": ("workspace", "outputs"), "policy": ("policy", "file")}
    given = {
        name: table[key]
        for name, (section, key) in named.items()
        if isinstance(table := data.get(section), dict) and key in table
    }
    _refuse_unknown(file, data.get("policy", {}), ("file",))
    return _file_source(Origin.WORKSPACE, file, given)


def from_file(origin: Origin, file: str) -> SettingSource:
    """Return what a `config.toml` of the home or the host holds, nothing where there is none.

    Raises:
        ConfigurationError: the file cannot be read or holds something else.
    """
    data = parsed(file)
    data.pop(_SINKS, None)  # read by who needs them: `actions/sinksettings.py`
    cache = _table(file, data.pop(_CACHE, {}))
    _refuse_unknown(file, data, _HOST_KEYS if origin is Origin.HOST else _HOME_KEYS)
    return _file_source(origin, file, {**data, **cache})


def _table(file: str, cache: object) -> dict[str, object]:
    """Return the settings in `[cache]` of a file, by their names."""
    if not isinstance(cache, dict):
        hint = '[cache] place = "/var/cache/dataguard"'
        raise ConfigurationError(f"{file}: `cache` must be a table", hint=hint)
    _refuse_unknown(file, cache, (*_CACHE_KEYS, _PRIVATE))
    # `private` is read by who needs it: `actions/cacheplaces.py`
    return {_CACHE_KEYS[key]: value for key, value in cache.items() if key != _PRIVATE}


def _file_source(origin: Origin, file: str, data: Mapping[str, object]) -> SettingSource:
    values = {name: _as_text(file, name, value) for name, value in data.items()}
    return SettingSource(origin, values, dict.fromkeys(values, file), os.path.dirname(file))


def _as_text(file: str, name: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    if name == "workers" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ConfigurationError(f"{file}: `{name}` must be text", hint=f'write {name} = "..."')


def _refuse_unknown(file: str, data: object, known: tuple[str, ...]) -> None:
    names = list(data) if isinstance(data, dict) else []
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        from difflib import get_close_matches  # noqa: PLC0415  only for mistakes

        close = get_close_matches(unknown, known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"known keys: {', '.join(known)}"
        raise ConfigurationError(f"{file}: unknown key `{unknown}`", hint=hint)


def parsed(file: str) -> dict[str, object]:
    """Return what a TOML file holds; nothing where there is no such file.

    Raises:
        ConfigurationError: it cannot be read, or is no TOML.
    """
    if not is_there(file):
        return {}
    import tomllib  # noqa: PLC0415  many have no such file

    try:
        with open(file, "rb") as stream:
            return tomllib.load(stream)
    except OSError as err:
        raise ConfigurationError(f"cannot read `{file}`: {err.strerror}") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"`{file}` is not TOML: {err}") from err


def is_there(file: str) -> bool:
    """Whether there is such a name; a dangling link counts, or a host policy could vanish.

    Raises:
        ConfigurationError: that cannot be told.
    """
    try:
        os.lstat(file)
    except FileNotFoundError:
        return False
    except OSError as err:
        raise ConfigurationError(f"cannot look for `{file}`: {err.strerror}") from err
    return True
