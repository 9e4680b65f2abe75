from __future__ import annotations

import os
import subprocess
import sys

import pytest
from asking import COMMAND

DATAGUARD = f"{sys.executable} -m dataguard"


def shell(script):
    """Run a script in which `dataguard` is the command line; exit code and both streams."""
    text = f'set -o pipefail; dataguard() {{ {DATAGUARD} "$@"; }}; {script}'
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("words", "expected"),
    [("show faces", 141), ("catalog events --format jsonl", 141), ("--help", 141)],
)
def test_reader_that_goes_away_is_not_worth_a_word(words, expected):
    assert (expected, "", "") == shell(f"dataguard {words} | true")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    "words", ["list", "list --format json", "--help", "--version", "run --help"]
)
def test_full_disk_behind_stdout_is_a_failure_without_a_trace(words):
    code, _, err = shell(f"dataguard {words} > /dev/full")
    assert 1 == code
    assert "cannot write the output: No space left on device" in err
    assert "defect" not in err
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("redirection", "words", "expected"),
    [
        (">&-", "list", 0),
        ("2>&-", "list", 0),
        ("<&-", "list", 0),
        (">&- 2>&- <&-", "list", 0),
        ("2>/dev/full", "show nosuch", 10),
        ("2>&-", "show nosuch", 10),
    ],
)
def test_closed_or_full_stream_changes_no_exit_code(redirection, words, expected):
    code, _, err = shell(f"dataguard {words} {redirection}")
    assert (expected, "") == (code, err)


def test_what_a_job_prints_never_gets_into_a_file_of_ours(registered):
    words = "run --input faces@1 --output out -q -- sh -c 'echo POISON; echo POISON >&2'"
    shell(f"dataguard {words} >&- 2>&-")
    found = [path for path in registered.home.rglob("*") if path.is_file()]
    assert [] == [str(path) for path in found if b"POISON\n" in path.read_bytes()]
    assert 0 == shell("dataguard catalog check")[0]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_that_the_terminal_cannot_show_is_escaped(world, encoding):
    (world.top / "caf\u00e9 \u4e16").mkdir()
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*COMMAND, "register", "faces", world.top / "caf\u00e9 \u4e16"],
        env=env,
        capture_output=True,
        check=False,
    )
    assert (0, b"") == (done.returncode, done.stderr)
    assert rb"\u4e16" in done.stdout


def test_quiet_writes_nothing_but_errors(registered):
    for words in (("list",), ("show", "faces"), ("audit",), ("register", "faces", "gold")):
        answer = registered.ask(*words, "-q")
        assert (0, "", "") == (answer.code, answer.out, answer.err)
    answer = registered.ask("show", "nosuch", "--quiet")
    assert (10, "") == (answer.code, answer.out)
    assert answer.err.startswith("error: no dataset `nosuch`")


def test_quiet_does_not_take_away_json(registered):
    assert registered.ask_json("list", "-q")["datasets"]


def test_verbose_writes_more(registered):
    ws = registered.workspace(mounted=())
    usual = registered.ask("mount", "faces@1", "-w", str(ws)).out
    more = registered.ask("mount", "faces@1", "-w", str(ws), "-v").out
    assert more.count("\n") > usual.count("\n") + 10


def test_colour_is_for_terminals_or_on_request(registered):
    assert "\x1b[" not in registered.ask("show", "faces").out
    coloured = registered.ask("show", "faces", "--color", "always").out
    assert "\x1b[1mfaces@1\x1b[0m" in coloured
    assert "\x1b[" not in registered.ask("show", "faces", "--color", "never").out
    assert 2 == registered.ask("show", "faces", "--color", "sometimes").code


@pytest.mark.usefixtures("registered")
def test_colour_on_a_terminal_can_be_turned_off_by_the_environment():
    plain = shell(f"NO_COLOR=1 script -qec '{DATAGUARD} show faces' /dev/null")
    colour = shell(f"script -qec '{DATAGUARD} show faces' /dev/null")
    if plain[0] == 127:
        pytest.skip("needs script(1)")
    assert (False, True) == ("\x1b[1m" in plain[1], "\x1b[1m" in colour[1])


@pytest.mark.parametrize("form", [("--format", "json"), ("--format=json",), ("--format", "jsonl")])
@pytest.mark.parametrize("words", ["nosuch", "list --nosuch", "show", "list --color blue", ""])
def test_errors_of_the_parser_are_json_too(world, words, form):
    error = world.ask(*words.split(), *form).error
    assert ("usage", 2) == (error["code"], error["exit_code"])


@pytest.mark.usefixtures("registered")
def test_words_of_a_job_do_not_choose_the_form_of_errors():
    _, _, err = shell("dataguard run --input nosuch@1 --output x -w . -- echo --format json")
    assert err.startswith("error: ")


def test_text_error_is_a_line_and_a_hint(world):
    answer = world.ask("show", "nosuch")
    error, hint = answer.err.splitlines()
    assert error.startswith("error: no dataset `nosuch`")
    assert hint.startswith("hint: ")


def test_progress_is_not_shown_for_quick_work_and_never_on_request(registered):
    for option in ((), ("--no-progress",)):
        assert "" == registered.ask("audit", *option).err
