"""``erase``: nothing is left of an order in what this program keeps for itself."""

from pipeline.cli.output import print_lines
from pipeline.cli.start import begin, person
from pipeline.errors import WrongUsage
from pipeline.history.journal import new_run
from pipeline.service.erasing import erase_order
from pipeline.service.session import Sessions

__all__ = ["erase"]


def erase(number: str, /, *, because: str, client: str | None = None) -> int:
    """Remove an order's values from the decision log, the letters, the files put away and what is remembered.

    That it was done is noted, without values. The document in TracOS, and the client's own folders, stay: remove it
    there first.

    Args:
        number: The order's number in TracOS, or the client's own id of it.
        because: Why.
        client: The client, where the settings have several.
    """
    settings = begin()
    sessions = Sessions(settings, run=new_run("erase").run, by=person(), only=client)
    if len(sessions) + len(sessions.problems) > 1:
        names = [*(session.client.name for session in sessions), *sessions.problems]
        raise WrongUsage(f"order {number}: each client has orders of its own: say --client {' or '.join(names)}")
    (session,) = sessions
    told = erase_order(session, number, because)
    what = f"{told.entries:,} lines of the decision log, {told.letters:,} open letters, {told.closed:,} closed ones"
    noted = f"noted in {settings.data_decision_log}"
    print_lines(
        [f"order {number} of {session.client.name}: removed {what}, {told.kept:,} records kept elsewhere; {noted}"]
    )
    return 0
