from __future__ import annotations

import subprocess
import sys
import time

HEAVY = {"pyarrow", "fsspec", "sqlalchemy", "watchdog", "numpy", "pathspec", "alembic", "xxhash"}
EMPTY_APP = """
import typer
app = typer.Typer(rich_markup_mode=None)
app.command()(lambda: None)
app(["--help"])
"""


def loaded_by(statement):
    program = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def seconds(*command):
    begun = time.perf_counter()
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    return time.perf_counter() - begun


def test_importing_the_command_line_loads_nothing_heavy():
    assert set() == loaded_by("import dataguard.cli") & (HEAVY | {"pydantic", "rich"})


def test_help_of_a_command_loads_nothing_heavy():
    ask = "from dataguard.cli import main; main(['register', '--help'])"
    assert set() == loaded_by(ask) & HEAVY


def test_help_starts_in_twice_the_time_of_an_empty_app():
    rounds = [(seconds("-c", EMPTY_APP), seconds("-m", "dataguard", "--help")) for _ in range(5)]
    empty, ours = (min(times) for times in zip(*rounds, strict=True))
    assert ours <= 2 * empty, f"{ours:.3f} s, an empty app {empty:.3f} s"
