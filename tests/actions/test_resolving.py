"""What a registration resolves: the findings that it ended, few at a time."""

from __future__ import annotations

import pytest

from dataguard.actions import settings as settings_of
from dataguard.actions.audit import audit
from dataguard.actions.recording import resolve_stale
from dataguard.actions.register import register
from dataguard.actions.registration import Request
from dataguard.cli.opening import open_context
from dataguard.model.audit import AuditLevel
from dataguard.model.finding import Code, FindingState
from dataguard.model.ports import NoProgress


@pytest.fixture
def ctx(tmp_path):
    home = str(tmp_path / "home")
    loaded = settings_of.load({"engine": "serial"}, {"DATAGUARD_HOME": home}, workspace=None)
    with open_context(loaded, settings_of.load_policy(loaded).policy, NoProgress()) as made:
        yield made


@pytest.fixture
def gold(ctx, tmp_path):
    """A registered tree of seven files, three of which an audit missed."""
    gold = tmp_path / "gold"
    gold.mkdir()
    for name in "abcdefg":
        (gold / name).write_text(name)
    register(ctx, Request("faces", str(gold)))
    for name in "bdf":
        (gold / name).unlink()
    assert 3 == len(audit(ctx, ("faces",), level=AuditLevel.FULL).findings)
    return gold


def states(ctx):
    return {one.path.decode(): one.state.value for one in ctx.catalog.findings()}


def kinds_since(ctx, sequence):
    return [event.kind for event in ctx.catalog.events(after=sequence)]


def test_registering_again_resolves_in_short_transactions(ctx, gold, monkeypatch):
    for name in "bdf":
        (gold / name).write_text(name)
    monkeypatch.setattr("dataguard.actions.recording.BATCH", 2)
    last = max(event.seq for event in ctx.catalog.events())
    register(ctx, Request("faces", str(gold), rehash=True))
    assert dict.fromkeys("bdf", "resolved") == states(ctx)
    assert ["findings.resolved"] * 2 == kinds_since(ctx, last)[-2:]


def test_superseding_resolves_what_was_open(ctx, gold):
    done = register(ctx, Request("faces", str(gold), supersede=True, reason="removed"))
    assert (2, True) == (done.version, done.created)
    assert dict.fromkeys("bdf", "resolved") == states(ctx)


def test_only_what_nobody_saw_since_is_resolved(ctx, gold):
    found = {one.path: one for one in ctx.catalog.findings(states=[FindingState.OPEN])}
    seen = {found[b"d"].id}
    resolve_stale(ctx, "faces", 1, [Code.DG102], "gone", before=found[b"f"].last_seen, seen=seen)
    assert {"b": "resolved", "d": "open", "f": "open"} == states(ctx)
    resolve_stale(ctx, "faces", 1, [Code.DG101], "gone")
    assert {"b": "resolved", "d": "open", "f": "open"} == states(ctx)
    assert gold.exists()
