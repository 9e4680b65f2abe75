"""Events of object stores from a queue of SQS, by long polling."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dataguard.core.objectevents import events_in
from dataguard.errors import StoreUnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataguard.core.objectevents import ObjectEvent

__all__ = ["EventQueue"]

_WAIT_S = 2
"""How long the server waits for a message: a queue that is silent for longer is broken."""

_PATIENCE_S = 4
_PER_CALL = 10
_REGION = re.compile(r"sqs\.([a-z0-9-]+)\.")


class EventQueue:
    """The queue at a URL. It is to be the watcher's own: what was read is deleted.

    Credentials come from the ordinary chain of AWS, the region from the URL or the environment.
    """

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        """Connect to nothing yet.

        Raises:
            UsageError: it is no URL of a queue, or the extra is not installed.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/"):
            raise UsageError(f"`{url}` is no queue", hint="--events sqs:https://HOST/ACCOUNT/QUEUE")
        if parts.username or parts.password:
            raise UsageError("the URL of a queue holds no user and no password")
        self.name = f"the queue {url}"
        self._url = url
        self._endpoint = f"{parts.scheme}://{parts.netloc}"
        named = _REGION.match(parts.hostname)
        told = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        self._region = named[1] if named else told
        self._client: Any = None  # botocore makes its methods when it runs
        self._done: list[str] = []

    def open(self) -> None:
        """Load the client.

        Raises:
            UsageError: the extra is not installed.
        """
        try:
            from botocore.config import Config  # noqa: PLC0415  an extra
            from botocore.session import Session  # noqa: PLC0415  as above
        except ImportError as err:
            raise UsageError(
                "queues need libraries that are not installed", hint="pip install 'dataguard[s3]'"
            ) from err
        config = Config(
            connect_timeout=_WAIT_S,
            read_timeout=_PATIENCE_S,
            retries={"total_max_attempts": 1},
        )
        self._client = Session().create_client(
            "sqs", region_name=self._region, endpoint_url=self._endpoint, config=config
        )

    def take(self) -> tuple[ObjectEvent, ...]:
        """Return the next events, after two seconds at most; those before are deleted first.

        Raises:
            StoreUnreachableError: the queue cannot be read.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  as above

        try:
            self._delete()
            reply = self._client.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=_PER_CALL, WaitTimeSeconds=_WAIT_S
            )
        except (BotoCoreError, ClientError) as err:
            raise StoreUnreachableError(f"{self.name} cannot be read: {err}") from err
        found: list[ObjectEvent] = []
        for message in reply.get("Messages", ()):
            self._done.append(message["ReceiptHandle"])
            try:
                found += events_in(message["Body"])
            except ValueError:  # not from a store: the listing misses nothing
                continue
        return tuple(found)

    def close(self) -> None:
        """Close the connections; what was read last comes again, to whoever reads next."""
        if self._client is not None:
            self._client.close()

    def _delete(self) -> None:
        if self._done:
            entries = [
                {"Id": str(number), "ReceiptHandle": handle}
                for number, handle in enumerate(self._done)
            ]
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            self._done = []
