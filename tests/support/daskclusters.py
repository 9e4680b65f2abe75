"""A Dask cluster that somebody else runs, in this process."""

from __future__ import annotations

from distributed import LocalCluster

__all__ = ["foreign_cluster"]


def foreign_cluster(workers):
    """A cluster of so many workers whose scheduler has an address; use as a context manager."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    )
