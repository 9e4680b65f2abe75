from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.core import TyperCommand

from dataguard.cli.application import app
from dataguard.cli.values import PlainCommand

WORDS = st.lists(
    st.sampled_from(
        [
            *("--format", "json", "text", "yaml", "--format=csv", "-q", "-v", "-vv", "--quiet"),
            *("--input", "faces@1", "--output", "", "--color", "never", "--color=blue", "--all"),
            *("--after", "3", "--after=x", "--no-progress", "-w", "dir", "--", "\udcff", "1"),
            *("--also", "sha256", "--dry-run", "--meta", "a=b", "--reason"),
        ]
    ),
    max_size=8,
)


def commands():
    import typer

    group = typer.main.get_command(app)
    below = group.commands["catalog"].commands["events"]
    return [group.commands[name] for name in ("gate", "run", "register", "list", "tag")] + [below]


def meaning(command, words, *, plainly):
    """What the parser makes of these words, or how it complains, in our way and in typer's."""
    kind = PlainCommand if plainly else TyperCommand
    parameters = [*command.params]
    copied = kind(command.name, params=[fresh(p) for p in parameters])
    copied.context_settings = command.context_settings
    try:
        context = copied.make_context(command.name, [*words])
    except Exception as err:  # noqa: BLE001  whatever it says is to be compared
        return type(err).__name__, str(err)
    found = {name: (type(value), value) for name, value in context.params.items()}
    context.close()
    return found


def fresh(parameter):
    """A parameter as typer made it: a look at it through our command changes its class."""
    import copy

    made = copy.copy(parameter)
    for kind in type(made).__mro__:
        if kind.__module__ == "typer.core":
            made.__class__ = kind
            break
    return made


@pytest.mark.parametrize("command", commands(), ids=lambda c: c.name)
@given(words=WORDS)
def test_values_and_complaints_are_those_of_typer(command, words):
    assert meaning(command, words, plainly=False) == meaning(command, words, plainly=True)
