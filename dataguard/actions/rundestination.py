"""Where the outputs of a run go, and where its job writes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dataguard.core.objectoutputs import output_place, run_place
from dataguard.core.objectplaces import is_objects
from dataguard.errors import StoreUnreachableError
from dataguard.model.dataclass import dataclass

if TYPE_CHECKING:
    from dataguard.actions.context import Context

__all__ = ["CLAIM", "ENDED", "STAGED", "Destination", "destination"]

STAGED = "staged"
"""In a run's record: the directory whose files are not in the bucket yet."""

CLAIM = "claim"
"""In a run's record: what its objects say of whose they are."""

ENDED = "ended"
"""In a run's record: how its job ended, while the outputs are not all in the bucket."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A place for outputs: a directory, or one of a bucket, which gets them when the job ended."""

    place: str

    @property
    def is_remote(self) -> bool:
        """Whether it is in a bucket."""
        return is_objects(self.place)

    def of_run(self, run_id: str, directory: str) -> str:
        """Return where the outputs of a run are when it is over; the job wrote to `directory`."""
        return run_place(self.place, run_id) if self.is_remote else directory

    def local(self, ctx: Context) -> str:
        """Return the directory below which the job writes, as it need not be there yet."""
        if not self.is_remote:
            return self.place
        return os.path.join(
            os.path.realpath(ctx.settings.home.value), "state", f"outputs-{ctx.actor.uid}"
        )

    def make_local(self, ctx: Context) -> str:
        """Return that directory; one for what goes to a bucket is made, for this user alone.

        Raises:
            StoreUnreachableError: it cannot be made.
        """
        place = self.local(ctx)
        if self.is_remote:
            try:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.makedirs(place, 0o700, exist_ok=True)
            except OSError as err:
                raise StoreUnreachableError(
                    f"cannot make {place}, where outputs wait to be uploaded: {err.strerror}"
                ) from err
        return place


def destination(place: str) -> Destination:
    """Return what a place for outputs means.

    Raises:
        UsageError: it is no place for outputs.
    """
    return Destination(output_place(place) if "://" in place else os.path.abspath(place))
