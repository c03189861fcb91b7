"""The page's addresses: overview, letters, orders, conflicts, runs, and the forms that act on them."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from pipeline.errors import Fatal, WrongUsage
from pipeline.web.guard import Guard
from pipeline.web.letters import Letters
from pipeline.web.orders import Orders
from pipeline.web.overview import Overview
from pipeline.web.runs import Runs
from pipeline.web.site import HERE, Site

__all__ = ["make_app"]


def make_app(site: Site, port: int) -> ASGIApp:
    """The page of ``site``, served at ``port`` under its token."""
    overview, letters, orders, runs = Overview(site), Letters(site), Orders(site), Runs(site)
    routes = [
        Route("/", overview.show),
        Route("/live", overview.live),
        Route("/letters", letters.show),
        Route("/letters/{id}", letters.one),
        Route("/letters/{id}/{action}", letters.act, methods=["POST"]),
        Route("/retry", letters.ask_retry, methods=["GET"]),
        Route("/retry", letters.retry_all, methods=["POST"]),
        Route("/orders", orders.show),
        Route("/conflicts", orders.conflicts),
        Route("/conflicts/restore", orders.restore, methods=["POST"]),
        Route("/runs", runs.show),
        Route("/runs/{id}", runs.one),
        Route("/style.css", _style),
        Route("/live.js", _script),
    ]
    errors = {HTTPException: site.refused, WrongUsage: site.refused, Fatal: site.refused}
    app = Starlette(routes=[Mount(f"/{site.secret.token}", routes=routes)], exception_handlers=errors)
    return Guard(app, site.secret, port)


async def _style(_: Request) -> Response:
    return FileResponse(HERE / "style.css", media_type="text/css")


async def _script(_: Request) -> Response:
    return FileResponse(HERE / "live.js", media_type="text/javascript")
