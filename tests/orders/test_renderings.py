"""What a client shows of a text that it was told may be its own way to keep it: an echo, and no edit."""

import html
import itertools

import pytest
from msgspec.structs import replace

from pipeline.orders.hand_over import taken_for_ours
from pipeline.orders.merge import Current, decide
from pipeline.orders.renderings import is_rendering
from pipeline.orders.terms import Authority
from tests.orders.test_merge import TERMS, at, edited, sent, shown, taken

OURS = "  Pump <no. 7> & motor: leaks oil\nat the seal  "


def escaped(text, times):
    for _ in range(times):
        text = html.escape(text)
    return text


WAYS = {
    "capitals": str.upper,
    "small": str.lower,
    "trimmed": str.strip,
    "one blank for several": lambda text: " ".join(text.split()),
    "cut": lambda text: text[:20],
    "cut in an entity": lambda text: html.escape(text)[:9],
    "cut and marked": lambda text: text[:17] + "...",
    "escaped": html.escape,
    "escaped twice": lambda text: html.escape(html.escape(text)),
    "escaped by each of twenty runs": lambda text: escaped(text, 20),
    "escaped as a number": lambda text: text.replace("&", "&#38;amp;#x26;"),
    "escaped for JavaScript": lambda text: text.replace("\n", "\\n"),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "all of it": lambda text: html.escape(text.strip().upper())[:25],
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_keeping_a_text_is_known(way):
    assert is_rendering("title", OURS, WAYS[way](OURS))


@pytest.mark.parametrize(
    ("field", "ours", "theirs"),
    [
        ("title", "Pump", "Pump"),
        ("title", "Pump", "Motor"),
        ("title", "Pump", ""),
        ("title", "Pump", "   "),
        ("title", "Pump", "Pump leaks"),
        ("title", "Pump", None),
        ("title", None, "Pump"),
        ("assetId", "PUMP-12", "PUMP-1"),
        ("status", "completed", "cancelled"),
        ("hours", 12, 1),
    ],
)
def test_anything_else_is_another_value(field, ours, theirs):
    assert not is_rendering(field, ours, theirs)


def test_two_texts_that_were_escaped_often_are_the_same():
    assert is_rendering("title", escaped(OURS, 7), escaped(OURS, 8))
    assert not is_rendering("title", escaped(OURS, 7), escaped(OURS + "!", 8))


def told(title, *, base="Was", day=10):
    """TracOS has edited the title, and the client was told."""
    return sent(edited(taken(shown(3, title=base)), updated=day - 1, title=title), day)


@pytest.mark.parametrize("way", WAYS)
def test_an_echo_keeps_our_text_and_is_not_sent_again(way):
    current = told(OURS)
    first = decide(shown(11, title=WAYS[way](OURS)), "b.json", current, terms=TERMS)
    assert (first.order.title, first.is_synced, first.lost, first.sync.sent) == (OURS, True, (), ())
    after = Current(order=first.order, sync=first.sync)
    # whatever else is edited there later, it is still no edit of the title
    second = decide(shown(12, title=WAYS[way](OURS), description="new"), "c.json", after, terms=TERMS)
    assert (second.order.title, second.order.description, second.is_synced) == (OURS, "new", True)


def test_an_edit_of_the_client_after_an_echo_is_taken():
    first = decide(shown(11, title="PUMP"), "b.json", told("Pump"), terms=TERMS)
    after = Current(order=first.order, sync=first.sync)
    second = decide(shown(12, title="MOTOR"), "c.json", after, terms=TERMS)
    assert (second.order.title, second.is_synced, second.sync.echoes) == ("MOTOR", True, {})


def test_an_edit_of_tracos_after_an_echo_is_sent_and_only_its_case_may_be_another():
    first = decide(shown(11, title="PUMP"), "b.json", told("Pump"), terms=TERMS)
    again = edited(Current(order=first.order, sync=first.sync), updated=12, title="pump")
    kept = decide(shown(13, title="PUMP", description="new"), "c.json", again, terms=TERMS)
    assert (kept.order.title, kept.is_synced) == ("pump", False)


def test_a_value_that_it_held_before_is_no_echo_until_it_was_told_twice():
    """The client may not have taken it yet: ``Pump`` may be its own old value, and no cut."""
    current = told("Pump leaks", base="Pump")
    first = decide(shown(11, title="Pump"), "b.json", current, terms=TERMS)
    assert (first.order.title, first.is_synced) == ("Pump leaks", False)
    again = sent(Current(order=first.order, sync=first.sync), 12)
    second = decide(shown(13, title="Pump"), "c.json", again, terms=TERMS)
    assert (second.order.title, second.is_synced, second.sync.echoes) == ("Pump leaks", True, {"title": "Pump leaks"})
    third = decide(
        shown(14, title="Pump"),
        "d.json",
        Current(order=second.order, sync=second.sync),
        terms=TERMS,
    )
    assert (third.order.title, third.is_synced) == ("Pump leaks", True)
    states = (current.sync, first.sync, again.sync, second.sync, third.sync)
    assert [taken_for_ours(*pair) for pair in itertools.pairwise(states)] == [[], [], ["title"], []]


def test_a_rendering_that_is_new_is_not_taken_for_a_refusal():
    current = told("Pump leaks", base="Was")
    first = decide(shown(11, title="PUMP LEAKS"), "b.json", current, terms=TERMS)
    assert first.sync.echoes == {"title": "Pump leaks"}
    assert taken_for_ours(current.sync, first.sync) == []


def test_an_echo_wins_over_nobody_even_where_the_client_has_the_say():
    terms = replace(TERMS, authority={"title": Authority.CLIENT})
    born = sent(Current(order=replace(shown(3, title="Pump").order, updated_at=at(3))), 10)
    first = decide(shown(11, title="PUMP"), "b.json", born, terms=terms)
    assert (first.order.title, first.is_synced) == ("Pump", True)
