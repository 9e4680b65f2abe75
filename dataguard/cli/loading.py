"""How numpy and Arrow are loaded into a process of dataguard's own: without what nothing uses.

Arrow loads numpy with itself where it finds it, to make arrays of numpy's, which nothing here asks
it for: columns pass as memory. Hidden until `core.numeric` shows it, numpy costs a command nothing
that does not come to use it. What Arrow makes for numpy or pandas must not be asked for after that.

Numpy has threads for linear algebra, and idle they spin: some 0.07 s of CPU for each command.
OpenBLAS reads their number from the environment while it loads, and only then: the environment
that a job or a hook gets is the caller's. Arrow's Parquet reader brings its clients of object
stores, which take as long to load as the reader; dataguard reads no object by them. Whoever imports
dataguard as a library has both as ever.
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

_CLIENTS = frozenset({"pyarrow._azurefs", "pyarrow._gcsfs", "pyarrow._hdfs", "pyarrow._s3fs"})
"""`pyarrow.fs` does without those that it does not find."""


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
    """Finds numpy, and does not find clients; everything else is left to the other finders."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in _CLIENTS:
            raise ModuleNotFoundError(f"{name} is not loaded: no object is read by it", name=name)
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
