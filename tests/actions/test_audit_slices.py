"""Slices of audits: together they say what the whole audit says."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.actions import merge as merge_module
from dataguard.actions import settings as settings_of
from dataguard.actions.audit import audit
from dataguard.actions.merge import SLICES_AGE, merge
from dataguard.actions.register import register
from dataguard.actions.registration import Request
from dataguard.cli.opening import open_context
from dataguard.errors import ConflictError
from dataguard.model.audit import AuditLevel, Slice
from dataguard.model.finding import FindingState
from dataguard.model.ports import NoProgress

NAMES = st.text("ab-0\xff", min_size=1, max_size=2).map(lambda name: name.encode("latin-1"))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
TREES = st.dictionaries(PATHS, st.sampled_from(["file", "other", "directory", "link"]), max_size=12)
PLACES = count(1)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory):
    home = str(tmp_path_factory.mktemp("home"))
    loaded = settings_of.load({"engine": "serial"}, {"DATAGUARD_HOME": home}, workspace=None)
    with open_context(loaded, settings_of.load_policy(loaded).policy, NoProgress()) as made:
        yield made


@pytest.fixture
def gold():
    top = tempfile.mkdtemp()
    yield top
    shutil.rmtree(top)


def grow(top: str, tree: dict[bytes, str]) -> None:
    """Make what can be made of a random tree; later entries in the way of earlier ones are not."""
    for path, kind in tree.items():
        full = os.path.join(os.fsencode(top), path)
        try:
            os.makedirs(full if kind == "directory" else os.path.dirname(full), exist_ok=True)
            if kind == "link":
                os.symlink(b"a", full)
            elif kind == "fifo":
                os.mkfifo(full)
            elif kind != "directory":
                with open(full, "xb") as file:
                    file.write(kind.encode())
        except OSError:  # something is in the way
            continue


def clear(top: str) -> None:
    for item in os.scandir(top):
        if item.is_dir(follow_symlinks=False):
            shutil.rmtree(item.path)
        else:
            os.unlink(item.path)


def registered(ctx, top: str) -> str:
    name = f"d{next(PLACES)}"
    register(ctx, Request(name=name, location=top))
    return f"{name}@1"


def told(result):
    """What an audit says, without times and without how often it was seen."""
    return (
        [(one.code, one.path, one.message, one.severity) for one in result.findings],
        sorted((gap.path, gap.obstacle) for gap in result.unreadable),
        (result.complete, result.checked_files, result.checked_bytes),
    )


def in_slices(ctx, reference, parts, level=AuditLevel.FULL, **options):
    for index in range(1, parts + 1):
        audit(ctx, (reference,), level=level, part=Slice(index, parts), **options)


@given(TREES, TREES | st.none(), st.integers(1, 6), st.sampled_from(AuditLevel))
@settings(deadline=None, max_examples=60)
def test_slices_together_find_what_the_whole_audit_finds(ctx, before, after, parts, level):
    top = tempfile.mkdtemp()
    try:
        grow(top, before)
        reference = registered(ctx, top)
        if after is not None:
            clear(top)
            grow(top, {**after, b"pipe": "fifo"} if len(after) % 3 == 0 else after)
        whole = told(audit(ctx, (reference,), level=level, dry_run=True))
        in_slices(ctx, reference, parts, level)
        assert whole == told(merge(ctx, (reference,), level=level))
    finally:
        shutil.rmtree(top)


def test_a_change_of_kind_is_told_across_the_end_of_a_slice(ctx, gold):
    grow(gold, {b"a": "file", b"a-": "file", b"b": "file", b"d-": "file", b"d/x": "file"})
    reference = registered(ctx, gold)
    os.unlink(f"{gold}/a")
    shutil.rmtree(f"{gold}/d")
    grow(gold, {b"a/x": "file", b"d": "file"})
    whole = told(audit(ctx, (reference,), level=AuditLevel.FULL, dry_run=True))
    assert [b"a", b"d"] == [path for code, path, *_ in whole[0] if code.name == "DG104"]
    for parts in range(1, 8):
        in_slices(ctx, reference, parts)
        assert whole == told(merge(ctx, (reference,), level=AuditLevel.FULL))


def test_slices_share_the_work(ctx, gold):
    grow(gold, {b"%02d/%02d" % (i, j): "file" for i in range(10) for j in range(10)})
    reference = registered(ctx, gold)
    files = [
        audit(ctx, (reference,), level=level, part=Slice(index, 4)).checked_files
        for level in AuditLevel
        for index in range(1, 5)
    ]
    assert [25] * 4 * len(AuditLevel) == files


def test_one_slice_of_one_is_the_whole(ctx, gold):
    grow(gold, {b"a": "file", b"d/b": "file"})
    reference = registered(ctx, gold)
    grow(gold, {b"z": "file"})
    whole = told(audit(ctx, (reference,), level=AuditLevel.FULL, dry_run=True))
    one = audit(ctx, (reference,), level=AuditLevel.FULL, part=Slice(1, 1))
    assert (whole, "1/1") == (told(one), one.slice)


def test_missing_slices_are_named_and_nothing_is_recorded(ctx, gold):
    grow(gold, {b"a": "file", b"b": "file"})
    reference = registered(ctx, gold)
    name = reference.removesuffix("@1")
    for index in (1, 3):
        audit(ctx, (reference,), level=AuditLevel.FULL, part=Slice(index, 4))
    before = ctx.catalog.audits(name, 1)
    merged = merge(ctx, (reference,), level=AuditLevel.FULL)
    assert (False, (2, 4)) == (merged.complete, merged.versions[0].missing_slices)
    assert "2/4, 4/4" in merged.unreadable[0].detail
    assert before == ctx.catalog.audits(name, 1)
    none = merge(ctx, (reference,), level=AuditLevel.QUICK)
    assert (False, 1) == (none.complete, len(none.unreadable))


def test_a_merged_audit_is_recorded_once_and_resolves_what_is_gone(ctx, gold):
    grow(gold, {b"a": "file", b"b": "file", b"c": "file"})
    reference = registered(ctx, gold)
    name = reference.removesuffix("@1")
    grow(gold, {b"x": "file", b"y": "file"})
    audit(ctx, (reference,), level=AuditLevel.FULL)
    os.unlink(f"{gold}/x")
    in_slices(ctx, reference, 3)
    assert 2 == len(ctx.catalog.findings(dataset=name, states=[FindingState.OPEN]))
    merged = merge(ctx, (reference,), level=AuditLevel.FULL)
    assert [b"y"] == [finding.path for finding in merged.findings]
    assert [b"y"] == [
        one.path for one in ctx.catalog.findings(dataset=name, states=[FindingState.OPEN])
    ]
    newest = ctx.catalog.last_audit(name, 1)
    assert (True, False, 3, 1) == (
        newest.complete,
        newest.clean,
        newest.checked_files,
        newest.findings,
    )
    assert () == ctx.catalog.slices(name, 1)
    assert not merge(ctx, (reference,), level=AuditLevel.FULL).complete


def test_a_slice_that_is_looked_at_again_counts_as_it_is_then(ctx, gold):
    grow(gold, {b"%02d" % number: "file" for number in range(10)})
    reference = registered(ctx, gold)
    grow(gold, {b"00-": "file"})
    in_slices(ctx, reference, 2)
    os.unlink(f"{gold}/00-")
    audit(ctx, (reference,), level=AuditLevel.FULL, part=Slice(1, 2))
    merged = merge(ctx, (reference,), level=AuditLevel.FULL)
    assert (True, True, 0) == (merged.complete, merged.versions[0].clean, len(merged.findings))
    assert FindingState.RESOLVED is ctx.catalog.findings(dataset=reference[:-2])[0].state


def test_a_gap_keeps_the_slices_until_it_is_closed(ctx, gold):
    grow(gold, {b"a": "file", b"b": "file"})
    reference = registered(ctx, gold)
    os.mkfifo(f"{gold}/pipe")
    in_slices(ctx, reference, 2)
    merged = merge(ctx, (reference,), level=AuditLevel.FULL)
    assert (False, [b"pipe"]) == (merged.complete, [gap.path for gap in merged.unreadable])
    os.unlink(f"{gold}/pipe")
    audit(ctx, (reference,), level=AuditLevel.FULL, part=Slice(2, 2))
    assert merge(ctx, (reference,), level=AuditLevel.FULL).complete


def test_slices_of_another_time_count_or_level_are_not_mixed(ctx, gold):
    grow(gold, {b"a": "file", b"b": "file"})
    reference = registered(ctx, gold)
    past = replace(ctx, clock=lambda: ctx.clock() - SLICES_AGE - timedelta(hours=1))
    audit(past, (reference,), level=AuditLevel.FULL, part=Slice(1, 2))
    audit(ctx, (reference,), level=AuditLevel.QUICK, part=Slice(1, 2))
    audit(ctx, (reference,), level=AuditLevel.FULL, part=Slice(1, 3))
    audit(ctx, (reference,), level=AuditLevel.FULL, part=Slice(2, 2))
    merged = merge(ctx, (reference,), level=AuditLevel.FULL)
    assert (2, (1,)) == (merged.versions[0].slices, merged.versions[0].missing_slices)


@pytest.mark.parametrize(("index", "ends"), [(1, {"through": b"a"}), (3, {"through": b"x"})])
def test_slices_that_were_cut_in_another_way_are_missing(ctx, gold, index, ends):
    grow(gold, {b"%02d" % number: "file" for number in range(9)})
    reference = registered(ctx, gold)
    in_slices(ctx, reference, 3)
    slices = ctx.catalog.slices(reference[:-2], 1)
    with ctx.catalog.transaction() as tx:
        tx.record_slice(replace(next(one for one in slices if one.index == index), **ends))
    merged = merge(ctx, (reference,), level=AuditLevel.FULL)
    assert not merged.complete
    assert index in merged.versions[0].missing_slices
    in_slices(ctx, reference, 3)
    assert merge(ctx, (reference,), level=AuditLevel.FULL).complete


def test_a_slice_that_is_looked_at_again_during_the_merge_is_not_lost(ctx, gold, monkeypatch):
    grow(gold, {b"%02d" % number: "file" for number in range(9)})
    reference = registered(ctx, gold)
    in_slices(ctx, reference, 2)
    before = ctx.catalog.audits(reference[:-2], 1)
    record = merge_module.record_audit

    def after_another_look(*words, **options):
        grow(gold, {b"00-": "file"})
        audit(ctx, (reference,), level=AuditLevel.FULL, part=Slice(1, 2))
        record(*words, **options)

    with monkeypatch.context() as patch:
        patch.setattr(merge_module, "record_audit", after_another_look)
        with pytest.raises(ConflictError, match="meanwhile"):
            merge(ctx, (reference,), level=AuditLevel.FULL)
    assert before == ctx.catalog.audits(reference[:-2], 1)
    assert not merge(ctx, (reference,), level=AuditLevel.FULL).versions[0].clean


def test_dry_runs_record_neither_slices_nor_their_merge(ctx, gold):
    grow(gold, {b"a": "file"})
    reference = registered(ctx, gold)
    os.unlink(f"{gold}/a")
    before = list(ctx.catalog.events())
    in_slices(ctx, reference, 2, dry_run=True)
    assert before == list(ctx.catalog.events())
    in_slices(ctx, reference, 2)
    before = list(ctx.catalog.events())
    assert merge(ctx, (reference,), level=AuditLevel.FULL, dry_run=True).complete
    assert before == list(ctx.catalog.events())


def test_a_location_that_is_gone_is_one_finding_of_all_slices(ctx):
    top = tempfile.mkdtemp()
    grow(top, {b"a": "file"})
    reference = registered(ctx, top)
    shutil.rmtree(top)
    in_slices(ctx, reference, 3)
    merged = merge(ctx, (reference,), level=AuditLevel.FULL)
    assert [b""] == [finding.path for finding in merged.findings]
