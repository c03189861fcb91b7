"""Why MongoDB cannot be reached: certificates and logins at once, names and DNS when they stay away."""

import contextlib
import socketserver
import ssl
import threading
import time
from pathlib import Path

import dns.resolver
import pytest
import stamina

from pipeline.errors import Fatal, Outage, TracosOutage, WrongSettings

TLS = Path(__file__).parent / "tls"
"""Certificates of one key: ``self`` for 127.0.0.1, ``other`` for another name, ``expired`` since 2020."""


@contextlib.contextmanager
def tls_server(certificate, *, wants_ours=False):
    """A server that greets with a certificate, or with plain words, and has nothing more to say; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / f"{certificate or 'self'}.pem")
    if wants_ours:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(TLS / "self.pem")

    class Greeting(socketserver.BaseRequestHandler):
        def handle(self):
            if certificate is None:
                self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return
            with contextlib.suppress(OSError), context.wrap_socket(self.request, server_side=True) as connection:
                connection.recv(1)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("certificate", "authority", "why"),
    [
        ("self", None, "self-signed certificate"),
        ("self", "other", "self-signed certificate"),
        ("expired", "expired", "certificate has expired"),
        ("other", "other", "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_not_accepted_is_told_at_once(make_tracos, certificate, authority, why, log):
    trust = f"&tlsCAFile={TLS / authority}.pem" if authority else ""
    with tls_server(certificate) as port:
        uri = f"mongodb://u:hunter2@127.0.0.1:{port}/?tls=true&serverSelectionTimeoutMS=300{trust}"
        began = time.monotonic()
        with pytest.raises(Fatal, match=f"its certificate is not accepted: .*{why}") as caught:
            await make_tracos(uri, retry_seconds=60).open()
    assert time.monotonic() - began < 10
    assert not isinstance(caught.value, Outage)
    assert "hunter2" not in str(caught.value) + "".join(log)


async def test_one_host_that_is_only_away_makes_it_an_outage(make_tracos):
    with tls_server("self") as port:
        uri = f"mongodb://127.0.0.1:{port},127.0.0.1:1/?tls=true&serverSelectionTimeoutMS=300"
        with pytest.raises(TracosOutage, match=r"certificate|refused"):
            await make_tracos(uri, retry_seconds=0).open()


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("mongodb://127.0.0.1:1", "connection refused"),
        ("mongodb://no-such-host.invalid", "name or service not known|no address|temporary failure"),
        ("mongodb://%2Ftmp%2Fno-such.sock", "no such file"),
    ],
)
async def test_an_outage_says_why(make_tracos, uri, why):
    with pytest.raises(TracosOutage, match=why):
        await make_tracos(f"{uri}/?serverSelectionTimeoutMS=300", retry_seconds=0).open()


async def test_plain_words_to_a_server_that_wants_tls(make_tracos):
    with tls_server("self") as port, pytest.raises(TracosOutage, match=r"see tls in MONGO_URI|reset by peer"):
        await make_tracos(f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=300", retry_seconds=0).open()


async def test_tls_to_a_server_that_speaks_none_and_one_that_wants_our_certificate(make_tracos):
    with tls_server(None) as port, pytest.raises(Fatal, match="does not speak TLS"):
        await make_tracos(f"mongodb://127.0.0.1:{port}/?tls=true&serverSelectionTimeoutMS=300").open()
    with tls_server("self", wants_ours=True) as port, pytest.raises(Fatal, match="does not accept our certificate"):
        uri = f"mongodb://127.0.0.1:{port}/?tls=true&tlsCAFile={TLS}/self.pem&serverSelectionTimeoutMS=300"
        await make_tracos(uri).open()


async def test_another_replica_set_is_named_as_the_reason(make_tracos, mongo_uri):
    uri = mongo_uri.replace("directConnection=true", "replicaSet=nowhere&serverSelectionTimeoutMS=300")
    with pytest.raises(TracosOutage, match="replica set"):
        await make_tracos(uri, retry_seconds=0).open()


@pytest.mark.parametrize(
    "error",
    [
        dns.resolver.NoNameservers(),
        dns.resolver.LifetimeTimeout(timeout=1, errors=[]),
        dns.resolver.NXDOMAIN(),
        dns.resolver.NoResolverConfiguration(),
        OSError(101, "Network is unreachable"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_dns_that_is_away_is_an_outage_and_ridden_out(make_tracos, monkeypatch, error, log):
    asked = []

    def resolve(*args, **options):
        asked.append(args)
        raise error

    monkeypatch.setattr(dns.resolver, "resolve", resolve)
    stamina.set_testing(True, attempts=3)
    try:
        with pytest.raises(TracosOutage, match="DNS") as caught:
            await make_tracos("mongodb+srv://u:hunter2@cluster.example.com/plant").open()
    finally:
        stamina.set_testing(False)
    assert len(asked) == 3
    assert "hunter2" not in str(caught.value) + "".join(log)


async def test_an_address_that_no_dns_could_answer_is_a_wrong_setting(make_tracos):
    for uri in ("mongodb+srv://127.0.0.1/", "mongodb+srv://a.b.c:27017/", "mongodb+srv://a.b.c,d.e.f/"):
        with pytest.raises(WrongSettings, match="MONGO_URI"):
            await make_tracos(uri, retry_seconds=0).open()
