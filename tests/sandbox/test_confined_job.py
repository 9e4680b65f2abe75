"""What a job sees, may write, and leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from support import seccomp
from support.workplace import GROUPS, USER

NO_NAMESPACES = partial(seccomp.refuse, seccomp.NAMESPACES, 1)
NO_LANDLOCK = partial(seccomp.refuse, seccomp.LANDLOCK)
OLD_MOUNTS = partial(seccomp.refuse, seccomp.NEW_MOUNTS)
HOSTS = {
    "full": (),
    "mounts": (NO_LANDLOCK,),
    "landlock": (NO_NAMESPACES,),
    "checked": (NO_LANDLOCK, NO_NAMESPACES),
}


def layers(report):
    return {one["name"]: one["holds"] for one in report["confinement"]["layers"]}


def write_gold(place):
    return f"echo evil >> {place.gold}/a"


@pytest.mark.parametrize("step", HOSTS)
def test_step_of_the_ladder_is_the_strongest_that_the_host_offers(place, step):
    host = place.on_a_host(*HOSTS[step])
    found = place.run("true", "--explain", shell=host)
    assert (step, "explained") == (found["confinement"]["step"], found["state"])
    mounted, landlocked = step in ("full", "mounts"), step in ("full", "landlock")
    told = layers(found)
    assert (mounted, landlocked) == (told["mounts"], told["landlock"])
    assert (True, True) == (told["capabilities"], told["processes"])
    assert bool(found["confinement"]["weaker_because"]) is not mounted


@pytest.mark.parametrize("step", HOSTS)
def test_gold_is_not_written_where_any_layer_holds_and_checked_where_none_does(place, step):
    host = place.on_a_host(*HOSTS[step])
    none_holds = step == "checked"
    found = place.run(write_gold(place), shell=host, codes=(3,) if none_holds else (2,))
    assert ("tainted" if none_holds else "failed") == found["state"]
    assert none_holds is (b"evil" in (place.gold / "a").read_bytes())


def tampered(place, step):
    """Let a job try content and metadata of gold, and return what it could change."""
    script = f"echo x >> {place.gold}/a && echo content; chmod 600 {place.gold}/a && echo metadata"
    host = place.on_a_host(*HOSTS[step])
    codes = (0, 1, 2, 3)
    job = f"exec 2> /dev/null; ({script}) > {{out}}/changed; true"
    return place.written(place.run(job, shell=host, codes=codes), "changed").split()


def test_guarantee_of_full(place):
    """the job and all its children cannot change gold, neither content nor metadata, and
    cannot regain the right to; services outside that act for it are not covered
    """
    assert [] == tampered(place, "full")


def test_guarantee_of_mounts(place):
    """the job cannot change gold at the paths that lead to it now, neither content nor
    metadata; disks it may write to and services outside are not covered
    """
    assert [] == tampered(place, "mounts")


def test_guarantee_of_landlock(place):
    """the job cannot create, change, rename or delete anything in gold, but can change modes,
    owners, times and attributes of files that are its user's
    """
    assert ["metadata"] == tampered(place, "landlock")


def test_guarantee_of_checked(place):
    """verified before and after only: the job can write wherever its user can"""
    assert ["content", "metadata"] == tampered(place, "checked")


def test_kernel_without_the_new_mount_calls_leaves_landlock(place):
    found = place.run("true", "--explain", shell=place.on_a_host(OLD_MOUNTS))
    assert "landlock" == found["confinement"]["step"]
    assert "Function not implemented" in found["confinement"]["weaker_because"][0]


@pytest.mark.parametrize("step", HOSTS)
def test_doctor_says_what_can_confine_a_job_here(place, step):
    abilities = place.on_a_host(*HOSTS[step]).ask("doctor")["abilities"]
    (found,) = [one for one in abilities if one["name"] == "confined jobs"]
    assert ("ok" if step == "full" else "missing") == found["state"]
    assert found["detail"].startswith("every layer holds" if step == "full" else f"{step}: ")


def test_text_of_explain_says_why_a_layer_is_missing(place):
    host = place.on_a_host(*HOSTS["checked"])
    done = host.call("run", "-w", place.work, "--explain")
    assert 0 == done.code, done
    assert "verified before and after only" in done.out
    assert "MISSING  landlock: this kernel has no Landlock" in done.out
    assert "not stronger, because namespaces" in done.out


def test_strict_is_refused_where_landlock_is_missing(place):
    host = place.on_a_host(*HOSTS["mounts"])
    done = host.call("run", "-w", place.work, "--confine", "strict", "--", "touch", "started")
    assert 125 == done.code, done
    assert "landlock" in done.err
    assert not (place.work / "started").exists()
    (run,) = place.shell.ask("lineage", "gold@1")["runs"]
    assert ("failed", 125) == (run["state"], run["exit_code"])


def test_declared_mount_is_there_for_the_job_alone(users_place):
    place = users_place
    assert [] == os.listdir(place.work / "data" / "gold")
    found = place.run("cat {in:gold}/a data/gold/dir/b > {out}/x; echo {in:gold} > {out}/where")
    assert "alpha\nbeta\n" == place.written(found, "x")
    assert f"{place.work}/data/gold\n" == place.written(found, "where")
    assert [] == os.listdir(place.work / "data" / "gold")


def test_job_in_the_mount_itself_sees_gold(place):
    found = place.run("cd data/gold && pwd > {out}/where; ls > {out}/ls")
    assert "a\ndir\n" == place.written(found, "ls")


def test_caches_in_home_and_a_compiler_beside_gold_keep_working(place):
    script = (
        "set -e; mkdir -p $HOME/.cache/x; echo c > $HOME/.cache/x/c; mv $HOME/.cache $HOME/.c2;"
        "echo t > $TMPDIR/t; ln $TMPDIR/t $HOME/hard; echo w > w.tmp; mv w.tmp w; rm w;"
        "echo x > /dev/null; echo x > /dev/shm/dataguard-test-$$; rm /dev/shm/dataguard-test-$$;"
        "head -c 3 /dev/urandom > /dev/full 2> /dev/null || true"
    )
    assert "complete" == place.run(script)["state"]


WRITES = """
tried() { if (echo x > "$2") 2> /dev/null; then echo "$1" >> {out}/written; fi; }
touch {out}/written; tried home $HOME/new; tried work ./new; tried tmpdir $TMPDIR/new
tried outputs {out}/new; tried above TOP/new; tried gold GOLD/a
if chmod 700 TOP/other 2> /dev/null; then echo metadata >> {out}/written; fi; true
"""


def written(place, *options, codes=(0,)):
    """Return what a job that tries to write everywhere has written."""
    other = open_file(place, "other")
    script = WRITES.replace("GOLD", str(place.gold)).replace("TOP", str(place.top))
    found = place.written(place.run(script, *options, codes=codes), "written").split()
    assert other.exists()
    return found


def open_file(place, name):
    file = place.top / name
    file.write_text("x")
    os.chown(file, place.uid, place.uid)
    return file


def test_guarantee_of_protect(place):
    """everything that its user may write can be written but gold, and nothing new can be made
    directly in a directory above gold; what the job does beside gold is not limited
    """
    assert ["home", "work", "tmpdir", "outputs", "metadata"] == written(place)


def test_guarantee_of_strict(place):
    """nothing can be written but the outputs, the private TMPDIR, a list of devices and what the
    policy adds; modes, owners, times and attributes of files outside gold are not covered
    """
    assert ["tmpdir", "outputs", "metadata"] == written(place, "--confine", "strict")


def test_guarantee_of_unconfined(place):
    """nothing keeps the job from writing what its user may write, gold too where no mount or seal
    does; its inputs are verified before and after, and the record says so
    """
    everything = ["home", "work", "tmpdir", "outputs", "above", "gold", "metadata"]
    assert everything == written(place, "--unconfined", codes=(3,))


def test_new_names_directly_above_gold_are_refused(place):
    found = place.run(f"echo x > {place.top}/new", codes=(2,))
    assert not (place.top / "new").exists()
    assert "full" == found["confinement"]["step"]


def test_strict_job_writes_its_outputs_and_tmpdir_alone(place):
    script = (
        f"set -e; echo x > {{out}}/x; echo x > $TMPDIR/x; echo x > /dev/null;"
        f"for f in $HOME/no ./no {place.mine}/no; do if (echo x > $f) 2> /dev/null;"
        "then exit 9; fi; done"
    )
    found = place.run(script, "--confine", "strict")
    assert ("strict", "full") == (found["confinement"]["mode"], found["confinement"]["step"])
    assert not (place.work / "no").exists()


def test_strict_leaves_a_data_loader_what_it_needs(place):
    script = (
        "import multiprocessing as m\n"
        "from multiprocessing import shared_memory as s\n"
        "block = s.SharedMemory(create=True, size=64)\n"
        "with m.get_context('fork').Pool(2) as pool: print(sum(pool.map(abs, [1, -2])))\n"
        "block.close(); block.unlink(); lock = m.Lock(); lock.acquire()\n"
    )
    job = ("run", "-w", place.work, "--confine", "strict", "--", sys.executable, "-c", script)
    done = place.shell.call(*job)
    assert (0, "3\n") == (done.code, done.out), done.err


@pytest.mark.parametrize("step", ["full", "landlock"])
def test_what_a_job_leaves_behind_ends_with_it(place, step):
    marker = f"98765.{os.getpid()}"
    script = f"setsid sleep {marker} & (sleep {marker} &) ; exit 7"
    found = place.run(script, shell=place.on_a_host(*HOSTS[step]), codes=(7,))
    assert (7, "failed") == (found["exit_code"], found["state"])
    assert [] == processes_with(marker)


def processes_with(marker):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in words:
            found.append(int(name))
    return found


@pytest.mark.parametrize("step", ["full", "landlock"])
@pytest.mark.parametrize(
    ("script", "code"),
    [("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 125", 125), ("exit 3", 3)],
)
def test_exit_code_passes_through_every_way(place, step, script, code):
    found = place.run(script, shell=place.on_a_host(*HOSTS[step]), codes=(code,))
    assert code == found["exit_code"]


@pytest.mark.parametrize("step", ["full", "landlock"])
@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_command_that_cannot_be_executed_is_told_every_way(place, step, command, code):
    host = place.on_a_host(*HOSTS[step])
    found = host.ask("run", "-w", place.work, "--", command, codes=(code,))
    assert code == found["exit_code"]


@pytest.mark.parametrize("step", ["full", "landlock"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_signals_reach_the_job_every_way(place, step, number):
    name = signal.Signals(number).name.removeprefix("SIG")
    script = f"trap 'exit 77' {name}; echo > {place.mine}/ready; while :; do sleep 0.05; done"
    host = place.on_a_host(*HOSTS[step])
    with host.start("run", "-w", place.work, "--", "sh", "-c", script) as running:
        wait_for(place.mine / "ready")
        os.kill(running.pid, number)
        assert 77 == running.wait()


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_groups_of_a_user_stay_good_for_reading(users_place):
    place = users_place
    secret = place.top / "secret"
    secret.write_text("for the group\n")
    os.chown(secret, 0, GROUPS[0])
    secret.chmod(0o040)
    found = place.run(f"cat {secret} > {{out}}/x; id -u > {{out}}/id; stat -c %U / > {{out}}/root")
    assert ("for the group\n", f"{USER}\n") == (
        place.written(found, "x"),
        place.written(found, "id"),
    )
    assert "nobody\n" == place.written(found, "root")  # names of others are not known inside


def test_job_of_root_cannot_change_the_kernels_handlers(place):
    script = "if (: >> /proc/sys/kernel/core_pattern) 2> /dev/null; then exit 9; fi"
    assert 0 == place.run(script)["exit_code"]


def test_run_within_a_run_is_confined_by_what_is_there_already(place):
    inner = f"{sys.executable} -m dataguard run -w {place.work} --format json --explain -- true"
    found = place.run(f"PYTHONPATH={os.path.dirname(package())} {inner} > {{out}}/inner")
    told = place.written(found, "inner")
    assert '"step": "full"' in told
    assert "read-only already" in told


def package():
    import dataguard

    return os.path.dirname(os.path.abspath(dataguard.__file__))


def test_another_mount_of_gold_is_read_only_too(place):
    beside = place.top / "beside"
    beside.mkdir()
    for source in (place.gold, place.gold / "dir", place.top):
        subprocess.run(["mount", "--bind", source, beside], check=True)
        relative = os.path.relpath(place.gold / "dir" / "b", source)
        try:
            found = place.run(f"echo evil >> {beside}/{relative}", codes=(2,))
        finally:
            subprocess.run(["umount", beside], check=True)
        assert "full" == found["confinement"]["step"]
    assert "beta\n" == (place.gold / "dir" / "b").read_text()


def test_record_says_what_confined_the_job(place):
    found = place.run("true")
    (run,) = place.shell.ask("lineage", found["run"])["runs"]
    told = run["metadata"]
    assert ("protect", "full") == (told["confine"], told["confinement"])
    assert "landlock" in told["layers"]
    loose = place.run("true", "--unconfined")
    (run,) = place.shell.ask("lineage", loose["run"])["runs"]
    assert ("unconfined", "checked") == (run["metadata"]["confine"], run["metadata"]["confinement"])


def test_launcher_is_refused_with_the_right_form(place):
    done = place.shell.call("run", "-w", place.work, "--", "env", "A=1", "srun", "-n2", "true")
    assert 125 == done.code
    assert "srun dataguard run --" in done.err
    assert [] == place.shell.ask("lineage", "gold@1")["runs"]


@pytest.mark.parametrize("step", ["full", "landlock"])
def test_signal_to_the_whole_group_reaches_the_job_no_oftener_than_without_a_shim(place, step):
    """Once from whoever signals the group, once passed on by `run`."""
    script = (
        "import os, signal, time\n"
        "got = []\n"
        "signal.signal(signal.SIGUSR1, lambda *_: got.append(1))\n"
        f"open('{place.mine}/ready', 'w').close()\n"
        "until = time.monotonic() + 1.5\n"
        "while time.monotonic() < until: time.sleep(0.01)\n"
        "open(os.environ['DATAGUARD_OUTPUTS'] + '/n', 'w').write(str(len(got)))\n"
    )
    host = place.on_a_host(*HOSTS[step])
    job = ("run", "-w", place.work, "--format", "json", "--", sys.executable, "-c", script)
    with host.start(*job) as running:
        wait_for(place.mine / "ready")
        os.killpg(running.pid, signal.SIGUSR1)
        report = running.outcome().report
    assert int(place.written(report, "n")) in (1, 2)  # two at the same moment are one


def under(place, rules, *entries):
    """Return a shell on a host whose policy has these rules for runs."""
    file = place.mine / "policy.toml"
    file.write_text(f'format = "policy/1"\nname = "ours"\n[run]\n{rules}\n')
    return place.on_a_host(*entries, DATAGUARD_POLICY=str(file))


def test_policy_can_ask_for_strict(place):
    file = place.mine / "cache"
    file.write_text("")
    os.chown(file, place.uid, place.uid)
    host = under(place, f'confine = "strict"\nwritable = ["{file}"]')
    found = place.run(f"echo x > {file}; (echo x > $HOME/no) 2> /dev/null; true", shell=host)
    assert ("strict", "x\n") == (found["confinement"]["mode"], file.read_text())
    assert not (place.mine / "no").exists()


@pytest.mark.parametrize("step", ["mounts", "landlock", "checked"])
def test_policy_refuses_what_is_weaker_than_it_asks_for(place, step):
    host = under(place, 'required = "full"', *HOSTS[step])
    done = host.call("run", "-w", place.work, "--", "touch", "started")
    assert 125 == done.code, done
    assert not (place.work / "started").exists()


def test_policy_can_forbid_unconfined_jobs(place):
    for rules in ('confine = "protect"', 'required = "landlock"'):
        done = under(place, rules).call("run", "-w", place.work, "--unconfined", "--", "true")
        assert (125, True) == (done.code, "does not let jobs run unconfined" in done.err)
    assert 0 == under(place, "").call("run", "-w", place.work, "--unconfined", "--", "true").code
