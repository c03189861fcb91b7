"""``erase``: nothing is left of an order in what this program keeps for itself."""

from functools import partial

from pipeline.cli.conduct import conduct
from pipeline.cli.output import print_lines
from pipeline.cli.start import Wait, begin, person
from pipeline.errors import WrongUsage
from pipeline.history.journal import new_run
from pipeline.service.alone import Alone
from pipeline.service.effects import Live
from pipeline.service.erasing import erase_order
from pipeline.service.session import Sessions

__all__ = ["erase"]


def erase(number: str, /, *, because: str, client: str | None = None, wait: Wait = 0) -> int:
    """Remove an order's values from the decision log, the letters, the files put away and what is remembered.

    That it was done is noted, without values. The document in TracOS, and the client's own folders, stay: remove it
    there first.

    Args:
        number: The order's number in TracOS, or the client's own id of it.
        because: Why.
        client: The client, where the settings have several.
        wait: Seconds to wait for orders that a run is working on, instead of leaving with 6.
    """
    settings = begin()
    record = new_run("erase")
    sessions = Sessions(settings, run=record.run, by=person(), only=client, effects=Live(wait=wait))
    if len(sessions) + len(sessions.problems) > 1:
        names = [*(session.client.name for session in sessions), *sessions.problems]
        raise WrongUsage(f"order {number}: each client has orders of its own: say --client {' or '.join(names)}")
    (session,) = sessions
    work = Alone(partial(erase_order, number=number, because=because))
    ended = conduct(sessions, work, record)
    if told := work.told:
        what = f"{told.entries:,} lines of the decision log, {told.letters:,} open letters, {told.closed:,} closed ones"
        noted = f"noted in {settings.data_decision_log}"
        print_lines(
            [f"order {number} of {session.client.name}: removed {what}, {told.kept:,} records kept elsewhere; {noted}"]
        )
    return ended.exit
