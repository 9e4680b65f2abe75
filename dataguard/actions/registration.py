"""What a request to `register` means: found out before anything is read.

Imports no Arrow, so that workers are at work before that is loaded: see `begin`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dataguard.actions.mountedgold import refuse_mounted_gold
from dataguard.actions.places import open_store, source_place
from dataguard.core.baseline import is_usable
from dataguard.core.objectplaces import is_objects
from dataguard.errors import PolicyError, UsageError
from dataguard.model.digest import IDENTITY_ALGORITHMS, Algorithm, DigestPlan, Strength
from dataguard.model.reference import Reference, check_dataset_name
from dataguard.stores.begun import BegunStore
from dataguard.stores.journalnames import journals_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dataguard.actions.context import Context
    from dataguard.core.expectation import Expectation
    from dataguard.model.dataset import Location, Version
    from dataguard.model.objects import ObjectPlace
    from dataguard.stores.interface import Store

__all__ = ["Request", "Source", "Task", "begin", "prepare"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked `register` to do; see the command's help for each field."""

    name: str
    location: str
    digest: Algorithm | None = None
    also: tuple[Algorithm, ...] = ()
    expect: Expectation | None = None
    expect_name: str | None = None
    exclude: tuple[str, ...] = ()
    note: str | None = None
    owner: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    replica: bool = False
    append: bool = False
    supersede: bool = False
    reason: str | None = None
    rehash: bool = False
    dry_run: bool = False
    chunks: bool = False
    objects: ObjectPlace | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A place to read, and what its content is compared with.

    `reads` are the digests to compute. `reference` is the version the content should be, if any;
    `sheet` the location sheet that vouches for unchanged files, None where every file is read.
    """

    store: Store
    reads: DigestPlan
    reference: Version | None
    sheet: str | None
    expect: Expectation | None


@dataclass(frozen=True, slots=True)
class Task:
    """A request with everything it was resolved to before reading.

    `source.reference` is the version that the content is compared with; `in_place` tells whether
    that lies at this very place, or elsewhere, and the place is to become a replica.
    """

    request: Request
    place: str
    source: Source
    plan: DigestPlan
    exclude: tuple[str, ...]
    in_place: bool
    started: datetime
    objects: ObjectPlace | None = None


def prepare(ctx: Context, request: Request) -> Task:
    """Find out what a request means here, before anything is read.

    Raises:
        NotFoundError: the location does not exist.
        UsageError: the request contradicts itself or the dataset.
        PolicyError: the policy asks for a stronger digest.
        ConflictError: versions are mounted in it.
    """
    check_dataset_name(request.name)
    _check_request(request)
    place = source_place(request.location, home=ctx.settings.home.value)
    _check_kind(request, place)
    objects = _looked_at(ctx, request, place)
    here = _location_here(ctx, request.name, place)
    reference = _reference(ctx, request, here)
    main = _main_algorithm(ctx, request, reference)
    also = tuple(a for a in _additional(ctx, request) if a is not main)
    plan = DigestPlan(main, also)
    exclude = request.exclude or (reference.exclude if reference else ())
    if reference is not None and exclude != reference.exclude and not request.supersede:
        raise UsageError(
            f"{reference.reference} excludes {list(reference.exclude)}, not {list(exclude)}",
            hint="add --supersede --reason ... to change what belongs to the dataset",
        )
    if objects is None:
        refuse_mounted_gold(ctx, place, exclude)
    store = _store(ctx, request, place, exclude, objects)
    # Digests of another algorithm say nothing about these: all is read, nothing compared.
    comparable = reference if reference and reference.algorithm is main else None
    read_all = comparable is None or request.rehash or bool(also) or request.expect is not None
    return Task(
        request=request,
        place=place,
        source=Source(
            store=store,
            reads=_with_expected(plan, request.expect),
            reference=comparable,
            sheet=None if read_all or here is None else _usable_sheet(here, store),
            expect=request.expect,
        ),
        plan=plan,
        exclude=exclude,
        in_place=here is not None,
        started=ctx.clock(),
        objects=objects,
    )


def begin(ctx: Context, task: Task) -> Task:
    """Have the workers begin where everything will be read; returns what to go on with.

    Where an interrupted attempt may be gone on with, that decides what is read.
    """
    source = task.source
    interrupted = journals_in(os.path.join(ctx.settings.home.value, "state"))
    if source.reference is not None or interrupted:
        return task
    return replace(task, source=replace(source, store=BegunStore(source.store, source.reads)))


def _check_request(request: Request) -> None:
    if request.append and request.supersede:
        raise UsageError("--append and --supersede exclude one another")
    if (request.append or request.supersede) and not request.reason:
        raise UsageError("--append and --supersede need --reason", hint="--reason 'new shards'")
    wrong = [a for a in (request.digest, *request.also) if a and a not in IDENTITY_ALGORITHMS]
    if wrong:
        choice = ", ".join(IDENTITY_ALGORITHMS)
        raise UsageError(f"`{wrong[0]}` is no digest for versions", hint=f"choose from {choice}")


def _check_kind(request: Request, place: str) -> None:
    if request.objects is not None and not is_objects(place):
        raise UsageError(
            f"{place} is no bucket: it has no endpoint, profile or payer",
            hint="dataguard register NAME s3://bucket/prefix --endpoint-url URL",
        )
    if request.chunks and is_objects(place):
        raise UsageError("--chunks is for local trees", hint="register a copy on a file system")


def _looked_at(ctx: Context, request: Request, place: str) -> ObjectPlace | None:
    if not is_objects(place):
        return None
    from dataguard.actions.objectplaces import look_at  # noqa: PLC0415  few need it

    return look_at(ctx, place, request.objects)


def _store(
    ctx: Context,
    request: Request,
    place: str,
    exclude: tuple[str, ...],
    objects: ObjectPlace | None,
) -> Store:
    if objects is None:
        return open_store(ctx, place, exclude)
    from dataguard.actions.objectplaces import open_objects  # noqa: PLC0415  as above

    by_checksum = not request.rehash
    return open_objects(ctx, place, exclude, found=objects, by_checksum=by_checksum)


def _additional(ctx: Context, request: Request) -> tuple[Algorithm, ...]:
    """Return the additional digests to compute: asked for, and those that would be lost else.

    Content that is known already gets one new sheet, which takes the place of its old one.
    """
    if not request.also:
        return ()
    known = [
        algorithm
        for version in ctx.catalog.versions(request.name)
        if version.digest_sheet is not None
        for algorithm in ctx.manifests.digest_sheet_algorithms(version.root, version.digest_sheet)
    ]
    return tuple(dict.fromkeys([*known, *request.also]))


def _usable_sheet(here: Location, store: Store) -> str | None:
    return here.sheet if is_usable(here.filesystem, store.filesystem()) else None


def _location_here(ctx: Context, name: str, place: str) -> Location | None:
    """Return the active location of the dataset's newest version at the place."""
    here = [found for found in ctx.catalog.locations_at(place) if found.dataset == name]
    return here[0] if here else None


