"""Why there is no connection is told in words, and what cannot heal by itself is not tried again."""

import gzip
import socket
import threading
import tracemalloc
import zlib
from pathlib import Path

import pytest

from pipeline.errors import Fatal, Outage, WrongSettings
from tests.asking import client_of, ids, order, pull
from tests.scripted import Reply

CERTIFICATES = Path(__file__).parent / "certificates"


class At:
    """A server that is only an address."""

    def __init__(self, url):
        self.url = url


@pytest.fixture
def raw():
    """``raw(function)``: a server of plain bytes; the function gets each connection."""
    listeners = []

    def start(talk):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    talk(connection)

        threading.Thread(target=accept, daemon=True).start()
        return At(f"http://127.0.0.1:{listener.getsockname()[1]}/orders")

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class TestCertificates:
    @pytest.mark.parametrize(
        ("certificate", "trusted", "why"),
        [
            ("self", False, r"that is not trusted \(self.signed certificate\): set ca_file, or SSL_CERT_FILE"),
            ("other", True, "for another name: see url"),
            ("expired", True, "that has expired: have it renewed"),
        ],
    )
    async def test_one_that_does_not_hold_is_told_at_once(self, serve, tmp_path, certificate, trusted, why):
        path = str(CERTIFICATES / f"{certificate}.pem")
        server = serve(lambda asked: {"items": []}, path)
        client = client_of(server, tmp_path, **({"ca_file": path} if trusted else {}), attempts=5, retry_seconds=60.0)
        with pytest.raises(Fatal, match=rf"north: localhost:\d+ has a certificate {why}"):
            await pull(client)
        assert server.asked == []

    async def test_one_that_ca_file_trusts(self, serve, tmp_path):
        path = str(CERTIFICATES / "self.pem")
        server = serve(lambda asked: {"items": [order(1)]}, path)
        assert ids(await pull(client_of(server, tmp_path, ca_file=path))) == [1]

    @pytest.mark.parametrize("content", [None, b"no certificate"])
    async def test_a_ca_file_that_is_none(self, tmp_path, content):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(WrongSettings, match="north: ca_file: holds no certificates in PEM, or cannot be read"):
            await pull(client_of(At("https://localhost:1/orders"), tmp_path, ca_file=str(path)))


