"""The dead letters: found, looked into, mended, retried and given up."""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, ParamSpec
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pipeline.deadletters import DeadLetterOffice, Filed, Filters, Letter
from pipeline.deadletters.pointer import lines_around, locate, readable
from pipeline.deadletters.shelf import OnShelf
from pipeline.disk import in_thread
from pipeline.errors import Fatal, Reason, WrongUsage
from pipeline.history.journal import Run
from pipeline.service.mending import check_of
from pipeline.service.replay import Retried
from pipeline.web.differing import differing
from pipeline.web.site import Site, told
from pipeline.web.words import counted

__all__ = ["Letters"]

P = ParamSpec("P")

PAGE: Final = 50
GROUPS: Final = 20
NAMES: Final = ("flow", "client", "stage", "reason")
ACTIONS: Final = ("check", "mend", "retry", "discard")
TRIES: Final = 10
TRY_SECONDS: Final = 0.3
"""How often, and after how long, it is looked whether a flow's folder is free."""
_ID: Final = re.compile(r"[0-9a-f]{10}")


class Letters:
    """The pages of the dead letters, and what their forms do."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._office = DeadLetterOffice(site.settings.data_dead_letter_dir, site.by)
        self._retrying = asyncio.Lock()

    async def show(self, request: Request) -> Response:
        """Those that are asked for: by what is known against them, and one by one, the last seen first."""
        asked = request.query_params
        shelf, run = await self._site.known.letters(), await self._run(asked.get("run", ""))
        found = _like(shelf, _filters(asked), run)
        page = max(1, int(asked["page"][:6])) if asked.get("page", "").isdecimal() else 1
        query = {name: value for name in (*NAMES, "run") if (value := asked.get(name))}
        return self._site.html(
            "letters.html",
            place="letters",
            told=told(request),
            shelf=shelf,
            groups=shelf.groups[:GROUPS] if not query else (),
            found=len(found),
            letters=found[(page - 1) * PAGE : page * PAGE],
            asked=asked,
            query=urlencode(query),
            run=run,
            page=page,
            pages=-(-len(found) // PAGE),
        )

    async def _run(self, wanted: str) -> Run | None:
        if not wanted:
            return None
        runs, _ = await self._site.known.runs()
        run = next((run for run in runs if run.run == wanted), None)
        if run is None:
            raise HTTPException(404, "this run is not among the newest ones")
        return run

    async def ask_retry(self, request: Request) -> Response:
        """Ask whether all letters like these are to be retried, however many that are."""
        return self._asked(await self._site.known.letters(), request.query_params)

    def _asked(self, shelf: OnShelf, asked: Mapping[str, str], said: str = "") -> Response:
        found = _like(shelf, _filters(asked), None)
        query = {name: value for name in NAMES if (value := asked.get(name))}
        return self._site.html(
            "retry.html",
            place="letters",
            told=said,
            count=len(found),
            unread=shelf.unread,
            query=query,
            back=urlencode(query),
            examples=found[:5],
            status=409 if said else 200,
        )

    async def retry_all(self, request: Request) -> Response:
        """Retry all letters like these, if they are as many as the person was told."""
        form = await self._site.form(request)
        filters, shelf = _filters(form), await self._site.known.letters()
        count = len(_like(shelf, filters, None))
        if form.get("count") != str(count):
            return self._asked(shelf, form, f"There are {counted(count, 'letter')} by now: nothing was done yet.")
        done = await self._retry(filters)
        said = f"{done.tried:,} retried: {done.passed:,} passed, {done.failed:,} failed again"
        return self._site.to("letters", said)

    async def one(self, request: Request) -> Response:
        """One letter."""
        return self._shown(await in_thread(self._get, request), told=told(request))

    def _shown(
        self,
        filed: Filed,
        *,
        told: str,
        text: str | None = None,
        checked: tuple[str, Sequence[Reason]] | None = None,
        status: int = 200,
    ) -> Response:
        """The page of a letter; with ``text`` in its form, where that was not kept, and what was ``checked`` of it."""
        letter = filed.letter
        payload, original = readable(letter.payload), readable(letter.raw)
        marks = [locate(letter.payload, reason) for reason in letter.reasons]
        written = payload if text is None else text
        return self._site.html(
            "letter.html",
            place="letters",
            filed=filed,
            letter=letter,
            reasons=list(zip(letter.reasons, marks, strict=True)),
            lines=[_pieces(line) for line in lines_around(letter.payload, [mark for mark in marks if mark], context=4)],
            payload=payload,
            text=written,
            is_kept=text is None,
            checked=checked,
            changes=differing(original, written.replace("\r\n", "\n")) if _is_mended(letter, text) else [],
            seen=_seen(letter),
            may_mend=letter.flow.endswith(".inbound") and bool(letter.raw),
            told=told,
            status=status,
        )

    async def act(self, request: Request) -> Response:
        """Check, mend, retry or discard one letter; what the form holds is never lost, whatever is in the way."""
        form = await self._site.form(request)
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
            return self._site.html("refused.html", status=status, says=str(error), text=text)
        is_kept = readable(now.letter.payload).split() == text.split()
        said = str(error) if is_kept else f"what you wrote is not kept yet: {error}"
        return self._shown(now, told=said, text=text, status=status)

    async def _done(self, action: str, filed: Filed, form: Mapping[str, str]) -> Response:
        if action == "discard":
            await _patiently(self._office.discard, filed, form.get("because", ""))
            return self._site.to("letters", "discarded")
        text = form.get("payload", "").replace("\r\n", "\n")  # what browsers make of every line's end
        if b"\r\n" in filed.letter.raw:
            text = text.replace("\n", "\r\n")
        if action == "check":
            is_same = form.get("payload") == form.get(
                "shown"
            )  # then the very bytes count, whatever browsers make of them
            checked = await in_thread(self._check, filed, filed.letter.payload if is_same else text.encode())
            return self._shown(filed, told="", text=form.get("payload", ""), checked=checked)
        if action == "mend" or ("payload" in form and form["payload"] != form.get("shown")):
            await _patiently(self._mend, filed, text)
        if action == "mend":
            return self._site.to(f"letters/{filed.id}", "mended")
        done = await self._retry(filed.id)
        if done.failed:
            return self._site.to(f"letters/{filed.id}", "failed")
        how = ("passed", "released", "closed")
        return self._site.to("letters", next((one for one in how if getattr(done, one)), "gone"))

    def _check(self, filed: Filed, payload: bytes) -> tuple[str, Sequence[Reason]]:
        return check_of(self._site.settings, filed)(payload)

    def _mend(self, filed: Filed, text: str) -> None:
        self._office.mend(filed, text, check_of(self._site.settings, filed))

    async def _retry(self, which: str | Filters) -> Retried:
        async with self._retrying:
            return await self._site.doors.retry(which)

    def _get(self, request: Request) -> Filed:
        if not _ID.fullmatch(request.path_params["id"]):
            raise HTTPException(404, "there is no such letter")
        return self._office.get(request.path_params["id"])


async def _patiently(do: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Do what needs a flow's folder; whoever has it, as a service's pass has for a moment, is waited for a little."""
    for _ in range(TRIES - 1):
        try:
            await in_thread(do, *args, **kwargs)
        except WrongUsage:
            raise
        except Fatal:
            await asyncio.sleep(TRY_SECONDS)
        else:
            return
    await in_thread(do, *args, **kwargs)


