"""Why MongoDB cannot be reached, in words: from the driver's errors and from what it knows of the servers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pymongo.errors import (
    ConfigurationError,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from pipeline.tracos.verdicts import name_of

__all__ = ["bad_certificate", "is_dns", "why"]

_REFUSED_CERTIFICATE: Final = re.compile(r"certificate verify failed: ([^(\n]*[^(\n ])")
_OURS_REFUSED: Final = re.compile(r"\[SSL: \w*ALERT_\w*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)")
_NO_TLS: Final = re.compile(r"\[SSL: (WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL)\]")
_ERRNO: Final = re.compile(r"\[Errno -?\d+\] ([^(\n]*[^(\n ])")


def is_dns(error: BaseException) -> bool:
    """Whether it is DNS that did not answer for a `mongodb+srv` address; the driver calls that a wrong setting."""
    cause = error.__cause__
    return (
        isinstance(error, ConfigurationError)
        and cause is not None
        and (isinstance(cause, OSError) or type(cause).__module__ in ("dns.resolver", "dns.exception", "dns.query"))
    )


def bad_certificate(error: BaseException, topology: Any) -> str | None:
    """Why no server's certificate is accepted, or ours by none of them; None where any has another trouble, or none."""
    if isinstance(error, ServerSelectionTimeoutError) and any(server.error is None for server in _servers(topology)):
        return None
    reasons = [_certificate(each) for each in _said(error, topology)]
    return reasons[0] if reasons and None not in reasons else None


def why(error: BaseException, topology: Any) -> str:
    """Why it failed, in a few words: no value, no credential."""
    if isinstance(error, WTimeoutError):
        return f"{_unconfirmed(error)}: see that enough of them run and keep up"
    if isinstance(error, OperationFailure | NotPrimaryError):
        said = error.details if isinstance(error.details, Mapping) else {}
        return name_of(said.get("code", getattr(error, "code", None)), said.get("codeName"))
    if is_dns(error):
        return "DNS has no answer for the name in MONGO_URI"
    return _why_unreachable(error, topology)


def _why_unreachable(error: BaseException, topology: Any) -> str:
    servers, is_selecting = _servers(topology), isinstance(error, ServerSelectionTimeoutError)
    has_no_primary = is_selecting and getattr(topology, "topology_type_name", "") == "ReplicaSetNoPrimary"
    if has_no_primary and any(server.is_server_type_known for server in servers):
        return "the replica set has no primary: see that a majority of its members runs"
    text = next(_said(error, topology), "")
    if word := _certificate(text) or _word(text, is_selecting=is_selecting):
        return word
    if has_no_primary:
        return "the replica set has no primary" if servers else "no server is of the replica set that MONGO_URI names"
    return type(error).__name__


def _unconfirmed(error: WTimeoutError) -> str:
    """Who does not confirm: the server repeats what it was asked for, and says it by the way."""
    details = error.details if isinstance(error.details, Mapping) else {}
    if index := details.get("index"):
        return f"no majority of its members has built the index {index} in time"
    asked = details.get("errInfo", {}).get("writeConcern", {}).get("w", "majority")
    if asked == "majority":
        return "no majority of its members confirms writes"
    return f"not as many of its members confirm writes as w={asked} in MONGO_URI asks for"


def _said(error: BaseException, topology: Any) -> Iterator[str]:
    """What the sockets said; the driver keeps of a server that cannot be reached the words alone."""
    if not isinstance(error, ServerSelectionTimeoutError):
        yield str(error)
        return
    for server in _servers(topology):
        if server.error is not None:
            yield str(server.error)


def _servers(topology: Any) -> Sequence[Any]:
    return list(topology.server_descriptions().values()) if topology is not None else []


def _certificate(text: str) -> str | None:
    if found := _REFUSED_CERTIFICATE.search(text):
        return f"its certificate is not accepted: {found[1]}"
    if _OURS_REFUSED.search(text):
        return "it does not accept our certificate: see tlsCertificateKeyFile in MONGO_URI"
    if _NO_TLS.search(text):
        return "it does not speak TLS: see tls in MONGO_URI"
    return None


def _word(text: str, *, is_selecting: bool) -> str | None:
    """What a socket said, in our words; ``is_selecting``: no server is found, so that perhaps none ever answered."""
    if found := _ERRNO.search(text):
        return found[1].lower()
    if "timed out" in text or "operation cancelled" in text:  # by the driver, when a heartbeat has timed out
        return "no answer in time"
    if "connection closed" not in text:
        return None
    return "it ends the connection: see tls in MONGO_URI" if is_selecting else "it ended the connection"
