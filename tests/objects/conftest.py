"""Gold in a bucket: a registered version of three objects, and a command line to look at it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from dataguard.cli.main import main


@dataclass
class Gold:
    """A registered version of three objects, and who may change its bucket."""

    server: Any
    admin: Any
    bucket: str
    run: Any

    @property
    def place(self):
        return f"s3://{self.bucket}/gold"

    def put(self, name, data, **more):
        return self.admin.put_object(Bucket=self.bucket, Key=f"gold/{name}", Body=data, **more)

    def delete(self, name, **more):
        return self.admin.delete_object(Bucket=self.bucket, Key=f"gold/{name}", **more)

    def version(self, name):
        return self.admin.head_object(Bucket=self.bucket, Key=f"gold/{name}").get("VersionId")

    def audit(self, level, *words):
        return self.run("audit", "faces", "--level", level, *words)

    def codes(self, level):
        code, found = self.audit(level)
        assert found["findings"] == [] or code == 3
        return sorted((one["code"], one["path"]) for one in found["findings"])


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATAGUARD_HOME", str(tmp_path / "home"))

    def run(*words):
        code = main([*words, "--format", "json"])
        out, err = capsys.readouterr()
        return code, json.loads(out or err.splitlines()[-1])

    return run


@pytest.fixture
def gold_at(make_bucket, run):
    """Make gold at a server, whose administrator this process is from then on."""
    undone = []

    def make(server, *, registered=True, **how):
        client = server.client(server.admin)
        admin = client.__enter__()
        undone.append(client)
        acting = server.acting(server.admin)
        acting.__enter__()
        undone.append(acting)
        gold = Gold(server, admin, make_bucket(server, **how), run)
        for name in ("a", "d/b", "d/c"):
            gold.put(name, name.encode())
        if registered:
            assert 0 == run("register", "faces", gold.place)[0]
        return gold

    yield make
    for one in reversed(undone):
        one.__exit__(None, None, None)


@pytest.fixture
def make_gold(objectserver, gold_at):
    def make(*, server=objectserver, **how):
        return gold_at(server, **how)

    return make


@pytest.fixture
def gold(make_gold):
    return make_gold()
