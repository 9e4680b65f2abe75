from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dataguard.cli
from dataguard.cli import main
from dataguard.cli.group import COMMANDS
from support.mountcleanup import needs_mounts

HEAVY = {"pyarrow", "fsspec", "sqlalchemy", "watchdog", "numpy", "pathspec", "alembic", "xxhash"}
NOT_BY_A_LOOK = {"pyarrow", "numpy", "fsspec", "alembic", "rich", "watchdog", "pathspec", "xxhash"}
SHOW_MODULES = (
    "import sys; {}; sys.stdout.flush(); print('', *sorted(sys.modules), file=sys.stderr)"
)


def loaded_by(statement):
    done = subprocess.run(
        [sys.executable, "-c", SHOW_MODULES.format(statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def loaded_for(*words):
    return loaded_by(f"from dataguard.cli import main; assert main({[*words]!r}) == 0")


def test_importing_the_command_line_loads_nothing_heavy():
    found = loaded_by("import dataguard.cli")
    assert set() == found & (HEAVY | {"typer", "pydantic", "rich", "json", "subprocess"})


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_program_speaks_of_itself_without_the_parser(option):
    assert set() == loaded_for(option) & (HEAVY | {"typer", "pydantic", "rich", "json"})


def test_help_of_a_command_loads_this_command_alone():
    found = loaded_for("register", "--help")
    assert set() == found & (HEAVY | {"pydantic", "rich"})
    assert {"dataguard.cli.register"} == found & {f"dataguard.cli.{name}" for name in COMMANDS}


def test_completion_of_a_command_loads_this_command_alone(world):
    done = world.ask_process(
        env={
            **os.environ,
            "PYTHONPROFILEIMPORTTIME": "1",
            "_DATAGUARD_COMPLETE": "complete_bash",
            "COMP_WORDS": "dataguard reg",
            "COMP_CWORD": "1",
        }
    )
    assert "register" in done.out.split()
    found = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert set() == found & (HEAVY | {"pydantic", "rich", "dataguard.cli.audit"})


@needs_mounts
def test_gate_of_a_mounted_version_loads_no_library_for_data(registered):
    workspace = registered.workspace()
    assert set() == loaded_for("gate", "-w", str(workspace)) & {*NOT_BY_A_LOOK, "typer"}


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("words", [("list",), ("show", "faces"), ("log", "faces")])
def test_looking_loads_no_library_for_data(words):
    assert set() == loaded_for(*words) & NOT_BY_A_LOOK


def test_searching_few_files_for_copies_loads_no_numpy(registered):
    (registered.top / "private").mkdir()
    (registered.top / "private" / "file").write_bytes(b"of no size of gold" * 7)
    words = ("copies", str(registered.top / "private"), "--dry-run")
    registered.ask(*words)  # makes the gold index
    found = loaded_for(*words)
    assert set() == found & {"numpy.linalg", "numpy.lib", "pyarrow.compute", "fsspec"}


def test_what_a_search_for_copies_begins_with_loads_no_library_for_columns():
    found = loaded_by("import dataguard.actions.copybegin")
    assert set() == found & {"pyarrow", "numpy", "fsspec"}


@needs_mounts
def test_mounting_loads_no_library_for_data(registered):
    workspace = registered.workspace(mounted=())
    assert set() == loaded_for("mount", "faces", "-w", str(workspace)) & NOT_BY_A_LOOK


def test_every_command_lies_in_a_module_of_its_name():
    modules = {path.stem for path in Path(dataguard.cli.__file__).parent.glob("*.py")}
    assert set() == {*COMMANDS} - modules


def parsed_help(capsys, monkeypatch, columns):
    """The program's help as the parser prints it."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("dataguard.cli.frontpage.answer", lambda _: None)
    assert 0 == main(["--help"])
    monkeypatch.undo()
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [40, 60, 79, 80, 120])
def test_help_is_what_the_parser_would_print(capsys, monkeypatch, columns):
    expected = parsed_help(capsys, monkeypatch, columns)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert 0 == main(["--help"])
    assert expected == capsys.readouterr().out


@pytest.mark.parametrize(
    ("columns", "is_quick"), [("", True), ("0", True), ("80", True), ("79", False), ("x", True)]
)
def test_help_without_a_terminal_is_for_80_columns_unless_told(monkeypatch, columns, is_quick):
    from dataguard.cli.frontpage import answer

    monkeypatch.setenv("COLUMNS", columns)
    assert is_quick == (answer(["--help"]) is not None)


CONFIGURED = {
    *("pydantic", "rich", "sqlalchemy", "alembic", "fsspec", "pandas", "tomlkit", "dask"),
    *("numpy.linalg", "pyarrow._s3fs", "pyarrow.compute"),
    *("concurrent.futures", "tomllib"),
}
OF_OTHERS = {
    *("administration", "emit", "policy_report", "seal", "workspace", "gate"),
    *(f"results.{name}" for name in ("audit", "diff", "list", "mount", "run", "show", "tag")),
}
"""Modules of values that `register` neither makes nor shows: their classes take time to make."""


def values_in(modules):
    return {name.removeprefix("dataguard.model.") for name in modules}


def test_registering_loads_no_library_that_it_does_not_use(world):
    found = loaded_for("register", "faces", str(world.gold))
    assert set() == found & (CONFIGURED | {"pyarrow.dataset", "pathspec"})
    assert "pyarrow" in found


def test_plain_words_load_no_parser(world):
    unused = {"typer", "platformdirs"}
    assert set() == loaded_for("register", "faces", str(world.gold)) & unused
    assert set() == loaded_for("audit", "--dry-run", "--level=quick") & unused


def test_registering_makes_no_values_of_other_commands(world):
    found = values_in(loaded_for("register", "faces", str(world.gold)))
    assert set() == found & (OF_OTHERS | {"results.lineage", "results.log"})
    assert "results.register" in found


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("level", ["quick", "full"])
def test_auditing_loads_no_library_that_it_does_not_use(level):
    assert set() == loaded_for("audit", "faces", "--level", level) & CONFIGURED


@pytest.mark.usefixtures("registered")
def test_auditing_makes_no_values_of_other_commands():
    found = values_in(loaded_for("audit", "faces"))
    assert set() == found & (OF_OTHERS - {"results.audit", "seal", "workspace"})


@needs_mounts
def test_gate_makes_no_values_of_other_commands(registered):
    found = values_in(loaded_for("gate", "-w", str(registered.workspace())))
    assert {"gate"} == found & (OF_OTHERS - {"seal", "workspace"})


@needs_mounts
def test_mounting_makes_no_values_of_other_commands(registered):
    workspace = registered.workspace(mounted=())
    found = values_in(loaded_for("mount", "faces", "-w", str(workspace)))
    assert {"results.mount"} == found & (OF_OTHERS - {"seal", "workspace"})


def test_arrow_is_loaded_only_once_the_workers_of_an_audit_read():
    found = loaded_by("import dataguard.actions.audittargets")
    assert set() == found & {"pyarrow", "numpy"}


def test_process_of_a_command_ends_with_its_code_and_all_it_wrote(world):
    done = subprocess.run(
        [sys.executable, "-m", "dataguard", "show", "nothing", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DATAGUARD_HOME": str(world.top / "home")},
    )
    assert (10, "") == (done.returncode, done.stdout)
    assert done.stderr.endswith("}\n")


def test_what_others_registered_for_the_end_is_done_before_the_process_ends():
    program = (
        "import atexit, sys, threading, time\n"
        "from dataguard.cli import main\n"
        "sys.argv[1:] = ['--version']\n"
        "code = main()\n"
        "atexit.register(print, 'registered')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ["thread", "registered"] == done.stdout.splitlines()[1:]


def test_policy_file_is_read_with_the_library_for_it(world):
    file = world.top / "mine.toml"
    file.write_text('format = "policy/1"\nname = "mine"\n')
    found = loaded_for("register", "faces", str(world.gold), "--policy", str(file))
    assert "pydantic" in found
