"""The page's addresses: letters, one letter, conflicts, runs, and the forms that mend, retry and discard."""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from pipeline.deadletters import DeadLetterOffice, Filed, Filters, Letter
from pipeline.deadletters.pointer import lines_around, locate, readable
from pipeline.disk import in_thread
from pipeline.errors import Fatal, WrongUsage
from pipeline.history.conflicts import read_conflicts
from pipeline.history.journal import Run, last_runs
from pipeline.service.mending import check_of
from pipeline.service.replay import Retried
from pipeline.service.settings import Settings
from pipeline.web.guard import Guard, Secrets

__all__ = ["Again", "make_app"]

Again: TypeAlias = Callable[[str | Filters], Awaitable[Retried]]
"""Retries the letter of this id, or all like these, in a process of its own: it may start a server, and takes its time.

Raises Fatal for what stopped it.
"""

HERE: Final = Path(__file__).parent
PAGE: Final = 100
RUNS: Final = 40
CONFLICTS: Final = 100
BRIEF: Final = 300
"""How much of a value is shown in a list."""
FILTERS: Final = ("flow", "client", "stage", "reason")
_ID: Final = re.compile(r"[0-9a-f]{10}")


def make_app(settings: Settings, again: Again, secret: Secrets, port: int, by: str = "") -> ASGIApp:
    """The page for ``settings``, served at ``port`` under the token of ``secret``; letters are retried by ``again``.

    What is done there is done by the person ``by``.
    """
    page = _Page(settings, again, secret, by)
    routes = [
        Route("/", page.letters),
        Route("/retry", page.retry_all, methods=["POST"]),
        Route("/letters/{id}", page.letter),
        Route("/letters/{id}/{action}", page.act, methods=["POST"]),
        Route("/conflicts", page.conflicts),
        Route("/runs", page.runs),
        Route("/style.css", page.style),
    ]
    errors = {HTTPException: page.refused, WrongUsage: page.refused, Fatal: page.refused}
    app = Starlette(routes=[Mount(f"/{secret.token}", routes=routes)], exception_handlers=errors)
    return Guard(app, secret, port)


class _Page:
    def __init__(self, settings: Settings, again: Again, secret: Secrets, by: str) -> None:
        self._settings = settings
        self._again = again
        self._secret = secret
        self._office = DeadLetterOffice(settings.data_dead_letter_dir, by)
        self._retrying = asyncio.Lock()
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.globals.update(root=f"/{secret.token}", form_token=secret.form)
        self._templates.filters |= {"visible": _visible, "brief": _brief}

    async def letters(self, request: Request) -> Response:
        filters = _filters(request.query_params)
        number = max(1, int(request.query_params.get("page", "1").strip()[:6] or 1)) if _is_page(request) else 1
        found, stats = await in_thread(self._look, filters, number)
        return self._html(
            "letters.html",
            letters=found[:PAGE],
            stats=stats,
            asked=request.query_params,
            query=urlencode({name: value for name in FILTERS if (value := request.query_params.get(name))}),
            page=number,
            more=len(found) > PAGE,
            told=_told(request),
        )

    async def letter(self, request: Request) -> Response:
        return self._shown(await in_thread(self._get, request), told=_told(request))

    def _shown(self, filed: Filed, *, told: str, text: str | None = None, status: int = 200) -> Response:
        """The page of a letter; with ``text`` in its form, where that was not kept."""
        letter = filed.letter
        marks = [locate(letter.payload, reason) for reason in letter.reasons]
        return self._html(
            "letter.html",
            filed=filed,
            letter=letter,
            reasons=list(zip(letter.reasons, marks, strict=True)),
            lines=[_pieces(line) for line in lines_around(letter.payload, [mark for mark in marks if mark], context=4)],
            payload=readable(letter.payload),
            text=readable(letter.payload) if text is None else text,
            seen=_seen(letter),
            may_mend=letter.flow.endswith(".inbound") and bool(letter.raw),
            told=told,
            status=status,
        )

    async def act(self, request: Request) -> Response:
        """Mend, retry or discard one letter; what the form holds is never lost, whatever is in the way."""
        form = await self._form(request)
        action = request.path_params["action"]
        if action not in ACTIONS:
            raise HTTPException(404, "there is no such action")
        try:
            filed = await in_thread(self._get, request)
            if form.get("seen", _seen(filed.letter)) != _seen(filed.letter):
                raise WrongUsage(f"the dead letter {filed.id} was mended meanwhile: look at it again")
            return await self._done(action, filed, form)
        except Fatal as error:
            text = form.get("payload")
            if text is None or text == form.get("shown"):
                raise
            return await self._not_done(request, error, text)

    async def _not_done(self, request: Request, error: Fatal, text: str) -> Response:
        """What was in the way, and the text that a person wrote, where it was not kept."""
        status = 400 if isinstance(error, WrongUsage) else 503
        try:
            now = await in_thread(self._get, request)
        except WrongUsage:
            return self._html("refused.html", status=status, says=str(error), text=text, told="")
        is_kept = readable(now.letter.payload).split() == text.split()
        told = str(error) if is_kept else f"what you wrote is not kept yet: {error}"
        return self._shown(now, told=told, text=text, status=status)

    async def _done(self, action: str, filed: Filed, form: Mapping[str, str]) -> Response:
        if action == "discard":
            await in_thread(self._office.discard, filed, form.get("because", ""))
            return self._to("", "discarded")
        if action == "mend" or ("payload" in form and form["payload"] != form.get("shown")):
            text = form.get("payload", "").replace("\r\n", "\n")  # what browsers make of every line's end
            if b"\r\n" in filed.letter.raw:
                text = text.replace("\n", "\r\n")
            await in_thread(self._mend, filed, text)
        if action == "mend":
            return self._to(f"letters/{filed.id}", "mended")
        told = await self._retry(filed.id)
        if told.failed:
            return self._to(f"letters/{filed.id}", "failed")
        how = ("passed", "released", "closed")
        return self._to("", next((one for one in how if getattr(told, one)), "gone"))

    def _mend(self, filed: Filed, text: str) -> None:
        self._office.mend(filed, text, check_of(self._settings, filed))

    async def retry_all(self, request: Request) -> Response:
        form = await self._form(request)
        told = await self._retry(_filters(form))
        return self._to("", f"{told.tried} retried: {told.passed} passed, {told.failed} failed again")

    async def runs(self, _: Request) -> Response:
        runs = list(reversed(await in_thread(last_runs, self._settings.data_journal, RUNS)))
        return self._html("runs.html", runs=[_counted(run) for run in runs], chart=_chart(runs[::-1]), told="")

    async def conflicts(self, _: Request) -> Response:
        found = await in_thread(read_conflicts, self._settings.data_decision_log)
        sides = Counter(one.side for one in found)
        return self._html("conflicts.html", conflicts=found[:CONFLICTS], sides=sides, total=len(found), told="")

    async def style(self, _: Request) -> Response:
        return FileResponse(HERE / "style.css", media_type="text/css")

    async def refused(self, _: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 400 if isinstance(error, WrongUsage) else 503
        says = error.detail if isinstance(error, HTTPException) else str(error)
        return self._html("refused.html", status=code, says=says, text=None, told="")

    async def _retry(self, which: str | Filters) -> Retried:
        async with self._retrying:
            return await self._again(which)

    async def _form(self, request: Request) -> dict[str, str]:
        form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
        if not self._secret.is_form(form.get("form_token", "")):
            raise HTTPException(403, "this form is none of this page's: go back, reload, and send it again")
        return form

    def _get(self, request: Request) -> Filed:
        if not _ID.fullmatch(request.path_params["id"]):
            raise HTTPException(404, "there is no such letter")
        return self._office.get(request.path_params["id"])

    def _look(self, filters: Filters, number: int) -> tuple[list[Filed], Any]:
        found = self._office.find(filters)
        return list(islice(found, (number - 1) * PAGE, number * PAGE + 1)), self._office.stats()

    def _html(self, template: str, *, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), status)

    def _to(self, where: str, told: str) -> Response:
        return RedirectResponse(f"/{self._secret.token}/{where}?{urlencode({'told': told})}", 303)


