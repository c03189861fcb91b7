"""The simulation can fail: each of these breaks of the program is found by it, and soon."""

import pytest
from msgspec.structs import replace

from pipeline.dataflow.messages import Envelope, Fate, Outcome
from pipeline.deadletters import folder
from pipeline.orders import hand_over, merge
from pipeline.service.lanes import driver, wire
from pipeline.tracos import batch, intents, lease, marks, source, witness
from pipeline.transports.folder import settled
from pipeline.transports.http import sink as http_sink
from pipeline.transports.http import state, watermark
from tests.simulation.clock import runner as new_runner
from tests.simulation.draw import draw
from tests.simulation.play import failure
from tests.simulation.steps import Api, Edit, Fault, History, Post, Run, Setting, Wait

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


def no_letter_is_written(patch):
    async def nothing(self, letters):
        pass

    patch.setattr(folder.DeadLetterFolder, "write", nothing)


def no_letter_is_resolved(patch):
    async def nothing(self, delivered):
        pass

    patch.setattr(folder.DeadLetterFolder, "resolve", nothing)


def letters_of_what_waits_no_more_stay(patch):
    async def nothing(self):
        pass

    patch.setattr(folder.DeadLetterFolder, "close_unseen", nothing)


def an_unconfirmed_write_counts_as_one_that_missed(patch):
    unmoved = batch.BatchMerge.unmoved

    def counted(self, found):
        keys = unmoved(self, found)
        self._missed.update(keys)
        return keys

    patch.setattr(batch.BatchMerge, "unmoved", counted)


def the_client_is_told_what_it_showed(patch):
    patch.setattr(merge, "_client_holds", lambda *args: False)


def a_file_is_put_away_with_what_is_left_for_later(patch):
    patch.setattr(settled.Settled, "_count", _count_without_deferred(settled.Settled._count))


def _count_without_deferred(count):
    def counted(self, fates):
        return count(self, {one: Fate.SKIPPED if fate is Fate.DEFERRED else fate for one, fate in fates.items()})

    return counted


def the_index_of_files_is_believed_whatever_tracos_says(patch):
    async def hold(self, proofs):
        return list(proofs)

    patch.setattr(witness.TracosWitness, "hold", hold)


def an_etag_is_not_heeded(patch):
    async def unknown(self, ids):
        return {}

    patch.setattr(state.State, "etags", unknown)


def what_is_left_is_not_asked_for_again(patch):
    settle = watermark.Watermark.settle

    def settled_all(self, fates):
        settle(self, dict.fromkeys(fates, Fate.DELIVERED))

    patch.setattr(watermark.Watermark, "settle", settled_all)


def a_refusal_is_taken_for_a_yes(patch):
    patch.setattr(http_sink, "verdict", lambda *args: Outcome.SENT)


def a_lease_is_believed_for_ever(patch):
    async def believed(self):
        pass

    patch.setattr(lease.Lease, "confirm", believed)


def a_lease_is_taken_from_whoever_lives(patch):
    patch.setattr(lease, "_is_gone", lambda holder: True)


def a_group_that_was_lost_counts_as_done(patch):
    done = driver.Driver._done

    class Gone(Exception):
        pass

    def lose(self, *args):
        raise Gone

    async def once(self, deal, keys):
        try:
            return await done(self, deal, keys)
        except Gone:
            outcomes = dict.fromkeys(range(len(deal.payloads)), Outcome.CREATED)
            return wire.Done(deal.number, outcomes, [], [], [], {}, [], None)

    patch.setattr(driver.Driver, "_lose", lose)
    patch.setattr(driver.Driver, "_done", once)


PLAIN = Setting("status_order", "list", "shared", "same", "own", 0, ())

