"""A client of an API, asked as the chains ask it: what it pulls, what became of what it was to push."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.clients import rest_json
from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.http_connector import HttpConnector
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate
from pipeline.orders.workorder import Intent
from pipeline.translation import status_order
from pipeline.translation.codecs import Reference
from pipeline.translation.table import at
from tests.places import Vouching
from tests.scripted import serving

START = datetime(2026, 10, 1, tzinfo=UTC)


def order(number, **fields):
    moment = (START + timedelta(minutes=number)).isoformat()
    return {"id": number, "status": "NEW", "title": f"t{number}", "createdAt": moment, "updatedAt": moment} | fields


def client_of(erp, tmp_path, secrets=None, *, kind=rest_json, **options):
    """A client of ``erp``, a FakeErp or a Scripted."""
    options = {"url": erp.url, "items": "items", "retry_seconds": 5.0} | options
    return kind.connect(ClientSettings(name="north", options=options, state_dir=tmp_path, secret=(secrets or {}).get))


class Numbering:
    """A kind of client that numbers its orders itself, and keeps ours at ``externalRef``."""

    TABLE = replace(status_order.TABLE, reference=at("externalRef", Reference(as_text=True)))

    @classmethod
    def connect(cls, settings):
        return HttpConnector(settings, (cls.TABLE,), {"ids": "client"})


def born(number, title="new", *, again=False, is_new=True, **more):
    """An order of ours that the client has no number for; ``again``: it may have been told of it before."""
    body = {"status": "NEW", "createdAt": "2026-10-01T08:00:00Z", "title": title, "externalRef": str(number)}
    intent = Intent(key=f"key of {number}", at=START, is_old=again)
    return Outgoing(str(number), msgspec.json.encode(body), is_new=is_new, number=number, intent=intent, **more)


async def told(client, *orders):
    """The whole result of one batch."""
    async with client.sink() as sink:
        return await sink.write_batch([Envelope(one, Locator(one.id), raw=one.body) for one in orders])


async def pull(client, *, ack=True, fate=Fate.DELIVERED, witness=None):
    """The payloads of one pull; with ``ack`` all are settled, page by page, and meet this ``fate``."""
    found = []
    async with client.source(witness or Vouching()) as source:
        async for group in source.read():
            found += [client.parse(item.payload) for item in group]
            if ack:
                await source.settle({item.locator: fate for item in group})
    return found


def ids(found):
    return [one["id"] for one in found]


async def push(client, *orders):
    result = await told(client, *orders)
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
