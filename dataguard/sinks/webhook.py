"""Alerts as CloudEvents for a web server, signed with a shared secret."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import ssl
import urllib.parse
from typing import TYPE_CHECKING

from dataguard.core.chain import format_time
from dataguard.errors import StoreUnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataguard.model.alert import Alert, SinkSettings, WatchStatus

__all__ = ["SIGNATURE", "Webhook", "signature"]

SIGNATURE = "X-Dataguard-Signature-256"
_TYPE = "org.dataguard.alert"
_OK = range(200, 300)
_ANSWER_BYTES = 1 << 16
"""What is read of an answer; nobody looks at it."""


class Webhook:
    """Posts one event an alert (CloudEvents 1.0, structured mode); follows no redirection."""

    def __init__(self, settings: SinkSettings) -> None:
        self.name = settings.name
        self._url = urllib.parse.urlsplit(settings.target)
        self._settings = settings
        self._source = f"dataguard://{os.uname().nodename}/watch"

    def send(self, alerts: Sequence[Alert]) -> None:
        """Post the alerts one by one.

        Raises:
            StoreUnreachableError: the server does not answer, or not with success; the secret
                cannot be read.
        """
        secret = self._secret()
        try:
            connection = self._connection()
            try:
                for alert in alerts:
                    self._post(connection, alert, secret)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as err:
            words = getattr(err, "strerror", None) or str(err) or type(err).__name__
            raise StoreUnreachableError(f"webhook {self._where}: {words}") from err

    def note(self, status: WatchStatus) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: no connection is open in between."""

    @property
    def _where(self) -> str:
        """The server without path and query, which may hold a token."""
        return f"{self._url.scheme}://{self._url.hostname}"

    def _connection(self) -> http.client.HTTPConnection:
        host, port, timeout = self._url.hostname or "", self._url.port, self._settings.timeout_s
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _post(
        self, connection: http.client.HTTPConnection, alert: Alert, secret: bytes | None
    ) -> None:
        body = json.dumps(self._event(alert)).encode()
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
        if secret is not None:
            headers[SIGNATURE] = signature(secret, body)
        target = urllib.parse.urlunsplit(("", "", self._url.path or "/", self._url.query, ""))
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        answer.read(_ANSWER_BYTES)
        if not answer.isclosed():
            connection.close()  # the next alert must not find the rest of this answer
        if answer.status not in _OK:
            raise StoreUnreachableError(f"webhook {self._where} answered {answer.status}")

    def _event(self, alert: Alert) -> dict[str, object]:
        return {
            "specversion": "1.0",
            "id": alert.id,
            "source": self._source,
            "type": f"{_TYPE}.{alert.code.lower()}",
            "time": format_time(alert.time),
            "subject": "" if alert.dataset is None else f"{alert.dataset}@{alert.version}",
            "datacontenttype": "application/json",
            "data": dict(alert.data),
        }

    def _secret(self) -> bytes | None:
        """Return the secret as it is now: it may be replaced while the watcher runs."""
        if self._settings.secret_variable:
            value = os.environ.get(self._settings.secret_variable, "")
            if not value:
                raise StoreUnreachableError(
                    f"webhook {self._where}: ${self._settings.secret_variable} is not set"
                )
            return value.encode()
        if not self._settings.secret_file:
            return None
        try:
            with open(self._settings.secret_file, "rb") as file:
                secret = file.read().strip()
        except OSError as err:
            raise StoreUnreachableError(
                f"cannot read the secret {self._settings.secret_file}: {err.strerror}"
            ) from err
        if not secret:  # anybody could sign with it
            raise StoreUnreachableError(f"the secret {self._settings.secret_file} is empty")
        return secret


def signature(secret: bytes, body: bytes) -> str:
    """Return the value of the header by which a receiver knows who sent a body."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
