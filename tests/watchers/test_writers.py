"""Who wrote: what is said is true, and nothing is said that is not known."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from contracts.watching import clock, gathered, until
from dataguard.model.watch import Writer
from dataguard.watchers.choose import watcher as chosen
from dataguard.watchers.writers import Attribution, writer_of

WAITING = "import sys; open(sys.argv[1], 'w').write('x'); sys.stdin.read()"
NAMED = "import os, sys; os.close(os.open(f'{sys.argv[1]}/{os.getpid()}', os.O_CREAT | os.O_RDWR))"


@pytest.fixture
def started(area):
    root = area / "gold"
    root.mkdir()
    watcher = chosen("fanotify", clock=clock)
    watcher.start([os.fsencode(root)])
    yield root, watcher
    watcher.close()


def test_process_that_still_runs_is_known_in_full(started):
    root, watcher = started
    words = [sys.executable, "-c", WAITING, str(root / "file")]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        seen = gathered(watcher, [root / "file"])
        process.stdin.close()
    writer = seen[0].writer
    assert (process.pid, 0, tuple(words)) == (writer.pid, writer.uid, writer.command)
    assert os.path.realpath(sys.executable) == writer.executable
    assert writer.start_time > 0


def test_real_user_is_told(started):
    root, watcher = started
    root.chmod(0o777)
    directory = os.open(root, os.O_PATH)  # the directories above are closed to others
    words = ["sh", "-c", ": > /proc/self/fd/0/file; exec sleep 100"]
    user = {"user": 65534, "group": 65533, "extra_groups": []}
    try:
        with subprocess.Popen(words, stdin=directory, **user) as process:
            path = os.fsencode(root / "file")
            seen = until(watcher, lambda seen: path in {one.path for one in seen})
            process.kill()
    finally:
        os.close(directory)
    writers = {(one.writer.pid, one.writer.uid) for one in seen if one.path == path}
    assert {(process.pid, 65534)} == writers


def test_no_pid_is_ever_that_of_another(started):
    root, watcher = started
    count = 100
    script = f'for i in $(seq {count}); do "$0" -I -S -c "$1" "$2"; done'
    subprocess.run(["sh", "-c", script, sys.executable, NAMED, str(root)], check=True)
    seen = until(watcher, lambda seen: len({one.path for one in seen}) >= count)
    assert count == len({one.path for one in seen})
    wrong = [
        one
        for one in seen
        if one.writer is not None and one.writer.pid is not None
        if os.path.basename(one.path) != b"%d" % one.writer.pid
        or (one.writer.command and os.fsdecode(root) not in one.writer.command)
    ]
    assert [] == wrong


def test_process_that_was_gone_before_the_event_was_read_is_unknown():
    found = Attribution().of(1, -1)
    assert (Writer(number=1), False) == (found, found.is_known)
    assert Attribution().of(0, -1) is None


def test_number_that_another_process_has_by_now_tells_nothing_of_it():
    process = subprocess.Popen(["sleep", "100"])
    pidfd = os.pidfd_open(process.pid)
    try:
        process.kill()
        process.wait()
        found = writer_of(os.getpid(), pidfd)  # as if this process had got its number since
        assert ("", (), None) == (found.executable, found.command, found.start_time)
    finally:
        os.close(pidfd)


def test_process_is_asked_once_a_batch():
    pidfd = os.pidfd_open(os.getpid())
    try:
        asked = Attribution()
        first = asked.of(os.getpid(), pidfd)
        assert first is asked.of(os.getpid(), pidfd)
        assert isinstance(first, Writer)
        assert os.getpid() == first.pid
    finally:
        os.close(pidfd)
