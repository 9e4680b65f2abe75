"""Lines for policies: what is wrong in a file, the rules in force, what they say of a thing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.placement import Placement
from dataguard.model.policy_report import CodeExplanation, PolicyCheck, PolicyReport
from dataguard.report.lines import Paint, columns, lines_of, place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dataguard.model.policy_report import PolicyValue
    from dataguard.model.settings import PolicySource

__all__: list[str] = []


@lines_of.register(PolicyCheck)
def _(result: PolicyCheck, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    if result.valid:
        yield paint("good", "valid") + f" {place(result.file)}: policy `{escape(result.name)}`"
        return
    for problem in result.problems:
        key = f" {escape(problem.key)}:" if problem.key else ""
        yield f"{place(result.file)} line {problem.line}:{key} {escape(problem.message)}"
    yield paint("bad", "not valid") + f", problems: {len(result.problems)}"


@lines_of.register(PolicyReport)
def _(result: PolicyReport, paint: Paint, verbose: int) -> Iterator[str]:
    yield paint("strong", f"policy {escape(result.name)}")
    for layer in result.layers:
        yield f"  {_layer(layer)}"
    shown = result.values if verbose else [value for value in result.values if value.value != []]
    yield from columns([_rule(value) for value in shown])


@lines_of.register(Placement)
def _(result: Placement, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    code = "" if result.code is None else f" [{result.code.name}]"
    verdict = paint("good", "allowed") if result.code is None else paint("bad", "refused")
    yield f"{verdict} as a place for outputs: {place(result.place)}{code}"
    yield f"  because {escape(result.reason)}"
    if result.area is not None:
        area = result.area
        yield f"  area    {area.role} {place(area.place)}: {escape(area.source)}"


@lines_of.register(CodeExplanation)
def _(result: CodeExplanation, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    yield paint("strong", f"{result.code.name} {result.code.title}")
    by = f", set by {_names(result.decided_by)}" if result.decided_by else ""
    yield f"  severity  {result.severity} (default {result.default_severity}{by})"
    yield f"  remedy    {result.code.remedy}"
    for one in result.exemptions:
        path = "" if one.path is None else f" {escape(one.path)}"
        yield f"  exempted  {escape(one.dataset)}{path} until {one.expires}: {escape(one.reason)}"


def _rule(value: PolicyValue) -> tuple[str, str, str]:
    vain = f"; overruled: {_names(value.overruled)}" if value.overruled else ""
    by = f"({_names(value.decided_by)}{vain})"
    return f"  {escape(value.key)}", _words(value.value), by


def _words(value: object) -> str:
    """Return a rule's value; names in it are quoted where they could be taken for more."""
    return value if isinstance(value, str) and escape(value) == value else json.dumps(value)


def _names(sources: Iterable[PolicySource]) -> str:
    return ", ".join(str(source.origin) for source in sources)


def _layer(source: PolicySource) -> str:
    return f"{source.origin}: {place(source.value)} ({escape(source.source)})"
