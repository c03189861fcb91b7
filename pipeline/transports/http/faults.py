"""Why a request came to nothing: what ails the connection, in words, and whether it can pass by itself; pure."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import httpx

from pipeline.transports.http.answers import one_line

__all__ = ["Fault", "fault_of"]

CERTIFICATES: Final = {
    9: "that is not valid yet: see both clocks",
    10: "that has expired: have it renewed",
    23: "that was revoked: have it renewed",
    62: "for another name: see url",
    64: "for another address: see url",
}
"""By what OpenSSL calls X509_V_ERR_..."""

NO_ACCIDENTS: Final = frozenset({"WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "HTTP_REQUEST"})
"""Beside alerts, by which the other end says that it will not have it so."""

NEVER_HEARD: Final = frozenset(
    {socket.EAI_NONAME, *(getattr(socket, name) for name in ("EAI_NODATA",) if hasattr(socket, name))}
)


Kind: TypeAlias = Literal["again", "away", "stop"]


class Fault(NamedTuple):
    """What ails a request: ``again``: it may pass; ``away``: not soon enough to try again; ``stop``: not by itself."""

    says: str
    kind: Kind


PLAIN: Final[Sequence[tuple[type[Exception], str, Kind]]] = (
    (httpx.ConnectTimeout, "takes no connection within {seconds} s", "again"),
    (httpx.TimeoutException, "does not answer within {seconds} s", "again"),
    (httpx.ProxyError, "is behind a proxy that does not let us through ({error})", "again"),
    (httpx.LocalProtocolError, "cannot be asked so: a header or the address holds a character that none may", "stop"),
    (httpx.UnsupportedProtocol, "cannot be asked so: its address is neither http nor https", "stop"),
    (httpx.ConnectError, "cannot be connected to", "again"),
    (httpx.RemoteProtocolError, "closes the connection before its answer is whole (is it https?)", "again"),
    (httpx.DecodingError, "sends an answer that {error}", "again"),
)
"""By what httpx calls it; the first that fits."""


def fault_of(error: Exception, seconds: float) -> Fault:
    """What ails a request that raised ``error``; ``seconds`` is how long was waited."""
    for cause in _causes(error):
        if (root := _root(cause)) is not None:
            return root
    for kind, says, becomes in PLAIN:
        if isinstance(error, kind):
            return Fault(says.format(seconds=f"{seconds:g}", error=one_line(str(error), 80)), becomes)
    return Fault("breaks the connection off", "again")


def _root(cause: BaseException) -> Fault | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return Fault(_certificate(cause), "stop")
        case ssl.SSLError() if _is_no_accident(cause):
            why = (cause.reason or "").replace("_", " ").lower()
            return Fault(f"cannot agree on TLS ({why}): see url, and whether it is http or https", "stop")
        case socket.gaierror() if cause.errno in NEVER_HEARD:
            return Fault("is not there: there is no host of that name; see url", "away")
        case socket.gaierror():
            return Fault("has a name that cannot be looked up at the moment", "again")
        case ConnectionRefusedError():
            return Fault("refuses the connection: nothing listens at that port", "again")
    return None


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    what = CERTIFICATES.get(error.verify_code)
    if what is None:
        why = one_line(error.verify_message, 80)
        what = f"that is not trusted ({why}): set ca_file, or SSL_CERT_FILE, to whom to trust"
    return f"has a certificate {what}"


def _is_no_accident(error: ssl.SSLError) -> bool:
    return "ALERT" in (error.reason or "") or error.reason in NO_ACCIDENTS


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, BaseExceptionGroup):
            yield from error.exceptions
        yield error
        error = error.__cause__ or error.__context__
