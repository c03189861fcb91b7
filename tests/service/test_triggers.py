"""What wakes a client: its time, a file, an edit; many reasons are one, and none is lost while somebody looks."""

import asyncio

import pytest
from aiostream import streamcontext

from pipeline.service import triggers
from pipeline.service.triggers import every, folder_changes, woken


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(triggers, "QUIET_SECONDS", 0.01)


async def of(*reasons, then=None):
    for reason in reasons:
        yield reason
    if then is not None:
        await then.wait()


async def test_reasons_that_come_together_are_one():
    async with streamcontext(woken([of("a", "b", "c"), of("d")])) as reasons:
        assert len([reason async for reason in reasons]) == 1


async def test_a_reason_that_comes_while_somebody_looks_wakes_once_more():
    came, over = asyncio.Event(), asyncio.Event()

    async def two():
        yield "first"
        await came.wait()
        yield "second"
        yield "third"
        over.set()

    seen = []
    async with streamcontext(woken([two()])) as reasons:
        async for reason in reasons:
            seen.append(reason)
            came.set()
            await over.wait()
    assert seen == ["first", "third"]


async def test_it_wakes_at_once_and_then_time_and_again():
    async with streamcontext(woken([every(0.01)])) as reasons:
        assert [await anext(reasons) for _ in range(3)] == ["it is time"] * 3


async def test_what_listens_is_closed_with_the_stream():
    closed = asyncio.Event()

    async def listening():
        try:
            yield "once"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with streamcontext(woken([listening()])) as reasons:
        await anext(reasons)
    assert closed.is_set()


async def test_what_a_trigger_raises_is_raised():
    async def odd():
        yield "once"
        raise LookupError("nobody thought of this")

    async with streamcontext(woken([odd()])) as reasons:
        with pytest.raises(LookupError):
            assert [reason async for reason in reasons]


async def test_a_trigger_that_ends_leaves_the_others():
    async with streamcontext(woken([of("once"), every(0.01)])) as reasons:
        assert [await anext(reasons) for _ in range(3)]


async def test_a_file_that_appears_or_changes_wakes(tmp_path):
    async with streamcontext(folder_changes(tmp_path)) as reasons:
        waiting = asyncio.ensure_future(anext(reasons))
        while not waiting.done():  # until it is watched, nothing is seen
            (tmp_path / "a.json").write_text("{}")
            await asyncio.sleep(0.05)
        assert await waiting == "a file"


async def test_a_folder_that_is_made_later_is_watched_then(tmp_path, monkeypatch):
    monkeypatch.setattr(triggers, "LOOK_SECONDS", 0.01)
    folder = tmp_path / "later"
    async with streamcontext(folder_changes(folder)) as reasons:
        waiting = asyncio.ensure_future(anext(reasons))
        await asyncio.sleep(0.05)
        folder.mkdir()
        while not waiting.done():
            (folder / "a.json").write_text("{}")
            await asyncio.sleep(0.05)
        assert await waiting == "a file"


async def test_a_folder_that_cannot_be_watched_is_told_and_the_stream_ends(tmp_path, log, monkeypatch):
    def none(*_, **__):
        raise OSError("no room for one more")

    monkeypatch.setattr("watchfiles.awatch", none)
    async with streamcontext(folder_changes(tmp_path)) as reasons:
        assert [reason async for reason in reasons] == []
    assert "cannot be watched (no room for one more)" in log[-1]
