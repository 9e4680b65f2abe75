from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dataguard
from contracts import tasks
from contracts.engine import EngineContract
from dataguard.engines import pool, process
from dataguard.engines.choose import choose
from dataguard.engines.local import LocalEngine
from dataguard.engines.pool import _Worker
from dataguard.engines.serial import SerialEngine
from dataguard.errors import ConfigurationError, DataguardError

TESTS = str(Path(__file__).parents[1])
# Forks are forced here beside the threads of the test runner; what workers do needs none of them.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


class TestSerialEngine(EngineContract):
    @pytest.fixture
    def engine(self):
        return SerialEngine()


@pytest.fixture(params=[True, False], ids=["forked", "fresh"])
def workers(monkeypatch, request):
    """Two workers that can import the tasks of these tests."""
    monkeypatch.setenv("PYTHONPATH", f"{Path(TESTS).parent}:{TESTS}")
    monkeypatch.setattr(process, "may_fork", lambda: request.param)
    engine = LocalEngine(2)
    yield engine
    engine.close()


class TestLocalEngine(EngineContract):
    @pytest.fixture
    def engine(self, workers):
        return workers


class TestLocalEngineOfOneWorker(EngineContract):
    @pytest.fixture
    def engine(self):
        return LocalEngine(1)


def pids(engine: LocalEngine) -> set[int]:
    return {pid for _, pid in engine.map(tasks.slow_process, range(40))}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_work_is_done_in_other_processes(workers):
    found = pids(workers)
    assert os.getpid() not in found
    assert 1 <= len(found) <= 2


def test_one_unit_starts_no_process(workers):
    assert [(1, os.getpid())] == list(workers.map(tasks.process, [1]))
    assert workers._pool is None


def test_closing_ends_the_processes(workers):
    workers_running = pids(workers)
    workers.close()
    assert [] == [pid for pid in workers_running if is_running(pid)]


def test_closing_in_the_middle_ends_the_processes(workers):
    others = _children()
    results = workers.map(tasks.slow_double, range(500))
    next(results)
    everyone = [one for one in _children() if one not in others and is_running(one)]
    results.close()
    workers.close()
    assert len(everyone) >= 2
    assert [] == [pid for pid in everyone if is_running(pid)]


def _children() -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.append(int(entry))
    return found


def test_killed_workers_lose_nothing(workers):
    victims = pids(workers)
    assert 2 == len(victims)
    results = []
    for unit, result in workers.map(tasks.slow_double, range(150)):
        if unit == 50:  # both workers are busy: many units are in flight
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
        results.append((unit, result))
    assert [(n, 2 * n) for n in range(150)] == results
    assert not victims & pids(workers)


def test_unit_whose_worker_died_is_done_by_another(workers, tmp_path):
    units = [str(tmp_path / str(n)) for n in range(8)]
    assert [(u, u) for u in units] == list(workers.map(tasks.die_once, units))


def test_unit_that_ends_every_worker_is_an_error(workers):
    done = []
    with pytest.raises(DataguardError, match="ended 3 worker processes"):
        done.extend(unit for unit, _ in workers.map(tasks.kill_itself, range(40)))
    assert done in ([0, 1], [])
    assert [2 * n for n in range(40)] == [r for _, r in workers.map(tasks.double, range(40))]


def test_stray_prints_do_not_reach_the_pipe(workers, capfd):
    results = list(workers.map(tasks.print_and_double, range(20)))
    workers.close()
    assert [(n, 2 * n) for n in range(20)] == results
    captured = capfd.readouterr()
    assert "" == captured.out
    assert 20 == captured.err.count("and one past Python")


