"""What is seen of the writes that are refused to a job, and where that cannot be known."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from dataguard.core.confinement import confinement_of
from dataguard.model.confinement import Layer, Mode
from dataguard.sandbox import auditlog, auditsocket, auditswitch
from dataguard.sandbox.auditlog import Listener, Lookout
from dataguard.sandbox.auditrecords import DOMAIN
from dataguard.sandbox.auditswitch import switched_on
from dataguard.sandbox.shim.ruleset import WITH_LOG, version
from support import attack, seccomp
from support.auditing import alone, why_no_audit
from support.mountcleanup import needs_fuse, needs_mounts
from support.workplace import workplaces

AUDITED = 'format = "policy/1"\nname = "audited"\n[run]\nattempts = "audit"\n'
NO_NAMESPACES = partial(seccomp.refuse, seccomp.NAMESPACES, 1)
NO_LANDLOCK = partial(seccomp.refuse, seccomp.LANDLOCK)


def why_unheard():
    """Return why refusals cannot be heard here; empty where they can."""
    told = version() >= WITH_LOG
    return why_no_audit() or ("" if told else "Landlock does not tell what it refuses")


needs_audit = pytest.mark.skipif(bool(why_unheard()), reason=why_unheard() or "-")


@pytest.fixture(autouse=True)
def _alone():
    with alone():
        yield


@pytest.fixture
def place(tmp_path):
    if needs_mounts.args[0]:
        pytest.skip("needs root")
    yield from workplaces(tmp_path, 0)


def watched(place, script, *options, hosts=(), codes=(0, 1, 2)):
    """Run a job whose refusals are to be told, and return report and record."""
    policy = place.mine / "audited.toml"
    policy.write_text(AUDITED)
    words = ("--policy", policy, *options)
    report = place.run(script, *words, shell=place.on_a_host(*hosts), codes=codes)
    record = json.loads(Path(report["outputs_directory"], "run.json").read_text())
    return report, record


def blocked(report):
    return [(one["path"], one["count"]) for one in report["findings"] if one["code"] == "DG302"]


@contextmanager
def off():
    """Expect auditing to be what it was."""
    before = auditsocket.state().enabled
    yield
    assert before is auditsocket.state().enabled


@needs_audit
def test_refusals_by_landlock_are_findings_with_path_and_process(place):
    script = f"echo x > {place.gold}/a; echo x > {place.gold}/a; rm {place.gold}/dir/b"
    with off():
        report, record = watched(place, script, hosts=(NO_NAMESPACES,))
    assert [("a", 2), ("dir", 1)] == blocked(report)
    assert ("yes", 3, 0) == tuple(report["attempts"][k] for k in ("observable", "seen", "lost"))
    [found] = [one for one in report["findings"] if one["path"] == "dir"]
    assert ("gold", 1, "warning") == (found["dataset"], found["version"], found["severity"])
    [attempt] = found["evidence"]["attempts"]
    assert ("unlink", f"rm {place.gold}/dir/b") == (attempt["operation"], attempt["command"])
    assert "observable: yes, seen: 3, lost: 0" == record["metadata"]["attempts"]


@needs_audit
def test_read_only_mount_answers_first_and_the_record_says_so(place):
    script = f"echo x > {place.gold}/a; mount -t tmpfs none {place.gold}; true"
    report, record = watched(place, script)
    assert [("", 1)] == blocked(report)
    assert ("partly", 1, 0) == tuple(report["attempts"][k] for k in ("observable", "seen", "lost"))
    assert "read-only mount" in record["attempts"]["reason"]
    assert report["attempts"] == record["attempts"]


@needs_audit
def test_strict_refusals_outside_gold_are_recorded_and_no_findings(place):
    report, record = watched(place, f"mkdir {place.mine}/cache", "--confine", "strict")
    assert [] == report["findings"]
    [outside] = record["attempts"]["outside"]
    assert ("mkdir", str(place.mine)) == (outside["operation"], outside["path"])


@needs_audit
def test_quiet_job_is_known_to_have_tried_nothing(place):
    report, _ = watched(place, "true", hosts=(NO_NAMESPACES,), codes=(0,))
    assert ("yes", 0, 0) == tuple(report["attempts"][k] for k in ("observable", "seen", "lost"))


@needs_audit
def test_every_refusal_of_a_flood_is_seen_or_known_to_be_lost_or_the_count_is_not_known(place):
    tries = 2000
    script = (
        f"i=0; while [ $i -lt {tries} ]; do echo > {place.gold}/a; i=$((i+1)); done 2> /dev/null"
    )
    report, _ = watched(place, f"{script}; true", hosts=(NO_NAMESPACES,), codes=(0,))
    seen, lost = (report["attempts"][k] for k in ("seen", "lost"))
    assert seen <= tries
    assert lost in (None, tries - seen)  # None: the kernel's last word was lost, or came too late


BY_LANDLOCK = {
    *("open_for_writing", "open_for_appending", "map_shared", "open_again_by_descriptor"),
    *("by_the_root_of_proc", "through_a_symlink", "copy_range"),
    *("open_and_truncate", "truncate", "create", "nameless_file", "make_directory"),
    *("make_symlink", "make_fifo", "unlink", "remove_directory", "rename_within", "rename_into"),
    *("rename_out", "link_into", "link_out"),
}
"""Operations of the attack that Landlock refuses by their path in gold."""

UNTOLD = {
    *("change_mode", "change_mode_by_descriptor", "change_owner", "change_times"),
    *("set_attribute", "remove_attribute", "set_flags"),
    *("clear_read_only", "unmount", "new_namespace", "open_by_handle", "trace_a_helper"),
    *("by_the_root_of_a_helper", "namespace_of_a_helper", "handler_of_the_kernel"),
}
"""Those that are refused before Landlock is asked, or not at all."""

BESIDE = {
    *("rename_above", "new_user_namespace", "mount_elsewhere", "make_a_device", "open_the_disk"),
    *("make_memory_device",),
}
"""Those that Landlock refuses, or not, by a path outside of gold."""


def attacked(place, *hosts):
    """Try the whole attack against a dataset of its own; return the paths in it that are told."""
    top = place.mine / "attacked"
    gold, beside = top / "gold", top / "beside"
    attack.prepare(gold, beside)
    place.shell.ask("register", "attacked", gold)
    helper = subprocess.Popen(["sleep", "600"])
    try:
        words = (gold, beside, helper.pid, "/dev/null")
        script = " ".join(map(str, (sys.executable, "-I", "-S", attack.__file__, *words)))
        report, _ = watched(place, f"{script} > /dev/null", hosts=hosts, codes=(0,))
    finally:
        helper.kill()
        helper.wait()
    return {
        (one["path"], attempt["operation"])
        for one in report["findings"]
        if one["code"] == "DG302" and one["dataset"] == "attacked"
        for attempt in one["evidence"]["attempts"]
    }


@needs_audit
def test_landlock_tells_what_the_page_says(place):
    told = attacked(place, NO_NAMESPACES)
    assert BY_LANDLOCK == {path.split("/")[0] for path, _ in told if path}
    assert {("", "mount")} == {one for one in told if not one[0]}
    others = {"remount", "mount_over"}
    assert set(attack.OPERATIONS) == BY_LANDLOCK | UNTOLD | BESIDE | others


@needs_audit
def test_of_gold_only_mounts_over_it_are_told_where_mounts_hold(place):
    assert {("", "mount")} == attacked(place)


@needs_fuse
def test_refusals_of_a_served_mount_are_findings_when_the_run_ends_and_only_once(place):
    place.shell.ask("unmount", "--all", "-w", place.work)
    place.shell.ask("mount", "gold", "-w", place.work, "--backend", "fuse")
    shown = place.work / "data" / "gold"
    subprocess.run(["rm", "-f", shown / "dir" / "b"], check=False, capture_output=True)
    host = place.on_a_host(NO_NAMESPACES)
    report = place.run(f"echo x > {shown}/a", shell=host, codes=(2,))
    assert [("a", 1)] == blocked(report)
    assert "fuse" in [one["name"] for one in report["attempts"]["sources"] if one["seen"] == 1]
    place.shell.ask("unmount", "--all", "-w", place.work)
    found = place.shell.ask("findings", "list")["findings"]
    assert [("a", 1), ("dir/b", 1)] == [(one["path"], one["count"]) for one in found]


@needs_audit
def test_auditing_that_was_on_stays_on(place):
    with switched_on():
        report, _ = watched(place, f"echo x > {place.gold}/a", hosts=(NO_NAMESPACES,))
        assert auditsocket.state().enabled
    assert [("a", 1)] == blocked(report)


@needs_audit
def test_auditing_that_is_on_is_used_without_being_asked_for(place):
    with switched_on():
        host = place.on_a_host(NO_NAMESPACES)
        report = place.run(f"echo x > {place.gold}/a", shell=host, codes=(2,))
    assert ("yes", [("a", 1)]) == (report["attempts"]["observable"], blocked(report))


@needs_audit
def test_last_of_several_listeners_switches_auditing_off(tmp_path):
    with off(), switched_on(str(tmp_path)):
        with switched_on(str(tmp_path)):
            assert auditsocket.state().enabled
        assert auditsocket.state().enabled


@needs_audit
def test_auditing_that_a_killed_run_left_on_is_switched_off_by_the_next(tmp_path):
    if auditsocket.state().enabled:
        pytest.skip("auditing is on here")
    (tmp_path / "audit.switched-on").touch()
    auditsocket.switch(on=True)
    with switched_on(str(tmp_path)):
        pass
    assert not auditsocket.state().enabled


@needs_audit
def test_auditing_that_a_killed_run_left_on_is_switched_off_by_whoever_marks_it(tmp_path):
    if auditsocket.state().enabled:
        pytest.skip("auditing is on here")
    auditswitch.switch_off_left(str(tmp_path))
    (tmp_path / "audit.switched-on").touch()
    auditsocket.switch(on=True)
    with switched_on(str(tmp_path)):
        (tmp_path / "audit.switched-on").touch()
        auditswitch.switch_off_left(str(tmp_path))
        assert auditsocket.state().enabled
    assert not auditsocket.state().enabled
    (tmp_path / "audit.switched-on").touch()
    auditsocket.switch(on=True)
    auditswitch.switch_off_left(str(tmp_path))
    assert not auditsocket.state().enabled
    assert not (tmp_path / "audit.switched-on").exists()


@needs_audit
def test_auditing_that_cannot_be_switched_off_costs_no_run_its_record(tmp_path, monkeypatch):
    def locked(**_):
        raise PermissionError(errno.EPERM, "audit is locked")

    with monkeypatch.context() as patch, switched_on(str(tmp_path)):
        patch.setattr(auditsocket, "switch", locked)
        (tmp_path / "audit.switched-on").touch()
    assert (tmp_path / "audit.switched-on").exists()
    auditswitch.switch_off_left(str(tmp_path))


@needs_audit
def test_only_the_kernel_is_believed():
    """A job of root's may send to whoever listens, and what it sends need be no record at all."""
    with closing(auditsocket.listening()) as channel:
        listener = Listener(channel)
        with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)) as forger:
            forger.bind((0, 0))
            body = b"audit(1.000:7): domain=f1 status=allocated pid=%d uid=0" % os.getpid()
            head = struct.pack("=IHHII", 16 + len(body), DOMAIN, 0, 0, 0)
            forger.sendto(head + body, (channel.getsockname()[0], 0))
            forger.sendto(b"odd", (channel.getsockname()[0], 0))
        listener.start()
        time.sleep(0.2)  # whoever believed it would have it by now
        assert listener._reader._thread.is_alive()
        assert listener._refusals.of(os.getpid()) is None
        listener.close()


