"""Values inside a policy that check themselves: places, codes, durations, URLs."""

# No `from __future__ import annotations`: pydantic needs the types themselves.

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from dataguard.errors import UsageError
from dataguard.model.duration import format_duration, parse_duration
from dataguard.model.finding import Code

__all__ = [
    "CatalogHome",
    "CatalogUrl",
    "CodeName",
    "Duration",
    "PathPattern",
    "Place",
    "PlacePattern",
    "Text",
    "as_conjunction",
    "as_list",
]

_PLACEHOLDER = re.compile(r"\{[^{}]*\}|[{}]")
_CODES = tuple(code.name for code in Code)


def _place_with(*placeholders: str) -> Callable[[str], str]:
    """Return a check of absolute places; what it raises, pydantic turns into its own error."""

    def check(place: str) -> str:
        for found in _PLACEHOLDER.findall(place):
            if found not in placeholders:
                raise ValueError(f"unknown placeholder `{found}`; known: {', '.join(placeholders)}")
        if re.search(r"(?<!^)\{home\}|^\{home\}[^/]", place):
            raise ValueError(f"`{place}`: `{{home}}` stands only at the beginning, before a `/`")
        scheme, separator, rest = place.partition("://")
        if (separator and scheme == "file") or not (separator or place.startswith(("/", "{home}"))):
            raise ValueError(f"`{place}` is no absolute path, nor a URL such as s3://bucket/prefix")
        path = (rest if separator else place.removeprefix("/")).rstrip("/")
        if any(part in {"", ".", ".."} for part in path.split("/")) and place != "/":
            raise ValueError(f"`{place}` has an empty part, `.` or `..` in it")
        return place.rstrip("/") or "/"

    return check


def _as_code(name: str) -> str:
    if name not in _CODES:
        raise ValueError(f"`{name}` is no finding code; `dataguard policy explain DG501` shows one")
    return name


def _as_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('a duration is text: "90d", "12h", "30m"')  # noqa: TRY004 - for pydantic
    try:
        return parse_duration(value)
    except UsageError as err:
        raise ValueError(f"{err.message}; {err.hint}") from err


def as_conjunction(value: object) -> object:
    """Make `["/a", "/b"]` the only list of a list of lists."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [value]
    return value


def as_list(value: Any) -> Any:
    """Make a single text or table a list of one."""
    return [value] if isinstance(value, str | dict) else value


def _as_url(url: str) -> str:
    if "://" not in url:
        raise ValueError(f"`{url}` is no database URL such as postgresql://host/dataguard")
    return url


def _as_path_pattern(pattern: str) -> str:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  few policies have patterns

    try:
        patterns = GitIgnoreSpec.from_lines([pattern]).patterns
    except (ValueError, re.error) as err:
        raise ValueError(f"`{pattern}` is no gitignore pattern: {err}") from err
    if not all(p.include for p in patterns) or not patterns:
        raise ValueError(f"`{pattern}` covers nothing; write a path such as docs/ or *.tmp")
    return pattern


def _as_text(value: str) -> str:
    if not value.strip():
        raise ValueError("must say something")
    return value.strip()


Place = Annotated[str, AfterValidator(_place_with("{user}", "{home}"))]
PlacePattern = Annotated[str, AfterValidator(_place_with("{user}", "{home}", "{dataset}"))]
PathPattern = Annotated[str, AfterValidator(_as_path_pattern)]
CatalogUrl = Annotated[str, AfterValidator(_as_url)]
CatalogHome = Annotated[str, AfterValidator(_place_with())]
CodeName = Annotated[str, AfterValidator(_as_code), WithJsonSchema({"enum": list(_CODES)})]
Text = Annotated[str, AfterValidator(_as_text), WithJsonSchema({"type": "string", "minLength": 1})]
Duration = Annotated[
    timedelta,
    BeforeValidator(_as_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,5}[smhdw]$"}),
]
