"""What asks whether the service lives and is ready, beside its page."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

__all__ = ["with_probes"]

PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


def with_probes(
    page: ASGIApp, unready: Callable[[], Awaitable[Sequence[str]]], metrics: Callable[[], bytes]
) -> ASGIApp:
    """``page``, and beside it ``/livez``, ``/metrics``, and ``/readyz``: 503 with the reasons while there are any."""

    async def ready(_: Request) -> Response:
        reasons = list(await unready())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def live(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def measured(_: Request) -> Response:
        return Response(metrics(), media_type=PROMETHEUS)

    probes = [Route("/livez", live), Route("/readyz", ready), Route("/metrics", measured)]
    return Starlette(routes=[*probes, Mount("/", page)])
