from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import tempfile
import warnings
from pathlib import Path

import pytest

from contracts import tasks
from contracts.engine import EngineContract
from contracts.store import PLAN, collect
from dataguard.engines import cluster, dask
from dataguard.engines.choose import choose
from dataguard.engines.dask import DaskEngine
from dataguard.engines.serial import SerialEngine
from dataguard.errors import ConfigurationError, DataguardError, StoreUnreachableError
from dataguard.stores.local import LocalStore
from dataguard.stores.shards import ShardedSpread
from support.daskclusters import foreign_cluster

# When a worker is killed, distributed leaves its end of the connection to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")


@pytest.fixture(scope="module", autouse=True)
def no_connection_outlives_these_tests():
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <ssl", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Two processes; started once, for that takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("scratch")))
        engine = DaskEngine(workers=2)
        yield engine
        engine.close()


@pytest.fixture(scope="module")
def scheduler():
    """The address of a scheduler that somebody else runs, with a worker."""
    with foreign_cluster(1) as running:
        yield running


class TestDaskEngine(EngineContract):
    @pytest.fixture
    def engine(self, workers):
        return workers


def pids(engine):
    return {pid for _, pid in engine.map(tasks.slow_process, range(40))}


def test_work_is_done_in_two_other_processes(workers):
    found = pids(workers)
    assert os.getpid() not in found
    assert 2 == len(found)


def test_killed_worker_loses_nothing(workers, tmp_path):
    for number in range(60):
        (tmp_path / "tree" / f"d{number}").mkdir(parents=True)
        for name in range(150):
            (tmp_path / "tree" / f"d{number}" / f"f{name}").write_bytes(b"%d" % (number * name))
    expected = collect(
        LocalStore(str(tmp_path / "tree"), host="h", spread=SerialEngine().map).scan(
            PLAN, read=True
        )
    )
    victim = min(pids(workers))
    spread = ShardedSpread(workers.map, str(tmp_path / "home"))
    pieces = LocalStore(str(tmp_path / "tree"), host="h", spread=spread).scan(PLAN, read=True)
    first = next(pieces)
    os.kill(victim, signal.SIGKILL)
    assert expected == collect([first, *pieces])


def test_unit_whose_worker_died_is_done_by_another(workers, tmp_path):
    units = [str(tmp_path / str(n)) for n in range(2)]
    assert [(u, u) for u in units] == list(workers.map(tasks.die_once, units))


def test_unit_that_ends_every_worker_is_an_error(workers):
    with pytest.raises(DataguardError, match="ended several Dask workers") as caught:
        list(workers.map(tasks.kill_itself, range(3)))
    assert "--engine local" in caught.value.hint


def test_worker_of_another_version_is_refused(workers, monkeypatch):
    monkeypatch.setattr(dask, "__version__", "9.9.9")
    with pytest.raises(ConfigurationError, match=r"has dataguard .*, this is 9\.9\.9") as caught:
        list(workers.map(tasks.double, range(3)))
    assert "pip install 'dataguard[dask]==9.9.9'" in caught.value.hint


class Missing:
    """A task that a worker cannot load, as if it had no dataguard."""

    def __call__(self, _version, _asked):
        raise AssertionError

    def __reduce__(self):
        return importlib.import_module, ("no_such_module",)


def test_worker_without_dataguard_is_an_error_that_says_what_to_install(workers, monkeypatch):
    monkeypatch.setattr(dask, "perform", Missing())
    with pytest.raises(DataguardError, match="cannot run dataguard") as caught:
        list(workers.map(tasks.double, range(3)))
    assert "pip install 'dataguard[dask]==" in caught.value.hint


def test_scheduler_by_address_is_used_and_left_running(scheduler):
    for _ in range(2):
        engine = DaskEngine(scheduler.scheduler_address)
        assert [(n, 2 * n) for n in range(50)] == list(engine.map(tasks.double, range(50)))
        engine.close()
    assert 1 == len(scheduler.scheduler.workers)


def test_scheduler_by_its_file(scheduler, tmp_path):
    path = tmp_path / "scheduler.json"
    path.write_text(json.dumps({"address": scheduler.scheduler_address}))
    engine = DaskEngine(str(path))
    assert [(1, 2)] == list(engine.map(tasks.double, [1]))
    engine.close()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere://", "no-file.json"])
def test_scheduler_that_does_not_answer_is_an_error_with_words(address, monkeypatch):
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 0.3)
    with pytest.raises(StoreUnreachableError, match="no Dask scheduler answers at") as caught:
        list(DaskEngine(address).map(tasks.double, [1]))
    assert "--scheduler" in caught.value.hint


def test_nothing_is_started_where_there_is_no_work():
    engine = DaskEngine("tcp://127.0.0.1:1")
    assert [] == list(engine.map(tasks.double, []))
    engine.close()


def test_cluster_leaves_nothing_on_the_disk(workers):
    pids(workers)
    scratch = tempfile.gettempdir()
    assert [] != os.listdir(scratch)
    workers.close()
    assert [] == os.listdir(scratch)


def test_choice_of_the_engine():
    assert isinstance(choose("dask", "2"), DaskEngine)
    assert isinstance(choose("auto", "auto", "tcp://there:8786"), DaskEngine)
    assert not isinstance(choose("local", "auto", "tcp://there:8786"), DaskEngine)


@pytest.mark.parametrize("library", ["distributed", "cryptography"])
def test_missing_library_is_an_error_that_says_what_to_install(library, monkeypatch):
    def found(name):
        return None if name == library else importlib.util.find_spec(name)

    monkeypatch.setattr("dataguard.engines.choose.find_spec", found)
    with pytest.raises(ConfigurationError) as caught:
        choose("dask", "auto")
    assert "pip install 'dataguard[dask]'" == caught.value.hint


def test_choosing_the_engine_loads_no_dask():
    import subprocess
    import sys

    program = (
        "import sys; from dataguard.engines.choose import choose; choose('dask', '2'); "
        "print({'dask', 'distributed'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"set()\n" == done.stdout
    assert Path(dask.__file__).name == "dask.py"
