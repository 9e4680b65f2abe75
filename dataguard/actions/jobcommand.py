"""The words and variables of a job: placeholders replaced, inputs by name."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from dataguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dataguard.actions.inputs import JobInput

__all__ = ["check_words", "environment_digest", "replaced", "variable_of", "variables"]

_PLACEHOLDER = re.compile(r"\{(out|in:[^{}]+)\}")
_OWN_VARIABLES = re.compile(r"(?:DATAGUARD_.*|TMPDIR)")


def check_words(command: tuple[str, ...], inputs: Iterable[JobInput]) -> None:
    """Refuse a command before anything is done for it.

    Raises:
        UsageError: a placeholder means nothing, or two inputs would share a variable.
    """
    names = [one.name for one in inputs]
    shared = [variable_of(name) for name in names]
    twice = {variable for variable in shared if shared.count(variable) > 1}
    if twice:
        raise UsageError(
            f"two inputs would share the variable {min(twice)}",
            hint="mount one of them under another name: dataguard mount REF --as NAME",
        )
    known = {"out", *(f"in:{name}" for name in names)}
    for found in (match for word in command for match in _PLACEHOLDER.finditer(word)):
        if found[1] not in known:
            there = ", ".join(f"{{{name}}}" for name in sorted(known))
            raise UsageError(f"nothing stands for {found[0]}", hint=f"there are {there}")


def replaced(
    command: tuple[str, ...], *, outputs: str, inputs: Mapping[str, str]
) -> tuple[str, ...]:
    """Return a command with its placeholders replaced; `inputs` are paths by name."""
    places = {"out": outputs} | {f"in:{name}": path for name, path in inputs.items()}
    return tuple(_PLACEHOLDER.sub(lambda found: places[found[1]], word) for word in command)


def variables(
    run_id: str, *, outputs: str, private: str, inputs: Mapping[str, str]
) -> dict[str, str]:
    """Return what a job finds in its environment beside what its caller put there."""
    return {
        "DATAGUARD_RUN_ID": run_id,
        "DATAGUARD_OUTPUTS": outputs,
        "TMPDIR": private,
        **{variable_of(name): path for name, path in inputs.items()},
    }


def variable_of(name: str) -> str:
    """Return the environment variable that tells a job where an input is."""
    return "DATAGUARD_INPUT_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def environment_digest(environment: Mapping[str, str]) -> str:
    """Return the SHA-256 of the sorted environment, without what dataguard itself sets."""
    kept = sorted((k, v) for k, v in environment.items() if not _OWN_VARIABLES.fullmatch(k))
    text = b"".join(os.fsencode(f"{key}={value}") + b"\0" for key, value in kept)
    return hashlib.sha256(text).hexdigest()
