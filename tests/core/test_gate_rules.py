"""Each rule of the gate, alone."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from dataguard.core.gate import catalog_identity, decide, gate
from dataguard.model.audit import AuditLevel
from dataguard.model.canary import Protection
from dataguard.model.dataset import VersionState
from dataguard.model.digest import Algorithm
from dataguard.model.finding import Code
from dataguard.model.gate import CatalogFacts, InputFacts, MountCondition, OutputFacts
from dataguard.model.mount import ProbeOutcome
from dataguard.model.policy import Seal
from support.canaries import canary
from support.gatefacts import CATALOG, NOW, an_input, audit, facts, output, policy, version

STRICT = policy(
    digest={"required_strength": "adversarial"},
    audit={"max_age": "30d", "level": "full"},
    outputs={"allowed": ["/scratch/{user}/{dataset}"]},
    mount={"required_guarantee": "enforced"},
    seal={"required": "immutable"},
    catalog={"home": "/srv/dataguard"},
)
LAX = policy(inputs={"pinned": False})


def refusals(changed, rules=STRICT):
    refused = [check for check in decide(changed, rules) if not check.ok]
    assert all(check.remedy for check in refused), "a refusal that does not say what to do"
    return {(check.name, check.code) for check in refused}


def test_job_that_meets_a_strict_policy_is_allowed():
    result = gate(facts(), STRICT)

    assert result.allowed
    assert all(check.reason and check.enforced for check in result.checks)
    assert {c.name for c in result.checks} == {
        *("catalog", "known", "pinned", "state", "digest strength", "audit result", "audit age"),
        *("mount", "mount guarantee", "seal", "output place"),
    }


BROKEN_INPUTS = {
    "unknown": (
        an_input(version=None, error="no dataset `faces` in the catalog"),
        ("known", None),
    ),
    "unpinned": (an_input(pinned=False), ("pinned", Code.DG503)),
    "withdrawn": (an_input(version=version(state=VersionState.WITHDRAWN)), ("state", Code.DG502)),
    "quarantined": (
        an_input(version=version(state=VersionState.QUARANTINED)),
        ("state", Code.DG502),
    ),
    "weak": (an_input(version=version(algorithm=Algorithm.XXH3_128)), ("digest strength", None)),
    "overdue": (an_input(audits=(audit(timedelta(days=31)),)), ("audit age", Code.DG501)),
    "never audited": (an_input(audits=()), ("audit age", Code.DG501)),
    "audited too lightly": (
        an_input(audits=(audit(timedelta(days=1), AuditLevel.QUICK),)),
        ("audit age", Code.DG501),
    ),
    "audited in the future": (
        an_input(audits=(audit(timedelta(days=-1)),)),
        ("audit age", Code.DG501),
    ),
    "unsealed": (an_input(seal=Seal.NONE), ("seal", None)),
    "sealed too weakly": (an_input(seal=Seal.MODE), ("seal", None)),
    "seal unknown": (an_input(seal=None), ("seal", None)),
}


REQUIRING = policy(objects={"canary": "required", "canary_max_age": "30d"})
UNPROVEN = {
    "never tried": Protection("s3://data/gold", None),
    "no credential": Protection("s3://data/gold", None, "no credentials for s3://data"),
    "got through": Protection("s3://data/gold", canary({"PutObject": ProbeOutcome.ALLOWED})),
    "no answer": Protection("s3://data/gold", canary({"PutObject": ProbeOutcome.FAILED})),
    "too old": Protection("s3://data/gold", canary(verified=NOW - timedelta(days=31))),
    "in the future": Protection("s3://data/gold", canary(verified=NOW + timedelta(hours=1))),
}


@pytest.mark.parametrize("protection", UNPROVEN.values(), ids=UNPROVEN)
def test_bucket_that_a_job_might_write_is_refused_where_a_canary_is_required(protection):
    there = facts(inputs=(an_input(protection=protection),))
    (check,) = [c for c in decide(there, REQUIRING) if c.name == "write protection"]

    assert {("write protection", Code.DG605)} == refusals(there, REQUIRING)
    assert not check.enforced
    assert "dataguard policy verify s3://data/gold" == check.remedy


@pytest.mark.parametrize("protection", UNPROVEN.values(), ids=UNPROVEN)
def test_bucket_that_a_job_might_write_is_not_enforced_where_no_canary_is_required(protection):
    there = facts(inputs=(an_input(protection=protection),))
    rules = policy(objects={"canary": "optional", "canary_max_age": "30d"})
    (check,) = [c for c in decide(there, rules) if c.name == "write protection"]

    assert (True, False) == (check.ok, check.enforced)
    assert ": protected" not in check.reason


def test_bucket_that_refused_a_canary_is_protected():
    there = facts(inputs=(an_input(protection=Protection("s3://data/gold", canary())),))
    (check,) = [c for c in decide(there, REQUIRING) if c.name == "write protection"]

    assert (True, True) == (check.ok, check.enforced)
    assert "protected (verified 2026-03-01 12:00 UTC by canary as AK...IA)" in check.reason


@pytest.mark.parametrize(("broken", "refusal"), BROKEN_INPUTS.values(), ids=BROKEN_INPUTS)
def test_broken_input_is_refused_for_its_own_reason(broken, refusal):
    assert refusals(facts(inputs=(broken,))) == {refusal}


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        (MountCondition.MISSING, Code.DG401),
        (MountCondition.REPLACED, Code.DG401),
        (MountCondition.WRITABLE, Code.DG402),
        (MountCondition.PROBE_FAILED, Code.DG403),
        (MountCondition.UNKNOWN, Code.DG403),
    ],
)
def test_broken_mount_is_refused_even_where_none_is_required(condition, code):
    assert refusals(facts(inputs=(an_input(mount=condition),)), LAX) == {("mount", code)}


@pytest.mark.parametrize(
    "condition", [MountCondition.DECLARED, MountCondition.SYMLINK, MountCondition.NOT_MOUNTED]
)
def test_weak_mount_passes_as_not_enforced_unless_policy_requires_more(condition):
    weak = facts(inputs=(an_input(mount=condition),))

    check = next(c for c in decide(weak, LAX) if c.name == "mount")

    assert check.ok
    assert not check.enforced
    assert "not enforced" in check.reason
    assert refusals(weak) == {("mount guarantee", None)}


def test_declared_mount_meets_a_policy_that_requires_declared():
    rules = policy(mount={"required_guarantee": "declared"})

    assert not refusals(facts(inputs=(an_input(mount=MountCondition.DECLARED),)), rules)
    assert refusals(facts(inputs=(an_input(mount=MountCondition.SYMLINK),)), rules)


def test_declared_mount_that_is_made_real_for_the_job_is_enforced():
    real = facts(inputs=(an_input(mount=MountCondition.DECLARED, made_real=True),))

    assert not refusals(real)
    assert all(check.enforced for check in decide(real, STRICT))


@pytest.mark.parametrize("condition", [MountCondition.SYMLINK, MountCondition.NOT_MOUNTED])
def test_nothing_but_a_declared_mount_is_made_real(condition):
    weak = facts(inputs=(an_input(mount=condition, made_real=True),))

    assert refusals(weak) == {("mount guarantee", None)}


def test_superseded_version_passes_and_says_so():
    superseded = facts(inputs=(an_input(version=version(state=VersionState.SUPERSEDED)),))

    checks = decide(superseded, STRICT)

    assert all(check.ok for check in checks)
    assert any("superseded" in check.reason for check in checks)


def test_audit_is_as_old_as_its_start():
    """What it read first may have changed while it read the rest."""
    started = NOW - timedelta(days=31)
    long = audit(timedelta(days=1), started=started)
    overdue = facts(inputs=(an_input(audits=(long,)),))

    assert refusals(overdue) == {("audit age", Code.DG501)}
    reason = next(c.reason for c in decide(overdue, STRICT) if c.name == "audit age")
    assert f"{started:%Y-%m-%d %H:%M} UTC" in reason


def test_creation_by_itself_is_no_audit():
    created = version(created=NOW - timedelta(days=2))
    unread = an_input(version=created, audits=())
    trusted = an_input(version=created, audits=(audit(timedelta(days=2), AuditLevel.QUICK),))
    read = an_input(version=created, audits=(audit(timedelta(days=2)),))

    for one in (unread, trusted):
        assert refusals(facts(inputs=(one,))) == {("audit age", Code.DG501)}
    assert not refusals(facts(inputs=(read,)))


def test_audit_that_began_before_the_damage_was_found_does_not_clear_it():
    bad = audit(timedelta(days=2), clean=False, findings=1)
    overlapping = audit(timedelta(days=1), started=NOW - timedelta(days=2, seconds=1))
    later = audit(timedelta(days=1), started=NOW - timedelta(days=2))

    assert refusals(facts(inputs=(an_input(audits=(overlapping, bad)),)), LAX)
    assert not refusals(facts(inputs=(an_input(audits=(later, bad)),)), LAX)


def test_audit_of_another_place_clears_nothing():
    bad = audit(timedelta(days=2), clean=False, findings=1)
    elsewhere = audit(timedelta(days=1), location="/mirror/faces")

    assert refusals(facts(inputs=(an_input(audits=(elsewhere, bad)),)), LAX)


def test_unclean_audit_refuses_under_every_policy():
    bad = audit(timedelta(days=2), clean=False, findings=3)
    lowered = policy(severity={"DG501": "info", "DG101": "info"}, inputs={"pinned": False})

    assert ("audit result", None) in refusals(facts(inputs=(an_input(audits=(bad,)),)), lowered)


@pytest.mark.parametrize(("later", "cleared"), [(AuditLevel.FULL, True), (AuditLevel.QUICK, False)])
def test_only_a_later_audit_of_the_same_depth_clears_an_unclean_one(later, cleared):
    audits = (
        audit(timedelta(days=2), clean=False, findings=1),
        audit(timedelta(days=1), later),
        audit(timedelta(days=5)),
    )

    assert cleared is not bool(refusals(facts(inputs=(an_input(audits=audits),)), LAX))


def test_interrupted_audit_without_findings_neither_refuses_nor_counts():
    interrupted = audit(timedelta(days=1), complete=False, clean=False)
    before = audit(timedelta(days=3))

    assert not refusals(facts(inputs=(an_input(audits=(interrupted, before)),)))
    assert refusals(facts(inputs=(an_input(audits=(interrupted,)),))) == {("audit age", Code.DG501)}


@pytest.mark.parametrize(
    ("place", "code"),
    [
        (output("/gold/faces/out"), Code.DG303),
        (output("/scratch/alice/faces/x", "/scratch/alice/faces/x", "/gold/faces/x"), Code.DG303),
        (output("/scratch/bob/faces"), Code.DG504),
        (output("/scratch/alice/voices"), Code.DG504),
        (OutputFacts("/scratch/alice/faces", (), "a loop of links"), Code.DG504),
    ],
)
def test_output_place_that_is_closed_is_refused(place, code):
    assert refusals(facts(outputs=(place,))) == {("output place", code)}


def test_another_catalog_is_refused():
    other = facts(catalog=CatalogFacts("sqlite:////tmp/mine.db", CATALOG.home))
    moved = facts(catalog=CatalogFacts("sqlite:////tmp/dg/catalog.db", "/tmp/dg"))

    assert refusals(other) == {("catalog", None)}
    assert refusals(moved) == {("catalog", None)}
    assert not refusals(other, LAX)


def test_policies_that_name_two_catalogs_refuse_every_catalog():
    both = policy(catalog={"url": ["postgresql://a/dg", "postgresql://b/dg"]})

    for url in ("postgresql://a/dg", "postgresql://b/dg", "sqlite:////x"):
        assert refusals(facts(catalog=CatalogFacts(url, "/h")), both) == {("catalog", None)}


def test_catalog_is_the_same_whoever_logs_in():
    assert catalog_identity("postgresql+psycopg://alice:pw@DB:5432/dg") == catalog_identity(
        "postgresql://db:5432/dg"
    )
    assert catalog_identity("postgresql://db/dg?host=evil") != catalog_identity(
        "postgresql://db/dg"
    )
    assert catalog_identity("sqlite:////srv/x/../dg/catalog.db") == catalog_identity(
        "sqlite:////srv/dg/catalog.db"
    )


def test_lowered_severity_lets_a_refusal_pass_and_says_so():
    lowered = policy(audit={"max_age": "30d"}, severity={"DG501": "warning"})

    check = next(
        c for c in decide(facts(inputs=(an_input(audits=()),)), lowered) if c.name == "audit age"
    )

    assert check.ok
    assert "DG501 only warning" in check.reason


def exempting(**changes):
    values = {"codes": ["DG501"], "reason": "moving house", "expires": date(2026, 3, 1)}
    return policy(audit={"max_age": "30d"}, exemption=[values | changes])


def test_exemption_applies_through_its_last_day_with_its_reason():
    overdue = facts(inputs=(an_input(audits=()),))

    check = next(c for c in decide(overdue, exempting()) if c.name == "audit age")

    assert check.ok
    assert "exempt until 2026-03-01: moving house" in check.reason
    assert refusals(overdue, exempting(expires=date(2026, 2, 28)))


@pytest.mark.parametrize(
    "elsewhere", [{"dataset": "voices"}, {"codes": ["DG502"]}, {"path": "*.tmp"}]
)
def test_exemption_of_something_else_does_not_apply(elsewhere):
    assert refusals(facts(inputs=(an_input(audits=()),)), exempting(**elsewhere))


def test_exemption_of_a_dataset_does_not_open_places():
    place = facts(outputs=(output("/gold/faces/x"),))

    assert refusals(place, exempting(codes=["DG303"], dataset="faces"))
    assert refusals(place, exempting(codes=["DG303"], path="/gold/voices/"))
    assert not refusals(place, exempting(codes=["DG303"], path="/gold/faces/"))


def test_input_of_which_nothing_is_known_is_not_allowed():
    nothing = InputFacts("faces", None, pinned=False, mount=MountCondition.UNKNOWN)

    assert not gate(facts(inputs=(nothing,)), LAX).allowed
