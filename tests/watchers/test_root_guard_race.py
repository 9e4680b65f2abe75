"""What a root's guard says of mounts that come while it looks."""

from __future__ import annotations

import os
import subprocess

import pytest

from dataguard.model.watch import GapKind
from dataguard.watchers.rootguard import RootGuard

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def test_mount_that_the_table_does_not_show_yet_is_told_from_another_directory(tmp_path):
    root = tmp_path / "gold"
    root.mkdir()
    guard = RootGuard()
    try:
        guard.remember(os.fsencode(root))
        subprocess.run(["mount", "-t", "tmpfs", "over", str(root)], check=True)
        losses = guard.look(mounts_changed=False)
    finally:
        guard.close()
        subprocess.run(["umount", str(root)], check=True)
    assert [GapKind.MOUNTED_OVER] == [loss.kind for loss in losses]
