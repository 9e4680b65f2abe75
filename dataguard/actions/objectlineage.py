"""`lineage` of an object: the run that made it, and whether it is still what that run wrote."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

from dataguard.actions.lineage import recorded_output
from dataguard.actions.objectoutputs import output_access
from dataguard.core.objectplaces import is_objects, prefix_of
from dataguard.core.paths import is_inside
from dataguard.errors import DataguardError, NotFoundError
from dataguard.model.results.lineage import LineageResult
from dataguard.model.run import RunOutput
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.objectrequest import Request
from dataguard.stores.rundirectory import RECORD

if TYPE_CHECKING:
    from dataguard.actions.context import Context
    from dataguard.model.run import Run

__all__ = ["of_object"]


def of_object(ctx: Context, url: str) -> LineageResult:
    """Return the run that made an object.

    Raises:
        NotFoundError: no run of the catalog did.
    """
    for run in ctx.catalog.runs():
        if is_objects(run.outputs) and url != run.outputs and is_inside(url, run.outputs):
            path = url.removeprefix(f"{run.outputs}/").encode("utf-8", "surrogateescape")
            output = recorded_output(ctx, run, path)
            if output is None:
                return LineageResult(url, "file", (run,))
            try:
                output, unchanged = _compared(ctx, run, output, url)
            except DataguardError:  # it cannot be asked for: not checked
                return LineageResult(url, "file", (run,), output)
            return LineageResult(url, "file", (run,), output, unchanged)
    raise NotFoundError(
        f"no run of this catalog made {url}", hint="`dataguard lineage NAME@3` lists runs"
    )


def _compared(ctx: Context, run: Run, output: RunOutput, url: str) -> tuple[RunOutput, bool | None]:
    """Return an output with where it is, and whether that version is the current one still.

    Raises:
        DataguardError: the bucket cannot be asked.
    """
    below = prefix_of(run.outputs)
    with closing(ObjectClient(output_access(ctx, run.outputs))) as client:
        there = _listed(client.text(Request("GET", below + RECORD.encode())), url)
        if there is None:
            return output, None
        found = RunOutput(output.path, output.size, output.digest, url, *there)
        try:
            facts = client.head(below + output.path)
        except NotFoundError:
            return found, False
    version, etag = there
    if version not in (None, "null"):
        return found, facts.version_id == version
    return found, facts.etag == etag and facts.size == output.size


def _listed(record: bytes, url: str) -> tuple[str | None, str | None] | None:
    """Return version and etag of an object as the record in the bucket has them."""
    try:
        files = json.loads(record).get("files", ())
        found = next((one for one in files if one.get("url") == url), None)
    except (ValueError, AttributeError, TypeError):
        return None
    return None if found is None else (found.get("version_id"), found.get("etag"))
