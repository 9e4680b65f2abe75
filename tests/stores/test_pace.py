"""A process with a rate reads no faster, whoever reads in it, and sleeps for nothing else."""

from __future__ import annotations

import time

import pytest

from dataguard.stores.pace import Pace, pace_of

KIB = 1 << 10


@pytest.fixture
def pace():
    made = Pace(100 * KIB)
    yield made
    made.close()


@pytest.fixture
def slept(monkeypatch):
    """How long was slept, in place of sleeping."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def test_what_was_read_is_paid_for_with_sleep(pace, slept, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    path.read_bytes()
    pace.keep()
    assert 10 <= sum(slept) < 20  # 1 MiB at 100 KiB a second


def test_who_reads_nothing_does_not_sleep(pace, slept):
    for _ in range(100):
        pace.keep()
    assert sum(slept) < 1


def test_no_rate_is_no_pace():
    assert pace_of(0) is None


def test_a_process_has_one_pace_for_a_rate():
    assert pace_of(1 << 40) is pace_of(1 << 40)
