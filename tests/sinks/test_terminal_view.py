"""The view of a watcher on a real terminal: what fits, what is escaped, one that is stopped."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.sinks import SinkContract
from dataguard.core.watchview import WatchView
from dataguard.errors import StoreUnreachableError
from dataguard.model.alert import SeenPlace
from dataguard.sinks.terminal import TerminalView
from support.alerts import alert, status

STYLES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A pseudoterminal, and the last frame that was painted on it."""

    def __init__(self, columns=80, rows=24):
        self.master, self._slave = os.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self._slave)
        self.seen = ""

    def read(self):
        try:
            while data := os.read(self.master, 65536):
                self.seen += data.decode()
        except BlockingIOError:
            pass
        return self.seen

    def frame(self):
        last = self.read().rpartition("\x1b[H")[2]
        return [line.rstrip() for line in STYLES.sub("", last).splitlines()]

    def close(self):
        os.close(self.master)
        os.close(self._slave)


@pytest.fixture
def terminal():
    found = Terminal()
    yield found
    found.close()


class TestTerminalView(SinkContract):
    @pytest.fixture
    def sink(self, terminal):
        self.terminal = terminal
        view = TerminalView(terminal.name, color=False)
        yield view
        view.close()

    @pytest.fixture
    def dead(self, tmp_path):
        return TerminalView(str(tmp_path / "missing"), color=False)

    def received(self, sink):
        del sink
        found = [re.search(r" (\d+)x DG301", line) for line in self.terminal.frame()]
        return [f"alert-{one[1]}" for one in found if one]

    def test_places_counts_and_sinks_are_shown(self, sink):
        place = SeenPlace(b"/data/faces", "faces@3", "fanotify", "ext4", blind=True)
        sink.note(status(places=(place,)))
        shown = "\n".join(self.terminal.frame())
        assert "watching 2 places, 1 of them not in full; 10 events, 3 gaps, 0.5 s behind" in shown
        assert "faces@3  /data/faces  fanotify on ext4: NOT SEEN IN FULL" in shown
        assert '7 DG301 fa"ces' in shown
        assert "sink hook: 2 waiting, 1 dropped; down" in shown

    def test_what_was_told_is_added_up_by_directory(self, sink):
        sink.send([alert(1, path=b"dir/a"), alert(7, path=b"dir"), alert(2, path=b"other")])
        counts = [line.split() for line in self.terminal.frame() if " DG301 faces@3 " in line]
        assert [["2", "other"], ["8", "dir"]] == [[one[0], one[-1]] for one in counts[:2]]

    def test_no_path_steers_the_terminal(self, sink):
        sink.send([alert(1, path=b"a\x1b[2J\r\nb")])
        sink.remark("evil \x1b]0;title\x07")
        assert "\x1b[2J" not in self.terminal.read()
        assert "\x1b]0" not in self.terminal.read()

    def test_stopped_terminal_holds_nobody_up(self, sink, terminal):
        def flood():
            for number in range(10_000):
                sink.send([alert(number)])

        with pytest.raises(StoreUnreachableError):
            flood()
        terminal.read()
        sink.send([alert(77)])
        assert "alert-77" == self.received(sink)[-1]

    def test_first_screen_comes_back(self, sink, terminal):
        sink.send([alert(1)])
        sink.close()
        assert terminal.read().endswith("\x1b[?25h\x1b[?1049l")


@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 40), st.booleans())
def test_frame_is_never_larger_than_the_terminal(columns, rows, count, has_status):
    view = WatchView(status() if has_status else None, "a remark " * 30)
    for number in range(count):
        view.add(alert(number, path=b"d%d/" % number + b"long" * 60))
    lines = view.lines(columns, rows, color=True)
    assert len(lines) <= rows
    assert all(len(STYLES.sub("", line)) <= columns for line in lines)