def _filters(asked: Any) -> Filters:
    return Filters(**{name: asked.get(name) or None for name in NAMES})


def _like(shelf: OnShelf, filters: Filters, run: Run | None) -> Sequence[Filed]:
    """The letters that all of this holds of; with ``run`` those that it met."""
    now = datetime.now(UTC)
    if filters == Filters() and run is None:
        return shelf.letters
    return [filed for filed in shelf.letters if filters.hold(filed.letter, now) and (run is None or _met(run, filed))]


def _met(run: Run, filed: Filed) -> bool:
    """Whether a letter was first or last seen while a run was under way; its end is told to the second."""
    end = run.ended or run.told
    clients = {flow.client for flow in run.flows}
    times = (filed.letter.first_seen, filed.letter.last_seen)
    return filed.letter.client in clients and any(
        run.began <= time and (end is None or time <= end + timedelta(seconds=1)) for time in times
    )


def _is_mended(letter: Letter, text: str | None) -> bool:
    return letter.mended is not None or text is not None


def _seen(letter: Letter) -> str:
    """What a form says that it was shown: a letter that somebody mends meanwhile says something else."""
    return hashlib.blake2b(letter.payload, digest_size=8).hexdigest()


def _pieces(line: Any) -> dict[str, Any]:
    """A line in pieces, marked and not, for the template."""
    pieces, at = [], 0
    for start, end in sorted(line.marks):
        start = max(start, at)  # noqa: PLW2901 - marks may overlap
        pieces += [(line.text[at:start], False), (line.text[start:end] or " ", True)]
        at = max(end, start)
    return {"number": line.number, "pieces": [*pieces, (line.text[at:], False)]}
