"""A process that watches a tree and says when it learned of what; for `scripts/bench/watch`.

`python watching.py SOURCE ROOT` prints a line when it watches, then one for each path that it is
told of: the monotonic time and the path's last name.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__)))))

from dataguard.model.watch import Gap
from dataguard.watchers.choose import watcher


def main(source: str, root: str) -> None:
    """Watch until standard input is closed by a signal."""
    watching = watcher(source, clock=lambda: datetime.now(UTC))
    watching.start([os.fsencode(root)])
    print("ready", time.process_time(), flush=True)
    while True:
        seen = watching.read(10)
        now = time.monotonic()
        for one in seen:
            name = "GAP" if isinstance(one, Gap) else os.fsdecode(os.path.basename(one.path))
            print(now, name)
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
