"""Until when a location was watched: a small file for each in `state/watch/` of the home."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from datetime import datetime

from dataguard.errors import StoreUnreachableError
from dataguard.model.actor import Process
from dataguard.model.dataclass import dataclass

__all__ = ["Heartbeat", "Heartbeats"]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a watcher saw of one place: everything up to `seen`, told to the sinks up to `told`.

    `stopped` says that `process`, which watched, ended by itself then, and was not killed.
    """

    place: str
    seen: datetime
    told: datetime
    stopped: bool
    process: Process


class Heartbeats:
    """The heartbeats of one host; each is replaced as a whole, and none is ever half-written."""

    def __init__(self, home: str, host: str) -> None:
        self._directory = os.path.join(home, "state", "watch", host.replace("/", "_") or "host")

    def read(self, place: str) -> Heartbeat | None:
        """Return the last heartbeat of a place; None where there is none, or none whole.

        Raises:
            StoreUnreachableError: it cannot be read.
        """
        try:
            with open(self._file(place), encoding="utf-8") as file:
                found = json.load(file)
            return Heartbeat(
                place=place,
                seen=datetime.fromisoformat(found["seen"]),
                told=datetime.fromisoformat(found["told"]),
                stopped=bool(found["stopped"]),
                process=Process(**found["process"]),
            )
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreUnreachableError(f"cannot read {self._file(place)}: {err.strerror}") from err
        except (ValueError, KeyError, TypeError):
            return None  # a power cut took it: as if nobody had watched

    def write(self, beat: Heartbeat) -> None:
        """Replace the heartbeat of a place.

        Raises:
            StoreUnreachableError: it cannot be written.
        """
        text = json.dumps(
            {
                "place": beat.place,
                "seen": beat.seen.isoformat(),
                "told": beat.told.isoformat(),
                "stopped": beat.stopped,
                "process": asdict(beat.process),
            }
        )
        path = self._file(beat.place)
        partial = f"{path}.{os.getpid()}.partial"
        try:
            os.makedirs(self._directory, exist_ok=True)
            with open(partial, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            os.replace(partial, path)
        except OSError as err:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise StoreUnreachableError(f"cannot write {path}: {err.strerror}") from err

    def _file(self, place: str) -> str:
        digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self._directory, f"{digest[:32]}.json")
