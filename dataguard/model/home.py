"""Where things are in a home."""

from __future__ import annotations

import re

__all__ = ["embedded_catalog", "node_cache"]

_KEPT = "/ +-._~!$&'()*,;=:@[]"
"""All that may stand in the path of a database URL as it is; `%`, `?` and `#` may not."""

_PLAIN = re.compile(rf"[A-Za-z0-9{re.escape(_KEPT)}]*")


def embedded_catalog(home: str) -> str:
    """URL of the SQLite catalog in a home."""
    return f"sqlite:///{home if _PLAIN.fullmatch(home) else _quoted(home)}/catalog.db"


def node_cache(home: str) -> str:
    """Path of the node cache in a home, where nobody names another place."""
    return f"{home.rstrip('/')}/cache"


def _quoted(home: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415  takes longer to load than a look at the path

    return quote(home, safe=_KEPT)
