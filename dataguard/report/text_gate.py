"""Lines for what a gate says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataguard.core.paths import escape
from dataguard.model.gate import GateResult
from dataguard.report.lines import Paint, lines_of, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataguard.model.gate import Check

__all__: list[str] = []


@lines_of.register(GateResult)
def _(result: GateResult, paint: Paint, verbose: int) -> Iterator[str]:
    del verbose
    for check in result.checks:
        yield _checked(check, paint)
        if check.remedy and not check.ok:
            yield f"        remedy: {escape(check.remedy)}"
    verdict = paint("good", "allowed") if result.allowed else paint("bad", "refused")
    yield f"{verdict} by policy `{escape(result.policy)}`"


def _checked(check: Check, paint: Paint) -> str:
    word = paint("good", "ok     ") if check.ok else paint("bad", "REFUSED")
    subject = f" {place(check.subject)}" if check.subject else ""
    code = f" [{check.code.name}]" if check.code is not None and not check.ok else ""
    weak = "" if check.enforced else paint("warn", " (not enforced)")
    return f"{word} {check.name}{subject}: {escape(check.reason)}{code}{weak}"
