"""The handshake of SAP Gateway: each write carries a CSRF token, which a read gives, and the cookies that go with it.

Sources: SAP Help "Cross-Site Request Forgery Protection"; SAP knowledge base 3048103: a token counts only together with
the cookies of its answer, whatever their names. The cookies are kept by the connection's own jar.
"""

from collections.abc import Mapping
from typing import Final

import httpx

from pipeline.errors import Fatal, See
from pipeline.transports.http.answers import ERROR_BYTES, Answer
from pipeline.transports.http.auth import Ask
from pipeline.transports.http.options import HttpOptions

__all__ = ["Csrf", "is_csrf_refusal"]

HEADER: Final = "X-CSRF-Token"


def is_csrf_refusal(answer: Answer) -> bool:
    """Whether a write was refused because its token is missing, or has ended."""
    required = str(answer.headers.get(HEADER, "")).strip().lower() == "required"
    return required and answer.status == httpx.codes.FORBIDDEN


class Csrf:
    """Fetches the token before the first write, and anew when it is refused; one that gives none wants none."""

    def __init__(self, name: str, options: HttpOptions) -> None:
        self._name = name
        self._options = options
        self._token: str | None = None

    async def headers(self, ask: Ask, signed: Mapping[str, str]) -> Mapping[str, str]:
        """What a write has to carry."""
        if not self._options.csrf:
            return {}
        if self._token is None:
            fetch = {**signed, HEADER: "Fetch"}
            params = {**self._options.order_params, "$top": "1"}
            answer = await ask("GET", self._options.url, params=params, headers=fetch, most=ERROR_BYTES)
            said = str(answer.headers.get(HEADER, "")).strip()
            self._token = "" if said.lower() == "required" else said
        return {HEADER: self._token} if self._token else {}

    def forget(self, signed: Mapping[str, str]) -> None:
        """A write that carried ``signed`` was refused. Raises Fatal where no token was meant to be fetched."""
        if not self._options.csrf:
            raise Fatal(
                f"{self._name}: {self._options.url} asks for a CSRF token with each write: set csrf = true",
                see=See.API_REFUSES,
            )
        if signed.get(HEADER, "") == (self._token or ""):  # else another request has fetched a new one meanwhile
            self._token = None

    def refusal(self) -> Fatal:
        """What to say where even a fresh token is refused."""
        return Fatal(
            f"{self._name}: {self._options.url} refuses a CSRF token that it has just given: its cookies do not reach "
            "it (those for https alone are not sent over http); nothing is lost",
            see=See.API_REFUSES,
        )
