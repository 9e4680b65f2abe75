from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture
def temporary():
    """A place that everybody may write, as /tmp; pytest's own are for its user alone."""
    with tempfile.TemporaryDirectory(prefix="dataguard-test-") as made:
        os.chmod(made, 0o1777)
        yield Path(made)


def play(temporary, *words, run_as=()):
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(temporary)}
    done = subprocess.run(
        [*run_as, ROOT / "scripts" / "demo", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot install" in done.stderr:
        pytest.skip("the demo needs the package index")
    return done


def look(directory):
    """Everything but the access times."""
    paths = sorted([directory, *directory.rglob("*")])
    stats = [(str(path), path.lstat()) for path in paths]
    return [(p, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_uid) for p, s in stats]


def check_story(done, file):
    assert ("", 0) == (done.stderr, done.returncode)
    audited = done.stdout[done.stdout.index("== 5.") :]
    assert f"DG101 error {file}" in audited
    assert "exit code 3" in audited


def check_nothing_left(temporary):
    assert [] == list(temporary.iterdir())
    assert str(temporary) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.long
def test_demo_tells_its_story_and_leaves_nothing_behind(temporary):
    check_story(play(temporary), "airports.csv")
    check_nothing_left(temporary)


@pytest.mark.long
def test_demo_takes_a_folder_and_leaves_it_as_it_is(temporary, tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    before = look(tmp_path)
    check_story(play(temporary, tmp_path), "table.csv")
    assert before == look(tmp_path)
    check_nothing_left(temporary)


@pytest.mark.long
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to be nobody"
)
def test_ordinary_user_gets_the_weaker_guarantee_said_aloud(temporary):
    done = play(temporary, run_as=NOBODY)
    check_story(done, "airports.csv")
    assert "NOTE: only root can make a mount that the kernel enforces" in done.stdout
    assert "DG304 error airports.csv" in done.stdout
    check_nothing_left(temporary)
