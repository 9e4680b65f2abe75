"""What GetObjectAttributes tells of an object."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.stores.objectconnection import Reply

__all__ = ["MOST_BYTES", "attributes_of"]

MOST_BYTES = 1 << 20
_ELEMENT = re.compile(rb"<(\w+)>([^<]*)</")
_ROOT = b"<GetObjectAttributes"


def attributes_of(reply: Reply) -> Mapping[str, str]:
    """Return the texts of a reply by the names of their elements.

    Servers that do not know the request answer it with the object: of such a reply no more than
    the first megabyte is read.

    Raises:
        StoreUnreachableError: it is something else than attributes.
    """
    body = b""
    for piece in reply.pieces():
        body += piece
        if len(body) > MOST_BYTES or (len(body) >= 1024 and _ROOT not in body):  # noqa: PLR2004
            break
    if _ROOT not in body:
        raise StoreUnreachableError("the server does not answer GetObjectAttributes")
    return {
        name.decode(): text.decode("utf-8", "replace").strip()
        for name, text in _ELEMENT.findall(body)
    }
