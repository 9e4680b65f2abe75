"""The file of refused writes: what is noted comes back, and probes are left out."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.errors import DataguardError
from dataguard.model.attempt import Attempt
from dataguard.mounts import attempts, fuserefusal
from dataguard.mounts.fuseserver import Gold

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ATTEMPTS = st.builds(
    Attempt,
    operation=st.sampled_from(["open", "mkdir"]),
    path=st.binary(max_size=20),
    pid=st.integers(0, 2**22),
    uid=st.integers(0, 2**32 - 1),
    gid=st.integers(0, 2**32 - 1),
    command=st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    time=st.datetimes(timezones=st.just(UTC)),
)


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "attempts.jsonl")


def note(log, *made):
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        for attempt in made:
            attempts.note(descriptor, attempt)
    finally:
        os.close(descriptor)


def by(pid):
    return Attempt("open", b"a", pid, 0, 0, "sh", NOW)


@given(st.lists(ATTEMPTS, max_size=3))
def test_what_is_noted_is_read(tmp_path_factory, made):
    log = str(tmp_path_factory.mktemp("log") / "attempts.jsonl")
    note(log, *made)
    assert tuple(made) == attempts.read(log)


def test_no_file_is_no_attempts(log):
    assert () == attempts.read(log)


def test_only_what_the_prober_does_meanwhile_is_left_out(log):
    note(log, by(1))
    with attempts.probing(log, 1):
        note(log, by(1), by(2))
    note(log, by(1))
    assert [1, 2, 1] == [attempt.pid for attempt in attempts.read(log)]


def test_what_was_taken_is_not_read_again_and_what_came_meanwhile_is(log):
    note(log, by(1), by(2))
    assert (2, 0) == (len(attempts.take(log)), len(attempts.take(log)))
    note(log, by(3))
    with attempts.probing(log, 4):
        note(log, by(4))
    assert [3] == [attempt.pid for attempt in attempts.read(log)]


@pytest.mark.parametrize("line", ["{", "{}", "[]", '{"pid": 1}'])
def test_file_that_is_none_is_an_error_with_the_way_out(log, line):
    with open(log, "w", encoding="utf-8") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataguardError, match="cannot understand") as caught:
        attempts.read(log)
    assert caught.value.hint == f"rm {log}"


def test_job_that_tries_for_ever_does_not_fill_the_disk(log, tmp_path, monkeypatch):
    monkeypatch.setattr(fuserefusal, "LIMIT", 3)
    descriptors = [os.open(tmp_path, os.O_PATH), os.open(log, os.O_WRONLY | os.O_CREAT)]
    gold = Gold(descriptors[0], lambda: (1, 2, os.getpid()), descriptors[1])
    for _ in range(9):
        with pytest.raises(OSError, match="Read-only"):
            gold.mkdir("/new", 0o700)
    for descriptor in descriptors:
        os.close(descriptor)
    assert 3 == len(attempts.read(log))
