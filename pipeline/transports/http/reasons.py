"""What an API says went wrong, in one line: its headline and its details, field by field; pure.

Known are the forms of RFC 9457, OData 2 and 4, JSON:API, OAuth2, Maximo, Salesforce, Laravel, ASP.NET, Spring, FastAPI,
Django REST framework, GraphQL, Jira, and those that resemble them.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from pipeline.transports.http.answers import Answer, one_line

__all__ = [
    "NO_REASON",
    "aside_in",
    "failed_in",
    "find",
    "is_aside",
    "means_error",
    "reason",
    "said_in",
    "says_no",
    "says_yes",
    "speaks",
]

TEXT_CHARACTERS: Final = 300
"""Of one text that it says."""
ALL_CHARACTERS: Final = 2000
DEPTH: Final = 12
DETAILS_READ: Final = 100
"""Of a list of what went wrong: more do not fit into a line."""

HEADLINES: Final = (
    "detail",
    "details",
    "errordescription",
    "errormessage",
    "message",
    "msg",
    "description",
    "defaultmessage",
    "reason",
    "issue",
    "faultstring",
)
TITLES: Final = ("title", "error", "summary", "code", "errorcode", "reasoncode", "status")
FIELDS: Final = (
    "field",
    "fields",
    "name",
    "property",
    "propertypath",
    "propertyref",
    "target",
    "param",
    "parameter",
    "pointer",
    "path",
    "loc",
    "source",
)
"""Where a detail has the field that it is about."""
BY_FIELD: Final = ("errors", "modelstate", "validationerrors", "fielderrors")
DETAILS: Final = (
    "error",
    *BY_FIELD,
    "detail",
    "details",
    "message",
    "messages",
    "errormessages",
    "fault",
    "invalidparams",
    "violations",
    "errordetails",
    "innererror",
    "exception",
    "results",
)

ASIDE: Final = frozenset(
    {"error", "errors", "errormessage", "errormessages", "errordescription", "message", "msg", "detail", "fault"}
)

YES: Final = frozenset({"true", "1", "yes", "y"})
NO: Final = frozenset({"false", "0", "no", "n"})

FAILURES: Final = frozenset({"error", "fail", "failed", "failure"})
"""What JSend, and those that resemble it, say at ``status``."""
FIRST_ERROR: Final = 400
NO_REASON: Final = "it gives no reason"
INTERNAL_ERROR: Final = 500

_DECODER: Final = msgspec.json.Decoder()
_NO_ERRORS: Final = frozenset({"", "0", "false", "no", "none", "null", "ok", "success", "no error"})


def reason(answer: Answer) -> str:
    """What the API says in an answer that is no success; where it says nothing, so."""
    try:
        data = _DECODER.decode(answer.body)
        return said_in(data) or _as_it_is(data) or NO_REASON
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if answer.kind == "text":
            return one_line(answer.body[: 4 * TEXT_CHARACTERS].decode(errors="replace"), TEXT_CHARACTERS)
    return NO_REASON if answer.kind == "nothing" else f"it answers with {answer.kind}"


def find(data: Any, path: str) -> Any:
    """What decoded JSON has at ``path``: a key, or several joined by dots; None where there is nothing."""
    if not path or not isinstance(data, Mapping):
        return None
    if path in data:
        return data[path]
    first, _, rest = path.partition(".")
    return find(data.get(first), rest) if rest else None


def speaks(answer: Answer) -> bool:
    """Whether an answer with a 500 says something of what was asked: the host is there then, and understood it."""
    return answer.status == INTERNAL_ERROR and answer.kind == "text" and reason(answer) != NO_REASON


def said_in(data: Any) -> str:
    """The reason in an error's JSON; empty where nothing in it is known to be one."""
    return one_line(_says(data, DEPTH), ALL_CHARACTERS)


def aside_in(data: Any) -> str:
    """What an answer says of an error beside, or instead of, what was asked for; never of what it holds."""
    if not isinstance(data, dict):
        return ""
    return said_in({key: value for key, value in data.items() if is_aside(key)})


def is_aside(key: str) -> bool:
    """Whether an answer speaks at ``key`` of what went wrong."""
    return _plain(key) in ASIDE