@needs_audit
def test_not_observable_where_audit_is_off(place):
    if auditsocket.state().enabled:
        pytest.skip("auditing is on here")
    report = place.run(f"echo x > {place.gold}/a", codes=(2,))
    assert ("no", "audit is off") == tuple(report["attempts"][k] for k in ("observable", "reason"))


def test_not_observable_where_the_kernel_tells_nothing_of_the_rules(monkeypatch):
    monkeypatch.setattr(auditlog, "_PATIENCE_S", 0)
    ours, kernels = socket.socketpair()
    listener = Listener(ours)
    listener.start()
    full = confinement_of(Mode.PROTECT, (Layer("landlock", holds=True, detail=""),), ())
    found = Lookout(listener).observation(full, os.getpid()).source
    listener.close()
    kernels.close()
    assert ("no", True) == (found.observable, "told nothing" in found.reason)


def test_not_observable_for_an_ordinary_user(users_place):
    report = users_place.run(f"echo x > {users_place.gold}/a", codes=(2,))
    record = json.loads(Path(report["outputs_directory"], "run.json").read_text())
    assert "CAP_AUDIT_READ" in report["attempts"]["reason"]
    assert record["metadata"]["attempts"].startswith("not observable: only root")


@pytest.mark.parametrize("options", [("--unconfined",), ()])
def test_not_observable_where_landlock_does_not_confine_the_job(place, options):
    report = place.run("true", *options, shell=place.on_a_host(NO_LANDLOCK))
    assert "no" == report["attempts"]["observable"]
    assert os.path.isdir(place.gold)
