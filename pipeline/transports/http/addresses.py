"""Addresses that a server gives us: followed on our own host alone, however it spells it; pure."""

from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from pipeline.errors import Fatal, See
from pipeline.transports.http.answers import one_line
from pipeline.transports.http.options import HttpOptions

__all__ = ["LOOPBACK", "followed", "order_address"]

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
PORTS: Final = {"http": 80, "https": 443}


def followed(link: str, base: str, options: HttpOptions, what: str) -> str:
    """The address that ``link``, found at ``base``, leads to: its path and query, always at the origin of ``url``.

    Scheme, host and port are compared as RFC 3986 (6.2) and DNS have it: without regard to case, with the scheme's own
    port filled in, a dot at the end of a host left out. Raises Fatal for another origin, which gets no credentials of
    ours, unless ``next_from`` says that only the path counts; ``what`` says whose address it is.
    """
    try:
        parts = urlsplit(urljoin(base, link.strip()))
        same = _origin(parts) == _origin(urlsplit(options.url))
    except ValueError:
        raise Fatal(f"{options.url}: {what} is no address", see=See.API_ANSWERS) from None
    if not same and options.next_from != "path":
        host = one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", 100)
        raise Fatal(
            f"{options.url}: {what} lies at another address, which gets no credentials of ours: {host}; set url so, or "
            'next_from = "path" where that is the same server by another name',
            see=See.API_ANSWERS,
        )
    own = urlsplit(options.url)
    return urlunsplit((own.scheme, own.netloc, parts.path or "/", parts.query, ""))


def order_address(options: HttpOptions, order_id: str, href: str | None) -> str:
    """Where an order that the client has is told of, or read again: at the address that the list showed of it."""
    if href:
        return followed(href, options.url, options, f"order {order_id}")
    return options.address(order_id, options.push_path)


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    host = (parts.hostname or "").rstrip(".").lower()
    if not host.isascii():
        host = host.encode("idna").decode()  # raises UnicodeError, a ValueError
    scheme = parts.scheme.lower()
    return scheme, "localhost" if host in LOOPBACK else host, parts.port or PORTS.get(scheme)
