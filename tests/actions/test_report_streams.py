"""Reports of more findings than fit in memory: they are read, not held."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dataguard.model.audit import AuditLevel
from dataguard.model.finding import Code, Finding, Severity
from dataguard.model.results.audit import AuditResult
from dataguard.report.render import parts, render

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = (Severity.WARNING, Severity.ERROR, Severity.INFO)


def finding(number):
    path = b"%07d" % number
    return Finding(Code.DG101, KINDS[number % 3], path, "changed", NOW, NOW, "faces", 1)


class Many(Collection):
    """Findings that are made when they are read; says how many were at most ahead of a reader."""

    def __init__(self, count):
        self.count = count
        self.read = 0

    def __iter__(self):
        for number in range(self.count):
            self.read += 1
            yield finding(number)

    def __len__(self):
        return self.count

    def __contains__(self, one):
        return False


def result_of(findings):
    empty = AuditResult(AuditLevel.FULL, True, 0, 0, (), (), ())
    return replace(empty, findings=findings)


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
def test_output_begins_before_the_findings_are_read(form):
    many = Many(5_000)
    next(parts("audit", result_of(many), form, color=False))
    assert many.read < 2_000


def test_every_finding_is_a_row_of_csv():
    lines = render("audit", result_of(Many(1_000)), "csv", color=False).splitlines()
    assert lines[0].startswith("id,code,severity,dataset,version,path,path_b64,message")
    assert [b"%07d" % n for n in range(1_000)] == [
        line.split(",")[5].encode() for line in lines[1:]
    ]


def test_verbose_text_has_the_worst_first_and_each_in_path_order():
    lines = render("audit", result_of(Many(9)), "text", color=False, verbose=1).splitlines()
    numbers = [int(line.split()[2].strip(":")) for line in lines if line.startswith("DG101")]
    assert [1, 4, 7, 0, 3, 6, 2, 5, 8] == numbers
    assert lines[-1] == "findings: 9 DG101"
