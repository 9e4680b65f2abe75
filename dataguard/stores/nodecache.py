"""A node's verified cache: one copy of each content for all workspaces, under its digest.

Several processes fill it at once: who comes first fetches, the others wait for what it brings.
What a killed one left is gone on with. Nothing is visible under its digest before its bytes were
found to have it, and nothing that changed since is served.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING, Self

from dataguard.errors import WrongBytesError
from dataguard.model.cache import CacheIncident
from dataguard.stores.cacheindex import CacheIndex
from dataguard.stores.cachepart import Part, as_object, digest_of, look_at
from dataguard.stores.cachepins import CachePins
from dataguard.stores.cacheplace import PINS
from dataguard.stores.cacheroom import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dataguard.model.actor import Process
    from dataguard.model.cache import CacheObject, CachePin, Fetch, Marks, Wanted
    from dataguard.model.ports import Clock
    from dataguard.stores.cacheplace import CachePlace

__all__ = ["NodeCache"]

_USED_AGAIN_S = 600
"""A use is noted at most so often."""

_NOTED_AT_ONCE = 512
_ASKED_AT_ONCE = 256
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class NodeCache:
    """The cache at one place. It may be used by threads, and by processes that are forked.

    `holds` says of a pin whether whoever made it still goes on; what cannot be told holds.
    """

    def __init__(
        self,
        place: CachePlace,
        *,
        marks: Marks,
        clock: Clock,
        holds: Callable[[CachePin], bool],
    ) -> None:
        self.place = place
        self.clock = clock
        self.index = CacheIndex(place.index)
        self.pins = CachePins(place, os.path.join(place.root, PINS))
        self.room = Room(place, self.index, self.pins, marks, holds)
        self._used: dict[Wanted, int] = {}

    def close(self) -> None:
        """Note what was used, and close the index."""
        self._note_uses()
        self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def path_of(self, wanted: Wanted) -> str | None:
        """Return where a content is; None where it has to be filled, or is not as it should be.

        What is not pinned may go at any time: see `pin`, or `open`.

        Raises:
            StoreUnreachableError: this user may not look there, or the disk failed.
        """
        return next(self.paths_of([wanted]))

    def paths_of(self, objects: Iterable[Wanted]) -> Iterator[str | None]:
        """Yield the same for each of many contents, in their order, for a third of the time.

        Raises:
            StoreUnreachableError: as for `path_of`.
        """
        several = iter(objects)
        while page := list(islice(several, _ASKED_AT_ONCE)):
            for wanted, expected in zip(page, self._expected(page), strict=True):
                path = self.place.file_of(wanted)
                is_right = expected is not None and expected == look_at(path, wanted)
                yield path if is_right else None

    def open(self, wanted: Wanted) -> int | None:
        """Return a descriptor that reads a content, also when it goes from the cache meanwhile.

        Raises:
            StoreUnreachableError: as for `path_of`.
        """
        (expected,) = self._expected([wanted])
        if expected is None:
            return None
        try:
            descriptor = os.open(self.place.file_of(wanted), _READ)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise self.place.failed("read", err) from err
        if as_object(wanted, os.fstat(descriptor)) == expected:
            return descriptor
        os.close(descriptor)
        return None

    def fill(self, wanted: Wanted, fetch: Fetch) -> str:
        """Return where a content is, after fetching what is missing of it.

        `fetch` is asked for nothing that is there, and by one process alone; where that one dies,
        the next goes on behind what it wrote.

        Raises:
            WrongBytesError: the source gave other bytes. Nothing of them is kept.
            NoRoomError: it does not fit; told before anything is fetched.
            ConfigurationError: the place is unfit for a cache.
            StoreUnreachableError: it cannot be written.
            DataguardError: `fetch` raised it; what came is kept for the next try.
        """
        found = self.path_of(wanted)
        if found is not None:
            return found
        part = self.held(wanted, wait=True)
        assert part is not None  # noqa: S101  for mypy: it waits
        with closing(part):
            found = self.path_of(wanted) or self._adopted(wanted)
            if found is not None:
                part.discard()
                return found
            self.reserve(part, wanted)
            self.load(part, wanted, fetch)
            part.finish()
            part.sync()
            self.publish([(part, wanted)])
        return self.place.file_of(wanted)

    def pin(
        self, subject: str, objects: Iterable[Wanted], process: Process, *, lasting: bool = False
    ) -> str:
        """Keep objects, there or not yet, while a process goes on; return the pin's name.

        With `lasting` also while the lease goes on that `subject` names: `mount:TARGET` or
        `run:ID`. To be sure of a file, pin it before it is filled. `pins.release` and
        `pins.release_lease` end it.

        Raises:
            ConfigurationError: the place is unfit for a cache.
            StoreUnreachableError: it cannot be written.
        """
        self.prepare()
        return self.pins.put(subject, objects, process, self.clock(), lasting=lasting)

    def prepare(self) -> None:
        """Make what the cache needs to be written.

        Raises:
            ConfigurationError: the place is unfit for a cache.
            StoreUnreachableError: it cannot be made.
        """
        self.place.prepare()
        self.index.create(self.place.mode & 0o666)

    def held(self, wanted: Wanted, *, wait: bool) -> Part | None:
        """Return the part of an object, held; see `Part.hold`."""
        self.prepare()
        mode = 0o600 | self.place.mode & 0o444
        return Part.hold(self.place.part_of(wanted), mode=mode, wait=wait)

    def reserve(self, part: Part, wanted: Wanted) -> None:
        """Have the disk blocks of an object before its bytes come.

        Raises:
            NoRoomError: there is no room for it.
        """
        with self.place.locked():
            self.room.make(max(wanted.size - part.allocated, 0))
            part.reserve(wanted.size)

    def load(self, part: Part, wanted: Wanted, fetch: Fetch) -> None:
        """Bring in an object's bytes, and report what turned out to be wrong; see `Part.load`."""
        try:
            part.load(wanted, fetch)
        except WrongBytesError as err:
            self.report(wanted, err.message)
            raise

    def publish(self, loaded: Iterable[tuple[Part, Wanted]]) -> None:
        """Give durable parts their names, and record them at once.

        Whoever makes room sees both or neither: nothing is recorded that went meanwhile.
        """
        with self.place.locked(shared=True):
            self.index.add(self._named(loaded), self.now())

    def take_up(self, read: CacheObject) -> bool:
        """Record a file that was just read and found right, if it is still there as it was."""
        with self.place.locked(shared=True):
            is_there = read == look_at(self.place.file_of(read.wanted), read.wanted)
            if is_there:
                self.index.add([read], self.now())
        return is_there

    def report(self, wanted: Wanted, what: str) -> None:
        """Keep that bytes were refused, for `cache show`."""
        self.index.report(CacheIncident(self.clock(), str(wanted), what))

    def remove(self, wanted: Wanted, found: CacheObject, what: str) -> None:
        """Remove a file that is not what its name says, unless another one came, and report it."""
        path = self.place.file_of(wanted)
        try:
            with self.place.locked():  # nobody gives another one the name meanwhile
                known = self.index.known(wanted)
                if found == look_at(path, wanted):
                    with suppress(FileNotFoundError):
                        os.unlink(path)
                    if known is not None:
                        self.index.forget([known[0]])
        except OSError as err:
            raise self.place.failed("remove a damaged object of", err) from err
        self.report(wanted, what)

    def is_there(self, wanted: Wanted) -> bool:
        """Whether something has the name of an object, right or not."""
        return os.path.lexists(self.place.file_of(wanted))

    def now(self) -> int:
        """Return the time as the index has it."""
        return int(self.clock().timestamp())

    def _named(self, loaded: Iterable[tuple[Part, Wanted]]) -> Iterator[CacheObject]:
        for part, wanted in loaded:
            target = self.place.file_of(wanted)
            try:
                self.place.make_directory(os.path.dirname(os.path.dirname(target)))
                self.place.make_directory(os.path.dirname(target))
            except OSError as err:
                raise self.place.failed("write", err) from err
            yield part.publish(target, wanted)

    def _expected(self, objects: Sequence[Wanted]) -> list[CacheObject | None]:
        """Return how objects should be, and note that they are used."""
        if not (self.index.is_open() or self.place.exists()):
            return [None] * len(objects)
        now = self.now()
        found: list[CacheObject | None] = []
        for wanted, known in zip(objects, self.index.all_known(objects), strict=True):
            if known is None or known[0].wanted != wanted:
                found.append(None)
                continue
            found.append(known[0])
            if now - known[1] >= _USED_AGAIN_S:
                self._used[wanted] = now
        if len(self._used) >= _NOTED_AT_ONCE:
            self._note_uses()
        return found

    def _note_uses(self) -> None:
        """Write down what was used; who may only read leaves no trace."""
        used, self._used = self._used, {}
        if used and os.access(self.place.root, os.W_OK):
            self.index.touch(used)

    def _adopted(self, wanted: Wanted) -> str | None:
        """Take up a file that is there without being known, or is not as it was, if it is right.

        It may be of a process that died before it could record it. What is wrong is removed.
        """
        path = self.place.file_of(wanted)
        there = look_at(path, wanted)
        if there is None:
            return None
        if there.wanted != wanted:
            self.remove(wanted, there, f"removed from the cache: it has {there.wanted.size} bytes")
            return None
        try:
            read, digest = digest_of(path, wanted)
        except FileNotFoundError:
            return None
        if digest == wanted.digest and self.take_up(read):
            return path
        self.remove(wanted, read, "removed from the cache: its content was changed")
        return None
