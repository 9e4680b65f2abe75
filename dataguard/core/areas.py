"""Which area a place belongs to, and whether outputs may go there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataguard.core.paths import is_inside
from dataguard.model.area import Area, Role
from dataguard.model.finding import Code
from dataguard.model.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.gate import OutputFacts
    from dataguard.model.placement import Person, Places
    from dataguard.model.policy import AreaRules, Policy

__all__ = [
    "area_of",
    "check_output_place",
    "default_place",
    "expand",
    "gold_area",
    "layered_areas",
    "named_places",
    "settle",
]

_VARIABLE = re.compile(r"(\{user\}|\{dataset\}|\*)")
_ANY_DATASET = r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*"


def area_of(path: str, areas: Iterable[Area]) -> Area | None:
    """Return the deepest area that holds a path; gold where two areas are the same place."""
    holding = [area for area in areas if is_inside(path, area.place)]
    return max(holding, key=lambda a: (len(a.place), a.role is Role.GOLD), default=None)


def settle(granted: tuple[Area, ...], claimed: Iterable[Area]) -> tuple[Area, ...]:
    """Return the granted areas, and those claimed that open nothing inside gold.

    A policy grants areas; a workspace merely claims its outputs place.
    """
    gold = tuple(area for area in claimed if area.role is Role.GOLD)
    firm = (*granted, *gold)
    others = (area for area in claimed if area.role is not Role.GOLD)
    return (*firm, *(a for a in others if not _is_gold(area_of(a.place, firm))))


def layered_areas(policy: Policy, places: Places) -> tuple[tuple[Area, ...], ...]:
    """Return the areas of each table of the policy; the catalog's areas are with the first.

    The tables are judged one by one, so that a table from a lower layer opens nothing that
    another table, or a registered location, closes.
    """
    first, *rest = (tuple(_declared(rules, places)) for rules in policy.areas)
    return (settle(first, places.areas), *rest)


def check_output_place(
    output: OutputFacts, policy: Policy, places: Places, datasets: tuple[str, ...]
) -> Placement:
    """Decide whether outputs may go to a place; any of its paths inside gold closes it.

    `datasets` are what `{dataset}` may stand for; none: any name.
    """
    if not output.aliases:
        reason = f"cannot tell what `{output.place}` is: {output.error or 'it has no path'}"
        return Placement(output.place, None, Code.DG504, reason)
    deciding = _deciding(output.aliases, policy, places)
    gold = next((area for area in deciding if _is_gold(area)), None)
    if gold is not None:
        reason = f"`{output.place}` is inside gold: `{gold.place}` is {gold.source}"
        return Placement(output.place, gold, Code.DG303, reason)
    area = next((area for area in deciding if area is not None), None)
    closed = _closed_by(output.aliases, policy, places, datasets)
    if closed:
        allowed = " or ".join(f"`{pattern}`" for pattern in closed)
        reason = f"`{output.place}` is not where policy `{policy.name}` wants outputs: {allowed}"
        return Placement(output.place, area, Code.DG504, reason)
    where = f"in {area.source}" if area is not None else "outside gold"
    return Placement(output.place, area, None, f"`{output.place}` is {where}")


def gold_area(aliases: tuple[str, ...], policy: Policy, places: Places) -> Area | None:
    """Return the gold area that one of a place's paths lies in, or None."""
    return next((area for area in _deciding(aliases, policy, places) if _is_gold(area)), None)


def named_places(policy: Policy, person: Person) -> tuple[str, ...]:
    """Return the places whose other absolute paths matter: gold areas and heads of patterns.

    Output areas are not among them: they count only under the path that the policy names, so
    that no link of a user opens gold.
    """
    gold = [expand(place, person) for rules in policy.areas for place in rules.gold]
    heads = [_head_and_tail(p, person)[0] for group in policy.outputs.allowed for p in group]
    return tuple(dict.fromkeys([*gold, *heads]))


def default_place(policy: Policy, person: Person, dataset: str) -> str | None:
    """Return where outputs go without a workspace, or None where the policy does not say."""
    if policy.outputs.default is None:
        return None
    return expand(policy.outputs.default, person).replace("{dataset}", dataset)


def _deciding(aliases: tuple[str, ...], policy: Policy, places: Places) -> list[Area | None]:
    layers = layered_areas(policy, places)
    return [area_of(alias, areas) for alias in aliases for areas in layers]


def _declared(rules: AreaRules, places: Places) -> Iterator[Area]:
    for place in rules.gold:
        expanded = expand(place, places.person)
        for path in (expanded, *places.equivalents.get(expanded, ())):
            yield Area(path, Role.GOLD, f"a gold area of the policy (`{place}`)")
    for role, named in ((Role.OUTPUT, rules.output), (Role.SCRATCH, rules.scratch)):
        for place in named:
            source = f"an area of the policy for {role} (`{place}`)"
            yield Area(expand(place, places.person), role, source)


def _closed_by(
    aliases: tuple[str, ...], policy: Policy, places: Places, datasets: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the first list of patterns that allows none of the paths, or nothing."""
    for group in policy.outputs.allowed:
        matchers = [m for p in group for m in _matchers(p, places, datasets)]
        if not any(m.fullmatch(alias) for m in matchers for alias in aliases):
            return group
    return ()


def _matchers(pattern: str, places: Places, datasets: tuple[str, ...]) -> Iterator[re.Pattern[str]]:
    head, tail = _head_and_tail(pattern, places.person)
    names = "|".join(re.escape(name) for name in datasets) or _ANY_DATASET
    meaning = {
        "{user}": re.escape(places.person.user),
        "{dataset}": f"(?:{names})",
        "*": "[^/]*",
    }
    below = "".join(meaning.get(part) or re.escape(part) for part in _VARIABLE.split(tail))
    for path in (head, *places.equivalents.get(head, ())):
        yield re.compile(re.escape(path.rstrip("/")) + below + r"(?:/.*)?", re.DOTALL)


def _head_and_tail(pattern: str, person: Person) -> tuple[str, str]:
    """Split a pattern before the first part that a user could choose.

    What comes after is taken by its name only: a link there is no other name of the place.
    """
    if pattern.startswith("{home}"):
        return person.home, pattern.removeprefix("{home}")
    found = _VARIABLE.search(pattern)
    cut = len(pattern) if found is None else pattern.rindex("/", 0, found.start())
    return pattern[:cut] or "/", pattern[cut:]


def expand(place: str, person: Person) -> str:
    """Return a place with `{home}` and `{user}` replaced."""
    return place.replace("{home}", person.home).replace("{user}", person.user)


def _is_gold(area: Area | None) -> bool:
    return area is not None and area.role is Role.GOLD
