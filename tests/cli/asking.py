"""Asks the command line as a user does, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dataguard.cli import main
from support.mountcleanup import as_user

__all__ = ["Answer", "World", "tree_state"]

ORDINARY = 12345
COMMAND = (sys.executable, "-m", "dataguard")


@dataclass(frozen=True)
class Answer:
    """Exit code and both streams of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one object on stdout, which is ASCII and one line."""
        assert self.out.isascii(), self.out
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    @property
    def error(self):
        """The one error object on stderr, with nothing on stdout."""
        assert ("", 1) == (self.out, self.err.count("\n")), (self.out, self.err)
        found = json.loads(self.err)
        assert {"schema", "code", "exit_code", "message", "hint"} == set(found)
        assert ("dataguard.error/1", self.code) == (found["schema"], found["exit_code"])
        return found

    @property
    def rows(self):
        """The objects of JSON lines."""
        assert self.out.isascii()
        return [json.loads(line) for line in self.out.splitlines()]


class World:
    """A gold tree, a home and whoever asks for them."""

    def __init__(self, top, capfd):
        self.top = top
        self.home = top / "home"
        self.gold = top / "gold"
        self._capfd = capfd

    def ask(self, *words):
        """Run one command in this process."""
        self._capfd.readouterr()
        code = main([os.fsdecode(word) for word in words])
        return Answer(code, *self._capfd.readouterr())

    def ask_json(self, *words, code=0):
        """Run one command with `--format json`, expect an exit code, return the object."""
        at = words.index("--") if "--" in words else len(words)
        answer = self.ask(*words[:at], "--format", "json", *words[at:])
        assert code == answer.code, answer
        found = answer.json
        name = "-".join(
            words[: 2 if words[0] in ("workspace", "findings", "policy", "catalog", "cache") else 1]
        )
        assert f"dataguard.{name}/1" == found["schema"]
        return found

    def fails(self, *words):
        """Run one command with `--format json` and return its error."""
        at = words.index("--") if "--" in words else len(words)
        return self.ask(*words[:at], "--format", "json", *words[at:]).error

    def start(self, *words, **options):
        """Start one command in a process group of its own."""
        return subprocess.Popen(
            [*COMMAND, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **options,
        )

    def ask_process(self, *words, under=(), **options):
        """Run one command in a process of its own, or of another program around it."""
        command = [*under, *COMMAND, *words]
        done = subprocess.run(command, capture_output=True, check=False, **options)
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ask_as_user(self, *words):
        """Run one command as an ordinary user who owns the home; exit code and object.

        Ask something as root before: what is imported late must be imported by then.
        """
        subprocess.run(["chown", "-R", str(ORDINARY), self.home], check=True)
        code, out, _ = self._ask_in_child(*words, "--format", "json")
        return code, json.loads(out)

    def ask_as_stranger(self, *words):
        """Run one command as an ordinary user who owns nothing; exit code and stderr."""
        code, _, err = self._ask_in_child(*words)
        return code, err

    def _ask_in_child(self, *words):
        for above in (self.top, *self.top.parents):
            if os.stat(above).st_mode & 0o005 != 0o005:
                os.chmod(above, 0o755)  # pytest made it private

        def act():
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                return json.dumps([main([*words]), out.getvalue(), err.getvalue()])

        return json.loads(as_user(act, uid=ORDINARY))

    def register(self, *words, name="faces", code=0):
        """Register the gold tree."""
        return self.ask_json("register", name, str(self.gold), *words, code=code)

    def version_root(self, reference):
        """Return the hex digits of a version's root."""
        return self.ask_json("show", reference)["root"].removeprefix("dg1:")

    def workspace(self, name="ws", *, mounted=("faces@1",)):
        """Make a workspace beside the gold and mount versions in it."""
        directory = self.top / name
        self.ask_json("workspace", "init", str(directory), "--outputs", str(self.top / "outputs"))
        for reference in mounted:
            self.ask_json("mount", reference, "-w", str(directory))
        return directory


def tree_state(top):
    """Every path below a directory with its content: what a dry run must not change."""
    found = {}
    for directory, names, files in os.walk(os.fsencode(top)):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            found[path] = path if os.path.isdir(path) else Path(os.fsdecode(path)).read_bytes()
    return found
