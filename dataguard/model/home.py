"""Where things are in a home."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["embedded_catalog", "node_cache"]

_KEPT = "/ +-._~!$&'()*,;=:@[]"
"""All that may stand in the path of a database URL as it is; `%`, `?` and `#` may not."""


def embedded_catalog(home: str) -> str:
    """URL of the SQLite catalog in a home."""
    return f"sqlite:///{quote(home, safe=_KEPT)}/catalog.db"


def node_cache(home: str) -> str:
    """Path of the node cache in a home, where nobody names another place."""
    return f"{home.rstrip('/')}/cache"
