"""`gate`: may a job start with these inputs and outputs?"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from dataguard.actions.inputs import JobInput, resolve_inputs
from dataguard.actions.person import person_of
from dataguard.actions.sealstate import found_seal
from dataguard.core.areas import default_place, named_places
from dataguard.core.gate import gate as decide
from dataguard.core.objectoutputs import all_names, output_place
from dataguard.core.objectplaces import is_objects
from dataguard.errors import DataguardError, PolicyError
from dataguard.model.area import Area, Role
from dataguard.model.gate import CatalogFacts, GateFacts, InputFacts, OutputFacts
from dataguard.model.placement import Places
from dataguard.mounts import mountinfo
from dataguard.mounts.aliases import aliases_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.actions.context import Context
    from dataguard.catalog.reading import Reader
    from dataguard.model.canary import Protection
    from dataguard.model.dataset import Location
    from dataguard.model.gate import GateResult
    from dataguard.model.placement import Person
    from dataguard.model.workspace import Workspace
    from dataguard.mounts.mountinfo import MountTable

__all__ = [
    "check_gate",
    "decide_again",
    "gate",
    "known_areas",
    "output_facts",
    "outputs_place",
    "person",
    "places",
]


def gate(
    ctx: Context,
    references: tuple[str, ...],
    outputs: tuple[str, ...],
    *,
    workspace: Workspace | None,
) -> GateResult:
    """Decide whether a job may start; reads no data.

    Without references: every dataset of the workspace's lock. Without outputs: the place where a
    run would put them.

    Raises:
        UsageError: neither inputs nor a workspace.
        PolicyError: no output place is given and the policy names none.
    """
    inputs = resolve_inputs(ctx, references, workspace)
    return check_gate(ctx, inputs, outputs or (outputs_place(ctx, inputs, workspace),))


def check_gate(
    ctx: Context,
    inputs: tuple[JobInput, ...],
    outputs: tuple[str, ...],
    *,
    made_real: bool = False,
) -> GateResult:
    """Decide on inputs that are resolved and output places.

    `made_real`: for a job that starts only if declared mounts are made for it.
    """
    known = (_input_facts(ctx, one) for one in inputs)
    facts = GateFacts(
        inputs=tuple(replace(one, made_real=made_real) for one in known),
        outputs=tuple(_output_facts(ctx, place) for place in outputs),
        places=places(ctx),
        catalog=CatalogFacts(ctx.settings.catalog.value, ctx.settings.home.value),
        now=ctx.clock(),
    )
    return decide(facts, ctx.policy)


def decide_again(ctx: Context, records: Reader, before: GateResult) -> GateResult:
    """Decide on the same facts, but on the versions as these records have them now.

    Inside the transaction that records a run, so that nobody withdraws a version in between.
    """
    facts = before.facts
    inputs = tuple(
        one
        if one.version is None
        else replace(one, version=records.version(one.version.dataset, one.version.number))
        for one in facts.inputs
    )
    return decide(replace(facts, inputs=inputs), ctx.policy)


def outputs_place(ctx: Context, inputs: tuple[JobInput, ...], workspace: Workspace | None) -> str:
    """Return where the outputs of a job go: the workspace, the settings, or the policy says.

    Raises:
        PolicyError: nobody says.
    """
    if workspace is not None:
        return workspace.outputs
    if ctx.settings.outputs.value:
        return ctx.settings.outputs.value
    dataset = inputs[0].version.dataset if inputs and inputs[0].version else "none"
    place = default_place(ctx.policy, person(ctx), dataset)
    if place is None:
        raise PolicyError(
            f"the policy `{ctx.policy.name}` names no place for outputs",
            hint="give --output PLACE, or work in a workspace: dataguard workspace init",
        )
    return place


def person(ctx: Context) -> Person:
    """Return whom the places of a policy mean: the account, by the kernel's word."""
    return person_of(ctx.actor)


def places(ctx: Context) -> Places:
    """Return what the places of the policy mean on this host."""
    table = mountinfo.read()
    named = named_places(ctx.policy, person(ctx))
    equivalents = {place: _names_of(place, table) for place in named}
    return Places(person(ctx), tuple(known_areas(ctx, table)), equivalents)


def known_areas(ctx: Context, table: MountTable) -> Iterator[Area]:
    """Yield the areas the catalog knows, each under all its paths."""
    for location in ctx.catalog.active_locations():
        source = f"the location of {location.dataset}@{location.version}"
        for path in _names_of(location.place, table):
            yield Area(path, Role.GOLD, source)
    for workspace in ctx.catalog.workspaces():
        source = f"the outputs place of {workspace.directory}"
        for path in _names_of(workspace.outputs, table):
            yield Area(path, Role.OUTPUT, source)


def _input_facts(ctx: Context, one: JobInput) -> InputFacts:
    version = one.version
    audits = () if version is None else ctx.catalog.audits(version.dataset, version.number)
    place = None if one.location is None else one.location.place
    seal, said = (None, "") if one.location is None else found_seal(ctx, one.location)
    return InputFacts(
        reference=one.reference,
        version=version,
        pinned=one.pinned,
        mount=one.mount,
        audits=tuple(audit for audit in audits if audit.location == place),
        seal=seal,
        seal_detail=said,
        error=one.error,
        detail=one.detail,
        protection=_protection(ctx, one.location),
        objects=None if one.location is None else one.location.objects,
    )


def _protection(ctx: Context, location: Location | None) -> Protection | None:
    if location is None or not is_objects(location.place):
        return None
    from dataguard.actions.protection import found_protection  # noqa: PLC0415  for buckets alone

    return found_protection(ctx, location)


def output_facts(place: str) -> OutputFacts:
    """Return a place with all the paths it has on this host, or all names it has in a store."""
    absolute = place if "://" in place else os.path.abspath(place)
    try:
        # A run writes to `runs` below the place, which may be a link or lie in gold by itself.
        if "://" in place:
            found = output_place(place)
            return OutputFacts(found, (*all_names(found), *all_names(f"{found}/runs")))
        below = aliases_of(os.path.join(place, "runs"))
        return OutputFacts(absolute, (*aliases_of(place), *below))
    except (DataguardError, OSError) as err:
        return OutputFacts(absolute, (), str(err))


def _output_facts(ctx: Context, place: str) -> OutputFacts:
    """Return the same, with what may be known of the bucket by how it would be reached."""
    facts = output_facts(place)
    if not (facts.aliases and is_objects(facts.place)):
        return facts
    from dataguard.actions.objectoutputs import check_reach  # noqa: PLC0415  for buckets alone

    try:
        check_reach(ctx, facts.place)
    except DataguardError as err:
        return replace(facts, aliases=(), error=str(err))
    return facts


def _names_of(place: str, table: MountTable) -> tuple[str, ...]:
    return all_names(place) if "://" in place else aliases_of(place, table=table)
