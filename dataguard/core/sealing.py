"""What follows from the record of a seal: what it explains, and what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.model.finding import Code
from dataguard.model.policy import Seal
from dataguard.model.seal import WRITE_BITS, SealState

if TYPE_CHECKING:
    from datetime import datetime

    from dataguard.model.finding import Finding
    from dataguard.model.seal import SealRecord

__all__ = ["is_notice", "is_of_seal", "is_overdue", "keeps_from_sealing", "notice", "seal_word"]

_HAZARDS = (Code.DG108, Code.DG109)


def keeps_from_sealing(finding: Finding, record: SealRecord | None) -> bool:
    """Whether a finding of the comparison before a seal forbids it.

    Hard links and symlinks that lead out do not. Nor do write permissions, where those from
    before the seal are on record: somebody changed them since, or an unfinished seal did.
    """
    if finding.code in _HAZARDS or is_of_seal(finding):
        return False
    known = record is not None and record.remembers and record.kind is Seal.MODE
    return not (known and finding.code is Code.DG105 and _is_of_write_bits(finding))


def is_of_seal(finding: Finding) -> bool:
    """Whether a finding is about the seal itself, which sealing ends."""
    return finding.code is Code.DG105 and "seal" in finding.evidence


def is_notice(finding: Finding) -> bool:
    """Whether a finding is about the record of a seal, not about anything at the place."""
    return is_of_seal(finding) and bool(finding.evidence.get("notice"))


def is_overdue(record: SealRecord, now: datetime) -> bool:
    """Whether a seal was opened for a while, and the while is over."""
    is_open = record.state in (SealState.OPEN, SealState.OPENING)
    return is_open and record.until is not None and now >= record.until


def notice(record: SealRecord | None, now: datetime) -> str:
    """Return what is to be said about a seal whenever somebody looks; empty: nothing."""
    if record is None:
        return ""
    closes = f"`dataguard seal {record.reference}` closes it"
    if is_overdue(record, now):
        who, until = record.actor.user, f"{record.until:%Y-%m-%d %H:%M:%SZ}"
        return f"the seal was opened by {who} until {until} and is overdue; {closes}"
    if record.is_unfinished:
        begun = "sealing" if record.state is SealState.SEALING else "opening the seal"
        return f"{begun} was not finished; `dataguard seal {record.reference}` seals everything"
    return ""


def seal_word(record: SealRecord | None) -> str:
    """Return the seal in one word: `none`, `mode`, `immutable`, `open` or `unfinished`."""
    if record is None or record.state is SealState.REMOVED:
        return str(Seal.NONE)
    if record.is_unfinished:
        return "unfinished"
    return str(record.kind) if record.state is SealState.SEALED else "open"


def _is_of_write_bits(finding: Finding) -> bool:
    mode = finding.evidence.get("mode")
    if set(finding.evidence) - {"exempted"} != {"mode"} or not isinstance(mode, dict):
        return False
    return not (mode["expected"] ^ mode["observed"]) & ~WRITE_BITS
