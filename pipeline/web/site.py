"""What all of the page's addresses share: templates, forms, where to go next, and what was refused."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipeline.errors import WrongUsage
from pipeline.service.settings import Settings
from pipeline.version import VERSION
from pipeline.web.doors import Doors
from pipeline.web.guard import LIVE, Secrets
from pipeline.web.known import Known
from pipeline.web.words import FILTERS

__all__ = ["Site", "told"]

HERE: Final = Path(__file__).parent

TOLD: Final = {
    "mended": "Saved. Retry it to see whether it passes.",
    "failed": "It failed again: see why below.",
    "passed": "It passed, and its letter is closed.",
    "released": "It holds no bytes: the next run tries it where it came from.",
    "closed": "It was closed by somebody else meanwhile.",
    "gone": "The order is not waiting in TracOS any more: discard the letter if that is right.",
    "discarded": "Discarded; it is kept in the archive.",
    "told": "The value is set again, and the next run tells the client.",
    "untold": "The value is set again; the client is not told, because its direction leaves that out.",
}
_RETRIED: Final = re.compile(r"[0-9,]+ retried: [0-9,]+ passed, [0-9,]+ failed again")


def told(request: Request) -> str:
    """What the last form did; a text that is none of ours is not repeated."""
    said = request.query_params.get("told", "")
    return said if _RETRIED.fullmatch(said) else TOLD.get(said, "")


class Site:
    """One page on ``settings``, under the token of ``secret``, for the person ``by``."""

    def __init__(self, settings: Settings, doors: Doors, secret: Secrets, by: str) -> None:
        self.settings = settings
        self.doors = doors
        self.by = by
        self.known = Known(settings, doors)
        self.secret = secret
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(root=f"/{secret.token}", form_token=secret.form, version=VERSION)
        self._templates.filters |= FILTERS

    def html(self, template: str, *, status: int = 200, is_live: bool = False, **values: Any) -> Response:
        """A page; ``is_live``: it has the script that keeps it up to date, and no other."""
        values = {"told": "", "now": datetime.now(UTC), "is_live": is_live, "place": "", **values}
        body = self._templates.get_template(template).render(values)
        return HTMLResponse(body, status, {"Content-Security-Policy": LIVE} if is_live else None)

    def to(self, where: str, said: str, **more: str) -> Response:
        """Where the browser goes after a form, and what it is told there."""
        return RedirectResponse(f"/{self.secret.token}/{where}?{urlencode({**more, 'told': said})}", 303)

    async def form(self, request: Request) -> Mapping[str, str]:
        """What a form of ours sent; raises HTTPException for any other."""
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        if not self.secret.is_form(form.get("form_token", "")):
            raise HTTPException(403, "this form is none of this page's: go back, reload, and send it again")
        return form

    async def refused(self, _: Request, error: Exception) -> Response:
        """What was not done, and why."""
        code = error.status_code if isinstance(error, HTTPException) else 400 if isinstance(error, WrongUsage) else 503
        says = error.detail if isinstance(error, HTTPException) else str(error)
        return self.html("refused.html", status=code, says=says, text=None)
