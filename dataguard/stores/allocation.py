"""How Arrow takes memory from the system."""

from __future__ import annotations

import functools

import pyarrow as pa

__all__ = ["allocate_frugally"]


@functools.cache
def allocate_frugally() -> None:
    """Have Arrow give memory back as soon as others want it.

    Batches are made in one thread and dropped in another. The allocator that Arrow prefers then
    keeps several times what is in use, in huge pages; jemalloc keeps little more, as quickly. An
    Arrow without jemalloc stays as it is.
    """
    if pa.default_memory_pool().backend_name == "mimalloc":
        try:
            pa.set_memory_pool(pa.jemalloc_memory_pool())
        except NotImplementedError:
            return
