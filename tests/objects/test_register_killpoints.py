"""SIGKILL at system calls of a registration of objects, and at random moments of it.

After each death the catalog is sound and nothing of the version can be seen; the same command again
leads to the version that was never killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.s3access import Access
from support.killedregister import register_until
from support.killpoints import WRITE_LIKE, kill_everywhere, why_no_strace
from support.warmcommands import Shell

CALLS = tuple(name for name in WRITE_LIKE if name != "fcntl")
COUNT = 120
LATEST_S = 2.0


class Bench:
    """A bucket, and a home that begins anew for each death."""

    def __init__(self, home, server, bucket):
        self.home, self.place = home, f"s3://{bucket}/gold"
        self.environment = {
            **os.environ,
            **server.environment(server.admin),
            "DATAGUARD_HOME": str(home),
        }
        with (
            server.acting(server.admin),
            closing(ObjectClient(Access(bucket, server.endpoint))) as client,
        ):
            for number in range(COUNT):
                client.put(b"gold/%02d/%03d" % (number % 7, number), b"%d" % number)
        self.expected = self.registered()
        self.sheet = self.rows()

    @property
    def command(self):
        return [sys.executable, "-m", "dataguard", "register", "faces", self.place]

    def ask(self, *words):
        shell = Shell(str(self.home), environment=tuple(self.environment.items()))
        done = shell.call(*words, "--format", "json")
        return done.code, done.said

    def registered(self):
        code, done = self.ask("register", "faces", self.place)
        assert 0 == code, done
        return done["root"], done["files"], done["version"]

    def rows(self):
        """What the sheet of the only version has of its objects, the order aside."""
        import pyarrow.parquet as pq

        (path,) = self.home.glob("sheets/*/*.parquet")
        names = ["version_id", "etag", "last_modified", "checksum", "checksum_type"]
        return pq.read_table(path, columns=names)

    def begin_anew(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def check(self, point):
        """Judge what a death left, then register again."""
        code, shown = self.ask("show", "faces")
        if code == 0:  # it died after all was recorded
            assert 0 == self.ask("audit", "faces", "--level", "quick")[0], point
        else:
            assert 10 == code, (point, shown)
        assert self.expected == self.registered(), point
        assert 0 == self.ask("catalog", "check")[0], point
        assert self.sheet == self.rows(), point


@pytest.fixture
def bench(tmp_path, objectserver, bucket):
    return Bench(tmp_path / "home", objectserver, bucket)


def killed_through(bench, spread):
    return kill_everywhere(
        bench.command,
        prepare=bench.begin_anew,
        check=bench.check,
        syscalls=CALLS,
        spread=spread,
        environment=bench.environment,
    )


@pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_death_at_calls_of_every_kind_leaves_nothing_half_visible(bench):
    assert killed_through(bench, 6) >= 30


@pytest.mark.parametrize("times", [2, pytest.param(60, marks=pytest.mark.long)])
@pytest.mark.timeout(1800)
def test_death_at_any_moment_leaves_nothing_half_visible(bench, times):
    chance = random.Random(7)
    for _ in range(times):
        bench.begin_anew()
        after_s = chance.uniform(0.1, LATEST_S)
        process = subprocess.Popen(
            bench.command,
            env=bench.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        bench.check(after_s)


def test_what_was_read_before_a_death_keeps_its_version_and_checksum(bench, objectserver):
    bench.begin_anew()
    with pytest.MonkeyPatch.context() as patch, objectserver.acting(objectserver.admin):
        patch.setenv("DATAGUARD_HOME", str(bench.home))
        register_until(200, bench.place)
    code, done = bench.ask("register", "faces", bench.place)

    assert (0, COUNT) == (code, done["hashed"] + done["resumed"])
    assert done["resumed"]
    assert bench.sheet == bench.rows()
