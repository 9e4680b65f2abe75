"""`lineage`: who used a version, and what made a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.columns import raw_paths
from dataguard.core.objectplaces import is_objects
from dataguard.core.paths import is_inside
from dataguard.errors import DataguardError, NotFoundError, UsageError
from dataguard.model.digest import DigestPlan, RootDigest
from dataguard.model.reference import Reference
from dataguard.model.results.lineage import LineageResult
from dataguard.model.run import RunOutput
from dataguard.stores.local import LocalStore

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.run import Run

__all__ = ["lineage", "recorded_output"]


def lineage(ctx: Context, what: str) -> LineageResult:
    """Return the runs that read a version, the run of an id, or the run that made a file.

    A path is looked for among the output directories of runs; its content is compared with what
    the run recorded.

    Raises:
        NotFoundError: nothing is known about it.
    """
    if is_objects(what):
        from dataguard.actions.objectlineage import of_object  # noqa: PLC0415  for buckets alone

        return of_object(ctx, what)
    if os.path.lexists(what) or what.startswith(("/", "./", "../")):
        return _of_file(ctx, os.path.abspath(what))
    try:
        return LineageResult(what, "run", (_run(ctx, what),))
    except NotFoundError:
        return _of_version(ctx, what)


def _run(ctx: Context, run_id: str) -> Run:
    if not run_id.isascii():  # no run id, and perhaps no text that the catalog can look up
        raise NotFoundError(f"no run `{run_id}`")
    return ctx.catalog.run(run_id)


def _of_version(ctx: Context, text: str) -> LineageResult:
    try:
        version = ctx.catalog.resolve(Reference.parse(text))
    except UsageError as err:
        raise NotFoundError(
            f"`{text}` is no run, file or version", hint="give NAME@3, a run id, or a path"
        ) from err
    runs = ctx.catalog.runs(dataset=version.dataset, version=version.number)
    return LineageResult(version.reference, "version", tuple(runs))


def _of_file(ctx: Context, path: str) -> LineageResult:
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    for run in ctx.catalog.runs():
        if not is_objects(run.outputs) and is_inside(real, os.path.realpath(run.outputs)):
            relative = os.fsencode(os.path.relpath(real, os.path.realpath(run.outputs)))
            output = recorded_output(ctx, run, relative)
            unchanged = None if output is None else _is_unchanged(ctx, run, output)
            return LineageResult(real, "file", (run,), output, unchanged)
    raise NotFoundError(
        f"no run of this catalog made {real}", hint="`dataguard lineage NAME@3` lists runs"
    )


def recorded_output(ctx: Context, run: Run, relative: bytes) -> RunOutput | None:
    """Return the entry of a file in the manifest of a run's outputs."""
    if run.output_root is None:
        return None
    root = RootDigest.parse(run.output_root)
    for batch in ctx.manifests.read(root, ctx.manifests.algorithm(root)):
        for path, size, digest in zip(
            raw_paths(batch).to_pylist(),
            batch.column("size").to_pylist(),
            batch.column("digest").to_pylist(),
            strict=True,
        ):
            if path == relative:
                return RunOutput(path, size, digest.hex())
    return None


def _is_unchanged(ctx: Context, run: Run, output: RunOutput) -> bool | None:
    """Whether the file still has the content that the run recorded; None where unreadable."""
    root = RootDigest.parse(run.output_root or "")
    algorithm = ctx.manifests.algorithm(root)
    store = LocalStore(run.outputs, host=ctx.actor.host, spread=ctx.spread)
    try:
        found = list(store.read_paths([output.path], DigestPlan(algorithm)))
    except DataguardError:
        return None
    digests = [digest for piece in found for digest in piece.entries.column("digest").to_pylist()]
    if not digests or digests[0] is None:
        return None
    return bool(digests[0].hex() == output.digest)
