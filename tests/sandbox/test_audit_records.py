"""The kernel's audit records of refusals, put together from their text."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dataguard.model.attempt import Attempt
from dataguard.sandbox import auditrecords
from dataguard.sandbox.auditfields import PROCTITLE, SYSCALL
from dataguard.sandbox.auditrecords import ACCESS, DOMAIN, Refusals

SHIM, OTHER = 13069, 4711
WHEN = datetime(2026, 11, 23, 15, 51, 46, 601000, UTC)


def head(serial):
    return f"audit(1795449106.601:{serial}): "


def begins(refusals, process=SHIM, domain="15d5c2361", serial=2):
    """What a shim provokes: its first refusal, which names the rules."""
    said = f'domain={domain} blockers=fs.change_topology path="/" dev="vda" ino=2'
    refusals.add(ACCESS, (head(serial) + said).encode())
    said = (
        f"domain={domain} status=allocated mode=enforcing pid={process} uid=0 "
        'exe="/usr/bin/python3.11" comm="python"'
    )
    refusals.add(DOMAIN, (head(serial) + said).encode())


def refused(refusals, path='"/gold/a"', right="fs.write_file", domain="15d5c2361", serial=3):
    said = f'domain={domain} blockers={right} path={path} dev="vda" ino=260072'
    refusals.add(ACCESS, (head(serial) + said).encode())


def described(refusals, title="7368002F746D702F6A6F622E7368", serial=3):
    said = (
        "arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c items=0 ppid=13069 pid=13070 "
        'auid=4294967295 uid=1000 gid=100 euid=0 comm="sh" exe="/usr/bin/dash" key=(null)'
    )
    refusals.add(SYSCALL, (head(serial) + said).encode())
    if title:
        refusals.add(PROCTITLE, (head(serial) + f"proctitle={title}").encode())


def ends(refusals, total, domain="15d5c2361", serial=9):
    said = f"domain={domain} status=deallocated denials={total}"
    refusals.add(DOMAIN, (head(serial) + said).encode())


def expecting(process=SHIM):
    refusals = Refusals()
    refusals.expect(process)
    return refusals


def test_refusal_is_known_with_its_process_and_the_provoked_one_is_left_out():
    refusals = expecting()
    begins(refusals)
    refused(refusals)
    described(refusals)
    ends(refusals, 2)
    domain = refusals.of(SHIM)
    expected = Attempt("open", b"/gold/a", 13070, 1000, 100, "sh /tmp/job.sh", WHEN)
    assert [expected] == list(domain.refused.values())
    assert (2, 2) == (domain.seen, domain.total)


def test_program_stands_for_a_command_line_that_was_not_told():
    refusals = expecting()
    begins(refusals)
    refused(refusals)
    described(refusals, title="")
    assert ["/usr/bin/dash"] == [one.command for one in refusals.of(SHIM).refused.values()]


def test_user_is_known_where_system_calls_are_not_audited():
    refusals = expecting()
    said = (
        "domain=15d5c2361 status=allocated mode=enforcing pid=13069 uid=1000 "
        'exe="/usr/bin/python3.11" comm="python"'
    )
    refusals.add(DOMAIN, (head(2) + said).encode())
    refused(refusals)
    assert [(0, 1000, "")] == [
        (one.pid, one.uid, one.command) for one in refusals.of(SHIM).refused.values()
    ]


def test_path_in_hex_is_the_bytes_it_stands_for():
    refusals = expecting()
    begins(refusals)
    refused(refusals, path=b"/gold/a b\xff\n".hex().upper())
    assert [b"/gold/a b\xff\n"] == [one.path for one in refusals.of(SHIM).refused.values()]


def test_both_places_of_a_rename_are_kept():
    refusals = expecting()
    begins(refusals)
    refused(refusals, '"/gold/x"', "fs.remove_file,fs.refer")
    refused(refusals, '"/gold/y"', "fs.make_reg,fs.refer")
    described(refusals)
    told = [(one.operation, one.path, one.pid) for one in refusals.of(SHIM).refused.values()]
    assert [("rename", b"/gold/x", 13070), ("rename", b"/gold/y", 13070)] == told


def test_refusals_by_the_rules_of_others_are_forgotten():
    refusals = Refusals()
    begins(refusals, OTHER, "aaa", serial=1)
    refused(refusals, domain="aaa", serial=2)
    begins(refusals, serial=4)
    refusals.expect(SHIM)
    begins(refusals, OTHER, "bbb", serial=5)
    refused(refusals, domain="bbb", serial=6)
    refused(refusals, serial=7)
    ends(refusals, 2, "bbb")
    assert refusals.of(OTHER) is None
    assert [b"/gold/a"] == [one.path for one in refusals.of(SHIM).refused.values()]


def test_what_has_no_path_is_counted():
    refusals = expecting()
    begins(refusals)
    said = head(3) + 'domain=15d5c2361 blockers=ptrace opid=1 ocomm="systemd"'
    refusals.add(ACCESS, said.encode())
    assert ({}, 2) == (refusals.of(SHIM).refused, refusals.of(SHIM).seen)


def test_job_that_tries_for_ever_does_not_fill_memory(monkeypatch):
    monkeypatch.setattr(auditrecords, "LIMIT", 3)
    refusals = expecting()
    begins(refusals)
    for serial in range(10, 600):
        refused(refusals, serial=serial)
    assert (3, 591) == (len(refusals.of(SHIM).refused), refusals.of(SHIM).seen)


@given(st.sampled_from([ACCESS, DOMAIN, SYSCALL, PROCTITLE, 1305]), st.binary(max_size=80))
def test_no_record_is_too_odd_to_be_passed_over(kind, record):
    refusals = expecting()
    refusals.add(kind, record)
    refusals.add(kind, b"audit(1795449106.601:2): " + record)
    assert refusals.of(SHIM) is None or kind == DOMAIN


@given(st.binary(min_size=1, max_size=30).filter(lambda path: b"\0" not in path))
def test_every_path_comes_back(path):
    refusals = expecting()
    begins(refusals)
    refused(refusals, path=path.hex().upper())
    assert [path] == [one.path for one in refusals.of(SHIM).refused.values()]
