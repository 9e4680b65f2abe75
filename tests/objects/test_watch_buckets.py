"""`watch` over buckets: what listings tell, what events add, and what is never called healthy."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.countingproxy import counting_proxy
from support.watching import watching_command

KEYS = {
    "gold/a": b"alpha",
    "gold/b": b"beta",
    "gold/c": b"gamma",
    "gold/d": b"delta",
    "gold/dir/e + f": b"plus",
    "gold/dir/e%20f": b"percent",
}


class Gold:
    """A registered bucket, and whoever writes to it."""

    def __init__(self, server, name, home):
        self.server, self.name, self.home = server, name, home
        self.versions = {key: self.put(key, data) for key, data in KEYS.items()}

    def put(self, key, data=b"new bytes"):
        with self.server.client() as s3:
            return s3.put_object(Bucket=self.name, Key=key, Body=data).get("VersionId")

    def delete(self, key, version=None):
        with self.server.client() as s3:
            more = {"VersionId": version} if version else {}
            s3.delete_object(Bucket=self.name, Key=key, **more)

    def environment(self, user=None, endpoint=""):
        own = self.server.environment(user or self.server.reader, endpoint)
        return os.environ | own | {"DATAGUARD_HOME": str(self.home)}

    def ask(self, *words, env=None):
        """What a command answers as JSON, its exit code first."""
        done = subprocess.run(
            [sys.executable, "-m", "dataguard", *words, "--format", "json"],
            env=env or self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def register(self):
        words = ("register", "faces", f"s3://{self.name}/gold")
        code, _ = self.ask(*words, env=self.environment(self.server.registrar))
        assert 0 == code

    def change(self):
        """Do one of everything; return what is to be told of it."""
        self.put("gold/a")
        self.delete("gold/b")
        self.put("gold/c")
        self.delete("gold/c", self.versions["gold/c"])
        self.put("gold/new")
        self.put("gold/dir/e + f")
        self.put("beside/x")
        return {
            ("a", "overwritten", "DG601"),
            ("b", "deleted", "DG602"),
            ("c", "version_gone", "DG603"),
            ("new", "created", "DG103"),
            ("dir/e + f", "overwritten", "DG601"),
        }

    def watching(self, *words, env=None):
        beats = self.home / "state" / "watch"
        return watching_command(
            *words, "--format", "jsonl", env=env or self.environment(), heartbeats=beats
        )


def told(findings):
    return {
        (one["path"], one["evidence"]["change"], one["evidence"]["finding"])
        for one in findings
        if one["code"] == "DG301"
    }


@pytest.fixture
def gold(objectserver, bucket, tmp_path):
    found = Gold(objectserver, bucket, tmp_path / "home")
    found.register()
    return found


def test_one_look_finds_every_change_and_reads_no_object(gold):
    with counting_proxy(gold.server.endpoint) as proxy:
        env = gold.environment(endpoint=proxy.endpoint)
        assert 0 == gold.ask("watch", "--once", env=env)[0]
        wanted = gold.change()
        code, result = gold.ask("watch", "--once", env=env)
        assert 0 == proxy.data_bytes()
    assert (3, True) == (code, result["complete"])
    assert wanted == told(result["findings"])
    assert {"DG301"} == {one["code"] for one in result["findings"]}
    kept = {one["path"]: one["evidence"].get("pinned_version_kept") for one in result["findings"]}
    assert {"a": True, "b": True, "c": False, "new": None, "dir/e + f": True} == kept
    writer = {"principal": "unknown", "address": "unknown"}
    assert [writer] * 5 == [one["evidence"]["writer"] for one in result["findings"]]
