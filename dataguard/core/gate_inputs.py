"""What a gate checks of each input."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from dataguard.core.clearance import is_at_least, standing_damage
from dataguard.model.audit import AuditLevel
from dataguard.model.dataset import VersionState
from dataguard.model.digest import Strength
from dataguard.model.duration import format_duration
from dataguard.model.finding import Code
from dataguard.model.gate import Check, MountCondition
from dataguard.model.mount import GUARANTEE_SENTENCES, Guarantee
from dataguard.model.policy import Seal, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dataguard.model.audit import AuditRecord
    from dataguard.model.canary import Protection
    from dataguard.model.dataset import Version
    from dataguard.model.gate import InputFacts
    from dataguard.model.objects import ObjectPlace
    from dataguard.model.policy import Policy

__all__ = ["check_input"]

_CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of this host's clock another host's may be before its audits are not believed."""


def check_input(facts: InputFacts, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield the checks of one input; those a policy does not ask for are left out."""
    version = facts.version
    if version is None:
        reason = facts.error or f"no version is known for `{facts.reference}`"
        remedy = "`dataguard list` shows what is known"
        yield Check("known", ok=False, reason=reason, subject=facts.reference, remedy=remedy)
    else:
        reason = f"`{facts.reference}` is {version.reference}, {version.root}"
        yield Check("known", ok=True, reason=reason, subject=facts.reference)
    if policy.inputs.pinned:
        yield _check_pinned(facts)
    if version is None:
        return
    yield _check_state(version)
    yield _check_strength(version, policy)
    yield _check_audit_result(version, facts.audits)
    if policy.audit.max_age is not None:
        yield _check_audit_age(version, facts.audits, policy, policy.audit.max_age, now)
    yield _check_mount(version, facts)
    if policy.mount.required_guarantee is not Guarantee.NONE:
        yield _check_guarantee(version, facts, policy)
    if policy.seal.required is not Seal.NONE or facts.seal_detail:
        yield _check_seal(version, facts, policy)
    if facts.objects is not None:
        yield _check_objects(version, facts.objects, policy)
    if facts.protection is not None:
        yield _check_protection(version, facts.protection, policy, now)


def _check_pinned(facts: InputFacts) -> Check:
    if facts.pinned:
        reason = f"`{facts.reference}` names a version or is in the lock file"
        return Check("pinned", ok=True, reason=reason, code=Code.DG503, subject=facts.reference)
    better = facts.version.reference if facts.version is not None else "NAME@N"
    reason = f"`{facts.reference}` may mean another version tomorrow"
    remedy = f"--input {better}, or `dataguard mount {better}`, which writes the lock file"
    return Check("pinned", False, reason, Code.DG503, subject=facts.reference, remedy=remedy)


def _check_state(version: Version) -> Check:
    reference, remedy = version.reference, ""
    match version.state:
        case VersionState.ACTIVE:
            ok, said = True, "active"
        case VersionState.SUPERSEDED:
            ok, said = True, "superseded: there is a newer version"
        case VersionState.WITHDRAWN:
            ok, said = False, str(version.state)
            remedy = f"`dataguard log {version.dataset}` shows other versions"
        case VersionState.QUARANTINED:
            ok, said = False, str(version.state)
            remedy = f"{_audit(version)}, then dataguard release {reference} --reason WHY"
        case _:
            assert_never(version.state)
    why = f" ({version.state_reason})" if version.state_reason else ""
    reason = f"{reference} is {said}{why}"
    return Check("state", ok, reason, Code.DG502, subject=reference, remedy=remedy)


def _check_strength(version: Version, policy: Policy) -> Check:
    required, strength = policy.digest.required_strength, version.algorithm.strength
    reason = f"{version.reference} has {version.algorithm} digests (against {strength} change)"
    ok = required is Strength.ACCIDENTAL or strength is required
    remedy = ""
    if not ok:
        reason = f"{reason}; policy `{policy.name}` requires {required}"
        remedy = "register the dataset again with --digest sha256"
    return Check("digest strength", ok, reason, subject=version.reference, remedy=remedy)


def _check_audit_result(version: Version, audits: tuple[AuditRecord, ...]) -> Check:
    """No code: no policy makes data with known damage good."""
    bad = standing_damage(audits)
    reason = f"{version.reference} has no audit with findings that a later one did not clear"
    if bad is not None:
        when = _when(bad.finished)
        reason = f"the {bad.level} audit of {version.reference} at {when} found damage"
    remedy = "" if bad is None else f"dataguard findings list {version.reference}"
    return Check("audit result", bad is None, reason, subject=version.reference, remedy=remedy)


def _check_audit_age(
    version: Version,
    audits: tuple[AuditRecord, ...],
    policy: Policy,
    max_age: timedelta,
    now: datetime,
) -> Check:
    """What was read first may have changed while the rest was: an audit is as old as its start."""
    level = policy.audit.level
    enough = [a.started for a in audits if a.clean and is_at_least(a.level, level)]
    last = max((moment for moment in enough if moment <= now + _CLOCK_SKEW), default=None)
    ok = last is not None and now - last <= max_age
    said = f"has no clean {level} audit" if last is None else f"was found clean as of {_when(last)}"
    reason = f"{version.reference} {said}; policy `{policy.name}` allows {format_duration(max_age)}"
    remedy = "" if ok else _audit(version, level)
    return Check("audit age", ok, reason, Code.DG501, subject=version.reference, remedy=remedy)


def _check_mount(version: Version, facts: InputFacts) -> Check:
    condition, code, enforced = facts.mount, Code.DG401, False
    match condition:
        case MountCondition.READ_ONLY:
            ok, enforced, said = True, True, "is mounted read-only"
        case MountCondition.DECLARED if facts.made_real:
            ok, enforced, said = (
                True,
                True,
                "declared; made real for this job, or it is not started",
            )
        case MountCondition.DECLARED:
            ok, said = True, f"not enforced: {GUARANTEE_SENTENCES[Guarantee.DECLARED]}"
        case MountCondition.SYMLINK:
            ok, said = True, f"not enforced: {GUARANTEE_SENTENCES[Guarantee.NONE]}"
        case MountCondition.NOT_MOUNTED:
            ok, said = True, "not enforced: no mount, jobs read it at its registered location"
        case MountCondition.MISSING | MountCondition.REPLACED:
            ok, said = False, f"the mount is {condition}"
        case MountCondition.WRITABLE:
            ok, code, said = False, Code.DG402, "the mount is writable"
        case MountCondition.PROBE_FAILED:
            ok, code, said = False, Code.DG403, "the probe could not prove the mount read-only"
        case MountCondition.UNKNOWN:
            ok, code, said = False, Code.DG403, "the mount could not be checked"
        case _:
            assert_never(condition)
    detail = f" ({facts.detail})" if facts.detail else ""
    reason = f"{version.reference}: {said}{detail}"
    remedy = "" if ok else f"dataguard unmount {version.reference}, then {_mount(version)}"
    return Check("mount", ok, reason, code, enforced, subject=version.reference, remedy=remedy)


def _check_guarantee(version: Version, facts: InputFacts, policy: Policy) -> Check:
    required = policy.mount.required_guarantee
    reason = f"{version.reference}: mount guarantee `{facts.guarantee}`"
    reason += f"; policy `{policy.name}` requires `{required}`"
    ok = facts.guarantee.rank >= required.rank
    remedy = "" if ok else _mount(version)
    if not ok and facts.mount is MountCondition.DECLARED:
        reason += ", which a declared mount is inside `dataguard run` and `shell` only"
        remedy = "start the job by `dataguard run`"
    return Check("mount guarantee", ok, reason, subject=version.reference, remedy=remedy)


def _check_seal(version: Version, facts: InputFacts, policy: Policy) -> Check:
    """Compare the seal with what is required; where nothing is, say what has to be said of it."""
    required, seal = policy.seal.required, facts.seal
    ok = _seal_rank(seal) >= _seal_rank(required)
    found = "its seal could not be checked" if seal is None else f"seal `{seal}`"
    detail = f" ({facts.seal_detail})" if facts.seal_detail else ""
    reason = f"{version.reference}: {found}{detail}; policy `{policy.name}` requires `{required}`"
    enforced = seal not in (None, Seal.NONE)
    remedy = "" if ok else f"dataguard seal {version.reference} --seal {required}"
    return Check("seal", ok, reason, enforced=enforced, subject=version.reference, remedy=remedy)


def _audit(version: Version, level: AuditLevel = AuditLevel.FULL) -> str:
    return f"dataguard audit {version.reference} --level {level}"


def _mount(version: Version) -> str:
    return f"dataguard mount {version.reference}"


def _check_objects(version: Version, objects: ObjectPlace, policy: Policy) -> Check:
    """What a bucket without versions loses is lost: nothing could be read in its place."""
    ok = objects.pinned or policy.objects.versioning is Wanted.OPTIONAL
    reason = f"{version.reference}: its objects are {objects.pinned_words}"
    if not ok:
        reason += f"; policy `{policy.name}` requires versioned buckets"
    remedy = "" if ok else f"turn versioning on, then dataguard register {version.dataset} again"
    return Check(
        "object versions",
        ok,
        reason,
        Code.DG604,
        enforced=objects.pinned,
        subject=version.reference,
        remedy=remedy,
    )


def _check_protection(
    version: Version, protection: Protection, policy: Policy, now: datetime
) -> Check:
    """Believe a canary that was refused, if it was sent with the credential that the job has."""
    from dataguard.core.canary import is_proven, protection_words  # noqa: PLC0415  buckets alone

    rules, record = policy.objects, protection.record
    proven = is_proven(record, rules.canary_max_age, now)
    said = protection.error or protection_words(record, rules.canary_max_age, now)
    reason = f"{version.reference}: {said}"
    ok = proven or rules.canary is Wanted.OPTIONAL
    if not ok:
        reason += f"; policy `{policy.name}` requires a canary that was refused"
    remedy = "" if proven else f"dataguard policy verify {protection.place}"
    return Check(
        "write protection",
        ok,
        reason,
        Code.DG605,
        enforced=proven,
        subject=version.reference,
        remedy=remedy,
    )


def _seal_rank(seal: Seal | None) -> int:
    return 0 if seal is None else list(Seal).index(seal)


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
