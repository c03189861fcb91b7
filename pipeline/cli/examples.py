"""Two examples of each command, for its help: what is said to the program, and what that does."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.cli.started import command

__all__ = ["EXAMPLES", "examples"]

EXAMPLES: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "": (
        ("demo", "a folder with sample orders, and a run over them"),
        ("run", "sync both ways"),
        ("dead-letters list", "what could not pass, and why"),
    ),
    "run": (
        ("run", "sync both ways, all clients"),
        ("run --only inbound --strict", "take what the clients show; exit with 3 where something is dead"),
        ("run --quiet", "for cron: warnings and errors alone"),
        ("run --client acme --since 2026-10-31", "read again what changed since then, of one client"),
    ),
    "serve": (
        ("serve", "sync all day; the page and the metrics at 127.0.0.1:8080"),
        ("SERVE_EVERY=5m serve", "look at each client every five minutes"),
    ),
    "work": (
        ("work /mnt/shared/parts", "for runs with ENGINE=parts:///mnt/shared/parts, until it is told to end"),
        ("work /mnt/shared/parts --idle 300", "until there has been no run for five minutes"),
    ),
    "plan": (
        ("plan", "every write that a run would make"),
        ("plan --client acme --json", "of one client, for a program"),
    ),
    "reconcile": (
        ("reconcile", "in what the two sides differ"),
        ("reconcile --fix --client acme", "mend that, for one client"),
    ),
    "doctor": (
        ("doctor", "what stands in the way of a run"),
        ("doctor --client acme --json", "of one client, for a program"),
    ),
    "history": (
        ("history", "the last 20 runs"),
        ("history -n 3 --json", "the last three, as the journal keeps them"),
    ),
    "explain": (
        ("explain 104", "what happened to order 104"),
        ("explain WO-2026-17 --json", "by the client's own id, for a program"),
    ),
    "erase": (
        ('erase 104 --because "they asked"', "nothing is kept of order 104 here any more"),
        ('erase 104 --client acme --because "they asked"', "where several clients have such an order"),
    ),
    "graph": (
        ("graph", "the chains as Mermaid"),
        ("graph --client acme --svg", "those of one client as SVG"),
    ),
    "inspect": (
        ("inspect", "the page, at a free port of this machine"),
        ("inspect --port 8080 --open", "at this port, and in the browser"),
    ),
    "demo": (
        ("demo", "sample orders in ./workorder-sync-demo, and a run over them"),
        ("demo samples", "in another folder"),
    ),
    "init": (
        ("init", "asks five questions, and writes .env and clients.toml"),
        ("init --yes --kind csv_folder --name acme", "asks nothing"),
    ),
    "help": (
        ("help run", "the help of a command"),
        ("help dead-letters retry", "of a command of a group"),
    ),
    "--install-completion": (
        ("--install-completion", "for the shell that this is"),
        ("--install-completion zsh", "for another one: bash, zsh or fish"),
    ),
    "clients": (
        ("clients list", "the kinds of clients that there are"),
        ("clients try sample.json", "how a sample file is read"),
    ),
    "clients list": (
        ("clients list", "the kinds of clients that there are"),
        ("clients list --json", "for a program"),
    ),
    "clients new": (
        ("clients new acme_erp", "acme_erp.py and test_acme_erp.py, here"),
        ("clients new acme_erp --in plugins", "in another folder"),
    ),
    "clients schema": (
        ("clients schema --out clients.schema.json", "for an editor of TOML"),
        ("clients schema", "on standard output"),
    ),
    "clients try": (
        ("clients try sample.json", "field by field, and what would be told back"),
        ("clients try page.json --client acme --json", "as one of several clients, for a program"),
    ),
    "state": (
        ("state show", "what is remembered, client by client"),
        ("state reset acme", "have it all read again"),
    ),
    "state show": (
        ("state show", "of all clients"),
        ("state show --client acme --json", "of one, for a program"),
    ),
    "state reset": (
        ("state reset acme", "the next run reads everything of acme"),
        ("state reset erp_json", "the same of the client that needs no settings"),
    ),
    "state set": (
        ("state set acme --since 2026-10-31", "the next run asks for what changed since then"),
        ("state set acme --since 2026-10-31T12:00:00Z", "to the second"),
    ),
    "conflicts": (
        ("conflicts list", "what gave way to the other side's"),
        ("conflicts restore 103 title", "set it again"),
    ),
    "conflicts list": (
        ("conflicts list --since 7d", "of this week"),
        ("conflicts list --client acme --json", "of one client, for a program"),
    ),
    "conflicts restore": (
        ("conflicts restore 103 title", "the title of order 103 that gave way last"),
        ("conflicts restore 103 status --client acme", "where several clients have such an order"),
    ),
    "dead-letters": (
        ("dead-letters list", "what could not pass, like reasons together"),
        ("dead-letters retry --all --reason truncated", "run again what failed for a reason"),
    ),
    "dead-letters list": (
        ("dead-letters list", "like reasons together"),
        ("dead-letters list --each --stage validate --newer 7d", "one by one: what was no valid record, of this week"),
    ),
    "dead-letters show": (
        ("dead-letters show 9fab", "the letter whose id begins so"),
        ("dead-letters show 9fab --json", "for a program"),
    ),
    "dead-letters stats": (
        ("dead-letters stats", "of all letters"),
        ("dead-letters stats --client acme --newer 1d", "of one client, since yesterday"),
    ),
    "dead-letters edit": (
        ("dead-letters edit 9fab", "in $VISUAL or $EDITOR, else vi"),
        ("dead-letters edit 9fabcc10a0", "by its whole id"),
    ),
    "dead-letters retry": (
        ("dead-letters retry 9fab 28e7", "two letters"),
        ("dead-letters retry --all --client acme --yes", "all of a client, however many, without asking"),
    ),
    "dead-letters discard": (
        ('dead-letters discard 9fab --because "a test of theirs"', "given up, and kept in an archive"),
        ('dead-letters discard 28e7 --because "sent twice"', "the same of another"),
    ),
}
"""By the command's name, a group's commands after the group's; the program's own is empty."""


def examples(name: str) -> str:
    """The lines for the help of the command of this name, each command as it is given here; empty for none."""
    lines = [line for said, does in EXAMPLES.get(name, ()) for line in (f"  {_here(said)}", f"      {does}")]
    return "\n".join(["Examples:", *lines]) if lines else ""


def _here(said: str) -> str:
    """What is said, with the program before it; and before that, what is said to the environment."""
    first, _, rest = said.partition(" ")
    return f"{first} {_here(rest)}" if first.partition("=")[0].isupper() else command(*shlex.split(said))
