"""numpy, loaded where something of it is first used: most commands come to an end without it.

Loading it costs a command as much as hashing eight thousand files. Where nothing differs, columns
are compared, cut and hashed by Arrow and as memory; numpy decides what differs, and how.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

__all__ = ["np"]

if TYPE_CHECKING:
    import numpy as np
else:

    class _Numpy:
        """Stands for the module; what was asked for once is asked for here no more."""

        def __getattr__(self, name: str) -> Any:
            if sys.modules.get("numpy", self) is None:  # kept from Arrow: see `lean_loading`
                del sys.modules["numpy"]
            import numpy  # noqa: ICN001, PLC0415  the one place that loads it

            found = getattr(numpy, name)
            setattr(self, name, found)
            return found

    np = _Numpy()
