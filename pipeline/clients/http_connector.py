"""A client that is a JSON API: its layouts are a module's own, everything else is told by its options."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.json_connector import JsonConnector
from pipeline.dataflow.messages import Envelope, Unreadable
from pipeline.dataflow.ports import NOTHING_IS_SURE, BatchSink, Source, Witness
from pipeline.errors import PipelineError, WrongSettings, WrongUsage
from pipeline.finding import Finding
from pipeline.orders.workorder import ExternalId, Record, WorkOrder, id_key
from pipeline.translation.layout import Layout
from pipeline.translation.table import Table
from pipeline.translation.times import happened
from pipeline.transports.http.absence import Removed
from pipeline.transports.http.addresses import LOOPBACK
from pipeline.transports.http.api import Api, Away
from pipeline.transports.http.auth import auth_of
from pipeline.transports.http.limits import breaker_of
from pipeline.transports.http.listing import first_request
from pipeline.transports.http.options import HttpOptions
from pipeline.transports.http.pages import read_page
from pipeline.transports.http.sample import read_saved
from pipeline.transports.http.sink import HttpSink
from pipeline.transports.http.source import HttpSource
from pipeline.transports.http.state import State

__all__ = ["HttpConnector"]

ADDED: Final = ("params", "order_params", "headers", "push_headers", "update_headers")
"""Options whose entries are added to the presets; one of the same name, in whatever case, replaces it."""

SKEW: Final = timedelta(seconds=60)
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class HttpConnector(JsonConnector):
    """Reads and tells orders over HTTP; ``presets`` are options that hold where the settings say nothing else.

    ``options`` may be a kind with options of its own.
    """

    def __init__(
        self,
        settings: ClientSettings,
        layouts: tuple[Table | Layout[Any], ...],
        presets: Mapping[str, Any] = NOTHING,
        options: type[HttpOptions] = HttpOptions,
    ) -> None:
        super().__init__(settings, layouts)
        try:
            self.options = _with_presets(settings, presets).read(options)
            self._credentials = auth_of(self.options.auth, settings.reveal)
        except WrongSettings as error:
            own = (line if line.startswith(f"{self.name}: ") else f"{self.name}: {line}" for line in error.problems)
            raise WrongSettings(own) from error
        self.ids = self.options.ids
        if self.options.find and not any(layout.has_reference for layout in self.layouts.values()):
            raise WrongSettings([f"{self.name}: find: its layout has no reference: say where our number stands there"])
        self._state = State(settings.state_dir / f"{self.name}.sqlite3")

    def source(self, witness: Witness = NOTHING_IS_SURE) -> Source[bytes]:
        """The list of orders."""
        since = self.settings.since
        return HttpSource(self._api(), self.options, self._state, self.identify, self.moment, witness, since)

    def sink(self) -> BatchSink[Outgoing]:
        """Where orders are told."""
        return HttpSink(self._api(), self.options, self._state, self.ids_in, self.read)

    def set_since(self, time: datetime) -> None:
        """Take what changed before ``time`` as read; raises WrongUsage where the list is read whole each time."""
        if not self.options.since_param:
            raise WrongUsage(f"{self.name}: its list is read whole each time, because it has no since_param")
        asyncio.run(self._set_since(time))

    def erase(self, ids: Collection[ExternalId]) -> int:
        """Remove what is remembered of the order."""
        return asyncio.run(self._erase([str(one) for one in ids]))

    @property
    def is_left_alone(self) -> bool:
        """Whether the circuit breaker of its host is open."""
        return breaker_of(urlsplit(self.options.url).netloc).is_open

    def check(self) -> Sequence[Finding]:
        """Whether the list answers, in our words, at the right time, and without letting others listen."""
        parts = urlsplit(self.options.url)
        findings = asyncio.run(self._examine())
        if self.options.auth is not None and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            findings.append(Finding("encryption", "warning", "credentials go over plain http", "use https"))
        return findings

    def sample(self, file: Path) -> Iterator[Envelope[bytes] | Unreadable]:
        """The orders of an answer that was saved."""
        return read_saved(file, self.options, lambda body: bool(self.ids_in(body)))

    def read(self, raw: bytes) -> Record:
        """One order in canonical words; raises Rejected for what is none."""
        return self.to_record(self.validate(self.parse(raw)))

    def parse(self, raw: bytes) -> Any:
        """The JSON object in ``raw``; of an order that was removed, its record."""
        if not isinstance(raw, Removed):
            return super().parse(raw)
        gone = id_key(raw.decode())
        return Record(order=WorkOrder(number=gone, deleted=True), external_id=gone, layout=self.default_layout)

    def ids_in(self, raw: bytes) -> Sequence[ExternalId]:
        """All that may be the order's id; of an order that was removed, what it was called by."""
        return [id_key(raw.decode())] if isinstance(raw, Removed) else super().ids_in(raw)

    def is_ours(self, data: Any) -> bool:
        """Whether an object may be an order of this client; one that was removed was."""
        return isinstance(data, Record) or super().is_ours(data)

    def validate(self, data: Any) -> Any:
        """The record, checked."""
        return data if isinstance(data, Record) else super().validate(data)

    def to_record(self, checked: Any) -> Record:
        """The record in canonical words."""
        return checked if isinstance(checked, Record) else super().to_record(checked)

    def moment(self, said: Any) -> datetime | None:
        """The time that a record shows, read as the layouts read it; None where it is none."""
        try:
            return happened(said, self.timezone) if isinstance(said, str) else None
        except ValueError:
            return None

    async def _erase(self, ids: Sequence[str]) -> int:
        async with self._state:
            return await self._state.erase(ids)

    async def _set_since(self, time: datetime) -> None:
        async with self._state:
            await self._state.set_watermark(self.options.url, time)

    def _api(self) -> Api:
        return Api(self.name, self.options, self._credentials)

    async def _examine(self) -> list[Finding]:
        patient = replace(self.options, attempts=1, page_size=1)
        request = first_request(patient, None)
        try:
            async with Api(self.name, patient, self._credentials) as api:
                answer = await api.send("GET", request.url, params=request.params)
                page = read_page(answer, self.options)
        except (Away, PipelineError, ValueError) as error:
            return [Finding("API", "problem", str(error), "see the client's options")]
        findings = [Finding("API", "ok", f"{api.host} answers, {len(page.items)} orders in a page of one")]
        if answer.date is not None and abs(datetime.now(UTC) - answer.date) > SKEW:
            apart = abs(datetime.now(UTC) - answer.date).total_seconds()
            findings.append(Finding("API's clock", "warning", f"is {apart:.0f} s off ours", "set them by NTP"))
        return findings


def _with_presets(settings: ClientSettings, presets: Mapping[str, Any]) -> ClientSettings:
    """The settings with ``presets`` below them."""
    options = dict(settings.options)
    for key in ADDED:
        preset, said = presets.get(key), options.get(key)
        if preset and isinstance(said, Mapping):
            names = {str(name).lower() for name in said}
            options[key] = {name: value for name, value in preset.items() if name.lower() not in names} | dict(said)
    return replace(settings, options=options, defaults={**settings.defaults, **presets})
