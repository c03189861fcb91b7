"""What a client that is a JSON API is told: where it is, how it lists and takes orders, who we are, how fast."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from msgspec import Meta, Struct

from pipeline.errors import Rejected, WrongSettings

__all__ = ["ApiKey", "Auth", "Basic", "Bearer", "HttpOptions", "OAuth2", "Patience"]

Many = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
PerSecond = Annotated[float, Meta(gt=0)]
Method = Literal["PUT", "POST", "PATCH"]

LONGEST_ID: Final = 1000

_KEY: Final = re.compile(r"[^()]*\((?:[^()=]*=)?(?:'(.*)'|(.*))\)")
"""An entity and its key, as OData writes them: ``orders(7)``, ``orders('7')``, ``orders(Order='7')``."""
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")


class Bearer(Struct, frozen=True, forbid_unknown_fields=True, tag="bearer"):
    """A token that does not change; ``token_env`` names the variable that holds it."""

    token_env: str


class Basic(Struct, frozen=True, forbid_unknown_fields=True, tag="basic"):
    """A user's name and password, by the names of two variables."""

    user_env: str
    password_env: str


class ApiKey(Struct, frozen=True, forbid_unknown_fields=True, tag="api_key"):
    """A key in a header, by the name of a variable."""

    key_env: str
    header: str = "X-API-Key"


class OAuth2(Struct, frozen=True, forbid_unknown_fields=True, tag="oauth2"):
    """Client credentials, exchanged at ``token_url`` for a token that is refreshed when it ends."""

    token_url: str
    client_id_env: str
    client_secret_env: str
    scope: str = ""
    method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    """How the id and the secret are told (OpenID Connect Core, section 9): in the header, or in the form."""


Auth: TypeAlias = Bearer | Basic | ApiKey | OAuth2


class Patience(NamedTuple):
    """How often a request is tried, and for how long an outage is ridden out."""

    attempts: int
    seconds: float
    is_last: bool = True
    """Nothing else is asked after it, so that a failure counts against the host."""