ACTIONS: Final = ("mend", "retry", "discard")
TOLD: Final = {
    "mended": "mended: retry it to see whether it passes",
    "failed": "it failed again: see why below",
    "passed": "it passed, and its letter is closed",
    "released": "it holds no bytes: the next run tries it where it came from",
    "closed": "it was closed by somebody else meanwhile",
    "gone": "the order is not waiting in TracOS any more: discard the letter if that is right",
    "discarded": "discarded; it is kept in the archive",
}
_RETRIED: Final = re.compile(r"[0-9]+ retried: [0-9]+ passed, [0-9]+ failed again")


def _seen(letter: Letter) -> str:
    """What a form says that it was shown: a letter that somebody mends meanwhile says something else."""
    return hashlib.blake2b(letter.payload, digest_size=8).hexdigest()


def _told(request: Request) -> str:
    """What the last form did; a text that is none of ours is not repeated."""
    told = request.query_params.get("told", "")
    return told if _RETRIED.fullmatch(told) else TOLD.get(told, "")


def _filters(asked: Any) -> Filters:
    return Filters(**{name: asked.get(name) or None for name in FILTERS})


def _is_page(request: Request) -> bool:
    return request.query_params.get("page", "").isdecimal()


def _visible(text: object) -> str:
    """Text of a payload without what would hide or turn around what it says."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


def _brief(value: object) -> str:
    """A value as a list shows it: the beginning of a long one, and a sign where there is none."""
    text = "-" if value is None else str(value)
    return _visible(text if len(text) <= BRIEF else f"{text[:BRIEF]}…")


def _pieces(line: Any) -> dict[str, Any]:
    """A line in pieces, marked and not, for the template."""
    pieces, at = [], 0
    for start, end in sorted(line.marks):
        start = max(start, at)  # noqa: PLW2901 - marks may overlap
        pieces += [(line.text[at:start], False), (line.text[start:end] or " ", True)]
        at = max(end, start)
    return {"number": line.number, "pieces": [*pieces, (line.text[at:], False)]}


def _counted(run: Run) -> dict[str, Any]:
    outcomes = Counter[str]()
    for flow in run.flows:
        outcomes.update(flow.outcomes)
    return {
        "run": run,
        "read": sum(flow.read for flow in run.flows),
        "dead": sum(sum(flow.dead.values()) for flow in run.flows),
        "outcomes": outcomes,
    }


def _chart(runs: list[Run]) -> list[dict[str, Any]]:
    """A bar a run, oldest first: how much of the tallest it read, and how much of that died; in per cent."""
    counted = [_counted(run) for run in runs]
    tallest = max((one["read"] for one in counted), default=0) or 1
    return [
        {**one, "height": round(100 * one["read"] / tallest, 1), "dead_height": round(100 * one["dead"] / tallest, 1)}
        for one in counted
    ]
