"""Clients with one fault each: the conformance suite must tell every one of them, by the test that is named."""

import inspect
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request, urlopen

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.clients.csv_folder import CsvFolder
from pipeline.clients.erp_json import ErpJson
from pipeline.clients.http_connector import HttpConnector
from pipeline.clients.json_connector import Checked, JsonConnector
from pipeline.dataflow.messages import BatchResult, Fate, Outcome
from pipeline.testing import ClientUnderTest, Habits, HttpStand, conformance, conformance_ends, conformance_faults
from pipeline.translation import status_order
from pipeline.translation.engine import layout_of
from pipeline.translation.json import dump
from pipeline.transports.folder.csv_rows import write_row
from pipeline.transports.folder.sink import FolderSink
from pipeline.transports.folder.source import FolderSource
from pipeline.transports.http.sink import HttpSink
from tests.testing.test_conformance import OURS, STATUS

ZONES = "test_times_are_read_and_told_in_the_clients_zone"
ORDER = "test_the_source_keeps_the_order_of_its_records"
ONCE = "test_the_source_gives_each_place_once_and_forgets_what_is_settled"
AGAIN = "test_what_is_not_done_with_is_given_again"
THERE = "test_what_is_told_is_there"
IDEMPOTENT = "test_the_sink_is_idempotent"
DRY = "test_a_dry_run_changes_nothing"
ERASED = "test_what_it_does_not_know_is_not_erased"
FAILS = "test_a_push_that_fails_is_told_once"
REMOVED = "test_an_order_that_was_removed_there_is_not_said_to_be_sent"


def changed(kind, **methods):
    """An end of ``kind`` with other methods, made from one that a client has made."""
    other = type(f"Wrong{kind.__name__}", (kind,), methods)

    def make(end):
        end.__class__ = other
        return end

    return make


def folder(*, reads=None, sink=None, **methods):
    """A client of JSON files with other ends or methods."""
    if reads:
        methods["source"] = lambda self, *witness: reads(ErpJson.source(self, *witness))
    if sink:
        methods["sink"] = lambda self: sink(ErpJson.sink(self))
    return ClientUnderTest(connect=type("Wrong", (ErpJson,), methods), samples=OURS["erp_json"].samples)


def api(*, sink=None, presets=None, stand=HttpStand, **methods):
    """A client of an API with another sink, options or methods."""
    if sink:
        methods["sink"] = lambda self: sink(HttpConnector.sink(self))
    kind = type("Wrong", (HttpConnector,), methods)
    return ClientUnderTest(
        connect=lambda settings: kind(settings, (status_order.LAYOUT,), presets or {}), samples=STATUS, stand=stand
    )


def numbering(**more):
    """A client of an API that numbers its orders itself, with another sink, options or methods."""
    habits = Habits(numbers=lambda count: 400000 + count)
    return api(presets={"ids": "client"}, stand=lambda: HttpStand(habits=habits), **more)


async def inventing(self, items):
    """Makes nothing, and has an id for everything."""
    return BatchResult(
        [Outcome.SENT] * len(items), called={number: item.payload.id for number, item in enumerate(items)}
    )


def naming(call):
    """A sink that says other ids of new orders."""

    async def write_batch(self, items):
        result = await HttpSink.write_batch(self, items)
        return replace(result, called=call(result.called))

    return changed(HttpSink, write_batch=write_batch)


def without_keys(sink):
    """Tells again of what was lost, and nobody can see that it does."""
    send = sink._api.send

    async def bare(*what, headers=None, **more):
        headers = {name: value for name, value in (headers or {}).items() if name != "Idempotency-Key"}
        return await send(*what, headers=headers, **more)

    sink._api.send = bare
    return sink


def twice(sink):
    """Has each new order made under two keys."""
    send = sink._push.send

    async def again(item, *more):
        intent = replace(item.payload.intent, key="another " + item.payload.intent.key)
        await send(replace(item, payload=replace(item.payload, intent=intent)), *more)
        return await send(item, *more)

    sink._push.send = again
    return sink


def unread(sink):
    """PUTs what is told, and nothing that was there."""

    async def shown(order, url, patience):
        return SimpleNamespace(body=order.body, etag="")

    sink._push._shown = shown
    return sink


def content_with_all(sink):
    """Says SENT of what was refused."""

    async def write_batch(self, items):
        result = await HttpSink.write_batch(self, items)
        return replace(result, outcomes=[Outcome.SENT] * len(items))

    return changed(HttpSink, write_batch=write_batch)(sink)


def dropping(kind, drops):
    """A sink that leaves out what ``drops`` says of its count, and says SENT of all."""
    count = 0

    async def write_batch(self, items):
        nonlocal count
        kept = []
        for item in items:
            count += 1
            kept += [] if drops(count) else [item]
        result = await kind.write_batch(self, kept)
        assert set(result.outcomes) <= {Outcome.SENT}
        return BatchResult([Outcome.SENT] * len(items))

    return changed(kind, write_batch=write_batch)