class HttpOptions(Struct, frozen=True, kw_only=True):
    """The options of a client that is a JSON API."""

    url: str
    """Of the list of orders."""
    params: Mapping[str, str] = {}
    """Query parameters of every request of the list; added to those that the kind presets."""
    order_params: Mapping[str, str] = {}
    """Query parameters of every request about one order."""
    headers: Mapping[str, str] = {}
    """Headers of every request; never secrets."""
    auth: Auth | None = None
    ca_file: str = ""
    """Certificates (PEM) that are trusted beside those that are trusted anyway."""

    items: str = ""
    """Where in a page its orders are, keys joined by dots; empty: the page is the array."""
    page: Literal["none", "link", "cursor", "page", "offset"] = "none"
    """How the next page is found: a link (in the header Link, or at ``next``), a cursor at ``next``, counting."""
    item: str = ""
    """Where in an answer about one order it is; empty: the answer itself, or the one object in it that is an order."""
    next: str = ""
    """Where in a page its link or cursor is, keys joined by dots."""
    next_from: Literal["link", "path"] = "link"
    """``path``: of a link only the path and the query count; for a server that is known to itself by another name."""
    more: str = ""
    """Where in a page it says whether there are more."""
    total: str = ""
    """Where in a page it says how many orders the whole list has."""
    page_param: str = ""
    """The parameter of the cursor, the page's number or the offset; empty: cursor, page or offset."""
    size_param: str = "limit"
    page_size: Many = 100
    first_page: int = 1
    errors: Sequence[str] = ("error", "errors")
    """Keys at which an answer says that there was an error, although its status says none."""
    success: Sequence[str] = ("success", "ok")
    """Keys at which an answer says whether it did what was asked."""

    since_param: str = ""
    """The parameter that asks for what changed since a time; empty: everything is read each time."""
    since: str = "{time}"
    """Its value; ``{time}`` is RFC 3339 in UTC."""
    since_and: str = ""
    """How ``{since}`` joins ``{params}``, what ``params`` say at the same parameter."""
    updated: str = "updatedAt"
    """Where in an order the time of its last change is, whose greatest value is the next run's ``since``."""
    overlap: Seconds = 300
    """How far before it the next run begins."""
    in_order: bool = False
    """The list is sorted by ``updated``, oldest first: a pull that breaks off goes on where it was."""

    push: Method = "PATCH"
    """How it is told of a change. With PUT each order is read first, and told with all that it has besides."""
    push_path: str = "/{id}"
    """Added to the URL to tell it of an order that it has."""
    create: Method | None = None
    """For an order born in TracOS; not set: PUT where changes are told by PATCH, else like them.

    With ``ids = "client"`` not set means POST.
    """
    create_path: str | None = None
    """Not set: nothing with POST, else ``push_path``."""
    ids: Literal["shared", "client"] = "shared"
    """``client``: it numbers its orders itself, and keeps ours as a reference; ``shared``: both use one number."""
    created_id: str = ""
    """Where in the answer to a creation the order's id is, keys joined by dots.

    Empty: where the order has it, else in the header OData-EntityId, else the last part of the header Location.
    """
    find: str = ""
    """Added to the URL to ask for the order that has our number as its reference: ``?externalRef={number}``.

    The answer is a page of the list, or the order.
    """
    absent: Literal["dead_letter", "delete"] = "dead_letter"
    """What an order becomes that was removed there: a dead letter, or a deletion."""
    push_headers: Mapping[str, str] = {}
    """Headers of every push."""
    update_headers: Mapping[str, str] = {}
    """Headers of every push that changes an order."""
    etag: str = ""
    """Where in an order its ETag is, keys joined by dots: a push is then refused if somebody changed the order."""
    href: str = ""
    """Where in an order its own address is, keys joined by dots; empty: made of ``push_path``."""
    csrf: bool = False
    """Each write carries a token that a read gives, as SAP Gateway wants it."""

    rate: PerSecond | None = None
    """Requests a second, at most."""
    burst: Many = 1
    parallel: Many = 4
    """Pushes under way at once."""
    timeout: Seconds = 30
    """Without a byte; a whole answer may take ten times as long."""
    attempts: Many = 10
    retry_seconds: Seconds = 60
    """How long an outage is ridden out."""
    push_attempts: Many | None = None
    push_retry_seconds: Seconds | None = None
    """The same of a push; not set: as above."""
    http2: bool = False
    """Needs the package h2."""

    def __post_init__(self) -> None:
        """Raise WrongSettings for what cannot work."""
        problems = list(_problems(self))
        if problems:
            raise WrongSettings(problems)

    @property
    def patience(self) -> Patience:
        """With what is read."""
        return Patience(self.attempts, self.retry_seconds)

    @property
    def push_patience(self) -> Patience:
        """With what is told."""
        seconds = self.retry_seconds if self.push_retry_seconds is None else self.push_retry_seconds
        return Patience(self.push_attempts or self.attempts, seconds)

    def query(self, since: str | None) -> dict[str, str]:
        """What the list is asked for, beside the page: ``params``, and what changed ``since`` then."""
        params = dict(self.params)
        if since is not None:
            asked = self.since.replace("{time}", since)
            before = params.get(self.since_param)
            params[self.since_param] = (
                asked if not before else self.since_and.replace("{params}", before).replace("{since}", asked)
            )
        return params

    def search(self, number: str) -> tuple[str, dict[str, str]]:
        """The address, and the query, that ask for the order whose reference ``number`` is.

        A parameter at which the list is always asked for something is joined with that, as ``since_and`` says.
        """
        path, _, query = self.find.partition("?")
        params = self.query(None)
        for key, template in parse_qsl(query, keep_blank_values=True):
            said = number.replace("'", "''") if "'{number}'" in template else number
            if '"{number}"' in template and '"' in number:
                raise Rejected("a number with a quotation mark cannot be asked for: see find")
            asked, before = template.replace("{number}", said), params.get(key)
            joins = bool(before and self.since_and and key == self.since_param)
            params[key] = self.since_and.replace("{params}", before or "").replace("{since}", asked) if joins else asked
        return self.url.rstrip("/") + path.replace("{number}", quote(number, safe="")), params

    def address(self, order_id: str, path: str) -> str:
        """The URL of one order; raises Rejected for an id that would lead elsewhere."""
        if order_id.strip(".") == "" and "/{id}" in path:
            raise Rejected("an id of dots alone cannot be told: it would lead to another address")
        if len(order_id) > LONGEST_ID:
            raise Rejected(f"an id of more than {LONGEST_ID:,} characters cannot be told: no address holds it")
        if "'{id}'" in path:
            order_id = order_id.replace("'", "''")  # a key of OData
        return self.url.rstrip("/") + path.replace("{id}", quote(order_id, safe=""))

    def order_at(self, address: str) -> str | None:
        """The id of the order at an address that was made as ``address`` makes them; None for any other."""
        before, _, after = self.push_path.partition("{id}")
        orders = urlsplit(self.url).path.rstrip("/").rpartition("/")[2]
        found = re.search(f"{re.escape(orders + before)}([^/]+?){re.escape(after)}$", urlsplit(address).path)
        if found is None:
            return None
        order_id = unquote(found[1])
        return order_id.replace("''", "'") if "'{id}'" in self.push_path else order_id

    def id_at(self, address: str) -> str | None:
        """The id of an order at whatever address the client says that it has created it; None where there is none."""
        if (order_id := self.order_at(address)) is not None:
            return order_id
        last = urlsplit(address).path.rstrip("/").rpartition("/")[2]
        key = _KEY.fullmatch(last)
        return unquote(key[1] or key[2] if key else last).replace("''", "'") or None

    def creation(self, order_id: str) -> tuple[Method, str]:
        """How, and at which URL, it is told of an order that was born in TracOS."""
        if self.ids == "client":
            return self.create or "POST", self.url.rstrip("/") + (self.create_path or "")
        method = self.create or ("PUT" if self.push == "PATCH" else self.push)
        path = self.create_path
        if path is None:
            path = "" if self.create == "POST" else self.push_path
        return method, self.address(order_id, path)


