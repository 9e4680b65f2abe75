"""What is read without the parser means to the parser the same; everything else is the parser's."""

from __future__ import annotations

import functools
import re
import shlex
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataguard.cli import main
from dataguard.cli.plainwords import COMMANDS, understood

WORDS = st.lists(
    st.sampled_from(
        [
            *("--format", "json", "text", "yaml", "--format=csv", "-q", "-v", "-vv", "--quiet"),
            *("--input", "faces@1", "--output", "", "--color", "never", "--color=blue", "--also"),
            *(
                "--no-progress",
                "-w",
                "dir",
                "-wdir",
                "--",
                "-",
                "\udcff",
                "a=b",
                "--note",
                "--note=",
            ),
            *(
                "--append",
                "--append=1",
                "--level",
                "quick",
                "--level=full",
                "--dry-run",
                "-n",
                "-nq",
            ),
            *("--exclude", "*.tmp", "--meta", "--help", "--sli", "--slice", "1/2", "--max-age=30d"),
            *("--catalog", "--policy=strict", "--from", "-1", "/data", "--workers", "--report=x"),
        ]
    ),
    max_size=8,
)

OPTIONS = st.lists(
    st.sampled_from(
        [
            *(("--format", "json"), ("--color=never",), ("-q",), ("-v",), ("--no-progress",)),
            *(("--catalog", "x"), ("--policy=strict",), ("--input", "faces@1"), ("--input=",)),
            *(("--also", "sha256"), ("--also=blake3",), ("-n",), ("--level", "quick"), ("-w", "d")),
            *(("faces",), ("/data",), ("--note", "x y"), ("--note", "again"), ("--slice=1/2",)),
        ]
    ),
    max_size=5,
).map(lambda groups: [word for group in groups for word in group])


class Called(BaseException):
    """The command was called with these values."""

    def __init__(self, values):
        super().__init__()
        self.values = {name: (type(value), value) for name, value in values.items()}


@pytest.fixture(scope="module", params=sorted(COMMANDS))
def command(request):
    """The name of a command that tells what it was called with instead of doing anything."""
    module = import_module(f"dataguard.cli.{request.param}")
    original = getattr(module, request.param)

    @functools.wraps(original)
    def tell(invocation, **values):
        shared = ("format", "quiet", "verbose", "_flags")
        raise Called({**values, **{name: getattr(invocation, name) for name in shared}})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, request.param, tell)
        yield request.param


def told(run):
    try:
        return run()
    except Called as called:
        return called.values
    except Exception as err:  # noqa: BLE001  whatever it says is to be compared
        return type(err), str(err)


def by_the_parser(words):
    from dataguard.cli.application import app

    return told(lambda: app(words, standalone_mode=False, prog_name="dataguard"))


def is_quick(words):
    return understood(words) is not None


@given(words=WORDS | OPTIONS)
def test_the_parser_finds_the_same(command, words):
    run = understood([command, *words])
    if run is not None:
        assert by_the_parser([command, *words]) == told(run)


def test_the_examples_are_plain(command, capsys):
    assert 0 == main([command, "--help"])
    examples = re.findall(r"^ +dataguard (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) > 1
    for example in examples:
        words = shlex.split(example)
        assert by_the_parser(words) == told(understood(words))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--help",),
        ("--nonsense",),
        ("--format", "yaml"),
        ("--format",),
        ("--format", "--quiet"),
        ("--quiet=1",),
        ("-qv",),
        ("--", "x"),
        ("--workers", ""),
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(command, words):
    told_nothing = command != "register" and not words
    assert told_nothing == is_quick([command, *words])


def test_a_missing_and_a_superfluous_argument_are_left_to_the_parser():
    assert not is_quick(["register", "faces"])
    assert not is_quick(["register", "faces", "/data", "more"])
    assert not is_quick(["gate", "more"])


def test_other_commands_and_completion_are_left_to_the_parser(monkeypatch):
    assert not is_quick(["list"])
    assert not is_quick([])
    monkeypatch.setenv("_DATAGUARD_COMPLETE", "complete_bash")
    assert not is_quick(["gate"])
