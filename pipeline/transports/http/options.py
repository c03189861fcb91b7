"""What a client that is a JSON API is told: where it is, how it lists and takes orders, who we are, how fast."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote, urlsplit

from msgspec import Meta, Struct

from pipeline.errors import WrongSettings

__all__ = ["ApiKey", "Auth", "Basic", "Bearer", "HttpOptions", "OAuth2"]

Many = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
PerSecond = Annotated[float, Meta(gt=0)]
Method = Literal["PUT", "POST", "PATCH"]


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


Auth: TypeAlias = Bearer | Basic | ApiKey | OAuth2


class HttpOptions(Struct, frozen=True, kw_only=True):
    """The options of a client that is a JSON API."""

    url: str
    """Of the list of orders."""
    params: Mapping[str, str] = {}
    """Query parameters of every request of the list."""
    headers: Mapping[str, str] = {}
    """Headers of every request; never secrets."""
    auth: Auth | None = None

    items: str = ""
    """Where in a page its orders are, keys joined by dots; empty: the page is the array."""
    page: Literal["none", "link", "cursor", "page", "offset"] = "none"
    """How the next page is found: a link (in the header Link, or at ``next``), a cursor at ``next``, counting."""
    next: str = ""
    """Where in a page its link or cursor is, keys joined by dots."""
    page_param: str = ""
    """The parameter of the cursor, the page's number or the offset; empty: cursor, page or offset."""
    size_param: str = "limit"
    page_size: Many = 100
    first_page: int = 1

    since_param: str = ""
    """The parameter that asks for what changed since a time; empty: everything is read each time."""
    since: str = "{time}"
    """Its value; ``{time}`` is RFC 3339 in UTC."""
    updated: str = "updatedAt"
    """The key of an order's own last change, whose greatest value is the next run's ``since``."""
    overlap: Seconds = 300
    """How far before it the next run begins."""
    in_order: bool = False
    """The list is sorted by ``updated``, oldest first: a pull that breaks off goes on where it was."""

    push: Method = "PUT"
    push_path: str = "/{id}"
    """Added to the URL to tell it of an order that it has."""
    create: Method | None = None
    """For an order born in TracOS; not set: like any other."""
    create_path: str = ""
    push_headers: Mapping[str, str] = {}
    etag: str = ""
    """The key in which an order shows its ETag: a push is then refused by the server if somebody changed the order."""

    rate: PerSecond | None = None
    """Requests a second, at most."""
    burst: Many = 1
    parallel: Many = 4
    """Pushes under way at once."""
    timeout: Seconds = 30
    """Of one request."""
    attempts: Many = 10
    retry_seconds: Seconds = 60
    """How long an outage is ridden out."""
    http2: bool = False
    """Needs the package h2."""

    def __post_init__(self) -> None:
        """Raise WrongSettings for what cannot work."""
        problems = list(_problems(self))
        if problems:
            raise WrongSettings(problems)

    def address(self, order_id: str, path: str) -> str:
        """The URL of one order; ``path`` is push_path or create_path."""
        return self.url.rstrip("/") + path.replace("{id}", quote(order_id, safe=""))


def _problems(options: HttpOptions) -> Sequence[str]:
    problems = []
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
    return problems
