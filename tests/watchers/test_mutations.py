"""Which source sees which change, on every kind of file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts.watching import clock, covers, until
from dataguard.watchers.choose import watcher as chosen
from support.mutations import MUTATIONS, Stage, UnsupportedError
from support.watchmatrix import BLIND

KINDS = ("tmpfs", "ext4", "xfs", "btrfs")
ONLY_SOME = {"reflink over", "O_TMPFILE and linkat", "splice", "setxattr", "removexattr"}


@pytest.fixture(params=KINDS)
def place(request):
    if request.param == "tmpfs":
        return str(request.getfixturevalue("area"))
    return request.getfixturevalue("loop_image")(request.param).top


@pytest.mark.parametrize("source", BLIND)
def test_every_change_is_seen_but_what_the_source_says(source, place):
    root = f"{place}/gold"
    stages = [
        Stage(f"{root}/{number:02}", f"{place}/outside/{number:02}")
        for number in range(len(MUTATIONS))
    ]
    for mutation, stage in zip(MUTATIONS, stages, strict=True):
        stage.furnish()
        stage.prepared = mutation.prepare(stage) if mutation.prepare else None
    watcher = chosen(source, clock=clock, poll_s=0.1)
    try:
        watcher.start([os.fsencode(root)])
        wanted, unsupported = acted(stages)
        missed = unseen(watcher, wanted, BLIND[source])
    finally:
        watcher.close()
        for stage in stages:
            stage.close()
    assert BLIND[source] >= missed
    assert ONLY_SOME >= unsupported


def test_the_table_in_the_documentation_is_what_is_tried():
    text = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    missed = set().union(*BLIND.values())
    wanted = {
        name: ["no" if name in BLIND[source] else "yes" for source in BLIND] for name in missed
    }
    assert wanted == {name: cells for name, *cells in rows if name in missed}


def acted(stages):
    """Do everything; return the paths to be reported, and what this file system cannot do."""
    wanted, unsupported = {}, set()
    for mutation, stage in zip(MUTATIONS, stages, strict=True):
        try:
            changed = mutation.act(stage)
        except UnsupportedError:
            unsupported.add(mutation.name)
        else:
            wanted[mutation.name] = [f"{stage.place}/{path}" for path in changed]
    return wanted, unsupported


def unseen(watcher, wanted, blind):
    """Return the mutations of which no event told."""

    def missing(seen):
        return {
            name for name, paths in wanted.items() if not any(covers(seen, path) for path in paths)
        }

    return missing(until(watcher, lambda seen: missing(seen) <= blind))
