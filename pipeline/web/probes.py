"""What asks whether the service lives and is ready, beside its page."""

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

__all__ = ["with_probes"]


def with_probes(page: ASGIApp, unready: Callable[[], Awaitable[Sequence[str]]]) -> ASGIApp:
    """``page``, and beside it ``/livez``, and ``/readyz``: 503 with the reasons as JSON while there are any."""

    async def ready(_: Request) -> Response:
        reasons = list(await unready())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def live(_: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/livez", live), Route("/readyz", ready), Mount("/", page)])
