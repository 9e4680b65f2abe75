"""The head of a journal as bytes, and the name of its file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from dataguard.core.chain import format_time, parse_time
from dataguard.errors import DataguardError
from dataguard.model.dataset import FileSystem
from dataguard.model.digest import Algorithm
from dataguard.model.journal import JournalHead, JournalKey
from dataguard.stores.journalnames import SUFFIX

__all__ = ["head_bytes", "journal_name", "parse_head"]

_FORMAT = "journal/1"


def journal_name(key: JournalKey) -> str:
    """Return the name of the file for a key: nothing of the place can be read from it."""
    text = json.dumps(asdict(key), sort_keys=True)
    return f"register-{hashlib.sha256(text.encode()).hexdigest()[:32]}{SUFFIX}"


def head_bytes(head: JournalHead) -> bytes:
    """Return a head as JSON. Law: `parse_head(head_bytes(h)) == h`."""
    record = {"format": _FORMAT, **asdict(head), "started": format_time(head.started)}
    return json.dumps(record, sort_keys=True).encode()


def parse_head(body: bytes) -> JournalHead | None:
    """Read a head; None where it is not of this format."""
    try:
        record = json.loads(body)
        if record["format"] != _FORMAT:
            return None
        return JournalHead(
            _key(**record["key"]),
            FileSystem(**record["filesystem"]),
            parse_time(record["started"]),
        )
    except (ValueError, KeyError, TypeError, DataguardError):
        return None


def _key(place: str, algorithms: list[str], exclude: list[str], uid: int) -> JournalKey:
    return JournalKey(place, tuple(map(Algorithm, algorithms)), tuple(exclude), uid)
