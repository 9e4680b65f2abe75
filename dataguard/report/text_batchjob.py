"""Lines for a job of S3 Batch Operations that was described."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.batchjob import BatchJob
from dataguard.report.lines import Paint, lines_of, number, place, size_words

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__: list[str] = []


@lines_of.register(BatchJob)
def _(result: BatchJob, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    verb = "would be described" if result.dry_run else "is described"
    what = f"{result.checksum} of {number(result.objects, 'object')}, {size_words(result.bytes)}"
    yield paint("strong", f"a job for {result.dataset}@{result.version} {verb}: {what}")
    yield f"  at        {place(result.location)}"
    yield f"  manifest  {place(result.manifest)}"
    yield f"  job       {place(result.job)}"
    for one in result.remarks:
        yield "  " + paint("warn", escape(one))
    yield "  it is submitted with:"
    yield from (f"    {escape(one)}" for one in result.apply)