def _problems(options: HttpOptions) -> Sequence[str]:
    problems = []
    for key in ("headers", "push_headers", "update_headers"):
        for name, value in getattr(options, key).items():
            if _HEADER_NAME.fullmatch(name) is None or _HEADER_VALUE.fullmatch(value) is None:
                problems.append(f"{key}: {name!r}: a header holds letters, digits and signs of ASCII alone")
    addresses = {"url": options.url}
    if isinstance(options.auth, OAuth2):
        addresses["auth"] = options.auth.token_url
    for key, address in addresses.items():
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            problems.append(f"{key}: expected an address such as https://erp.example/api/orders")
        elif key == "url" and (parts.query or parts.fragment):
            problems.append("url: expected no query in it: put it into params")
        elif parts.username or parts.password:
            problems.append(f"{key}: expected no user and no password in an address: name their variables in auth")
    if options.page == "cursor" and not options.next:
        problems.append('next: required with page = "cursor": where in a page its cursor is')
    if options.since_param and "{time}" not in options.since:
        problems.append("since: expected a text with {time}")
    joined = options.since_and
    if joined and not ("{params}" in joined and "{since}" in joined):
        problems.append("since_and: expected a text with {params} and {since}")
    if options.since_param and options.params.get(options.since_param) and not joined:
        problems.append(f"params: {options.since_param} is since_param: set since_and, to say how the two are joined")
    return [*problems, *_problems_of_ids(options)]


def _problems_of_ids(options: HttpOptions) -> Sequence[str]:
    problems = []
    if options.find and "{number}" not in options.find:
        problems.append("find: expected a text with {number}, such as ?externalRef={number}")
    if options.ids == "client" and "{id}" in (options.create_path or ""):
        problems.append('create_path: expected no {id} in it: with ids = "client" a new order has none')
    return problems
