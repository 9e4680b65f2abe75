"""`dataguard watch --view` on a real terminal: a write is seen there, and the end puts it back."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

from support.watching import PATIENCE_S


def read(master, wanted, seen=""):
    """Return what the terminal was given until it holds the wanted words."""
    end = time.monotonic() + PATIENCE_S
    while not re.search(wanted, seen):
        assert time.monotonic() < end, seen
        try:
            seen += os.read(master, 65536).decode()
        except OSError:  # the other side is closed: what was given is all there is
            assert re.search(wanted, seen), seen
    return seen


def test_write_is_seen_on_the_terminal(registered):
    master, slave = pty.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 300, 0, 0))
    words = [sys.executable, "-m", "dataguard", "watch", "--view"]
    watcher = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        place = r"faces@1  \S+/gold  \w+ on \w+: seen"
        read(master, place)
        (registered.gold / "dir" / "b").write_bytes(b"other")
        read(master, r"1x DG301 faces@1 dir/b")
        read(master, r"1 DG301 faces@1 dir")
        watcher.send_signal(signal.SIGTERM)
        read(master, r"\x1b\[\?1049l")
        assert 143 == watcher.wait(PATIENCE_S)
    finally:
        if watcher.poll() is None:
            watcher.kill()
            watcher.wait()
        os.close(master)


def test_view_without_a_terminal_is_refused(registered):
    for words in (("--view",), ("--view", "--once"), ("--view", "--format", "jsonl")):
        answer = registered.ask("watch", *words)
        assert 2 == answer.code
        assert "--view needs a terminal" in answer.err
