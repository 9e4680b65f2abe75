from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataguard.core.outcome import exit_code, is_violation
from dataguard.model.finding import Code, Finding, Severity

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def finding(code: Code, severity: Severity) -> Finding:
    return Finding(code, severity, b"a", "", NOW, NOW)


GAPS = [code for code in Code if code.name.startswith("DG9")]
PLAIN = [code for code in Code if code not in GAPS]
FINDINGS = st.builds(finding, st.sampled_from(list(Code)), st.sampled_from(list(Severity)))


@given(st.lists(FINDINGS, max_size=5), st.booleans())
@settings(deadline=None)
def test_codes_follow_the_table(findings, unchecked):
    bad = (Severity.ERROR, Severity.CRITICAL)
    if any(f.severity in bad and f.code in PLAIN for f in findings):
        assert 3 == exit_code(iter(findings), unchecked=unchecked)
    elif unchecked or any(f.code in GAPS for f in findings):
        assert 4 == exit_code(iter(findings), unchecked=unchecked)
    else:
        assert 0 == exit_code(iter(findings), unchecked=unchecked)


@pytest.mark.parametrize(
    ("code", "severity", "violates"),
    [
        (Code.DG101, Severity.ERROR, True),
        (Code.DG101, Severity.CRITICAL, True),
        (Code.DG105, Severity.WARNING, False),
        (Code.DG101, Severity.INFO, False),
        (Code.DG901, Severity.ERROR, False),
    ],
)
def test_violations(code, severity, violates):
    assert violates is is_violation(finding(code, severity))
