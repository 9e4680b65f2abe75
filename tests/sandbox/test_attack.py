"""Everything a job can try against gold: denied in `run`, done without it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from functools import partial

import pytest

from support import attack
from support.mountcleanup import as_user, fingerprint, needs_mounts
from support.namespaces import become, why_no_namespaces
from support.warmcommands import Shell

pytestmark = [
    needs_mounts,
    pytest.mark.skipif(bool(why_no_namespaces()), reason=why_no_namespaces() or "-"),
]

USER = 23456
FILE_SYSTEMS = ("ext4", "xfs", "btrfs")


ROUTED = {
    *("open_for_writing", "open_for_appending", "open_and_truncate", "truncate", "create"),
    *("nameless_file", "make_directory", "remove_directory", "unlink", "rename_within"),
    *("make_symlink", "make_fifo", "through_a_symlink", "change_mode", "change_mode_by_descriptor"),
    *("change_times", "set_attribute", "remove_attribute", "set_flags", "map_shared"),
    *("open_again_by_descriptor", "by_the_root_of_proc"),
}
"""What a job does to gold where its writes are led away."""
WITHOUT_CHANGE = {"change_owner"}
"""It gives the file to whom it belongs."""


class Battlefield:
    """Gold on a file system of its own, owned by whoever attacks it, with a helper outside."""

    def __init__(self, image, home, uid):
        self.image, self.uid = image, uid
        top = os.path.realpath(image.top)
        self.gold, self.beside = os.path.join(top, "gold"), os.path.join(top, "beside")
        self.home = home
        attack.prepare(self.gold, self.beside)
        self.script = os.path.join(home, "attack.py")
        shutil.copy(attack.__file__, self.script)
        for place in (top, home):
            subprocess.run(["chown", "-R", f"{uid}:{uid}", place], check=True)
            os.chmod(place, 0o755)
        self.entry = partial(become, uid, str(home), top) if uid else in_a_namespace
        variables = (("HOME", home), ("TMPDIR", home))
        self.shell = Shell(f"{home}/dg", home, environment=variables, entry=self.entry)

    def words(self, helper):
        return (self.gold, self.beside, str(helper), self.image.device)

    def attacked_in_a_run(self, helper, *options):
        self.shell.ask("register", "gold", self.gold)
        script = ("{out}/answers", sys.executable, "-I", "-S", self.script, *self.words(helper))
        words = ("--input", "gold@1", "--output", f"{self.home}/out", *options)
        job = ("sh", "-c", 'answers=$1; shift; exec "$@" > $answers', "sh")
        report = self.shell.ask("run", *words, "--", *job, *script)
        with open(os.path.join(report["outputs_directory"], "answers")) as file:
            return report, json.load(file)

    def attacked_freely(self, helper):
        def act():
            self.entry()
            ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # what setuid made unreadable: /proc/self
            return json.dumps(attack.attack(*self.words(helper)))

        return json.loads(as_user(act, uid=0))


def in_a_namespace():
    """Have mounts that are gone afterwards."""
    attack.check(ctypes.CDLL(None).unshare(attack.NEWNS))


@pytest.fixture
def helper_of():
    helpers = []

    def start(field):
        # It is outside, and reaches what the field's user does.
        helpers.append(subprocess.Popen(["sleep", "600"], preexec_fn=field.entry))  # noqa: PLW1509
        return helpers[-1].pid

    yield start
    for helper in helpers:
        helper.kill()
        helper.wait()


@pytest.fixture(params=FILE_SYSTEMS)
def image(request, loop_image):
    return loop_image(request.param)


@pytest.fixture(params=[0, USER], ids=["root", "user"])
def field(request, image, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Battlefield(image, str(home.resolve()), request.param)


@pytest.mark.parametrize("mode", ["protect", "strict"])
def test_no_operation_of_a_job_reaches_gold(field, helper_of, mode):
    before = fingerprint(field.gold)
    report, answers = field.attacked_in_a_run(helper_of(field), "--confine", mode)
    assert before == fingerprint(field.gold)
    assert {} == {name: answer for name, answer in answers.items() if answer == "done"}
    assert set(attack.OPERATIONS) == set(answers)
    assert "died" not in answers.values()
    assert "EROFS" == answers["open_for_writing"]
    # Where the host is audited, some of what was refused is told.
    found = [one for one in report["findings"] if one["code"] != "DG302"]
    assert ("complete", "full", []) == (report["state"], report["confinement"]["step"], found)


def flags(path):
    command = ["lsattr", "-d", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def attributes(top):
    """Extended attributes and flags of everything, which a fingerprint leaves out."""
    found = {}
    for directory, names, files in os.walk(top):
        for name in (".", *names, *files):
            path = os.path.join(directory, name)
            here = {key: os.getxattr(path, key) for key in os.listxattr(path)}
            found[path] = (here, flags(path))
    return found


def test_every_change_of_a_routed_job_is_in_its_harvest(field, helper_of):
    marks, before = attributes(field.gold), fingerprint(field.gold)
    report, answers = field.attacked_in_a_run(helper_of(field), "--writes", "route")
    assert before == fingerprint(field.gold)
    assert marks == attributes(field.gold)
    assert [("verified", "verified")] == [(o["before"], o["after"]) for o in report["inputs"]]
    changed = {one["gold_path"].split("/")[0] for one in report["diverted"]}
    assert ROUTED == changed
    assert ROUTED | WITHOUT_CHANGE == {name for name in answers if answers[name] == "done"}
    assert ("complete", "full") == (report["state"], report["confinement"]["step"])


def test_every_operation_succeeds_without_confinement(field, helper_of):
    answers = field.attacked_freely(helper_of(field))
    beyond = set(attack.PRIVILEGED) if field.uid else set()
    assert {} == {n: a for n, a in answers.items() if a != "done" and n not in beyond}
    assert len(attack.OPERATIONS) >= 25
