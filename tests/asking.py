"""A client of an API, asked as the chains ask it: what it pulls, what became of what it was to push."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clients import rest_json
from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope
from tests.places import Vouching, deliver_all
from tests.scripted import serving

START = datetime(2026, 10, 1, tzinfo=UTC)


def order(number, **fields):
    moment = (START + timedelta(minutes=number)).isoformat()
    return {"id": number, "status": "NEW", "title": f"t{number}", "createdAt": moment, "updatedAt": moment} | fields


def client_of(erp, tmp_path, secrets=None, *, kind=rest_json, **options):
    """A client of ``erp``, a FakeErp or a Scripted."""
    options = {"url": erp.url, "items": "items", "retry_seconds": 5.0} | options
    return kind.connect(ClientSettings(name="north", options=options, state_dir=tmp_path, secret=(secrets or {}).get))


async def pull(client, *, ack=True, witness=None):
    """The payloads of one pull; with ``ack`` all are settled, page by page."""
    found = []
    async with client.source(witness or Vouching()) as source:
        async for group in source.read():
            found += [client.parse(item.payload) for item in group]
            if ack:
                await deliver_all(source, group)
    return found


def ids(found):
    return [one["id"] for one in found]


async def push(client, *orders):
    items = [Envelope(one, Locator(one.id), raw=one.body) for one in orders]
    async with client.sink() as sink:
        result = await sink.write_batch(items)
    if result.stop is not None:
        raise result.stop
    return result.outcomes


def outgoing(number, title="new", **more):
    return Outgoing(str(number), b'{"id": %d, "title": "%s"}' % (number, title.encode()), **more)


@pytest.fixture
def serve():
    """``serve(function)``: a server whose answers the function gives, open until the test ends."""
    opened = []

    def start(answer, certificate=None):
        context = serving(answer, certificate)
        opened.append(context)
        return context.__enter__()

    yield start
    for context in opened:
        context.__exit__(None, None, None)
