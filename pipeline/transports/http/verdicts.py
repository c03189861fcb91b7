"""What an answer to a push means: taken, refused, to be told again, or not clear whether it is the order or we; pure.

A push is done only when the server says so: a status of success, and nothing in the body that says otherwise.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import msgspec
from msgspec.structs import replace

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Deferred, Reason, Rejected
from pipeline.transports.http.answers import Answer, one_line
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.reasons import NO_REASON, aside_in, failed_in, reason

__all__ = ["Changed", "Doubt", "verdict"]

FORBIDDEN: Final = 403
OURS_OR_THE_ORDERS: Final = frozenset({401, FORBIDDEN, 405, 406, 407, 415, 501, 505})
"""What may concern one order, or all that we do: what becomes of the others tells."""
CHANGED_SINCE: Final = frozenset({412, 428})
REASON_CHARACTERS: Final = 300

_DECODER: Final = msgspec.json.Decoder()
_ERROR_TEXT: Final = re.compile(
    rb"\W*(?:error|fail(?:ed|ure)?|exception|fault|denied|refused|rejected)\b", re.IGNORECASE
)
_ERROR_XML: Final = re.compile(rb"<(?:\w+:)?(?:error|fault|exception)\b", re.IGNORECASE)


class Changed(Deferred):
    """The order was changed there since it was read, or has to be read first."""


class Doubt(Exception):
    """Refused, or answered by something else: the order's ``own`` fault, unless nothing else passes either.

    ``is_of_reading``: what is refused so may be one order's even where no other was told, as long as we may read.
    """

    def __init__(self, own: Rejected | Deferred, why: str, *, is_of_reading: bool) -> None:
        super().__init__(why)
        self.own = own
        self.is_of_reading = is_of_reading


def verdict(answer: Answer, method: str, options: HttpOptions, host: str) -> Outcome | Exception:
    """What became of an order that was told with ``method``; redirects are not judged here."""
    if answer.is_success:
        return _success(answer, options, host)
    why = Reason(f"{host} refuses it ({answer.status})", quote=reason(answer))
    if answer.status in CHANGED_SINCE:
        if answer.status == httpx.codes.PRECONDITION_REQUIRED and not options.etag:
            return Rejected(replace(why, message=f"{why.message}; see etag"))
        return Changed("somebody changed it at the client since it was read: it is read and merged again first")
    if answer.status in OURS_OR_THE_ORDERS:
        allowed = one_line(str(answer.headers.get("Allow", "")), 60)
        see = f"it takes no {method}{f', but {allowed}' if allowed else ''}: see push, create and url"
        if answer.status in {401, 403, 407}:
            see = "see auth, and the variables that it names"
        all_of_us = f"refuses us ({answer.status}: {reason(answer)}): {see}"
        return Doubt(Rejected(why), all_of_us, is_of_reading=answer.status == FORBIDDEN)
    return Rejected(why)


def _success(answer: Answer, options: HttpOptions, host: str) -> Outcome | Exception:
    if answer.page_title is not None:
        why = f"{host} answers {answer.status} with {answer.kind}, which does not say that it was taken"
        return Doubt(Deferred(why), f"answers with {answer.kind}: see auth and url", is_of_reading=True)
    try:
        data = _DECODER.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        data = ""
    complaint = _in_text(answer) if isinstance(data, str) else _in_json(data, options)
    if answer.is_cut:
        complaint = "more than can be read: whether it was taken is not known"
    elif complaint:
        complaint = f"but says that there was an error: {complaint}"
    elif answer.status == httpx.codes.MULTI_STATUS:
        complaint = _in_parts(answer, data)
    if not complaint:
        return Outcome.SENT
    what, _, said = complaint.partition(": ")
    return Rejected(Reason(f"{host} answers {answer.status}, {what}", quote=said))


def _in_json(data: Any, options: HttpOptions) -> str:
    """The error that a body tells of; empty where there is none."""
    if data is False:
        return "false"
    told = [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, dict)]
    if not any(failed_in(one, options.errors, options.success) for one in told):
        return ""
    return "; ".join(filter(None, map(aside_in, told))) or NO_REASON


def _in_text(answer: Answer) -> str:
    """The same of a body that is no JSON: some say OK, some nothing."""
    text = answer.body.lstrip()
    if _ERROR_TEXT.match(text) or (answer.kind == "XML" and _ERROR_XML.search(text)):
        return one_line(text[: 4 * REASON_CHARACTERS].decode(errors="replace"), REASON_CHARACTERS)
    return ""


def _in_parts(answer: Answer, data: Any) -> str:
    """The same of a body that says of each part what became of it (RFC 4918, section 13)."""
    statuses = list(_statuses(data))
    if not statuses:
        return "and says of no part what became of it"
    worst = max(statuses)
    return "" if httpx.codes.is_success(worst) else f"and in it {worst}: {reason(answer)}"


def _statuses(data: Any, depth: int = 8) -> Iterator[int]:
    values = data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ()
    if isinstance(data, Mapping):
        for key in ("status", "statusCode", "status_code", "httpStatus"):
            said = re.match(r"(?:HTTP/\S+ )?([1-5][0-9]{2})\b", str(data.get(key, "")))
            if said is not None:
                yield int(said[1])
    if depth:
        for value in values:
            yield from _statuses(value, depth - 1)
