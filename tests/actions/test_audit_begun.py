"""A full audit whose workers begin before the audit itself is loaded."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from dataguard.actions import settings as settings_of
from dataguard.actions.audit import audit
from dataguard.actions.audittargets import begin
from dataguard.actions.register import register
from dataguard.actions.registration import Request
from dataguard.cli.opening import open_context
from dataguard.errors import NotFoundError
from dataguard.model.audit import AuditLevel
from dataguard.model.ports import NoProgress
from dataguard.stores.local import LocalStore


@pytest.fixture
def ctx(tmp_path):
    home = str(tmp_path / "home")
    loaded = settings_of.load({"engine": "serial"}, {"DATAGUARD_HOME": home}, workspace=None)
    with open_context(loaded, settings_of.load_policy(loaded).policy, NoProgress()) as made:
        yield made


@pytest.fixture
def gold(ctx, tmp_path):
    gold = tmp_path / "gold"
    gold.mkdir()
    for name in "abc":
        (gold / name).write_text(name)
    register(ctx, Request("faces", str(gold)))
    return gold


@pytest.fixture
def scans(monkeypatch):
    """The places that were scanned with contents read."""
    found = []
    original = LocalStore.scan

    def scan(self, plan, *, read, **more):
        found.extend([self.place] if read else [])
        return original(self, plan, read=read, **more)

    monkeypatch.setattr(LocalStore, "scan", scan)
    return found


def full(ctx, begun):
    return audit(ctx, (), level=AuditLevel.FULL, begun=begun)


def test_what_was_begun_is_read_once_and_audited(ctx, gold, scans):
    (gold / "b").write_text("B")
    begun = begin(ctx, (), AuditLevel.FULL, None)
    assert [str(gold)] == scans
    found = full(ctx, begun)
    assert ([b"b"], 3, [str(gold)]) == (
        [one.path for one in found.findings],
        found.checked_files,
        scans,
    )


@pytest.mark.usefixtures("gold")
def test_audit_began_before_the_first_file_was_read(ctx):
    begun = begin(ctx, (), AuditLevel.FULL, None)
    after = ctx.clock()
    assert full(ctx, begun).complete
    (recorded, *_) = ctx.catalog.audits("faces", 1, level=AuditLevel.FULL)
    assert begun.started == recorded.started <= after


def test_other_locations_are_read_as_ever(ctx, gold, tmp_path, scans):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in "abc":
        (copy / name).write_text(name)
    register(ctx, Request("faces", str(copy), replica=True))
    scans.clear()
    found = full(ctx, begin(ctx, (), AuditLevel.FULL, None))
    assert ({str(gold), str(copy)}, 2, True) == ({*scans}, len(scans), found.complete)


@pytest.mark.usefixtures("gold")
def test_what_was_begun_for_another_version_is_not_taken(ctx, scans):
    begun = begin(ctx, (), AuditLevel.FULL, None)
    other = replace(begun, version=replace(begun.version, number=7))
    assert full(ctx, other).complete
    assert 2 == len(scans)


@pytest.mark.usefixtures("gold")
def test_quick_audit_begins_nothing(ctx, scans):
    assert begin(ctx, (), AuditLevel.QUICK, None) is None
    assert [] == scans


def test_place_that_cannot_be_read_is_left_to_the_audit(ctx, gold):
    os.rename(gold, f"{gold}.away")
    assert begin(ctx, (), AuditLevel.FULL, None) is None
    assert not full(ctx, None).versions[0].clean


def test_reference_that_means_nothing_is_an_error_at_once(ctx):
    with pytest.raises(NotFoundError):
        begin(ctx, ("nothing",), AuditLevel.FULL, None)
