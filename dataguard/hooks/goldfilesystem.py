"""`gold://`: versions as a file system of fsspec that reads pinned bytes and refuses the rest."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.utils import isfilelike, stringify_path

from dataguard.actions.outputplaces import Destinations
from dataguard.actions.settings import load
from dataguard.errors import PolicyError
from dataguard.hooks.goldcopy import copy_out, pour
from dataguard.hooks.goldfile import GoldFile
from dataguard.hooks.goldlisting import as_info, listed
from dataguard.hooks.goldranges import Bounds, read_parts, read_ranges
from dataguard.hooks.goldreader import GoldReader, in_terms_of_files
from dataguard.hooks.readonly import ELSEWHERE, refusal, refuse_all_but
from dataguard.model.goldpath import SCHEME
from dataguard.sandbox.processes import current_actor
from dataguard.stores import workspaces

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GoldFileSystem"]

_MAGIC = frozenset("*?[")

_ALLOWED = frozenset(
    {
        *("_fs_token", "_get_kwargs_from_urls", "_get_pyarrow_filesystem", "_isfilestore"),
        *("_parent", "clear_instance_cache", "current", "disk_usage", "download", "from_dict"),
        *("from_json", "get_mapper", "glob", "head", "invalidate_cache", "lexists", "listdir"),
        *("read_block", "read_bytes", "read_text", "sizes", "stat", "tail", "to_dict", "to_json"),
        *("tree", "unstrip_protocol"),
    }
)
"""What is inherited and only reads, by way of the methods below."""


@refuse_all_but(_ALLOWED)
class GoldFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Versions of registered datasets: `gold://faces@3/train/0001.jpg`.

    With `verify` (or `gold_verify`, for chains of file systems) the digest of what is read as a
    whole is compared. `home` and `catalog` are what DATAGUARD_HOME and DATAGUARD_CATALOG are.

    It may be forked, pickled and used by several threads. A pickle holds no secrets. It holds which
    home and catalog are read, also where only the environment named them, which a worker may not
    have: where there is such a home the worker reads it, elsewhere its own. And it holds what
    references mean: a tag that moves meanwhile means the same to all workers.
    """

    protocol = "gold"

    def __init__(
        self,
        *,
        verify: bool | str = False,
        gold_verify: bool | str = False,
        home: str | None = None,
        catalog: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._flags = {"home": home, "catalog": catalog}
        self._actor = current_actor()
        with in_terms_of_files(SCHEME):
            settings = load(self._flags, os.environ, workspace=None)
        self._gold = GoldReader(
            settings,
            verify=_is_on(verify) or _is_on(gold_verify),
            host=self._actor.host,
            clock=_utc_now,
        )

    def __getattr__(self, name: str) -> Any:
        if name in ELSEWHERE:
            return _refuser(name)
        raise AttributeError(f"gold:// has no `{name}`")

    def __reduce__(self) -> tuple[Any, ...]:
        options, pins = self.storage_options, self._gold.versions.pins
        return _made_again, (type(self), self.storage_args, options, pins, _read_by(self))

    @property
    def fsid(self) -> str:
        """What tells this file system from others: the catalog."""
        return f"gold-{self._gold.versions.settings.catalog.value}"

    # --- looking --------------------------------------------------------------------------------

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        """Return name, exact size, type and digest of what a path leads to."""
        return as_info(self._gold.find(_plain(path)), _plain(path))

    def ls(self, path: str, detail: bool = True, **_options: Any) -> list[Any]:
        """Return what is in a directory, in path order."""
        found = self._gold.find(_plain(path))
        with in_terms_of_files(path):
            infos = list(listed(found)) if found.entry is None else [as_info(found, _plain(path))]
        return infos if detail else [one["name"] for one in infos]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **options: Any,
    ) -> Any:
        """Return all files below a path, in path order."""
        if maxdepth is not None or withdirs:
            return super().find(path, maxdepth, withdirs, detail, **options)
        found = self._gold.look(_plain(path))
        if found is None:
            return {} if detail else []
        with in_terms_of_files(path):
            itself = [as_info(found, _plain(path))]
            all_of_it = listed(found, deep=True) if found.entry is None else itself
            infos = {one["name"]: one for one in all_of_it if one["type"] == "file"}
        return infos if detail else list(infos)

    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: Any = "raise",
        **options: Any,
    ) -> Iterator[Any]:
        """Walk as fsspec does, but leave nothing out silently."""
        yield from super().walk(path, maxdepth, topdown, on_error, **options)

    def du(
        self,
        path: str,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **options: Any,
    ) -> Any:
        """Return what the files below a path hold, in bytes."""
        if not total or maxdepth is not None or withdirs:
            return super().du(path, total, maxdepth, withdirs, **options)
        found = self._gold.find(_plain(path))
        if found.entry is not None:
            return found.entry.size
        with in_terms_of_files(path):
            return found.tree.bytes_below(found.path)

    def exists(self, path: str, **_options: Any) -> bool:
        """Whether a path leads to something; a damaged catalog is an error, not an absence."""
        return self._gold.look(_plain(path)) is not None

    def isdir(self, path: str) -> bool:
        """Whether a path leads to a directory."""
        found = self._gold.look(_plain(path))
        return found is not None and found.entry is None

    def isfile(self, path: str) -> bool:
        """Whether a path leads to a file."""
        found = self._gold.look(_plain(path))
        return found is not None and found.entry is not None

    def size(self, path: str) -> int:
        """Return the exact size of a file."""
        return int(self.info(path)["size"])

    def checksum(self, path: str) -> str:
        """Return the digest of a file, `xxh3-128:HEX`; the version and path of a directory."""
        info = self.info(path)
        return str(info.get("digest") or f"{info['version']}/{path}")

    def ukey(self, path: str) -> str:
        """Return what changes with the content: its digest."""
        return self.checksum(path)

    def created(self, path: str) -> datetime:
        """Return when the version was registered: nothing in it changed since."""
        return self._gold.find(_plain(path)).opened.version.created

    def modified(self, path: str) -> datetime:
        """Return when the version was registered: nothing in it changed since."""
        return self.created(path)

    def expand_path(
        self, path: Any, recursive: bool = False, maxdepth: int | None = None, **options: Any
    ) -> list[str]:
        """Expand patterns; a name with `*`, `?` or `[` in it that exists is meant literally."""
        one = isinstance(path, str | os.PathLike)
        paths = [self._strip_protocol(each) for each in ([path] if one else path)]
        literal = {each for each in paths if not _MAGIC.isdisjoint(each) and self.exists(each)}
        found = set(literal)
        for each in literal if recursive else ():
            found |= set(self.find(each, maxdepth=maxdepth, withdirs=True))
        rest = [each for each in paths if each not in literal]
        if rest:
            found |= set(super().expand_path(rest, recursive, maxdepth, **options))
        return sorted(found)

    # --- reading --------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", *words: Any, **options: Any) -> Any:
        """Open a file for reading; every other mode is refused."""
        if not set(mode) <= set("rbt"):
            raise refusal(f"opening with mode `{mode}` is refused", _plain(path))
        if mode == "rb" and not words and "compression" not in options:
            return self._open(path)
        return super().open(path, mode, *words, **options)

    def _open(self, path: str, mode: str = "rb", **_options: Any) -> GoldFile:
        if mode != "rb":
            raise refusal(f"opening with mode `{mode}` is refused", path)
        plain = _plain(path)
        return GoldFile(plain, self._gold.open(self._gold.find(plain)))

    def cat(
        self, path: Any, recursive: bool = False, on_error: str = "raise", **options: Any
    ) -> Any:
        """Return the content of files, by path where there are several; skips directories."""
        if recursive:
            path = [each for each in self.expand_path(path, recursive=True) if self.isfile(each)]
        return super().cat(path, on_error=on_error, **options)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_options: Any
    ) -> bytes:
        """Return a file's content or a part of it, by the rules of slices."""
        found = self._gold.find(_plain(path))
        if not start and end is None:
            return self._gold.read(found)
        return read_parts(self._gold.open(found), [Bounds(0, start, end)])[0]

    def cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **_options: Any,
    ) -> list[Any]:
        """Return parts of files; those of objects are asked for together, a few at a time."""
        if max_gap is not None:  # fsspec's word for it, of its own file systems too
            raise NotImplementedError("max_gap is not known to gold://")
        spread = (
            each if isinstance(each, list) else [each] * len(paths) for each in (starts, ends)
        )
        wanted: dict[str, list[Bounds]] = {}
        for number, (path, *bounds) in enumerate(zip(paths, *spread, strict=True)):
            wanted.setdefault(_plain(path), []).append(Bounds(number, *bounds))
        results: list[Any] = [None] * len(paths)
        with closing(read_ranges(self._gold, wanted)) as found:
            for number, part in found:
                if on_error != "return" and isinstance(part, Exception):
                    raise part
                results[number] = part
        return results

    def get(self, rpath: Any, lpath: Any, *words: Any, **options: Any) -> None:
        """Copy files out of gold; see `get_file`."""
        if isinstance(rpath, str) and not _MAGIC.isdisjoint(rpath) and self.isfile(rpath):
            # By name, as in `expand_path`: fsspec would make a directory for what a pattern finds.
            place = os.fspath(lpath)
            within = place.endswith("/") or os.path.isdir(place)
            name = _plain(rpath).rpartition("/")[2]
            rpath, lpath = [rpath], [os.path.join(place, name) if within else place]
        with _refusals(str(lpath)):
            destinations = self._destinations()  # once for all files
        super().get(rpath, lpath, *words, destinations=destinations, **options)

    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        destinations: Destinations | None = None,
        **_options: Any,
    ) -> None:
        """Copy a file out of gold: complete or absent, and never to a place in gold."""
        found = self._gold.find(_plain(rpath))
        outfile = lpath if outfile is None and isfilelike(lpath) else outfile
        if outfile is None:
            lpath = self._destination(stringify_path(lpath), destinations)
            if found.entry is None:
                os.makedirs(lpath, exist_ok=True)
        if found.entry is None:
            return
        source = self._gold.open(found)
        try:
            callback.set_size(source.size)
            if outfile is None:
                copy_out(source, lpath, callback.relative_update)
            else:
                pour(source, outfile.write, callback.relative_update)
        finally:
            source.close()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return _plain(path).rstrip("/")

    def _destination(self, written: str, destinations: Destinations | None) -> str:
        """Return where a copy goes, which is not in gold."""
        real = os.path.realpath(written)
        with _refusals(written):
            (destinations or self._destinations()).refuse(real)
        return real

    def _destinations(self) -> Destinations:
        """Return where copies may go by the settings, and the policy, of where somebody works."""
        here = load(self._flags, os.environ, workspace=workspaces.find(os.getcwd()))
        return Destinations(here, self._actor)