def _reference(ctx: Context, request: Request, in_place: Location | None) -> Version | None:
    if in_place is not None:
        return ctx.catalog.version(in_place.dataset, in_place.version)
    if not request.replica:
        return None
    return ctx.catalog.resolve(Reference(request.name))


def _main_algorithm(ctx: Context, request: Request, reference: Version | None) -> Algorithm:
    """Return the main digest: asked for, the dataset's, or the default; as strong as required."""
    needed = ctx.policy.digest.required_strength is Strength.ADVERSARIAL
    chosen = request.digest or (reference.algorithm if reference else None)
    if reference and request.digest and request.digest is not reference.algorithm:
        if not request.supersede:
            raise UsageError(
                f"{reference.reference} uses {reference.algorithm}, not {request.digest}",
                hint="add --supersede --reason ... to change the algorithm of the dataset, "
                f"or --also {request.digest} to record both",
            )
        chosen = request.digest
    if chosen is None:
        default = Algorithm(ctx.settings.digest.value)
        strong = default.strength is Strength.ADVERSARIAL
        chosen = default if strong or not needed else Algorithm.SHA256
    strengths = {a.strength for a in (chosen, *request.also)}
    if needed and Strength.ADVERSARIAL not in strengths:
        raise PolicyError(
            f"the policy `{ctx.policy.name}` asks for an adversarial digest, not {chosen}",
            hint="add --digest sha256, or --also sha256",
        )
    return chosen


def _with_expected(plan: DigestPlan, expect: Expectation | None) -> DigestPlan:
    if expect is None or expect.algorithm in plan.algorithms:
        return plan
    return DigestPlan(plan.main, (*plan.also, expect.algorithm))
