"""Database URLs: where a catalog is, without asking what is there."""

from __future__ import annotations

import re

from dataguard.errors import ConfigurationError
from dataguard.model.dataclass import dataclass

__all__ = ["Address", "database_path", "parse_url", "sqlite_url"]

_URL = re.compile(
    r"(?P<backend>\w+)(?:\+\w+)?://(?P<server>[^/?]*)(?:/(?P<path>[^?]*))?(?:\?(?P<options>.*))?",
    re.DOTALL,
)
_HINT = "write sqlite:////absolute/path/catalog.db"
_BUSY_TIMEOUT_S = 30.0
_LONGEST_S = 1e6  # SQLite counts milliseconds in 32 bits


@dataclass(frozen=True, slots=True)
class Address:
    """A database file, and how many seconds to wait for somebody else's lock on it."""

    path: str
    timeout_s: float = _BUSY_TIMEOUT_S


def parse_url(url: str) -> Address:
    """Read `sqlite:////absolute/path?timeout=SECONDS`; the path is percent-encoded.

    Raises:
        ConfigurationError: the URL makes no sense, or names another database than SQLite.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise ConfigurationError(f"`{url}` is no database URL", hint=_HINT)
    if found["backend"] != "sqlite":
        raise ConfigurationError(
            f"catalogs on `{found['backend']}` are not supported yet", hint=_HINT
        )
    path = _unquoted(found["path"] or "")
    if found["server"] or not path.startswith("/"):
        raise ConfigurationError(f"`{url}` names no absolute path", hint=_HINT)
    return Address(path, _timeout(url, found["options"] or ""))


def database_path(url: str) -> str:
    """Return the file of a database URL.

    Raises:
        ConfigurationError: the URL makes no sense, or names another database than SQLite.
    """
    return parse_url(url).path


def sqlite_url(path: str) -> str:
    """Return the URL of a database file, `database_path(sqlite_url(p)) == p`.

    Raises:
        ConfigurationError: the path is not UTF-8, which a URL cannot say.
    """
    from urllib.parse import quote  # noqa: PLC0415  as below

    try:
        return f"sqlite:///{quote(path, safe=' +/')}"
    except UnicodeEncodeError as err:
        raise ConfigurationError(
            f"the path of the catalog is not UTF-8: {path!a}",
            hint="set DATAGUARD_HOME to another folder",
        ) from err


def _unquoted(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote  # noqa: PLC0415  takes longer to load than most of a command

    return unquote(path)


def _timeout(url: str, options: str) -> float:
    if not options:
        return _BUSY_TIMEOUT_S
    from urllib.parse import parse_qsl  # noqa: PLC0415  as above

    given = dict(parse_qsl(options, keep_blank_values=True))
    text = given.pop("timeout", str(_BUSY_TIMEOUT_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if given or not 0 <= seconds <= _LONGEST_S:
        raise ConfigurationError(
            f"`{url}` has an option that makes no sense",
            hint="the only one is ?timeout=SECONDS",
        )
    return seconds
