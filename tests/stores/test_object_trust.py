"""Servers whose certificates nobody here trusts: refused at once, with what to do."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from dataguard.errors import ConfigurationError, StoreUnreachableError
from dataguard.model.objects import Pin
from dataguard.stores.objectclient import ObjectClient
from dataguard.stores.s3access import Access

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")

PIN = Pin(b"a", version_id="v", size=4, etag="e")


class Secured:
    """A server with a certificate that it signed itself; counts who comes."""

    def __init__(self, top, names):
        self.authority, key = str(top / "ca.pem"), str(top / "key.pem")
        words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        words += ["-subj", "/CN=test", "-addext", f"subjectAltName={names}"]
        subprocess.run(
            [*words, "-keyout", key, "-out", self.authority], check=True, capture_output=True
        )
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(self.authority, key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self.came = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listening.close()

    def _serve(self):
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:  # closed
                return
            self.came += 1
            with contextlib.suppress(OSError), plain, self._spoken(plain) as secured:
                secured.recv(1 << 16)
                told = b'content-length: 4\r\netag: "e"\r\nx-amz-version-id: v'
                secured.sendall(b"HTTP/1.1 200 OK\r\n" + told + b"\r\n\r\ndata")

    def _spoken(self, plain):
        return self._tls.wrap_socket(plain, server_side=True)


@pytest.fixture
def secured(tmp_path, request):
    server = Secured(tmp_path, getattr(request, "param", "IP:127.0.0.1"))
    yield server
    server.close()


def read(server):
    client = ObjectClient(Access("b", server.endpoint, anonymous=True), pause=lambda _: None)
    try:
        return b"".join(client.read(PIN))
    finally:
        client.close()


def test_certificate_that_nobody_trusts_is_refused_at_once_with_what_to_do(secured, monkeypatch):
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with pytest.raises(StoreUnreachableError, match="is not trusted") as caught:
        read(secured)
    assert (1, True) == (secured.came, "AWS_CA_BUNDLE=" in caught.value.hint)


def test_named_authority_is_trusted(secured, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", secured.authority)
    assert b"data" == read(secured)


@pytest.mark.parametrize("secured", ["DNS:store.example.org"], indirect=True)
def test_certificate_of_another_server_is_refused_at_once(secured, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", secured.authority)
    with pytest.raises(StoreUnreachableError, match="is not trusted") as caught:
        read(secured)
    assert (1, True) == (secured.came, "as its certificate does" in caught.value.hint)


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_authorities_that_cannot_be_read_are_an_error_of_the_configuration(
    secured, monkeypatch, tmp_path, text
):
    bundle = tmp_path / "bundle.pem"
    if text is not None:
        bundle.write_text(text)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with pytest.raises(ConfigurationError, match=r"bundle\.pem"):
        read(secured)
    assert 0 == secured.came
