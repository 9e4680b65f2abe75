"""How numpy is loaded into a process of dataguard's own: late, and without threads.

Arrow loads numpy with itself where it finds it, to make arrays of numpy's, which nothing here asks
it for: columns pass as memory. Hidden until `core.numeric` shows it, it costs the commands nothing
that do not come to use it.

Nothing here uses threads for linear algebra, and idle they spin: some 0.07 s of CPU for each
command. OpenBLAS reads their number from the environment while it loads, and only then: the
environment that a job or a hook gets is the caller's. Whoever imports dataguard as a library has
numpy as ever.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import cast

__all__ = ["lean_loading"]

_SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@contextmanager
def lean_loading() -> Iterator[None]:
    """Load numpy so, once it is shown; what the caller's environment says counts."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    hidden = "numpy" not in sys.modules
    if hidden:
        # The import system's word for a module that is not to be had.
        sys.modules["numpy"] = cast("ModuleType", None)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if hidden and sys.modules.get("numpy", finder) is None:
            del sys.modules["numpy"]


class _Finder:
    """Finds numpy; everything else is left to the other finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "numpy" else None
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs a module's code under the settings."""

    def exec_module(self, module: ModuleType) -> None:
        unset = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
        os.environ.update(unset)
        try:
            super().exec_module(module)
        finally:
            for name in unset:
                os.environ.pop(name, None)
