"""The ERP in memory answers as the fake ERP of the tests does: the same histories end the same."""

import json
from itertools import product

import httpx
import pytest
from msgspec.structs import replace

from pipeline.testing.fake_erp import FakeErp
from pipeline.testing.habits import Habits
from tests.simulation.api import URL, HttpApi, Said
from tests.simulation.clock import runner as new_runner
from tests.simulation.draw import draw
from tests.simulation.erp import FORMS, REFERENCE, Erp
from tests.simulation.play import play
from tests.simulation.steps import Api, Edit, Fault, History, Run, Setting, alone
from tests.simulation.words import token

SEEDS = range(8)
IDS, PUSHES = ("shared", "client"), ("PATCH", "PUT")
MISSING = ("repeat", "skip", "refuse", "pause")
"""What the fake ERP has no fault for, or one of its own."""


class FakedErp(Erp):
    """The records of a fake ERP, as the people of a history edit them."""

    def __init__(self, fake, setting, clock) -> None:
        super().__init__(setting, clock)
        self.fake = fake
        self.records, self.etags = fake.orders, fake._versions

    def put(self, order_id, record) -> None:
        """A record changes, or is made."""
        number = self.etags.get(order_id, 0)
        super().put(order_id, record)
        self.etags[order_id] = number
        self.fake.put(record)


class ForwardedApi(HttpApi):
    """Has each request served by the fake ERP, over a real port."""

    def _done(self, request, order_id, faults, late, refused):
        url = self._erp.fake.url
        there = str(request.url).replace(URL, url)
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"host"]
        with httpx.Client() as client:
            got = client.request(request.method, there, content=request.content, headers=headers)
        if request.method != "GET" and got.is_success:
            self._erp.handed.add(token(json.loads(request.content).get(self._erp.form.title)))
        kept = {name: value for name, value in got.headers.items() if name.lower() in ("etag", "location")}
        return Said(got.status_code, got.content.replace(url.encode(), URL.encode()), kept)


def alike(history: History) -> History:
    """What both can do: without faults that one of them has not, and without what one of them does by a clock."""

    def sure(run: Run) -> Run:
        return replace(run, faults=tuple(one for one in run.faults if one.what not in MISSING), late=(), refused=())

    steps = (alone(step) for step in history.steps)
    api = history.setting.api
    api = replace(api, since=False, page="none" if api.page == "cursor" else api.page)
    way = "same" if history.setting.way == "cut" else history.setting.way
    setting = replace(history.setting, transport="http", stamps="told", api=api, way=way)
    return History(setting, tuple(sure(step) if isinstance(step, Run) else step for step in steps))


def fake_of(setting) -> FakeErp:
    form = FORMS[setting.layout]
    habits = Habits(
        numbers=(lambda _: f"E{len(fake.orders) + 1}") if setting.ids == "client" else None,
        answers=setting.api.answers,
        reference=REFERENCE if setting.ids == "client" else "",
        honours_keys=setting.api.keys,
        renders=() if setting.way == "same" else (setting.way,),
        texts=form.texts,
    )
    fake = FakeErp(id_key=form.id, updated_key=form.updated, habits=habits)
    return fake


def made(**setting) -> History:
    """An answer is lost, and somebody edits an order between its being read and its being told."""
    edited = Fault("erp.push", 2, "edit", Edit("erp", 0, "title", 5))
    return History(
        replace(Setting("status_order", "http", "shared", "same", "told", 0, ()), **setting),
        (
            Edit("tracos", 0, "make", 50),
            Run((Fault("erp.push", 1, "lost after"),)),
            *(Run(), Edit("tracos", 0, "title", 4), Run((replace(edited, nth=1),)), Edit("tracos", 0, "title", 6)),
            Run((Fault("erp.push", 1, "lost after"), edited)),
        ),
    )


HISTORIES = [
    *map(draw, SEEDS),
    *(made(ids=ids, api=Api(push=push, find=find)) for ids, push, find in product(IDS, PUSHES, (True, False))),
]


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES, ids=map(str, range(len(HISTORIES))))
def test_the_same_history_ends_the_same_with_the_fake_erp(history):
    history = alike(history)
    with fake_of(history.setting) as fake, new_runner() as runner:

        def faked(setting, clock):
            return FakedErp(fake, setting, clock)

        memory = runner.run(play(history, one_at_a_time=True))
        real = runner.run(play(history, one_at_a_time=True, erp=faked, api=ForwardedApi))
    assert real.ended == memory.ended