def means_error(value: Any) -> bool:
    """Whether what an answer has at ``error``, or the like, is one: neither empty, nor zero, nor a word for none."""
    if isinstance(value, str):
        return value.strip().casefold() not in _NO_ERRORS
    if isinstance(value, dict):
        return any(map(means_error, value.values()))
    return any(map(means_error, value)) if isinstance(value, list) else bool(value)


def failed_in(data: Mapping[str, Any], errors: Sequence[str], success: Sequence[str]) -> bool:
    """Whether an answer says of itself that it failed: at one of these keys, or, as some do, by its ``status``."""
    status = data.get("status")
    if isinstance(status, str) and status.strip().casefold() in FAILURES:
        return True
    if isinstance(status, int) and status >= FIRST_ERROR and any(map(is_aside, data)):
        return True
    return any(means_error(find(data, key)) for key in errors) or any(says_no(find(data, key)) for key in success)


def says_yes(value: Any) -> bool:
    """Whether a value is true, or a word for it."""
    return _word(value) in YES


def says_no(value: Any) -> bool:
    """Whether a value is false, or a word for it; what is not there says neither."""
    return _word(value) in NO


def _word(value: Any) -> str:
    return str(value).strip().lower() if isinstance(value, str | int) else ""


def _says(data: Any, depth: int) -> str:
    if isinstance(data, str):
        return one_line(data, TEXT_CHARACTERS)
    if depth == 0:
        return ""
    if isinstance(data, list):
        return "; ".join(dict.fromkeys(filter(None, (_says(one, depth - 1) for one in data[:DETAILS_READ]))))
    if not isinstance(data, dict):
        return ""
    keys = {_plain(key): value for key, value in data.items()}
    headline = _headline(keys)
    details = [said for said in _details(keys, depth) if said and said not in headline]
    if not headline and not details and not any(key in keys for key in (*HEADLINES, *DETAILS)):
        details = list(_by_field({key: value for key, value in data.items() if isinstance(value, list)}, depth))
    parts = [headline, "; ".join(dict.fromkeys(details))]
    if depth < DEPTH and any(parts):
        parts.insert(0, next((said for key in FIELDS if (said := _place(keys.get(key)))), ""))
    return ": ".join(filter(None, parts))


def _headline(keys: Mapping[str, Any]) -> str:
    """Its first message, with its title or its code in brackets where it has both."""
    first = next((said for key in HEADLINES if (said := _text(keys.get(key)))), "")
    title = next((said for key in TITLES if (said := _text(keys.get(key)))), "")
    return f"{first} ({title})" if first and title and title not in first else first or title


def _details(keys: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key in dict.fromkeys(DETAILS):
        value = keys.get(key)
        if key in BY_FIELD and isinstance(value, dict):
            yield "; ".join(_by_field(value, depth))
        elif isinstance(value, dict | list):
            yield _says(value, depth - 1)


def _by_field(errors: Mapping[str, Any], depth: int) -> Iterator[str]:
    for field, value in islice(errors.items(), DETAILS_READ):
        if said := _says(value, depth - 1):
            yield f"{one_line(field, TEXT_CHARACTERS)}: {said}"


def _place(said: Any) -> str:
    """The field that a detail is about: a text, a list of steps, or an object that has it."""
    if isinstance(said, list):
        return ".".join(one_line(str(step), TEXT_CHARACTERS) for step in said if isinstance(step, str | int))
    if isinstance(said, dict):
        return next((found for key in FIELDS if (found := _place(said.get(key)))), "")
    return _text(said)


def _text(said: Any) -> str:
    if isinstance(said, dict) and "lang" in said:
        said = said.get("value")  # OData 2
    return one_line(said, TEXT_CHARACTERS) if isinstance(said, str) else ""


def _plain(key: str) -> str:
    """A key in small letters alone, without the name of its space: ``oslc:Error-Message`` is ``errormessage``."""
    return "".join(one for one in key.rpartition(":")[2].lower() if one.isalnum())


def _as_it_is(data: Any) -> str:
    known = data if isinstance(data, Mapping | Sequence) else None
    return one_line(msgspec.json.encode(known).decode(), TEXT_CHARACTERS) if known else ""
