"""Read the text of a policy, and say in which line it is wrong; loaded only where there is one."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast, get_args

from pydantic import ValidationError

from dataguard.model import policy, policy_form
from dataguard.model.policy_report import PolicyProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

    from dataguard.model.policy import CatalogRules, Policy

__all__ = ["catalog_rules", "line_of", "policy_of", "read_policy"]

_HEADER = re.compile(r"\s*\[\[?([^\[\]#]+)\]")
_KEY = re.compile(r"""\s*([A-Za-z0-9_."'-]+(?:\s*\.\s*[A-Za-z0-9_"'-]+)*)\s*=""")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def read_policy(text: str) -> Policy | tuple[PolicyProblem, ...]:
    """Return the policy, or everything that is wrong with it in the order of its lines."""
    try:
        return policy_of(tomllib.loads(text))
    except tomllib.TOMLDecodeError as err:
        return (_syntax_problem(text, str(err)),)
    except ValidationError as err:
        details = err.errors(include_url=False)
        problems = {_problem(text, d) for d in details if not _is_consequence(d, details)}
        return tuple(sorted(problems, key=lambda p: (p.line, p.key, p.message)))


def policy_of(tables: Mapping[str, object]) -> Policy:
    """Return the policy that the tables of a file describe.

    Raises:
        ValidationError: they describe none.
    """
    return cast("Policy", _plain(policy_form.Policy.model_validate(tables)))


def catalog_rules(given: Mapping[str, str]) -> CatalogRules:
    """Return the rules on the catalog that these keys describe, as in a policy.

    Raises:
        ValidationError: they describe none.
    """
    return cast("CatalogRules", _plain(policy_form.CatalogRules.model_validate(given)))


def _plain(value: Any) -> Any:
    """Return the plain value of a table, which has its name and its keys."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if not isinstance(value, policy_form.Rules):
        return value
    kind = getattr(policy, type(value).__name__)
    keys = {key: _plain(getattr(value, key)) for key in type(value).model_fields}
    return kind(**keys, said=frozenset(value.model_fields_set))


def line_of(text: str, location: Iterable[str | int]) -> int:
    """Return the line (from 1) of a key, else of its table, else 1.

    A number in second place chooses one of several tables of one name.
    """
    parts = tuple(location)
    names = tuple(part for part in parts if isinstance(part, str))
    wanted = parts[1] if len(parts) > 1 and isinstance(parts[1], int) else None
    depth, line = 0, 1
    for number, found, repeat in _keys(text):
        right_table = repeat is None or wanted is None or repeat == wanted
        if right_table and len(found) > depth and found == names[: len(found)]:
            depth, line = len(found), number
    return line


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...], int | None]]:
    """Yield line, full name and the number of the table for all headers and keys."""
    table: tuple[str, ...] = ()
    seen: Counter[tuple[str, ...]] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if (header := _HEADER.match(line)) is not None:
            table = _names(header[1])
            seen[table] += 1
            yield number, table, seen[table] - 1
        elif (key := _KEY.match(line)) is not None:
            yield number, (*table, *_names(key[1])), seen[table] - 1 if table else None


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip().strip("\"'") for name in dotted.split("."))


def _syntax_problem(text: str, message: str) -> PolicyProblem:
    found = _AT_LINE.search(message)
    line = int(found[1]) if found is not None else max(1, len(text.splitlines()))
    said = message if found is None else message[: found.start()].strip()
    return PolicyProblem(line, "", f"not TOML: {said[:1].lower()}{said[1:]}")


def _is_consequence(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether a list is too short only because its items are wrong."""
    place = detail["loc"]
    inside = any(len(d["loc"]) > len(place) and d["loc"][: len(place)] == place for d in details)
    return detail["type"] == "too_short" and inside


def _problem(text: str, detail: ErrorDetails) -> PolicyProblem:
    location = detail["loc"]
    key = ".".join(p for p in location if isinstance(p, str) and p != "[key]")
    line = line_of(text, location)
    match detail["type"]:
        case "extra_forbidden":
            return PolicyProblem(line, key, _unknown(location))
        case "missing":
            return PolicyProblem(line, key, "is missing")
        case "value_error":
            return PolicyProblem(line, key, str(detail["ctx"]["error"]))
        case _:
            said = detail["msg"].replace("Input should be", "must be")
            said = said.replace("Tuple", "list").replace("tuple", "list")
            return PolicyProblem(line, key, f"{said[:1].lower()}{said[1:]}")


def _unknown(location: tuple[str | int, ...]) -> str:
    name = str(location[-1])
    known = list(_known_keys(location[0] if len(location) > 1 else None))
    close = get_close_matches(name, known, n=1)
    suggestion = f"did you mean `{close[0]}`? " if close else ""
    return f"unknown key; {suggestion}known: {', '.join(known)}"


def _known_keys(section: str | int | None) -> tuple[str, ...]:
    if section is None:
        return tuple(policy_form.Policy.model_fields)
    annotation = policy_form.Policy.model_fields[str(section)].annotation
    models = (annotation, *get_args(annotation))
    rules = next(m for m in models if isinstance(m, type) and issubclass(m, policy_form.Rules))
    return tuple(rules.model_fields)
