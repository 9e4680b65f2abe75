"""Lines for what was registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.results.register import RegisterResult
from dataguard.report.lines import (
    Paint,
    finding_lines,
    gap_lines,
    lines_of,
    number,
    pinned_words,
    place,
    size_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__: list[str] = []


@lines_of.register(RegisterResult)
def _(result: RegisterResult, paint: Paint, verbose: int) -> Iterator[str]:
    yield _registered(result, paint)
    if result.root is not None:
        yield f"  root      {result.root} ({result.algorithm}, {result.strength})"
    yield f"  content   {number(result.files, 'file')}, {size_words(result.bytes)}"
    if result.refused and result.version is not None and result.found_files is not None:
        size = size_words(result.found_bytes or 0)
        yield f"  found     {number(result.found_files, 'file')}, {size}"
    yield f"  location  {place(result.location)}"
    yield from _read(result)
    if result.objects is not None:
        yield f"  pinned    {pinned_words(result.objects)}"
    if result.expected is not None:
        unlisted = number(result.unlisted, "file")
        yield f"  expected  {place(result.expected)}, {unlisted} not listed in it"
    yield f"  writable  {_writers(result)}"
    yield from finding_lines(result.findings, paint, verbose)
    yield from gap_lines(result.unreadable, paint)
    if result.hint is not None:
        yield paint("faint", f"hint: {escape(result.hint)}")
    yield from _chunks(result, paint)
    if result.seal is not None:
        yield from lines_of(result.seal, paint, verbose)


def _read(result: RegisterResult) -> Iterator[str]:
    yield f"  read      {number(result.hashed, 'file')}"
    if result.resumed:
        yield f"  resumed   {number(result.resumed, 'file')} read by the attempt before this one"
    if result.by_checksum:
        count = number(result.by_checksum, "object")
        yield f"  checksum  {count} not read: the server keeps the digest"


def _chunks(result: RegisterResult, paint: Paint) -> Iterator[str]:
    cut = result.chunks
    if cut is None:
        return
    words = f"{cut.chunks:,} of {number(cut.files, 'large file')}, {size_words(cut.bytes)}"
    yield f"  chunks    {words if cut.sheet else 'not kept: not all could be cut'}"
    yield from gap_lines(cut.unreadable, paint)


def _registered(result: RegisterResult, paint: Paint) -> str:
    if result.refused:
        standing = "" if result.version is None else f"; {result.dataset}@{result.version} stands"
        return paint("bad", f"not registered: {result.dataset}") + standing
    if result.dry_run:
        return f"would register {result.dataset}; nothing was recorded"
    verb = "registered" if result.created else "already registered, unchanged:"
    return paint("good", f"{verb} {result.dataset}@{result.version}")


def _writers(result: RegisterResult) -> str:
    if result.objects is not None:
        return "by whom the policies of the bucket allow it"
    writers = result.writers
    words = [f"{escape(user)} ({number(count, 'file')})" for user, count in writers.owners.items()]
    words += [f"group {escape(g)} ({number(count, 'file')})" for g, count in writers.groups.items()]
    if writers.everybody:
        words.append(f"EVERYBODY ({number(writers.everybody, 'file')})")
    return ", ".join(words) or "by no one but root"