def shifting():
    """Writes in each order's place what belongs to the next."""

    async def write_batch(self, items):
        bodies = [item.payload.body for item in items]
        items = [
            replace(item, payload=replace(item.payload, body=body))
            for item, body in zip(items, bodies[1:] + bodies[-1:], strict=True)
        ]
        return await FolderSink.write_batch(self, items)

    return changed(FolderSink, write_batch=write_batch)


def reading(change):
    """A source whose groups ``change`` makes others of."""

    async def read(self):
        async for group in FolderSource.read(self):
            yield change(group)

    return changed(FolderSource, read=read)


def touching(do):
    """A source that does something to the client's system, or beside its state, while it is read."""

    async def read(self):
        do(self)
        async for group in FolderSource.read(self):
            yield group

    return changed(FolderSource, read=read)


def settling(change):
    """A source that is told other fates."""

    async def settle(self, fates):
        await FolderSource.settle(self, change(fates))

    return changed(FolderSource, settle=settle)


def without_arrival(group):
    """Backwards, and nobody can see it by the arrival."""
    return [replace(item, arrival=other.arrival) for item, other in zip(reversed(group), group, strict=True)]


def only_first_last(group):
    return [*group[1:], *group[:1]]


def touch_all(source):
    for path in source._directory.iterdir():
        path.touch()


def delete_one(source):
    next(source._directory.iterdir(), source._directory / "x").unlink(missing_ok=True)


def rename_and_back(source):
    for path in source._directory.iterdir():
        path.rename(path.with_suffix(".taken")).rename(path)


def in_utc(self, data):
    layout = self.recognise(data)
    return Checked(layout, layout.validate(data, UTC))


def told_locally(self, record):
    """Says times of the client's zone without a zone, to a system that it reads in UTC."""
    out = ErpJson.from_record(self, record)
    body = msgspec.json.decode(out.body)
    for key in ("createdAt", "updatedAt", "creationDate", "lastUpdateDate"):
        if key in body:
            moment = datetime.fromisoformat(body[key]).astimezone(self.timezone)
            body[key] = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return replace(out, body=dump(body))


def told_in_utc_without_saying_so(self, record):
    out = ErpJson.from_record(self, record)
    return replace(out, body=re.sub(rb'(\d\d:\d\d:\d\d\.\d\d\d)Z"', rb'\1"', out.body))


def with_nothing_of(key):
    def from_record(self, record):
        out = HttpConnector.from_record(self, record)
        return replace(out, body=msgspec.json.encode(msgspec.json.decode(out.body) | {key: None}))

    return from_record


def writes_beside_its_state(client, *witness):
    (client.settings.state_dir.parent / "note").write_text("seen")
    return ErpJson.source(client, *witness)


def writes_here(client, *witness):
    Path("data/state").mkdir(parents=True, exist_ok=True)
    return ErpJson.source(client, *witness)


def tells_it_is_read(client, *witness):
    with urlopen(Request(f"{client.options.url}/0", b"{}", method="PATCH")):
        return HttpConnector.source(client, *witness)


def is_made(client, settings):
    ErpJson.__init__(client, settings)
    (client._folders.inbound_dir / "mine.lock").touch()


class KeepsAll(FolderSource):
    """Remembers what it was told."""

    async def settle(self, fates):
        await super().settle(fates)
        self.told = [*getattr(self, "told", ()), *fates]

    @property
    def pending(self):
        return super().pending + len(getattr(self, "told", ()))


def keep_all(end):
    end.__class__ = KeepsAll
    return end


def csv_in_utc(client, data):
    layout = client.recognise(data)
    return Checked(layout, layout.validate(data, UTC))


def csv_told_in_utc(client, record):
    """Says times in UTC, and reads them so: where people of another place read them, they are wrong."""
    out = JsonConnector.from_record(client, record)
    told = layout_of(client._form.table, UTC).to_json(record)
    return replace(out, body=write_row(msgspec.json.decode(told), client._form))


def rows(**methods):
    return replace(OURS["csv_folder"], connect=type("Wrong", (CsvFolder,), methods))