def test_modules_of_the_working_directory_are_not_imported(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "may_fork", lambda: False)
    for name in ("dataguard", "xxhash", "pickle"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the wrong place')\n")
    monkeypatch.chdir(tmp_path)
    found = dict(workers.map(tasks.module_file, ["dataguard", "xxhash", "pickle"]))
    assert dataguard.__file__ == found["dataguard"]
    assert [] == [path for path in found.values() if path.startswith(str(tmp_path))]


def test_workers_end_when_their_parent_is_killed(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{Path(TESTS).parent}:{TESTS}")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            engine = LocalEngine(2)
            os.write(writer, repr(pids(engine)).encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    grandchildren = [int(pid) for pid in os.read(reader, 1000).decode().strip("{}").split(",")]
    os.close(reader)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 5
    while any(map(_is_alive, grandchildren)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [] == [pid for pid in grandchildren if _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its new parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_ignore_the_interrupt_of_the_terminal(workers):
    for pid in pids(workers):
        os.kill(pid, signal.SIGINT)
    assert [2 * n for n in range(40)] == [r for _, r in workers.map(tasks.double, range(40))]


def test_choice_of_engine():
    assert isinstance(choose("serial", "auto"), SerialEngine)
    assert isinstance(choose("auto", "auto"), LocalEngine)
    chosen = choose("local", "3")
    assert isinstance(chosen, LocalEngine)
    assert 3 == chosen.workers


@pytest.mark.parametrize(("name", "workers"), [("spark", "auto"), ("auto", "0"), ("auto", "-1")])
def test_unknown_engines_and_counts_are_refused(name, workers):
    with pytest.raises(ConfigurationError):
        choose(name, workers)


def asked_alone(program: str) -> list[str]:
    """What a fresh interpreter prints that can import the tasks of these tests."""
    path = f"{Path(TESTS).parent}:{TESTS}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("before", "forked"),
    [
        ("pass", True),
        ("import numpy", False),
        ("import pyarrow", False),
        ("import threading; threading.Timer(0.5, print).start()", False),
    ],
)
def test_only_a_process_without_threads_and_arrow_is_forked(before, forked):
    program = f"{before}\nfrom dataguard.engines.process import may_fork\nprint(may_fork())"
    assert str(forked) == asked_alone(program)[0]


def test_workers_load_what_reading_needs_and_nothing_heavy():
    program = (
        "import sys, dataguard.stores.localread\n"
        "from contracts import tasks\n"
        "from dataguard.engines import process\n"
        "from dataguard.engines.local import LocalEngine\n"
        "process.may_fork = lambda: {}\n"
        "engine = LocalEngine(2)\n"
        "found = dict(engine.map(tasks.modules, ['dataguard.stores.localread', 'json']))\n"
        "engine.close()\n"
        "print(*found['dataguard.stores.localread'])"
    )
    heavy = {"numpy", "pyarrow", "pydantic", "typer", "sqlite3", "ssl", "hashlib", "asyncio"}
    for forked in (True, False):
        found = set(asked_alone(program.format(forked)))
        assert set() == found & heavy
        assert {"dataguard.stores.localread", "xxhash"} <= found
    assert set() == found & {"subprocess", "threading", "concurrent.futures", "socket"}


@pytest.mark.parametrize(("before", "count"), [("pass", 2), ("import numpy", 0)])
def test_workers_are_started_early_only_as_forks(before, count):
    program = (
        f"import os\n{before}\n"
        "from dataguard.engines.local import LocalEngine\n"
        "engine = LocalEngine(2)\n"
        "engine.start()\n"
        "print(len(open(f'/proc/self/task/{os.getpid()}/children').read().split()))\n"
        "engine.close()\n"
        "print(len(open(f'/proc/self/task/{os.getpid()}/children').read().split()))\n"
    )
    assert [str(count), "0"] == asked_alone(program)


def test_worker_that_is_gone_takes_and_gives_nothing():
    worker = _Worker()
    worker.end()
    with pytest.raises(BrokenPipeError):
        worker.write(b"x")
    with pytest.raises(EOFError):
        worker.read()
    worker.terminate()


def test_forked_workers_keep_no_file_of_the_caller_open(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "may_fork", lambda: True)
    with open(tmp_path / "lock", "wb") as file:
        found = dict(workers.map(tasks.open_files, range(2)))[0]
        assert str(tmp_path / "lock") not in found
        assert file.writable()


def test_what_a_unit_left_over_is_done_before_later_units(workers, tmp_path):
    log = tmp_path / "log"
    log.touch()

    def more(unit, _result):
        return [f"{log}:rest{number}" for number in range(3)] if unit.endswith("first") else []

    # Few of these are at hand before anything is left over; later ones wait for that.
    units = [f"{log}:first", *(f"{log}:{number}" for number in range(14))]
    results = list(workers.map(tasks.note, units, more))
    assert ["first", "rest0", "rest1", "rest2", "0"] == [
        unit.partition(":")[2] for unit, _ in results[:5]
    ]
    assert not any(in_vain for _, in_vain in results)


def test_workers_that_cannot_be_started_again_are_an_error_and_no_endless_wait(
    workers, monkeypatch
):
    victims = pids(workers)

    def no_more():
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "start", no_more)
        with pytest.raises(DataguardError, match="cannot start a worker process: Cannot allocate"):
            list(workers.map(tasks.double, range(40)))
    assert [2 * n for n in range(40)] == [r for _, r in workers.map(tasks.double, range(40))]


def test_answer_that_cannot_be_read_is_an_error_and_no_endless_wait(workers):
    with pytest.raises(TypeError, match="missing 1 required"):
        list(workers.map(tasks.raise_what_cannot_be_copied, range(8)))
    assert [2 * n for n in range(40)] == [r for _, r in workers.map(tasks.double, range(40))]


def test_error_in_what_a_unit_left_over_reaches_the_caller(workers):
    def more(_unit, _result):
        raise ValueError("left over")

    with pytest.raises(ValueError, match="left over"):
        list(workers.map(tasks.double, range(8), more))
    assert [2 * n for n in range(40)] == [r for _, r in workers.map(tasks.double, range(40))]
