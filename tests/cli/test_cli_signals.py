from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest
from asking import tree_state

from support.startedcommands import session, started, wait_for

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
LONG, REPEATED = 400, 40


@pytest.fixture
def long_work(registered):
    """A tree that takes some seconds to read: 12 GB of nothing, in many files."""
    for number in range(LONG):
        with open(registered.gold / f"file{number:03}", "wb") as file:
            file.truncate(30_000_000)
    return registered


def drafts(world):
    return [*world.home.rglob(".partial*")]


@pytest.mark.parametrize("engine", ["serial", "local"])
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_interrupted_registration_leaves_a_journal_at_most_and_can_be_repeated(
    long_work, number, code, engine
):
    before = tree_state(long_work.home)
    words = ("register", "long", str(long_work.gold), "--engine", engine, "--workers", "2")
    with started(long_work, *words) as process:
        wait_for(lambda: drafts(long_work))
        if engine == "local":
            wait_for(lambda: len(session(process.pid)) > 1)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
        assert (code, b"") == (process.returncode, out), err
        assert err.startswith(b"error: interrupted")
        assert b"Traceback" not in err
        assert [] == session(process.pid)
    assert [] == drafts(long_work)
    journals = [*long_work.home.glob("state/register-*.journal")]  # where it came far enough
    read = [(journal, journal.read_bytes()) for journal in journals]
    for journal in journals:
        journal.unlink()
    with contextlib.suppress(FileNotFoundError):
        (long_work.home / "state").rmdir()
    assert before == tree_state(long_work.home)
    for journal, content in read:
        journal.parent.mkdir(exist_ok=True)
        journal.write_bytes(content)
    for later in range(REPEATED, LONG):  # which it had not come to
        os.truncate(long_work.gold / f"file{later:03}", 0)
    again = long_work.ask_json("register", "long", str(long_work.gold))
    assert (True, 1, again["files"]) == (
        again["created"],
        again["version"],
        again["hashed"] + again["resumed"],
    )


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_interrupted_audit_records_nothing(long_work, number, code):
    long_work.ask_json("register", "long", str(long_work.gold / "dir"))
    events = long_work.ask_json("catalog", "events")
    with started(long_work, "audit", "--format", "json") as process:
        time.sleep(1.2)
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=30)
    if process.returncode == 3:
        pytest.skip("the audit was done before the signal")
    assert (code, b"") == (process.returncode, out), err
    assert b'"code": "interrupted"' in err
    assert events == long_work.ask_json("catalog", "events")


def test_killed_registration_leaves_a_draft_that_check_finds_and_removes(long_work):
    with started(long_work, "register", "long", str(long_work.gold)) as process:
        wait_for(lambda: drafts(long_work))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    found = long_work.ask_json("catalog", "check")
    assert (True, True) == (found["sound"], bool(found["abandoned"]))
    assert long_work.ask_json("catalog", "check", "--apply")["removed"]
    assert [] == drafts(long_work)


def test_workers_of_a_killed_command_end_by_themselves(long_work):
    words = ("register", "long", str(long_work.gold), "--engine", "local", "--workers", "2")
    with started(long_work, *words) as process:
        wait_for(lambda: len(session(process.pid)) > 2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not session(process.pid))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("register", "no/such/../name", "gold"), 2),
        (("register", "faces", "gold", "--also", "md4"), 2),
        (("register", "faces", "gold", "--expect", "nowhere"), 10),
        (("register", "faces", "gold", "--append"), 2),
        (("register", "faces", "nowhere"), 10),
        (("register", "faces", "gold", "--digest", "xxh3-128", "--policy", "mine.toml"), 2),
        (("audit", "nothing"), 10),
    ],
)
def test_command_that_fails_after_its_workers_started_leaves_none(world, words, code):
    (world.top / "mine.toml").write_text(
        'format = "policy/1"\nname = "x"\n[digest]\nrequired_strength = "adversarial"\n'
    )
    with started(world, *words, "--workers", "2") as process:
        _, err = process.communicate(timeout=30)
        assert code == process.returncode, err
        assert b"Traceback" not in err
        assert [] == session(process.pid)
