"""Connections to Dask: a scheduler that exists, or a cluster of this machine's processes.

Imported only where the engine is used: loading `distributed` takes as long as a whole small audit.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import signal
import tempfile
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

import dask
from distributed import Client, LocalCluster

from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["connected", "own_cluster"]

_TIMEOUT_S = 20

_LEAN = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.allowed-failures": 2,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
}
"""What a cluster of our own does without: it tells nobody of itself, and watches itself little."""


@contextlib.contextmanager
def connected(scheduler: str) -> Iterator[Client]:
    """Give a client of the scheduler at an address, or of the one that a JSON file names.

    Certificates for `tls://` come from Dask's own configuration.

    Raises:
        StoreUnreachableError: nothing answers there as a scheduler would.
    """
    _silence()
    try:
        client = Client(_address(scheduler), timeout=_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, LookupError, TypeError) as err:
        raise StoreUnreachableError(
            f"no Dask scheduler answers at {scheduler}: {_first_line(err)}",
            hint="leave out --scheduler to use processes of this machine",
        ) from err
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def own_cluster(workers: int) -> Iterator[Client]:
    """Give a client of new processes on this machine, which end with it.

    Only this process can use them: whoever may connect to a cluster can run code as its owner, so
    they listen on the loopback device alone and ask for a certificate that is nowhere on a disk.
    """
    _silence()
    scratch = tempfile.mkdtemp(prefix="dataguard-dask-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        stack.enter_context(dask.config.set({**_LEAN, "temporary-directory": scratch}))
        with _out_of_reach_of_the_terminal():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                security=True,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster, set_as_default=False))


@contextlib.contextmanager
def _out_of_reach_of_the_terminal() -> Iterator[None]:
    """Let what is started now, threads and their processes, never get the SIGINT of a Ctrl-C.

    That is for the caller, who ends them in order, and gets it when the start is over.
    """
    # Whoever starts it later, in whatever thread, unblocks the signal there.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _address(scheduler: str) -> str:
    """Return an address; Dask itself would wait for a file that is not there, for ever."""
    if not scheduler.endswith(".json"):
        return scheduler
    with open(scheduler, encoding="utf-8") as file:
        return str(json.load(file)["address"])


def _silence() -> None:
    # What matters of it is raised; a worker that was lost and replaced does not.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def _first_line(err: BaseException) -> str:
    return (str(err) or type(err).__name__).splitlines()[0]
