"""`dataguard mount --emit`: other programs do with it what it promises."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess

import pytest
from asking import tree_state

from support.mountcleanup import mount_command, mounts_below, needs_mounts

pytestmark = needs_mounts

FORMS = ("docker", "compose", "k8s", "oci", "systemd", "bwrap")
ATTACK = """
cd {gold} || exit 9
for place in {gold} {seen} {gold}/dir {seen}/dir; do
    touch $place/new && echo created
    chmod 777 $place && echo changed
    mount -o remount,bind,rw $place 2>/dev/null && echo remounted
    umount $place 2>/dev/null && echo unmounted
done
echo x >{gold}/a && echo written
cat {seen}/a
"""


def needs(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


@pytest.fixture
def ws(registered):
    """A workspace that declares faces, which has a writable submount."""
    ws = registered.workspace()
    registered.ask_json("unmount", "--all", "-w", str(ws))
    mount_command("-t", "tmpfs", "none", registered.gold / "dir")
    return ws


def attack(registered, ws):
    words = {"gold": str(registered.gold), "seen": str(ws / "data" / "faces")}
    return ATTACK.format(**{key: shlex.quote(word) for key, word in words.items()})


def configuration(registered, ws, form):
    return registered.ask_json("mount", "-w", str(ws), "--emit", form)["configuration"]


@pytest.mark.parametrize("form", FORMS)
def test_emitting_changes_and_mounts_nothing(registered, ws, form):
    before = (tree_state(ws), mounts_below(registered.top))
    text = registered.ask("mount", "-w", str(ws), "--emit", form).out
    assert str(registered.gold) in text
    assert str(ws / "data" / "faces") in text
    assert before == (tree_state(ws), mounts_below(registered.top))


def test_without_a_workspace_a_version_is_shown_at_its_registered_place(registered):
    found = registered.ask_json("mount", "faces@1", "--emit", "docker")
    assert [[str(registered.gold)]] == [one["targets"] for one in found["mounts"]]
    assert 10 == registered.fails("mount", "--emit", "docker")["exit_code"]


def test_whole_lock_is_shown(registered, ws):
    (registered.top / "cats").mkdir()
    registered.ask_json("register", "cats", str(registered.top / "cats"))
    registered.ask_json("mount", "cats@1", "-w", str(ws), "--as", "more")
    found = registered.ask_json("mount", "-w", str(ws), "--emit", "oci")
    assert ["faces", "more"] == [one["name"] for one in found["mounts"]]
    assert 4 == len(found["configuration"]["mounts"])


def test_unknown_form_is_a_usage_error(registered, ws):
    assert 2 == registered.fails("mount", "-w", str(ws), "--emit", "rkt")["exit_code"]


def test_version_that_may_not_be_used_is_not_emitted(registered, ws):
    registered.ask_json("quarantine", "faces@1", "--reason", "labels")
    assert 11 == registered.fails("mount", "-w", str(ws), "--emit", "oci")["exit_code"]


@needs("systemd-analyze")
def test_systemd_takes_every_setting_and_reads_the_paths(registered, ws, tmp_path):
    place = registered.top / "odd  %n\\ 'x':\"y\""
    place.mkdir()
    registered.ask_json("register", "odd", str(place))
    text = registered.ask("mount", "odd@1", "-w", str(ws), "--emit", "systemd").out
    unit = tmp_path / "job.service"
    unit.write_text(f"[Unit]\nDescription=job\n{text}ExecStart=/bin/true\n", encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], check=False, capture_output=True, text=True
    )
    assert ("", 0) == (done.stderr, done.returncode)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "debug"},
    )
    seen = told.stdout + told.stderr
    assert f"BindReadOnlyPaths: {place}:{ws}/data/odd:rbind" in seen
    assert f"ReadOnlyPaths: {place}" in seen


@needs("bwrap")
def test_bwrap_keeps_root_from_writing_gold_and_what_is_mounted_below(registered, ws):
    before = tree_state(registered.gold)
    text = registered.ask("mount", "-w", str(ws), "--emit", "bwrap").out.strip()
    done = subprocess.run(
        ["sh", "-c", f'{text} sh -c "$ATTACK"'],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "ATTACK": attack(registered, ws)},
    )
    assert "hello\n" == done.stdout, done.stderr
    assert before == tree_state(registered.gold)


@needs("runc")
def test_runc_keeps_root_from_writing_gold_and_what_is_mounted_below(registered, ws, tmp_path):
    before = tree_state(registered.gold)
    bundle = tmp_path / "bundle"
    spec = bundle_on(bundle, configuration(registered, ws, "oci")["mounts"])
    spec["process"]["args"] = ["/bin/sh", "-c", attack(registered, ws)]
    (bundle / "config.json").write_text(json.dumps(spec), encoding="utf-8")
    name = f"dataguard-{os.getpid()}"
    words = ["runc", "--root", str(tmp_path / "state"), "run", "--bundle", str(bundle), name]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    if "cgroup" in done.stderr or "rlimit" in done.stderr:
        pytest.skip(f"runc cannot start a container here: {done.stderr.strip()[-200:]}")
    assert "hello\n" == done.stdout, done.stderr
    assert before == tree_state(registered.gold)


def bundle_on(bundle, mounts):
    """A bundle whose container sees the host's programs, and the mounts."""
    (bundle / "rootfs").mkdir(parents=True)
    subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
    spec = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    for name in ("usr", "bin", "lib", "lib64", "sbin"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), bundle / "rootfs" / name)
        elif os.path.isdir(f"/{name}"):
            shown = {"destination": f"/{name}", "type": "bind", "source": f"/{name}"}
            spec["mounts"].append({**shown, "options": ["rbind", "ro"]})
    spec["mounts"] += mounts
    spec["process"] |= {"terminal": False, "rlimits": [], "cwd": "/"}
    spec["root"] |= {"readonly": False}
    return spec
