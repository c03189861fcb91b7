"""The simulation can fail: each of these breaks of the program is found by it, and soon."""

import asyncio

import pytest
from msgspec.structs import replace

from pipeline.dataflow.messages import Envelope
from pipeline.orders import hand_over
from pipeline.tracos import batch, intents, marks, source
from tests.simulation.play import failure
from tests.simulation.steps import draw

MANY = 300
"""Seeds, from the one that found it when this was written."""


def no_guard_inbound(patch):
    patch.setattr(batch, "guard", lambda document, more=(): {"_id": document["_id"]})


def no_guard_of_marks(patch):
    patch.setattr(marks, "guard", lambda document, more=(): {"_id": document["_id"]})


def marked_before_it_is_handed_over(patch):
    read = source.TracosSource.read

    async def early(self):
        async for group in read(self):
            await self._mark_all({one.locator: one.payload for one in group if isinstance(one, Envelope)})
            yield group

    patch.setattr(source.TracosSource, "read", early)


def sent_is_ignored(patch):
    handed_over = marks.handed_over
    patch.setattr(marks, "handed_over", lambda *args, **more: replace(handed_over(*args, **more), sent=()))


def the_intent_is_forgotten(patch):
    async def nothing_made_known(self, found):
        return list(found), {}

    patch.setattr(intents.Intents, "made_known", nothing_made_known)


def an_echo_is_taken_for_an_edit(patch):
    patch.setattr(hand_over, "is_rendering", lambda field, ours, theirs: False)


def what_gives_way_is_not_told(patch):
    decide = batch.decide
    patch.setattr(batch, "decide", lambda *args, **more: replace(decide(*args, **more), lost=()))


def an_edit_meanwhile_is_marked_too(patch):
    patch.setattr(marks, "guard", lambda document, more=(): marks.guard_rev(document))


BREAKS = {
    no_guard_inbound: 332,
    no_guard_of_marks: 2760,
    marked_before_it_is_handed_over: 1,
    sent_is_ignored: 12,
    the_intent_is_forgotten: 1848,
    an_echo_is_taken_for_an_edit: 2,
    what_gives_way_is_not_told: 1,
    an_edit_meanwhile_is_marked_too: 2760,
}
"""Each with the first seed that finds it; told anew by ``python -m tests.simulation.test_breaks``."""


def found(seeds):
    """The first seed whose history fails, and why."""
    with asyncio.Runner() as runner:
        return next(((seed, why) for seed in seeds if (why := runner.run(failure(draw(seed))))), None)


@pytest.mark.parametrize(("break_it", "first"), BREAKS.items())
def test_a_break_is_found(break_it, first, monkeypatch):
    break_it(monkeypatch)
    broken = found(range(first, first + MANY))
    assert broken is not None
    monkeypatch.undo()
    assert found(range(broken[0], broken[0] + 1)) is None


if __name__ == "__main__":
    for broken in BREAKS:
        with pytest.MonkeyPatch.context() as patched:
            broken(patched)
            print(broken.__name__, found(range(3000)))  # noqa: T201 - it is run to be read
