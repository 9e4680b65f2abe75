"""The table of the probe in docs/guarantees.md is what the probe finds, for each backend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dataguard.model.mount import Backend
from dataguard.mounts.bind import BindBackend
from dataguard.mounts.choose import backend_of
from dataguard.mounts.probe import OPERATIONS, probe
from support.cachedtrees import cached_tree, needs_images
from support.mountcleanup import needs_fuse, needs_mounts

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
MADE = [
    pytest.param(Backend.BIND, marks=needs_mounts),
    pytest.param(Backend.CAS, marks=needs_images),
    pytest.param(Backend.CONTAINER, marks=needs_mounts),
    pytest.param(Backend.OVERLAY, marks=needs_mounts),
    pytest.param(Backend.FUSE, marks=[needs_mounts, needs_fuse]),
    Backend.DECLARED,
    Backend.SYMLINK,
]


def documented():
    """The table: for each backend its results by operation."""
    text = PAGE.read_text(encoding="utf-8")
    table = re.search(r"^\| operation \| `bind`.*\n(?:\|.*\n)+", text, re.MULTILINE)[0]
    head, _, *rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]
    return {
        name: {row[0]: row[at] for row in rows} for at, name in enumerate(head) if name != head[0]
    }


def test_every_backend_and_operation_is_in_the_table():
    found = documented()
    assert set(Backend) == set(found)
    assert {OPERATIONS} == {tuple(results) for results in found.values()}


@pytest.mark.parametrize("backend", MADE)
def test_probe_finds_what_the_page_says(area, backend):
    source, target = str(area / "gold"), str(area / "data" / "faces")
    made = BindBackend() if backend is Backend.CONTAINER else None  # its runtime does
    if backend is Backend.CAS:
        source = cached_tree(source, area / "cache").image
    (made or backend_of(backend, state=str(area / "state"))).make(source, target)
    found = {step.operation: str(step.result) for step in probe(target, backend).steps}
    assert documented()[backend] == found
