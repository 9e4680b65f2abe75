"""A process that asks the kernel for the events of a watcher, and drops them; for `watch_burst`.

`python draining.py PLACE` prints a line when it is told of the file system of PLACE. What it costs
others is what nobody who asks for these events can do without.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__)))))

from dataguard.watchers import fanotifycalls as calls
from dataguard.watchers.fanotifyrecords import records

BUFFER = 48 << 10


def main(place: str) -> None:
    """Drop events until somebody ends it."""
    group = calls.initialize()
    calls.mark(group, calls.FILESYSTEM, os.fsencode(place))
    print("ready", flush=True)
    poller = select.poll()
    poller.register(group, select.POLLIN)
    while True:
        poller.poll()
        with contextlib.suppress(BlockingIOError):
            while True:
                drop(os.read(group, BUFFER))


def drop(buffer: bytes) -> None:
    """Close what came with the events."""
    for record in records(buffer):
        if record.pidfd >= 0:
            os.close(record.pidfd)


if __name__ == "__main__":
    main(*sys.argv[1:])
