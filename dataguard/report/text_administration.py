"""Lines for administration: what a host can do, where settings come from, the records' health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.chain import Event
from dataguard.core.paths import escape
from dataguard.model.administration import Backup, CatalogCheck, Diagnosis, Rebuild, Upgrade
from dataguard.report.lines import Paint, columns, lines_of, number, place, time_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__: list[str] = []

_NAMED_BY = {"run": "id", "workspace": "directory"}
_ABILITY_STYLE = {"ok": "good", "missing": "warn", "failed": "bad"}


@lines_of.register(Diagnosis)
def _(result: Diagnosis, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    width = max(len(ability.name) for ability in result.abilities)
    for ability in result.abilities:
        state = paint(_ABILITY_STYLE[ability.state], f"{ability.state:<7}")
        yield f"{state} {ability.name:<{width}}  {escape(ability.detail)}".rstrip()
    yield paint("strong", f"policy {escape(result.policy)}")
    yield from (f"  {escape(layer)}" for layer in result.policies)
    yield paint("strong", "settings")
    yield from columns(
        [
            (f"  {one.name}", place(one.value), f"({one.origin}: {escape(one.source)})")
            for one in result.settings
        ]
    )


@lines_of.register(CatalogCheck)
def _(result: CatalogCheck, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verdict = paint("good", "sound") if result.sound else paint("bad", "DAMAGED")
    counts = f"{number(result.events, 'event')}, {number(result.versions, 'version')}"
    yield f"{verdict}: {counts}"
    for problem in result.problems:
        yield paint("bad", problem.aspect) + f": {escape(problem.message)}"
    fate = "removed" if result.removed else "left over"
    for path in (*result.orphans, *result.abandoned):
        yield f"{fate}: {place(path)}"
    if (result.orphans or result.abandoned) and not result.removed:
        yield "no record names these; `dataguard catalog check --apply` removes them"


@lines_of.register(Rebuild)
def _(result: Rebuild, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would rebuild" if result.dry_run else "rebuilt"
    yield paint("good", f"{verb} from {number(result.events, 'event')}")
    if result.kept is not None:
        yield f"  the old database is now {place(result.kept)}"


@lines_of.register(Backup)
def _(result: Backup, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would write" if result.dry_run else "wrote"
    yield paint("good", f"{verb} {place(result.target)}")
    yield f"  records, events, {number(result.files, 'manifest or sheet', 'manifests and sheets')}"


@lines_of.register(Upgrade)
def _(result: Upgrade, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    if result.before == result.after:
        yield paint("good", f"the schema is {result.after}, as this release needs it")
    else:
        verb = "would bring the schema from" if result.dry_run else "brought the schema from"
        yield paint("good", f"{verb} {result.before} to {result.after}")


@lines_of.register(Event)
def _(result: Event, paint: Paint, verbose: int) -> Iterator[str]:
    who = f"{escape(result.actor.user)}@{escape(result.actor.host)}"
    what = _subject(result.payload)
    yield f"{result.seq:>6}  {time_words(result.time)}  {who}  {escape(result.kind)}{what}"
    if verbose:
        yield paint("faint", f"        {result.hash}")


def _subject(payload: Mapping[str, object]) -> str:
    """Return the dataset, the run or the workspace that an event is about."""
    found = [payload["dataset"]] if "dataset" in payload else []
    for change in (payload.get("put"), payload.get("remove")):
        tables = change if isinstance(change, dict) else {}
        for table, key in _NAMED_BY.items():
            found += [record[key] for record in tables.get(table, ())]
    return "".join(f"  {place(str(value))}" for value in found)
