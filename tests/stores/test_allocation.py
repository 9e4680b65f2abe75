from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
import pyarrow as pa
from dataguard.stores.manifests import ManifestStore
ManifestStore(sys.argv[1])
print(pa.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(
    ("told", "taken"), [("mimalloc", "jemalloc"), ("system", "system"), ("jemalloc", "jemalloc")]
)
def test_stores_take_another_allocator_in_place_of_mimalloc_alone(tmp_path, told, taken):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    environment = {"ARROW_DEFAULT_MEMORY_POOL": told, "PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    if (told, found.stdout.strip()) == ("mimalloc", "mimalloc"):
        pytest.skip("this Arrow has no jemalloc")
    assert taken == found.stdout.strip()