class TestNoConnection:
    async def test_https_where_http_is_spoken(self, serve, tmp_path):
        server = serve(lambda asked: {})
        with pytest.raises(
            Fatal, match=r"cannot agree on TLS \(wrong version number\): see url, and whether it is http"
        ):
            await pull(client_of(At(server.url.replace("http:", "https:")), tmp_path))

    async def test_http_where_https_is_spoken(self, serve, tmp_path):
        server = serve(lambda asked: {}, str(CERTIFICATES / "self.pem"))
        with pytest.raises(
            Outage,
            match=r"closes the connection before its answer is whole \(is it https\?\)|breaks the connection off",
        ):
            await pull(client_of(At(server.url.replace("https:", "http:")), tmp_path, attempts=2))

    async def test_a_host_that_nobody_knows_is_not_tried_again(self, tmp_path, monkeypatch):
        asked = []

        async def lookup(*args, **more):
            asked.append(args)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr("anyio.getaddrinfo", lookup)
        monkeypatch.setattr("anyio._core._sockets.getaddrinfo", lookup)
        with pytest.raises(Outage, match=r"erp\.invalid is not there: there is no host of that name; see url"):
            await pull(client_of(At("http://erp.invalid/orders"), tmp_path))
        assert len(asked) == 1

    async def test_a_name_that_cannot_be_looked_up_is_tried_again(self, tmp_path, monkeypatch):
        asked = []

        async def lookup(*args, **more):
            asked.append(args)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr("anyio._core._sockets.getaddrinfo", lookup)
        with pytest.raises(Outage, match="has a name that cannot be looked up at the moment"):
            await pull(client_of(At("http://erp.invalid/orders"), tmp_path, attempts=3))
        assert len(asked) == 3

    async def test_nothing_listens(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(Outage, match="refuses the connection: nothing listens at that port"):
            await pull(client_of(At(f"http://127.0.0.1:{port}/orders"), tmp_path, attempts=2))

    async def test_a_connection_that_is_reset(self, raw, tmp_path):
        def talk(connection):
            connection.recv(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        with pytest.raises(Outage, match=r"breaks the connection off|closes the connection"):
            await pull(client_of(raw(talk), tmp_path, attempts=2))

    async def test_no_answer(self, raw, tmp_path):
        release = threading.Event()
        server = raw(lambda connection: release.wait(5))
        with pytest.raises(Outage, match=r"does not answer within 0\.05 s"):
            await pull(client_of(server, tmp_path, attempts=1, timeout=0.05))
        release.set()

    async def test_an_answer_that_trickles_without_end(self, raw, tmp_path):
        release = threading.Event()

        def talk(connection):
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n[")
            while not release.wait(0.01):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

        with pytest.raises(Outage, match="takes more than 1 s for one answer"):
            await pull(client_of(raw(talk), tmp_path, attempts=1, timeout=0.1))
        release.set()

    async def test_an_address_that_none_may_have(self, tmp_path):
        with pytest.raises(
            Fatal, match=r"north: erp\.example cannot be asked: an address holds a character that none may"
        ):
            await pull(client_of(At("http://erp.example/or\x01ders"), tmp_path))


def bomb(megabytes, level=9):
    """A small answer that holds very much."""
    return gzip.compress(b'{"items": [' + b" " * (megabytes * 2**20) + b"]}", level)


class TestSizes:
    """An answer is read within bounds, on every path."""

    @pytest.mark.parametrize("auth", [None, "oauth2"])
    async def test_a_page_that_unpacks_to_gigabytes(self, serve, tmp_path, auth):
        answer = Reply(bomb(200), headers={"Content-Encoding": "gzip"})
        server = serve(lambda asked: {"access_token": "abcd"} if asked.path == "/token" else answer)
        options = {"auth": {"type": "oauth2", "token_url": server.url.replace("orders", "token")}} if auth else {}
        if auth:
            options["auth"] |= {"client_id_env": "I", "client_secret_env": "S"}
        client = client_of(server, tmp_path, {"I": "id", "S": "secret"}, **options)
        tracemalloc.start()
        with pytest.raises(Fatal, match=r"sends a page of more than 64 MB: ask for smaller ones \(page_size\)"):
            await pull(client)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 200 * 2**20

    async def test_an_error_that_unpacks_to_gigabytes(self, serve, tmp_path):
        answer = Reply(bomb(100), 500, headers={"Content-Encoding": "gzip"})
        server = serve(lambda asked: answer)
        tracemalloc.start()
        with pytest.raises(Outage, match="answers 500"):
            await pull(client_of(server, tmp_path, attempts=1))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5 * 2**20

    async def test_a_token_that_unpacks_to_gigabytes(self, serve, tmp_path):
        answer = Reply(bomb(100), headers={"Content-Encoding": "gzip"})
        server = serve(lambda asked: answer)
        auth = {"type": "oauth2", "token_url": server.url, "client_id_env": "I", "client_secret_env": "S"}
        tracemalloc.start()
        with pytest.raises(Fatal, match="gives no token"):
            await pull(client_of(server, tmp_path, {"I": "id", "S": "secret"}, auth=auth))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5 * 2**20

    @pytest.mark.parametrize(
        ("pack", "coding"),
        [
            (gzip.compress, "gzip"),
            (gzip.compress, "X-GZIP"),
            (zlib.compress, "deflate"),
            (lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]), "gzip"),
            (lambda data: data, "identity"),
        ],
    )
    async def test_what_is_packed_is_unpacked(self, serve, tmp_path, pack, coding):
        body = b'{"items": [{"id": 1}]}'
        server = serve(lambda asked: Reply(pack(body), headers={"Content-Encoding": coding}))
        assert ids(await pull(client_of(server, tmp_path))) == [1]

    @pytest.mark.parametrize(
        "body", [gzip.compress(b'{"items": []}', mtime=0)[:-4], b"no gzip"], ids=["cut off", "no gzip"]
    )
    async def test_what_is_packed_wrongly_is_asked_for_again(self, serve, tmp_path, body):
        server = serve(lambda asked: Reply(body, headers={"Content-Encoding": "gzip"}))
        with pytest.raises(Outage, match=r"sends an answer that (breaks off in the middle|is packed wrongly)"):
            await pull(client_of(server, tmp_path, attempts=2))
        assert len(server.asked) == 2

    async def test_a_packing_that_was_not_asked_for(self, serve, tmp_path):
        server = serve(lambda asked: Reply(b"...", headers={"Content-Encoding": "br"}))
        with pytest.raises(Fatal, match="packs its answers as br, which was not asked for"):
            await pull(client_of(server, tmp_path))
        assert server.asked[0].headers["accept-encoding"] == "gzip"
