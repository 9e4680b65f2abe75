from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from dataguard.cli import app

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "commands.txt"
SHARED = (
    *("--format", "--quiet", "-q", "--verbose", "-v", "--color", "--no-progress", "--help"),
    *("--catalog", "--policy"),
)
CHANGING = (
    *("register", "tag", "withdraw", "quarantine", "release", "mount", "unmount", "audit"),
    *("seal", "unseal", "copies", "reclaim", "cache prune", "cache verify"),
    *("workspace init", "workspace remove", "findings ack", "findings resolve"),
)
DESTRUCTIVE = ("workspace remove", "catalog rebuild")
ISSUE = (
    *("register", "list", "show", "log", "diff", "tag", "withdraw", "quarantine", "release"),
    *("workspace init", "workspace show", "workspace list", "workspace remove"),
    *("mount", "unmount", "gate", "run", "audit", "seal", "unseal"),
    *("findings list", "findings show", "findings ack", "findings resolve"),
    *("policy check", "policy show", "policy explain", "doctor"),
    *("catalog check", "catalog rebuild", "catalog events", "catalog backup", "catalog copy"),
)


def commands(group=None, words=()):
    """Words of every command, with the command."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


ALL = {" ".join(words): command for words, command in commands()}


def test_every_command_of_the_first_release_is_there():
    assert set() == {*ISSUE} - {*ALL}


def contract():
    for name, command in sorted(ALL.items()):
        names = [p.metavar or p.name for p in command.params if p.param_type_name == "argument"]
        yield " ".join([name, *names])
        for option in command.params:
            if option.param_type_name == "option" and option.opts[0] not in SHARED:
                flag = "" if option.is_flag else " VALUE"
                yield "  " + ", ".join(sorted(option.opts, key=len)) + flag
        yield "  exit " + " ".join(re.findall(r"^  (\d+) ", command.help, re.MULTILINE))


def test_arguments_options_and_exit_codes_are_as_they_were():
    assert GOLDEN.read_text().splitlines() == [*contract()]


@pytest.mark.parametrize("name", ALL)
def test_help_has_examples_exit_codes_and_the_shared_options(world, name):
    text = world.ask(*name.split(), "--help").out
    assert re.search(rf"^ *Examples:\n +dataguard {name}\b", text, re.MULTILINE)
    assert re.search(r"^ *Exit codes:\n +0 +\w.*$", text, re.MULTILINE)
    assert [] == [option for option in SHARED if not re.search(rf"\W{option}\b", text)]


@pytest.mark.parametrize("name", ALL)
def test_examples_are_accepted_by_the_parser(name):
    command = ALL[name]
    block = command.help.split("Examples:\n")[1].split("\n\n")[0]
    for line in block.splitlines():
        words = shlex.split(line)[1 + len(name.split()) :]
        command.make_context(name, words, resilient_parsing=False).close()


@pytest.mark.parametrize("name", CHANGING)
def test_changing_commands_have_a_dry_run(name):
    assert {"--dry-run", "-n"} <= {o for p in ALL[name].params for o in p.opts}


@pytest.mark.parametrize("name", DESTRUCTIVE)
def test_destructive_commands_ask_unless_told(name):
    assert {"--yes", "-y"} <= {o for p in ALL[name].params for o in p.opts}


@pytest.mark.parametrize("words", [(), ("workspace",), ("findings",), ("policy",), ("catalog",)])
def test_group_without_a_command_shows_its_help_and_ends_with_2(world, words):
    answer = world.ask(*words)
    assert (2, "") == (answer.code, answer.out)
    assert answer.err.startswith("Usage: dataguard")
    assert "\nCommands:\n" in answer.err


def test_help_of_the_program_lists_every_command(world):
    answer = world.ask("--help")
    assert (0, "") == (answer.code, answer.err)
    assert set() == {name.split()[0] for name in ALL} - {
        *re.findall(r"^  (\w+) ", answer.out, re.MULTILINE)
    }


def test_version_is_told_in_both_ways(world):
    from dataguard import __version__

    assert f"dataguard {__version__}\n" == world.ask("--version").out
    assert __version__ == world.ask_json("version")["version"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dataguard reg", "register"),
        ("dataguard catalog re", "rebuild"),
        ("dataguard audit --le", "--level"),
        ("dataguard list --format js", "jsonl"),
    ],
)
def test_bash_completion_offers_commands_options_and_values(world, words, expected):
    from os import environ

    done = world.ask_process(
        env={
            **environ,
            "_DATAGUARD_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
    )
    assert expected in done.out.split()


def test_completion_script_can_be_shown(world):
    from os import environ

    env = {**environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = world.ask_process("--show-completion", "bash", env=env)
    assert (0, "") == (done.code, done.err)
    assert "complete" in done.out
    assert "dataguard" in done.out
