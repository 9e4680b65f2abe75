from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {"sqlalchemy", "alembic", "mako", "greenlet", "pandas", "fsspec", "watchdog"}
PROGRAM = """
import sys
from dataguard.cli import main
code = main(sys.argv[1:])
print("loaded", *sys.modules)
sys.exit(code)
"""


@pytest.fixture
def ask(tmp_path):
    """Run a command in a workspace with a home of its own; return the modules it loaded."""

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path / "work",
            env={**os.environ, "DATAGUARD_HOME": str(tmp_path / "home")},
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.rpartition("loaded")[2].split())

    for name in ("work", "gold"):
        (tmp_path / name).mkdir()
    (tmp_path / "gold" / "a").write_bytes(b"a")
    return run


def test_everyday_commands_load_no_database_library(ask, tmp_path):
    for words in (
        ["register", "faces", str(tmp_path / "gold")],  # makes the catalog too
        ["workspace", "init", ".", "--outputs", str(tmp_path / "outputs")],
        ["list"],
        ["show", "faces"],
        ["gate", "--input", "faces@1"],
        ["catalog", "check"],
        ["catalog", "rebuild", "--yes"],
    ):
        loaded = ask(*words)
        assert loaded & HEAVY == set(), words
        assert "sqlite3" in loaded
