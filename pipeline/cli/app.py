"""The commands by name, and what an error comes to: one line, and an exit code."""

import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from pipeline.cli.examples import examples
from pipeline.cli.started import begun_by
from pipeline.cli.streams import unbroken
from pipeline.errors import WrongUsage
from pipeline.version import VERSION

__all__ = ["app", "main", "program", "show_examples"]

INTERRUPTED: Final = 130

HELP: Final = frozenset({"--help", "-h"})
ALONE: Final = HELP | {"--version", "--install-completion"}
"""Options that need no command; with any other it is ``run``."""

EPILOGUE: Final = (
    "Settings come from the environment and from .env; .env.example lists them. "
    "Exit codes: 0 finished (dead letters are reported), 1 stopped, or problems found, 2 wrong settings or usage, "
    "3 finished with dead letters under --strict, 4 `plan` or `reconcile` found something to do, "
    "5 a budget was exceeded, 6 another run is working on these orders, 130 interrupted."
)


app = App(
    name="workorder-sync",
    help="Sync work orders between TracOS (MongoDB) and a client's ERP, both ways. Without a command: run.",
    help_epilogue=EPILOGUE,
    help_format="plaintext",
    version=VERSION,
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)

COMMANDS: Final = {
    "run": ("run:run", "Run both flows (the default command)."),
    "serve": ("serve:serve", "Sync all day, each client time and again."),
    "work": ("work:work", "Take records for runs on other machines."),
    "plan": ("plan:plan", "Show what a run would do, and write nothing."),
    "reconcile": ("reconcile:reconcile", "Compare both sides, order by order; --fix mends what differs."),
    "doctor": ("doctor:doctor", "Check settings, folders, MongoDB and the client."),
    "history": ("history:history", "Show the last runs."),
    "explain": ("explain:explain", "Tell what happened to one work order."),
    "erase": ("erase:erase", "Remove an order's values from logs, letters, archives and state."),
    "graph": ("graph:graph", "Draw the chains, made from the stages themselves."),
    "demo": ("demo:demo", "Make a folder with sample orders, and sync them."),
    "init": ("init:init", "Ask five questions, and write .env and clients.toml."),
    "inspect": ("inspect:inspect", "Serve a local page to look into dead letters."),
    "help": ("help:help_", "Show the help of a command."),
    "--install-completion": ("help:install_completion", "Have the shell complete commands and options."),
}
CLIENTS: Final = {
    "list": ("clients:list_", "List the kinds of clients that can be named."),
    "new": ("clients:new", "Write the skeleton of a client, and its test."),
    "schema": ("schema:schema", "Print what CLIENTS_FILE may hold, as JSON Schema, for an editor."),
    "try": ("sample:try_", "Show how a sample file is read, field by field."),
}
STATE: Final = {
    "show": ("state:show", "Show what is remembered, client by client."),
    "reset": ("state:reset", "Forget what a client remembers: everything is read again."),
    "set": ("state:set_", "Set up to when an API counts as read."),
}
CONFLICTS: Final = {
    "list": ("conflicts:list_", "List the values that gave way, newest first."),
    "restore": ("conflicts:restore", "Set a value that gave way again, as a new edit."),
}
LETTERS: Final = {
    "list": ("letters:list_", "List the open dead letters."),
    "show": ("letters:show", "Show one letter, with the offending places marked."),
    "stats": ("letters:stats", "Count letters by flow, client, stage and reason."),
    "edit": ("mending:edit", "Mend a letter's payload in $EDITOR."),
    "retry": ("mending:retry", "Run letters through the chain again."),
    "discard": ("mending:discard", "Give a letter up; it is kept in an archive."),
}
"""By name, and with their help here: a command's own modules are imported when it runs."""

clients = App(
    name="clients", help="The kinds of clients that there are, and the beginning of a new one.", help_epilogue=""
)
letters = App(name="dead-letters", help="Look into what could not pass, mend it, run it again.", help_epilogue="")
conflicts = App(name="conflicts", help="See what gave way in merges, and set it again.", help_epilogue="")
state = App(name="state", help="See what clients remember from run to run, and have it forgotten.", help_epilogue="")
GROUPS: Final = ((app, COMMANDS), (clients, CLIENTS), (conflicts, CONFLICTS), (letters, LETTERS), (state, STATE))
for _app, _commands in GROUPS:
    for _name, (_function, _help) in _commands.items():
        _app.command(f"pipeline.cli.{_function}", name=_name, help=_help, help_epilogue="")
app.command("pipeline.cli.lane:lane", name="lane", show=False)
app.command(letters)
app.command(conflicts)
app.command(clients)
app.command(state)


def show_examples(given: Sequence[str]) -> None:
    """Have the help of the command that is named there end with its examples, as they are given here."""
    at, name = app, ""
    for word in given[given[0] == "help" and HELP.isdisjoint(given) :]:
        if word in HELP or word not in at:
            break
        at, name = at[word], f"{name} {word}".strip()
    if shown := examples(name):
        at.help_epilogue = shown if name else f"{shown}\n\n{EPILOGUE}"


def program() -> int:
    """``main`` as a process of its own: one that was interrupted ends, whatever its threads still wait for."""
    logging.captureWarnings(capture=True)  # told like all else, in the log
    code = main()
    if code == INTERRUPTED:
        os._exit(code)  # a thread that waits for a server's answer would keep it for half a minute
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that ``argv`` names, ``run`` where it names none; returns its exit code, raises nothing.

    What becomes of standard output and standard error does not change the code.
    """
    if argv is None:
        begun_by(sys.orig_argv, sys.argv[1:])
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or (given[0].startswith("-") and given[0] not in ALONE):
        given.insert(0, "run")
    if given[0] == "help" or not HELP.isdisjoint(given):
        show_examples(given)
    with unbroken():
        return _code_of(given)


def _code_of(given: list[str]) -> int:
    try:
        code = app(given, exit_on_error=False, print_error=False)
        return code if isinstance(code, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        return _told(error)
    finally:
        if logs := sys.modules.get("pipeline.cli.logs"):  # help and version are quicker without
            logs.tell_the_rest()


def _told(error: BaseException) -> int:
    """The exit code of what ended a command, which is told in the log, in the form that is asked for."""
    from loguru import logger  # noqa: PLC0415 - help and version are quicker without

    from pipeline.cli.start import prepare  # noqa: PLC0415 - the same
    from pipeline.service.telling import tell  # noqa: PLC0415 - the same

    prepare()
    if isinstance(error, KeyboardInterrupt):
        logger.bind(event="interrupted").warning("interrupted")
        return INTERRUPTED
    if isinstance(error, CycloptsError):
        about = " ".join(["help", *(error.command_chain or ())])
        error = WrongUsage(f"{' '.join(str(error).split())} `{about}` tells what there is")
    return tell(error).exit_code
