"""Many files at once, in directories that are there, are new, or are nested."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from contracts.watching import clock, gaps
from dataguard.watchers.choose import watcher as chosen

BURST = """
import os, sys
root, layout, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(count):
    if layout == "one":
        path = f"{root}/{number}"
    elif layout == "existing":
        path = f"{root}/d{number % 500}/{number}"
    else:
        at = f"{root}/new{number % 500}/a/b/c/d/e"
        os.makedirs(at, exist_ok=True)
        path = f"{at}/{number}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"burst\\n")
    os.close(descriptor)
    print(path)
"""
COUNTS = [pytest.param(5_000), pytest.param(50_000, marks=pytest.mark.long)]
AFTER_S = 15.0


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("layout", ["one", "existing", "new"])
@pytest.mark.parametrize("source", ["fanotify", "inotify"])
def test_no_file_of_a_burst_is_unreported(source, layout, count, area):
    root = area / "gold"
    for number in range(500):
        (root / f"d{number}").mkdir(parents=True)
    watcher = chosen(source, clock=clock)
    try:
        watcher.start([os.fsencode(root)])
        paths, seen = burst(watcher, root, layout, count)
    finally:
        watcher.close()
    assert count == len(paths)
    if source == "fanotify":
        assert [] == gaps(seen)
    if not gaps(seen):
        named = {one.path for one in seen}
        assert [] == [path for path in paths if path not in named]


def burst(watcher, root, layout, count):
    """Return the paths written, and what was seen until all were or 15 seconds after."""
    words = [sys.executable, "-c", BURST, str(root), layout, str(count)]
    with open(root.parent / "written", "wb+") as written:
        with subprocess.Popen(words, stdout=written) as process:
            seen = []
            while process.poll() is None:
                seen += watcher.read(0.1)
        written.seek(0)
        paths = written.read().splitlines()
    end = time.monotonic() + AFTER_S
    named = {one.path for one in seen}
    while time.monotonic() < end and not (gaps(seen) or named.issuperset(paths)):
        new = watcher.read(0.1)
        seen += new
        named |= {one.path for one in new}
    return paths, seen
