"""``init``: five questions, and the two files of settings that a first client of one's own needs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cyclopts import Parameter
from msgspec import Struct

from pipeline.cli.asking import answer, is_somebody_there, is_yes
from pipeline.cli.output import print_lines
from pipeline.cli.start import prepare
from pipeline.cli.steps import print_steps
from pipeline.disk import Scratch, write_files
from pipeline.errors import WrongSettings, WrongUsage
from pipeline.service.effects import Dry
from pipeline.service.sampling import offline
from pipeline.service.session import Sessions
from pipeline.service.settings import load

__all__ = ["init"]

Kind = Literal["erp_json", "csv_folder", "rest_json"]

ENV: Final = ".env"
CLIENTS: Final = "clients.toml"
FOLDERS: Final = ("erp_json", "csv_folder")
KINDS: Final = "erp_json: folders of JSON files, csv_folder: folders of CSV files, rest_json: a JSON API"


class Answers(Struct, kw_only=True):
    """What was said on the command line; None: to be asked for, or the default."""

    mongo_uri: str | None
    name: str | None
    kind: str | None
    orders_from: str | None
    orders_to: str | None


def init(
    *,
    mongo_uri: str | None = None,
    name: str | None = None,
    kind: Kind | None = None,
    orders_from: Annotated[str | None, Parameter(name="--from")] = None,
    orders_to: Annotated[str | None, Parameter(name="--to")] = None,
    yes: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    overwrite: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Ask where TracOS is and who the client is, and write .env and clients.toml here.

    What an option says is not asked for. A file that is there is overwritten only by who says so.

    Args:
        mongo_uri: The MongoDB that TracOS keeps its orders in; empty: an embedded one.
        name: What the client is called.
        kind: Its kind; `clients list` names more, which docs/clients.md tells of.
        orders_from: The folder that its orders come from or, of an API, their address.
        orders_to: The folder that its orders go to or, of an API, the environment variable with its token.
        yes: Ask nothing: what no option says is the default.
        overwrite: Overwrite files that are there, without asking.
    """
    prepare()
    if not yes and not is_somebody_there():
        raise WrongUsage("nobody is there to be asked: --yes takes the defaults of what no option says")
    said = Answers(mongo_uri=mongo_uri, name=name, kind=kind, orders_from=orders_from, orders_to=orders_to)
    files = _files(_asked(said) if not yes else _assumed(said))
    _check(files)
    if not overwrite:
        _see_free(files, yes=yes)
    try:
        write_files(Path(), {name: text.encode() for name, text in files.items()}, mode=0o600)
    except OSError as error:
        raise WrongUsage(f"{' and '.join(files)} cannot be written: {error.strerror}") from error
    print_lines([f"written: {' and '.join(files)}"])
    print_steps([("see that all is well", "doctor"), ("what a run would do", "plan"), ("sync both ways", "run")])
    return 0


def _assumed(said: Answers) -> Answers:
    """What was said, and the defaults of all else; raises WrongUsage where there is none."""
    kind = said.kind or "erp_json"
    is_folder = kind in FOLDERS
    if not is_folder and not said.orders_from:
        raise WrongUsage(f"say where the orders of a {kind} are: --from https://...")
    return Answers(
        mongo_uri=said.mongo_uri or "",
        name=said.name or "erp",
        kind=kind,
        orders_from=said.orders_from or "data/inbound",
        orders_to=said.orders_to or ("data/outbound" if is_folder else ""),
    )


def _asked(said: Answers) -> Answers:
    """The same, of a person: five questions, but for what was said."""

    def of(told: str | None, question: str, default: str = "") -> str:
        return told if told is not None else answer(question, default)

    uri = of(said.mongo_uri, "1/5 the MongoDB of TracOS, as mongodb://... (nothing: an embedded one):")
    name = of(said.name, "2/5 what the client is called", "erp")
    kind = of(said.kind, f"3/5 what it is ({KINDS})", "erp_json")
    if kind in FOLDERS:
        orders_from = of(said.orders_from, "4/5 the folder that its orders come from", "data/inbound")
        orders_to = of(said.orders_to, "5/5 the folder that its orders go to", "data/outbound")
    else:
        orders_from = of(said.orders_from, "4/5 the address of its orders, https://...:")
        orders_to = of(said.orders_to, "5/5 the environment variable with its token (nothing: it needs none):")
    return Answers(mongo_uri=uri, name=name, kind=kind, orders_from=orders_from, orders_to=orders_to)


def _files(said: Answers) -> Mapping[str, str]:
    """The text of each file."""
    options = {"kind": said.kind or ""}
    if said.kind in FOLDERS:
        options |= {"inbound_dir": said.orders_from or "", "outbound_dir": said.orders_to or ""}
    else:
        options |= {"url": said.orders_from or ""}
    lines = [f"[clients.{_toml_key(said.name or '')}]", *(f"{key} = {_toml(text)}" for key, text in options.items())]
    if said.kind not in FOLDERS and said.orders_to:
        lines += [f'auth = {{ type = "bearer", token_env = {_toml(said.orders_to)} }}']
    uri = said.mongo_uri or ""
    mongo = f"MONGO_URI={_quoted(uri)}" if uri else "# MONGO_URI=mongodb://127.0.0.1:27017   # not set: an embedded one"
    return {
        ENV: f"# .env.example and docs/settings.md tell of all settings.\n{mongo}\nCLIENTS_FILE={CLIENTS}\n",
        CLIENTS: "# docs/clients.md tells of all keys.\n" + "\n".join(lines) + "\n",
    }


def _check(files: Mapping[str, str]) -> None:
    """See that settings can be made of them; raises WrongSettings, before anything is written."""
    with Scratch() as scratch:
        for name, text in files.items():
            (scratch.path / name).write_text(text)
        try:
            settings = load({"CLIENTS_FILE": str(scratch.path / CLIENTS)}, scratch.path / ENV)
            sessions = Sessions(offline(settings), effects=Dry())  # a token need not be set already
            problems = [line for lines in sessions.problems.values() for line in lines]
        except WrongSettings as error:
            problems = list(error.problems)
    if problems:
        raise WrongSettings(line.replace(f"{scratch.path}/", "") for line in problems)


def _see_free(files: Mapping[str, str], *, yes: bool) -> None:
    """See that what is there may be overwritten; raises WrongUsage where it may not: nothing is written then."""
    there = [name for name in files if Path(name).exists()]
    if not there:
        return
    what = " and ".join(there)
    if yes or not is_somebody_there():
        raise WrongUsage(f"{what}: there already, and nothing was written; --overwrite writes anew")
    if not is_yes(f"overwrite {what}?"):
        raise WrongUsage(f"{what}: left as it was, and nothing was written")


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _toml_key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _toml(name)


def _quoted(text: str) -> str:
    """As .env has a value: as it is, where nothing in it has a meaning there."""
    if msgspec.json.encode(text).strip(b'"') == text.encode() and not set(text) & set(" #'\"\\$`"):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