@contextmanager
def _refusals(written: str) -> Iterator[None]:
    """Raise why nothing is copied to a place."""
    with in_terms_of_files(written):
        try:
            yield
        except PolicyError as err:
            raise refusal(f"a copy is refused: {err.message}") from err


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _plain(path: Any) -> str:
    text = str(stringify_path(path))
    return text.removeprefix(SCHEME).removeprefix("gold::")


def _is_on(value: bool | str) -> bool:
    return value.lower() in ("1", "true", "yes", "on") if isinstance(value, str) else bool(value)


def _refuser(name: str) -> Any:
    def refuse(*words: Any, **_options: Any) -> Any:
        raise refusal(f"`{name}` is refused", words[0] if words else None)

    return refuse


def _made_again(
    kind: type[GoldFileSystem],
    words: tuple[Any, ...],
    options: dict[str, Any],
    pins: dict[str, str],
    read: dict[str, str],
) -> GoldFileSystem:
    made = kind(*words, **options)
    if _read_by(made) != read and os.path.isdir(read["home"]):
        made = kind(*words, **{**options, **read})
    made._gold.versions.adopt(pins)  # noqa: SLF001  the other half of __reduce__
    return made


def _read_by(one: GoldFileSystem) -> dict[str, str]:
    """Return the options that name home and catalog; the address of a file has no secrets."""
    settings = one._gold.versions.settings  # noqa: SLF001  as above
    return {"home": settings.home.value, "catalog": settings.catalog.value}
