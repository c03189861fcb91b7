"""What an answer's headers say: links, dates, how long to wait; pure, and strict about what servers send."""

import email.utils
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

__all__ = ["http_date", "links", "retry_after"]

_TARGET: Final = re.compile(r"[\s,]*<([^<>]*)>\s*")
_PARAM: Final = re.compile(r""";\s*(?:([^\s=;,<>"]+)\s*(?:=\s*(?:"((?:[^"\\]++|\\.)*+)"|([^\s;,]*))\s*)?)?""")
_NOTHING_MORE: Final = re.compile(r"[\s,;]*")
_SECONDS: Final = re.compile(r"[0-9]{1,20}")


def links(values: Sequence[str]) -> Mapping[str, str]:
    """The first address of each relation (in lower case), of all headers Link together.

    By RFC 8288, section 3: relations are told without regard to case, several in one quoted text; of a link's ``rel``
    the first counts; a link whose ``anchor`` makes it another page's is left out. Raises ValueError for what is no
    list of links.
    """
    found: dict[str, str] = {}
    for value in values:
        at = 0
        while target := _TARGET.match(value, at):
            at = target.end()
            params: dict[str, str] = {}
            while param := _PARAM.match(value, at):
                at = param.end()
                name, quoted, plain = param.groups()
                if name:
                    said = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain or ""
                    params.setdefault(name.lower(), said.strip("'"))
            if at < len(value) and value[at] != ",":
                raise ValueError("no list of links")
            if not params.get("anchor"):
                for relation in params.get("rel", "").lower().split():
                    found.setdefault(relation, target[1].strip())
        if _NOTHING_MORE.fullmatch(value, at) is None:
            raise ValueError("no list of links")
    return found


def http_date(said: str | None) -> datetime | None:
    """The moment that a header names; None where it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(said or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(said: str | None, now: datetime | None) -> float | None:
    """Seconds to wait, from either form of the header Retry-After; None where it is not there or says neither.

    A date is measured by ``now``, the server's own clock in the same answer; by ours only where it does not tell it.
    """
    if said is None:
        return None
    seconds = said.strip()
    if _SECONDS.fullmatch(seconds):
        return float(seconds)
    moment = http_date(said)
    return None if moment is None else max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
