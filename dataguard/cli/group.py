"""The group of all commands: each lies in a module of its name, loaded when it is asked for."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from dataguard.cli.values import keep_settled_values

if TYPE_CHECKING:
    from typer._click import Command, Context, Parameter

__all__ = ["COMMANDS", "LazyGroup"]

COMMANDS = (
    *("register", "list", "show", "log", "diff", "tag", "withdraw", "quarantine", "release"),
    *("seal", "unseal"),
    *("workspace", "mount", "unmount", "gate", "run", "shell", "audit", "watch", "copies"),
    "reclaim",
    *("findings", "lineage", "policy", "catalog", "cache", "doctor", "version"),
)
"""The modules of `dataguard.cli` that hold a command, in the order in which help shows them."""


class LazyGroup(TyperGroup):
    """A group that knows the names of its commands and loads no more than it needs of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()

    def list_commands(self, ctx: "Context") -> list[str]:
        """Return the names; no command is loaded for them."""
        del ctx
        return list(self.commands)

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        """Return the options of the program itself."""
        return keep_settled_values(super().get_params(ctx))


class _Commands(MutableMapping[str, "Command"]):
    """Commands by name; those of `COMMANDS` are loaded at the first look at them."""

    def __init__(self) -> None:
        self._loaded: dict[str, Command | None] = dict.fromkeys(COMMANDS)

    def __getitem__(self, name: str) -> "Command":
        found = self._loaded[name]
        if found is None:
            found = self._loaded[name] = _load(name)
        return found

    def __setitem__(self, name: str, command: "Command") -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


def _load(name: str) -> "Command":
    """Return the command of a module, which has either `add` or an `app` of several commands."""
    module = import_module(f"dataguard.cli.{name}")
    holder = typer.Typer(rich_markup_mode=None)
    if hasattr(module, "app"):
        holder.add_typer(module.app)
    else:
        module.add(holder)
    return get_group(holder).commands[name]
