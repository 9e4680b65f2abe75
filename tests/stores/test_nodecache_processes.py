"""Several processes, some of them killed, fill one node cache: each byte is fetched once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.caches import cache_at, wanted_of
from support.killpoints import kill_everywhere, why_no_strace

TESTS = Path(__file__).resolve().parents[1]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS))),
    "PYTHONDONTWRITEBYTECODE": "1",
}
MIB = 1 << 20
BLOCK = os.urandom(MIB)
LONG = pytest.mark.long


class Bench:
    """A place for a cache, a large object beside it, and processes that need it."""

    def __init__(self, top, mib):
        self.place, self.source, self.counts = top / "cache", top / "source", top / "counts"
        hashed = []
        with open(self.source, "wb") as file:
            for number in range(mib):
                block = number.to_bytes(8, "big") + BLOCK[8:]
                file.write(block)
                hashed.append(block)
        self.wanted = wanted_of(b"".join(hashed))
        self.counts.touch()

    def words(self, *more):
        wanted = self.wanted
        return [
            *(sys.executable, "-m", "support.caches", str(self.place), str(self.source)),
            *(str(self.counts), str(wanted), str(wanted.size), *more),
        ]

    def start(self, *more):
        pipe = subprocess.PIPE
        return subprocess.Popen(self.words(*more), env=ENVIRONMENT, stdout=pipe, text=True)

    def all_filled(self, count):
        """Let so many processes need the object at once; return where they found it."""
        processes = [self.start() for _ in range(count)]
        try:
            found = {one.communicate(timeout=240)[0].strip() for one in processes}
        finally:
            for one in processes:
                one.kill()
                one.wait()
        assert [0] * count == [one.returncode for one in processes]
        return found

    def killed_at(self, size):
        process = self.start(str(size))
        try:
            assert "stalled\n" == process.stdout.readline()
        finally:
            process.kill()
            process.communicate()
        assert -signal.SIGKILL == process.returncode

    def fetched(self):
        """Return how many bytes were fetched, and from where on."""
        pieces = [line.split() for line in self.counts.read_text().splitlines()]
        return sum(int(size) for _, size in pieces), min((int(at) for at, _ in pieces), default=0)

    def check(self, places):
        with cache_at(self.place) as cache:
            path = cache.path_of(self.wanted)
            assert places == {path}
            assert [] == [one for one in os.listdir(self.place / "part") if one[0] != "."]
        compared = subprocess.run(["cmp", path, self.source], check=False)
        assert 0 == compared.returncode


@pytest.mark.parametrize("mib", [256, pytest.param(1024, marks=LONG)])
def test_six_processes_fetch_each_byte_once(tmp_path, mib):
    bench = Bench(tmp_path, mib)
    bench.check(bench.all_filled(6))
    assert bench.fetched()[0] <= 1.02 * bench.wanted.size


@pytest.mark.parametrize("mib", [64, pytest.param(1024, marks=LONG)])
def test_three_processes_go_on_where_one_was_killed(tmp_path, mib):
    bench = Bench(tmp_path, mib)
    before = mib * MIB * 3 // 8
    bench.killed_at(before)
    bench.counts.write_text("")

    bench.check(bench.all_filled(3))
    size, first = bench.fetched()
    assert before <= first <= before + MIB
    assert bench.wanted.size - first == size


def test_one_who_waits_goes_on_when_the_other_is_killed(tmp_path):
    bench = Bench(tmp_path, 8)
    first = bench.start(str(4 * MIB))
    try:
        assert "stalled\n" == first.stdout.readline()
        second = bench.start()
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1)
    finally:
        first.kill()
        first.communicate()
    place = second.communicate(timeout=60)[0].strip()
    bench.check({place})
    assert bench.wanted.size == bench.fetched()[0]


@pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
@pytest.mark.parametrize("spread", [2, pytest.param(10, marks=LONG)])
def test_killed_anywhere_leaves_nothing_half_visible(tmp_path, spread):
    """Every death leaves the object there or not; the next one has it, with the rest fetched."""
    bench = Bench(tmp_path, 2)

    def prepare():
        subprocess.run(["rm", "-rf", bench.place], check=True)
        bench.counts.write_text("")

    def check(_point):
        with cache_at(bench.place) as cache:
            path = cache.path_of(bench.wanted)
            if path is not None:
                assert bench.source.read_bytes() == Path(path).read_bytes()
        bench.check(bench.all_filled(1))
        assert bench.fetched()[0] <= bench.wanted.size + MIB

    calls = ("mkdir", "rename", "link", "fchmod", "fsync", "fdatasync", "flock", "pwrite64")
    died = kill_everywhere(
        bench.words(),
        prepare=prepare,
        check=check,
        syscalls=(*calls, "write", "fallocate", "unlink"),
        spread=spread,
        environment=ENVIRONMENT,
    )
    assert died > 10
