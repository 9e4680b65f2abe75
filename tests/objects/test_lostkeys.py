"""Keys that a real store loses between the pages of its listings, and registering that has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.s3access import Access

# Beside each directory a name that sorts before its files; a page of 1,000 ends between the two.
KEYS = [f"gold/s{number:03}{end}" for number in range(340) for end in ("-x", ".x", "/a")]


@pytest.fixture
def filled(seaweedfs, make_bucket):
    bucket = make_bucket(seaweedfs)
    with seaweedfs.acting():
        client = ObjectClient(Access(bucket, seaweedfs.endpoint))
        with ThreadPoolExecutor(8) as writers:
            list(writers.map(lambda key: client.put(key.encode(), b"x"), KEYS))
        client.close()
    return bucket


def test_pages_of_versions_lose_keys_and_registering_does_not(seaweedfs, filled, tmp_path):
    with seaweedfs.client() as s3:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=filled)
        listed = {row["Key"] for page in pages for row in page["Versions"]}
    assert set(KEYS) - listed
    command = ("register", "d", f"s3://{filled}/gold", "--format", "json")
    done = subprocess.run(
        [sys.executable, "-m", "dataguard", *command],
        env=os.environ | seaweedfs.environment() | {"DATAGUARD_HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr.decode()
    assert len(KEYS) == json.loads(done.stdout)["files"]