BREAKS = {
    no_guard_inbound: 415,
    no_guard_of_marks: 833,
    an_edit_meanwhile_is_marked_too: 833,
    marked_before_it_is_handed_over: 5,
    sent_is_ignored: 4,
    an_echo_is_taken_for_an_edit: 3,
    what_gives_way_is_not_told: 7,
    no_letter_is_written: 8,
    no_letter_is_resolved: 19,
    the_client_is_told_what_it_showed: 1,
    a_file_is_put_away_with_what_is_left_for_later: 151,
    the_index_of_files_is_believed_whatever_tracos_says: 33,
    a_refusal_is_taken_for_a_yes: 5,
}
"""Each with the first seed that finds it; told anew by ``python -m tests.simulation.test_breaks``."""

LEASES = {
    a_lease_is_believed_for_ever: 342,
    a_lease_is_taken_from_whoever_lives: 2,
}
"""The same, of what is played under leases."""

LANES = {
    a_group_that_was_lost_counts_as_done: 566,
}
"""The same, of what is played in lanes."""


MADE = {
    letters_of_what_waits_no_more_stay: History(
        PLAIN,
        (
            Edit("tracos", 0, "make", 50),
            Run((Fault("erp.push", 1, "refuse"),)),
            Edit("tracos", 0, "more", 4),
            Run((Fault("erp.push", 1, "lost after"),)),
        ),
    ),
    an_unconfirmed_write_counts_as_one_that_missed: History(
        replace(PLAIN, transport="folders", after="delete"),
        (
            Edit("erp", 0, "make", 50),
            Edit("erp", 0, "description", 4),
            Post("deliver again"),
            Run((Fault("tracos.write", 2, "rolled back"),)),
        ),
    ),
    an_etag_is_not_heeded: History(
        replace(PLAIN, transport="http"),
        (
            Edit("erp", 0, "make", 50),
            Run(),
            Edit("tracos", 0, "title", 4),
            Run((Fault("erp.push", 1, "edit", Edit("erp", 0, "title", 5)),)),
        ),
    ),
    what_is_left_is_not_asked_for_again: History(
        replace(PLAIN, transport="http", api=Api(since=True)),
        (
            *(Edit("erp", 0, "make", 50), Wait(4000), Edit("erp", 1, "make", 51)),
            Run(tuple(Fault("tracos.write", nth, "lost before") for nth in range(1, 9))),
        ),
    ),
    the_intent_is_forgotten: History(
        replace(PLAIN, transport="http", ids="client", api=Api(keys=False)),
        (Edit("tracos", 0, "make", 50), Run((Fault("erp.push", 1, "kill after"),)), Run(late=(0,))),
    ),
}
"""Each with a history that finds it, made for it: what is drawn finds these rarely."""


def found(seeds, **more):
    """The first seed whose history fails, and why."""
    with new_runner() as runner:
        tried = ((seed, runner.run(failure(draw(seed, **more)))) for seed in seeds)
        return next(((seed, why) for seed, why in tried if why), None)


def played(break_it):
    """What is played beside what always was, to find a break."""
    return {"leases": break_it in LEASES, "lanes": break_it in LANES}


ALL = [
    *BREAKS.items(),
    *(pytest.param(*one, marks=pytest.mark.slow) for one in {**LEASES, **LANES}.items()),
]


@pytest.mark.parametrize(("break_it", "first"), ALL)
def test_a_break_is_found(break_it, first, monkeypatch):
    more = played(break_it)
    break_it(monkeypatch)
    broken = found(range(first, first + MANY), **more)
    assert broken is not None
    monkeypatch.undo()
    assert found(range(broken[0], broken[0] + 1), **more) is None


@pytest.mark.parametrize(("break_it", "history"), MADE.items())
def test_a_break_is_found_by_a_history_that_is_made_for_it(break_it, history, monkeypatch):
    with new_runner() as runner:
        assert runner.run(failure(history)) is None
        break_it(monkeypatch)
        assert runner.run(failure(history)) is not None


if __name__ == "__main__":
    for broken in (*BREAKS, *LEASES, *LANES):
        with pytest.MonkeyPatch.context() as patched:
            broken(patched)
            print(broken.__name__, found(range(3000), **played(broken)), flush=True)  # noqa: T201 - it is run to be read
