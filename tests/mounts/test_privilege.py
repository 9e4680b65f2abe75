"""What is taken for a container."""

from __future__ import annotations

import pytest

from dataguard.mounts.privilege import in_container
from support.mountcleanup import mount_command, needs_mounts


@pytest.fixture
def root(area):
    """A directory that could be the root of a container, marked as such."""
    (area / "root" / "run").mkdir(parents=True)
    (area / "root" / "run" / ".containerenv").touch()
    return area / "root"


def test_marks_alone_make_no_container(root):
    assert not in_container(str(root))


@needs_mounts
def test_directory_as_root_with_marks_is_a_container(root):
    mount_command("--bind", root, root)
    (root / "run" / ".containerenv").touch()
    assert in_container(str(root))


@needs_mounts
def test_overlay_as_root_with_marks_is_a_container(root):
    for name in ("upper", "work"):
        (root.parent / name).mkdir()
    layers = f"lowerdir={root},upperdir={root.parent}/upper,workdir={root.parent}/work"
    mount_command("-t", "overlay", "none", "-o", layers, root)
    assert in_container(str(root))
