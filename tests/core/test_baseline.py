from __future__ import annotations

from dataclasses import replace

import pytest

from dataguard.core.baseline import is_usable
from dataguard.model.dataset import FileSystem

LOCAL = FileSystem("ext4", shared=False, host="a", device=5, fsid=77, tick_ns=0)
NFS = FileSystem("nfs4", shared=True, host="a", device=40, fsid=1, tick_ns=1_000_000_000)


@pytest.mark.parametrize(
    ("recorded", "now", "usable"),
    [
        (LOCAL, LOCAL, True),
        (LOCAL, replace(LOCAL, host="b"), False),
        (LOCAL, replace(LOCAL, device=6), True),
        (LOCAL, replace(LOCAL, device=6, fsid=78), False),
        (LOCAL, replace(LOCAL, fsid=78), False),
        (LOCAL, replace(LOCAL, kind="xfs"), False),
        (LOCAL, replace(LOCAL, tick_ns=10), True),
        (replace(LOCAL, fsid=0), replace(LOCAL, fsid=0), True),
        (replace(LOCAL, fsid=0), replace(LOCAL, fsid=0, device=6), False),
        (NFS, replace(NFS, host="b", device=41, fsid=2), True),
        (NFS, replace(NFS, shared=False), False),
        (NFS, LOCAL, False),
        (LOCAL, NFS, False),
        (None, LOCAL, False),
        (LOCAL, None, False),
        (None, None, False),
    ],
)
def test_usable_where_inodes_and_times_are_those_of_one_file_system(recorded, now, usable):
    assert usable is is_usable(recorded, now)
