"""An ordinary user mounts a version of a bucket, and it is his to look at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from test_mount_bucket import CONTENTS, Site

from support.mountcleanup import needs_fuse, needs_mounts, swept

NOBODY = "65534"  # fusermount3 asks for the name of whoever calls it
PRIVILEGED = "--ambient-caps=+dac_read_search --inh-caps=+dac_read_search"
"""For an interpreter below the home of root; owners, and so the probe, take no notice of it."""

STORY = """
set -e
mknod {top}/fuse c 10 229; chmod 666 {top}/fuse; mount --bind {top}/fuse /dev/fuse
exec setpriv --reuid={user} --regid={user} --clear-groups {privileged} sh -ec '
  dataguard() {{ {python} -m dataguard "$@" -q; }}
  dataguard register faces {place}
  dataguard workspace init {work} --outputs {top}/out
  dataguard mount faces@1 -w {work}
  stat -c %u {work}/data/faces {work}/data/faces/dir/b
  cat {work}/data/faces/dir/b
  ! touch {work}/data/faces/new 2>&-
  dataguard unmount --all -w {work}
'
"""


@pytest.fixture
def common():
    """A directory that others reach: pytest's are private."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o777)
        yield Path(top).resolve()


@needs_mounts
@needs_fuse
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
@pytest.mark.parametrize("objectserver", ["seaweedfs"], indirect=True)
def test_ordinary_user_mounts_reads_and_unmounts(common, objectserver, bucket):
    site = Site(common, objectserver, bucket)
    site.put(CONTENTS)
    story = STORY.format(
        top=site.top,
        user=NOBODY,
        privileged=PRIVILEGED,
        python=sys.executable,
        place=site.place,
        work=site.work,
    )
    with swept(site.top):
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                story,
            ],  # what it mounts, and its device, end with it
            capture_output=True,
            check=False,
            text=True,
            env={
                **os.environ,
                **objectserver.environment(),
                "HOME": str(site.top),
                "DATAGUARD_HOME": str(site.top / "home"),
            },
        )
    assert (0, f"{NOBODY}\n{NOBODY}\ndeep\n") == (done.returncode, done.stdout), done.stderr