MUTANTS = {
    "writes nothing": (folder(sink=dropping(FolderSink, lambda count: True)), THERE),
    "writes nothing, once": (folder(sink=dropping(FolderSink, lambda count: True)), IDEMPOTENT),
    "writes nothing to the API": (api(sink=dropping(HttpSink, lambda count: True)), THERE),
    "drops one in a hundred": (folder(sink=dropping(FolderSink, lambda count: count % 100 == 50)), THERE),
    "drops one in a hundred pushes": (api(sink=dropping(HttpSink, lambda count: count % 100 == 50)), THERE),
    "writes each in the place of another": (folder(sink=shifting()), THERE),
    "reads backwards": (folder(reads=reading(lambda group: list(reversed(group)))), ORDER),
    "reads backwards in secret": (folder(reads=reading(without_arrival)), ORDER),
    "reads the first last": (folder(reads=reading(only_first_last)), ORDER),
    "leaves out one in a hundred": (folder(reads=reading(lambda group: group[:50] + group[51:])), ORDER),
    "reads the last two the other way": (folder(reads=reading(lambda group: [*group[:-2], *group[:-3:-1]])), ORDER),
    "deletes while it reads": (folder(reads=touching(delete_one)), DRY),
    "touches while it reads": (folder(reads=touching(touch_all)), DRY),
    "renames and renames back": (folder(reads=touching(rename_and_back)), DRY),
    "writes beside its state": (folder(source=writes_beside_its_state), DRY),
    "writes where it runs": (folder(source=writes_here), DRY),
    "writes when it is made": (folder(__init__=is_made), DRY),
    "tells the API that it reads": (api(source=tells_it_is_read), DRY),
    "keeps what is settled": (folder(reads=keep_all), ONCE),
    "erases one field": (api(from_record=with_nothing_of("priority")), ERASED),
    "erases by PUT": (api(presets={"push": "PUT"}, sink=unread), ERASED),
    "makes nothing": (numbering(sink=dropping(HttpSink, lambda count: True)), THERE),
    "makes nothing, once": (numbering(sink=dropping(HttpSink, lambda count: count > 3)), IDEMPOTENT),
    "makes nothing and names it": (numbering(sink=changed(HttpSink, write_batch=inventing)), THERE),
    "says no ids": (numbering(sink=naming(lambda called: {})), THERE),
    "says each the id of another": (
        numbering(sink=naming(lambda called: dict(zip(called, reversed([*called.values()]), strict=True)))),
        THERE,
    ),
    "makes each twice": (numbering(sink=twice), THERE),
    "makes what was lost twice": (numbering(sink=without_keys), FAILS),
    "says SENT of what was removed": (api(sink=content_with_all), REMOVED),
    "reads in UTC": (folder(validate=in_utc), ZONES),
    "tells local times and reads them in UTC": (folder(validate=in_utc, from_record=told_locally), ZONES),
    "reads rows in UTC": (rows(validate=csv_in_utc), ZONES),
    "reads and tells rows in UTC": (rows(validate=csv_in_utc, from_record=csv_told_in_utc), ZONES),
    "tells rows in UTC": (rows(from_record=csv_told_in_utc), ZONES),
    "tells times of UTC without a zone": (folder(from_record=told_in_utc_without_saying_so), ZONES),
}
for fate in Fate:
    forgets = settling(lambda fates, lost=fate: {one: fate for one, fate in fates.items() if fate is not lost})
    MUTANTS[f"forgets {fate}"] = (folder(reads=forgets), ONCE)
MUTANTS["takes what is put off as done"] = (
    folder(reads=settling(lambda fates: dict.fromkeys(fates, Fate.DELIVERED))),
    AGAIN,
)


def run(name, under_test, tmp_path, monkeypatch):
    """The test ``name`` of the suite, with all that its parameters may be."""
    test = getattr(conformance, name)
    given = {"under_test": under_test, "monkeypatch": monkeypatch}
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    (argument, values) = marks[0].args if marks else (None, [None])
    for number, value in enumerate(values):
        given |= {"tmp_path": tmp_path / str(number), argument: value}
        given["tmp_path"].mkdir()
        test(**{name: given[name] for name in inspect.signature(test).parameters})


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_client_with_a_fault_does_not_pass(mutant, tmp_path, monkeypatch):
    under_test, name = MUTANTS[mutant]
    with pytest.raises(AssertionError):
        run(name, under_test, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", sorted({name for _, name in MUTANTS.values()}))
def test_the_same_clients_without_a_fault_pass(name, tmp_path, monkeypatch):
    """So that it is the fault that the suite tells, and not how these clients are made."""
    can_fail = [api(presets={"push": "PATCH"}), numbering()]
    clients = can_fail if name in {FAILS, REMOVED} else [folder(), *can_fail, rows()]
    for number, under_test in enumerate(clients):
        home = tmp_path / f"right {number}"
        home.mkdir()
        run(name, under_test, home, monkeypatch)


def test_the_suite_names_all_its_tests():
    found = {name for name in dir(conformance) if name.startswith("test_")}
    assert found == {name for name in conformance.__all__ if name.startswith("test_")}
    ends = {name for name in dir(conformance_ends) if name.startswith("test_")}
    assert ends < found
    faults = {name for name in dir(conformance_faults) if name.startswith("test_")}
    assert faults < found
