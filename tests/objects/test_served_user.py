"""An ordinary user mounts a version of a bucket, or root does for him: it is his to look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
from test_mount_bucket import CONTENTS, Site

from support.mountcleanup import needs_fuse, needs_mounts, swept
from support.namespaces import become, why_no_namespaces
from support.warmcommands import Shell

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

MADE_BY_ROOT = """
set -e
dataguard() {{ {python} -m dataguard "$@" -q; }}
mine() {{ setpriv --reuid={user} --regid={user} --clear-groups {privileged} \\
  {python} -m dataguard "$@"; }}
mine register faces {place} -q
mine workspace init {work} --outputs {top}/out -q
dataguard mount faces@1 -w {work} --backend fuse
mine gate -w {work} -q
mine run -w {work} -q -- sh -c 'cat $DATAGUARD_INPUT_FACES/dir/b'
"""

pytestmark = [
    needs_mounts,
    needs_fuse,
    pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed"),
    pytest.mark.parametrize("objectserver", ["seaweedfs"], indirect=True),
]


@pytest.fixture
def site(objectserver, bucket):
    """A bucket with objects, beside a directory that others reach: pytest's are private."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o777)
        site = Site(Path(top).resolve(), objectserver, bucket)
        site.put(CONTENTS)
        with swept(site.top):
            yield site


def told(site, story):
    """Return what a story says; what it mounts, and its device, end with it."""
    written = story.format(
        top=site.top,
        user=NOBODY,
        privileged=PRIVILEGED,
        python=sys.executable,
        place=site.place,
        work=site.work,
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", written],
        capture_output=True,
        check=False,
        text=True,
        env={
            **os.environ,
            **site.server.environment(),
            "HOME": str(site.top),
            "DATAGUARD_HOME": str(site.top / "home"),
        },
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_ordinary_user_mounts_reads_and_unmounts(site):
    assert f"{NOBODY}\n{NOBODY}\ndeep\n" == told(site, STORY)


def test_mount_that_root_made_is_known_again_by_the_user_whose_jobs_read_it(site):
    assert "deep\n" == told(site, MADE_BY_ROOT)


def shells(site):
    """Return what is asked as root, and as an ordinary user without any capability."""
    variables = site.server.environment()
    variables["TMPDIR"] = str(site.top)
    home, entry = str(site.top / "home"), partial(become, int(NOBODY), str(site.top))
    mine = Shell(home, str(site.top), environment=tuple(variables.items()), entry=entry)
    return site.server.shell(site.top / "home"), mine


@pytest.fixture
def shared(site):
    """A workspace of an ordinary user, with a mount of objects that root made in it."""
    if why_no_namespaces():
        pytest.skip("needs namespaces")
    root, mine = shells(site)
    mine.ask("register", "faces", site.place)
    mine.ask("workspace", "init", site.work, "--outputs", site.top / "out")
    root.ask("mount", "faces@1", "-w", site.work, "--backend", "fuse")
    return mine


JOB = ("--", "sh", "-c", "cat $DATAGUARD_INPUT_FACES/dir/b > {out}/read")


def test_confined_job_of_an_ordinary_user_reads_objects_by_the_mount_that_root_made(site, shared):
    done = shared.ask("run", "-w", site.work, *JOB)
    assert ("complete", ["verified"]) == (done["state"], [one["after"] for one in done["inputs"]])
    assert "deep\n" == Path(done["outputs_directory"], "read").read_text()
    notes = site.top / "home" / "state" / "fuse"
    assert {0o600} == {path.stat().st_mode & 0o777 for path in notes.glob("*/attempts.jsonl")}


def test_job_is_not_started_where_nobody_may_say_what_a_mount_could_not_give(site, shared):
    for notes in (site.top / "home" / "state" / "fuse").glob("*/faults.jsonl"):
        notes.chmod(0o600)
    done = shared.call("run", "-w", site.work, "--format", "json", *JOB)
    assert 125 == done.code
    told = json.loads(done.out)["unreadable"]
    assert ["permission denied"] == [one["reason"] for one in told]
