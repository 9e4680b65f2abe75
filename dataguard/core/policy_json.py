"""Policies as JSON values, as files could say them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, timedelta
from enum import Enum
from typing import Any

from dataguard.model.duration import format_duration
from dataguard.model.policy import Rules

__all__ = ["policy_json"]


def policy_json(rules: Rules, *, said: bool = False) -> dict[str, Any]:
    """Return every key of a table, or with `said` the keys that were set."""
    names = (field.name for field in fields(rules) if field.name != "said")
    wanted = (name for name in names if not said or name in rules.said)
    return {name: _value(getattr(rules, name), said=said) for name in wanted}


def _value(value: Any, *, said: bool) -> Any:
    match value:
        case Rules():
            shown: Any = policy_json(value, said=said)
        case tuple():
            shown = [_value(item, said=said) for item in value]
        case Mapping():
            shown = {key: _value(item, said=said) for key, item in value.items()}
        case Enum():
            shown = value.value
        case timedelta():
            shown = format_duration(value)
        case date():
            shown = value.isoformat()
        case _:
            shown = value
    return shown
