"""Which change a running watcher finds, and how: the table in docs/watching.md is made of it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from dataguard.cli.main import main
from dataguard.watchers.choose import watcher as chosen
from support.mutations import MUTATIONS, Stage, UnsupportedError
from support.watching import watching

__all__ = ["BLIND", "KINDS", "NO_PART", "SOURCES", "columns_in", "found_by", "page", "table"]

KINDS = ("ext4", "xfs", "btrfs", "tmpfs")
SOURCES = ("fanotify", "inotify", "polling")
EVENT, COMPARISON, NEVER, UNSUPPORTED = "event", "comparison", "no", "-"
LINKS_OUTSIDE = {
    "through a hard link outside",
    "hard link made outside",
    "hard link made outside, then written",
}
NO_EVENT = {"chattr", "mapping stored to and kept"}
BLIND = {"fanotify": NO_EVENT, "inotify": NO_EVENT | LINKS_OUTSIDE, "polling": set()}
NO_PART = {"chmod of a directory"}
"""What no version records: the modes of a directory that is not empty."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "watching.md"


class Real:
    """A source that sees, with what a session wants to know of it."""

    def __init__(self, source: str) -> None:
        self.started: list[bytes] = []
        self._watcher = chosen(source, clock=lambda: datetime.now(UTC), poll_s=0.2)

    def start(self, roots):
        covered = self._watcher.start(roots)
        self.started += roots
        return covered

    def __getattr__(self, name):
        return getattr(self._watcher, name)


def found_by(source: str, place: str, home: Path) -> dict[str, str]:
    """Try every change below a directory; return by what each was found."""
    gold = f"{place}/gold"
    stages = [Stage(f"{gold}/{n:02}", f"{place}/outside/{n:02}") for n in range(len(MUTATIONS))]
    for mutation, stage in zip(MUTATIONS, stages, strict=True):
        stage.furnish()
        stage.prepared = mutation.prepare(stage) if mutation.prepare else None
    assert 0 == main(["register", "faces", gold, "-q"])
    cells = {}
    try:
        with watching(home, source=Real(source)) as session:
            wanted, cells = acted(stages)
            _wait(session, wanted, BLIND[source] | NO_PART)
            seen = [f.path for f in session.findings if "writer" in f.evidence]
            session.over.set()
        after = _compared(home)
    finally:
        for stage in stages:
            stage.close()
    for name, paths in wanted.items():
        if _is_among(paths, seen):
            cells[name] = EVENT
        else:
            cells[name] = COMPARISON if _is_among(paths, after) else NEVER
    return cells


def acted(stages):
    """Do everything; return the paths to be reported, and the cells of what cannot be done."""
    wanted, cells = {}, {}
    for number, (mutation, stage) in enumerate(zip(MUTATIONS, stages, strict=True)):
        try:
            changed = mutation.act(stage)
        except UnsupportedError:
            cells[mutation.name] = UNSUPPORTED
        else:
            wanted[mutation.name] = [os.fsencode(f"{number:02}/{path}") for path in changed]
    return wanted, cells


def table(cells: dict[tuple[str, str], dict[str, str]]) -> list[str]:
    """Return the lines of the table: a change a row, what found it by source and file system."""
    head = ["change", *(f"{source} {kind}" for source in SOURCES for kind in KINDS)]
    rows = [
        [one.name, *(cells[source, kind][one.name] for source in SOURCES for kind in KINDS)]
        for one in MUTATIONS
    ]
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def columns_in(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """Read the table of a page."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| ---")
    ]
    head, *rows = rows
    keys = [tuple(name.split()) for name in head[1:]]
    return {key: {row[0]: row[at] for row in rows} for at, key in enumerate(keys, start=1)}


def page(cells: dict[tuple[str, str], dict[str, str]]) -> str:
    """Return the page with another table."""
    kept = [line for line in PAGE.read_text().splitlines() if not line.startswith("|")]
    at = kept.index("<!-- table -->") + 1
    return "\n".join([*kept[:at], *table(cells), *kept[at:]]) + "\n"


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _wait(session, wanted, blind) -> None:
    """Wait until all was told of which the source has events."""
    end = time.monotonic() + 40.0
    while time.monotonic() < end:
        told = [one.path for one in session.findings]
        if all(_is_among(paths, told) for name, paths in wanted.items() if name not in blind):
            return
        time.sleep(0.2)


def _compared(home: Path) -> list[bytes]:
    """Compare everything once more, and return the paths of all that is recorded."""
    from dataguard.actions.settings import load, load_policy
    from dataguard.cli.opening import open_context
    from dataguard.cli.progress import choose

    assert main(["watch", "--once", "-q"]) in (0, 3, 4)
    settings = load({}, {"DATAGUARD_HOME": str(home)}, workspace=None)
    policy = load_policy(settings).policy
    with open_context(settings, policy, choose("never", quiet=True)) as ctx:
        return [one.path for one in ctx.catalog.findings(dataset="faces")]


def _is_among(paths, found) -> bool:
    return any(
        one == path or one.startswith(path + b"/") or path.startswith(one + b"/")
        for path in paths
        for one in found
        if one
    )
