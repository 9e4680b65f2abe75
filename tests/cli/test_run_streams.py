"""Streams and terminal of a job."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time

from support.mountcleanup import needs_mounts

pytestmark = needs_mounts


def test_standard_output_into_gold_starts_no_job(world):
    world.register()
    words = ("run", "--input", "faces@1", "--output", str(world.top / "out"), "--", "touch", "no")
    with (world.gold / "a").open("ab") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "dataguard", *words],
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert 125 == done.returncode
    assert b"standard output is open for writing to" in done.stderr
    assert not (world.top / "no").exists()


def test_standard_input_from_gold_is_read_where_it_was_and_not_written(world):
    world.register()
    directory = os.open(world.top, os.O_RDONLY)
    script = (
        "read rest; echo got $rest; (echo evil >> /proc/self/fd/0) 2> /dev/null && echo written;"
        f"(echo evil >> /proc/self/fd/{directory}/gold/a) 2> /dev/null && echo around; true"
    )
    words = ("run", "--input", "faces@1", "--output", str(world.top / "out"), "--", "sh", "-c")
    with (world.gold / "a").open("rb", buffering=0) as stream:
        stream.read(2)
        done = world.ask_process(*words, script, stdin=stream, pass_fds=(directory,))
    os.close(directory)
    assert (0, "got llo\n") == (done.code, done.out), done


def talk(words, lines, environment):
    """Give lines to a command on a terminal of its own; return its exit code and output."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(words[0], words, environment)
    output = b""
    for line in lines:
        time.sleep(0.01)
        os.write(terminal, line + b"\n")
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        output += part
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output


def test_shell_on_a_terminal_has_job_control_and_its_end_is_the_commands(world):
    world.register()
    words = [sys.executable, "-m", "dataguard", "shell", "--input", "faces@1"]
    words += ["--output", str(world.top / "out")]
    lines = [
        b"set -m; sleep 50 & jobs; fg > /dev/null 2>&1 & true",
        b"echo $((40 + 2))-$DATAGUARD_RUN_ID; echo x > $DATAGUARD_INPUT_FACES/a",
        b"exit 5",
    ]
    code, output = talk(words, lines, {**os.environ, "SHELL": "/bin/bash", "PS1": ""})
    assert 5 == code, output
    assert b"42-20" in output
    assert b"Read-only file system" in output
    assert b"no job control" not in output
    assert b"hello\n" == (world.gold / "a").read_bytes()


def test_interrupt_from_the_terminal_ends_the_job_and_is_recorded(world):
    world.register()
    words = [sys.executable, "-m", "dataguard", "run", "--input", "faces@1", "--output"]
    words += [str(world.top / "out"), "--", "sh", "-c", "echo ready; exec sleep 60"]
    child, terminal = pty.fork()
    if child == 0:
        os.execve(words[0], words, dict(os.environ))
    output = b""
    while b"ready" not in output:
        output += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    assert 130 == code
    (run,) = world.ask_json("lineage", "faces@1")["runs"]
    assert ("failed", 130) == (run["state"], run["exit_code"])
