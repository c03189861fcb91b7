"""Settings from the environment and ``.env``; what is wrong with them is told all at once."""

from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from pipeline.dataflow.budget import Budget
from pipeline.errors import WrongSettings
from pipeline.months import Months
from pipeline.service.environment import read_environment
from pipeline.service.places import Claim, claimed_path, crossings
from pipeline.service.secrets import Secrets, beside
from pipeline.tracos.address import read_address, wrong_names

__all__ = ["LogLevel", "Settings", "load"]

Count = Annotated[int, Meta(ge=0)]
Days = Annotated[int, Meta(ge=1, le=36_500)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Words = tuple[str, ...]
LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"]


class Settings(Struct, frozen=True, kw_only=True):
    """All settings; each is the environment variable of its name in capitals. Relative paths: the current folder's."""

    mongo_uri: str | None = None
    """Where MongoDB is. Not set: an embedded one. One that is set but away is an outage, never a silent fall-back."""
    mongo_database: str | None = None
    """The database. Not set: the one that MONGO_URI names, else `tractian`."""
    mongo_collection: str = "workorders"
    """The collection that holds the work orders."""
    mongo_retry_seconds: Seconds = 60
    """How long an outage of MongoDB is ridden out before the run stops."""
    mongod_bin: str | None = None
    """The mongod to embed. Not set: that of the extra `embedded`, else one on the PATH."""
    data_inbound_dir: Path = Path("data/inbound")
    """Where the client's files are read."""
    data_outbound_dir: Path = Path("data/outbound")
    """Where files for the client are written."""
    data_dead_letter_dir: Path = Path("data/dead-letter")
    """Where records are kept that could not go through."""
    data_decision_log: Path = Path("data/decisions.jsonl")
    """What was decided for each order, and the values that were replaced; earlier months lie beside it."""
    data_journal: Path = Path("data/runs.jsonl")
    """A line when a run begins, and one when it ends; earlier months lie beside it."""
    data_mongo_dir: Path = Path("data/mongo")
    """The embedded MongoDB's data."""
    data_state_dir: Path = Path("data/state")
    """What is remembered of clients from run to run, such as which files need not be read again."""
    clients: Words = ()
    """The client to sync; with CLIENTS_FILE, those of the file that are run. Not set: `erp_json`, or all of them."""
    clients_file: Path | None = None
    """A TOML file that describes one client or several."""
    client_timezone: ZoneInfo = ZoneInfo("UTC")
    """The time zone of a client's dates that name none."""
    client_layout: str | None = None
    """In which layout orders that were made in TracOS are sent. Not set: the client's first."""
    inbound_after: Literal["keep", "archive", "delete"] = "keep"
    """What becomes of an inbound file once all its records are settled."""
    inbound_quiet_seconds: Seconds = 1
    """How long an inbound file must have been left alone before it is read. Raise it where uploads pause."""
    durability: Literal["file", "batch", "none"] = "batch"
    """How outbound files are made to survive a loss of power before their orders are marked as sent.

    `file` syncs each file, `batch` once a batch, `none` not at all: that is faster, and a loss of power may take files
    whose orders are marked. A killed process loses nothing with any of them.
    """
    keep_days: Days = 400
    """How long the decision log and the journal are kept. A month goes when all of it is older."""
    keep_mb: Annotated[int, Meta(ge=1)] | None = None
    """How large each of the two may grow, in megabytes; the oldest months go first. Not set: no limit."""
    letters_keep_days: Days = 400
    """How long closed dead letters are kept."""
    sync_max_deletes: Count = 1000
    """A client that would delete more orders than this in one run is stopped first."""
    max_dead_letters: str | None = None
    """A client of whose records more fail is stopped: a number, or a percentage such as `5%`. Not set: no limit."""
    lease_seconds: Annotated[float, Meta(ge=1, le=3600)] = 30
    """How long a run that is killed on another machine, or held up, keeps others from its orders."""
    serve_every: Annotated[str, Meta(pattern=r"^[1-9][0-9]*[smhd]$")] = "1m"
    """How often `serve` looks at a client whose table has no `every`."""
    serve_host: str = "127.0.0.1"
    """The address at which `serve` answers probes, shows metrics and its page."""
    serve_port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """Its port; 0 takes a free one."""
    serve_parallel: Annotated[int, Meta(ge=1, le=64)] = 4
    """How many clients `run` and `serve` look at side by side."""
    workers: Annotated[int, Meta(ge=1, le=64)] | Literal["auto"] = 1
    """How many processes take the clients' records, as `run --workers`; if several, another one writes outbound files.

    `auto`: one for the first 20,000 records, then as many as there are cores, 4 at most.
    """
    engine: str | None = None
    """Who takes the records instead, as `run --engine`: `parts:///FOLDER`, or the Dask cluster at `dask://HOST:8786`."""
    metrics_file: Path | None = None
    """Where a run writes its metrics, as `run --metrics-file`, for node exporter (extra `web`)."""
    alert_url: str | None = None
    """Is told, once each, that a client begins to fail, recovers, exceeds a budget or has new dead letters.

    It is sent JSON that Slack and Mattermost show as it is (extra `http`).
    """
    ping_url: str | None = None
    """Is asked after each good pass: a dead man's switch. `{client}` in it becomes the client's name (extra `http`)."""
    otel_exporter_otlp_endpoint: str | None = None
    """Where spans of each pass and its stages go, by OTLP over HTTP, such as `http://collector:4318` (extra `otel`).

    The other variables of OpenTelemetry (`OTEL_SERVICE_NAME` ...) hold too, where the environment says them.
    """
    log_level: LogLevel = "INFO"
    """`INFO` shows 20 lines of a kind, then a count; `DEBUG` shows all; `TRACE` adds stack traces."""
    log_format: Literal["text", "json"] = "text"
    """How log lines look on standard error; `NO_COLOR` is honoured."""
    secrets: Secrets = Secrets()
    """Where clients find the secrets that they know by name; no setting of its own."""

    @property
    def database(self) -> str:
        """MONGO_DATABASE, else the one that the URI names, else ``tractian``; the URI is one that can be read."""
        named = read_address(self.mongo_uri).database if self.mongo_uri else None
        return self.mongo_database or named or "tractian"

    def claims(self) -> list[Claim]:
        """The places that the settings themselves name.

        The embedded server's where there is one; the folders of orders where no file describes clients, which name
        theirs.
        """
        paths = {
            "DATA_DEAD_LETTER_DIR": self.data_dead_letter_dir,
            "DATA_DECISION_LOG": self.data_decision_log,
            "DATA_JOURNAL": self.data_journal,
            "DATA_STATE_DIR": self.data_state_dir,
        }
        if self.metrics_file is not None:
            paths |= {"METRICS_FILE": self.metrics_file}
        if not self.mongo_uri:
            paths |= {"DATA_MONGO_DIR": self.data_mongo_dir}
        if self.clients_file is None:
            paths |= {"DATA_INBOUND_DIR": self.data_inbound_dir, "DATA_OUTBOUND_DIR": self.data_outbound_dir}
        return [claimed_path("", name, path) for name, path in paths.items()]


EXPECTED: Final[Mapping[str, str]] = {
    "mongo_retry_seconds": "a number of seconds, from 0 to 86400",
    "client_timezone": "the name of a time zone, such as UTC or America/Sao_Paulo",
    "inbound_after": "keep, archive or delete",
    "inbound_quiet_seconds": "a number of seconds, from 0 to 86400",
    "durability": "file, batch or none",
    "keep_days": "a number of days, from 1 to 36500",
    "keep_mb": "a number of megabytes, 1 or more",
    "letters_keep_days": "a number of days, from 1 to 36500",
    "sync_max_deletes": "a whole number, 0 or more",
    "lease_seconds": "a number of seconds, from 1 to 3600",
    "serve_every": "a time such as 30s, 5m or 1h",
    "serve_port": "a port, from 0 to 65535",
    "serve_parallel": "a number of clients, from 1 to 64",
    "workers": "a number of processes, from 1 to 64, or auto",
    "log_level": "TRACE, DEBUG, INFO, WARNING or ERROR",
    "log_format": "text or json",
}
"""What to tell where a value does not fit; the other settings take any text."""

SECRET: Final = ("mongo_uri", "alert_url", "ping_url")
"""Settings that may hold a password or a token, so that a file may hold them."""

_OF_FOLDERS: Final = (
    "data_inbound_dir",
    "data_outbound_dir",
    "inbound_after",
    "inbound_quiet_seconds",
    "client_layout",
)
"""Settings of the one client; those of a file are told in their own tables."""

_FOLD: Final[Mapping[str, Callable[[str], Any]]] = {
    "clients": lambda text: [name.strip() for name in text.split(",") if name.strip()],
    "inbound_after": str.lower,
    "durability": str.lower,
    "workers": str.lower,
    "log_level": str.upper,
    "log_format": str.lower,
}


def load(environ: Mapping[str, str], dotenv: Path) -> Settings:
    """The settings in ``environ`` and, where it does not have them, in the file ``dotenv``; empty counts as not set.

    Raises WrongSettings with every problem, a line each, that names the variable and never repeats its value. A problem
    is also a name that looks like a setting and is none (see ``meant``).
    """
    fields = [field for field in msgspec.structs.fields(Settings) if field.name != "secrets"]
    known = [field.name.upper() for field in fields]
    said = read_environment(environ, dotenv, [*known, *(beside(name.upper()) for name in SECRET)])
    secrets = Secrets(said.values)
    values: dict[str, Any] = {}
    problems = list(said.problems)
    for field in fields:
        try:
            text = (secrets if field.name in SECRET else said.values).get(field.name.upper())
        except WrongSettings as error:
            problems += error.problems
            continue
        if not text:
            continue
        if not text.strip():
            problems.append(f"{field.name.upper()}: holds blanks alone")
            continue
        if "\0" in text:  # a file may say so, and no path can
            problems.append(f"{field.name.upper()}: holds a NUL")
            continue
        try:
            folded = _FOLD.get(field.name, str)(text)
            values[field.name] = msgspec.convert(folded, field.type, strict=False, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError, OSError, KeyError):
            problems.append(f"{field.name.upper()}: expected {EXPECTED.get(field.name, 'a text')}")
    settings = Settings(**values, secrets=Secrets(said.values, said=values, notes=said.notes))
    problems += _contradictions(settings)
    if problems:
        raise WrongSettings(problems)
    return settings


def _contradictions(settings: Settings) -> list[str]:
    problems = []
    try:
        Budget(settings.max_dead_letters)
    except ValueError as error:
        problems.append(f"MAX_DEAD_LETTERS: {error}")
    try:
        names = wrong_names(settings.database, settings.mongo_collection)
    except WrongSettings as error:
        problems += error.problems
    else:  # of a file's clients each says its own, or has these
        problems += [f"{_called(name, settings)}: {name}" for name in names if settings.clients_file is None]
    if len(settings.clients) > 1 and settings.clients_file is None:
        problems.append("CLIENTS: expected one client; several are described in a file that CLIENTS_FILE names")
    if settings.clients_file is not None:
        problems += [
            f"{name.upper()}: not used with CLIENTS_FILE: each client's own table says it"
            for name in _OF_FOLDERS
            if name in settings.secrets.said
        ]
    if settings.engine and settings.workers != 1:
        problems.append("ENGINE and WORKERS are both set: set one of the two")
    if settings.engine and not settings.mongo_uri:
        problems.append("ENGINE: set MONGO_URI too: an embedded MongoDB is none for other machines")
    logs = {"DATA_DECISION_LOG": settings.data_decision_log, "DATA_JOURNAL": settings.data_journal}
    problems += [
        f"{name}: it has the name of an earlier month of {other}: give it another"
        for (name, path), (other, log) in permutations(logs.items(), 2)
        if Months(log).names(path)
    ]
    problems += [
        f"{name}: expected an address that begins with https:// or http://"
        for name, address in {
            "ALERT_URL": settings.alert_url,
            "PING_URL": settings.ping_url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": settings.otel_exporter_otlp_endpoint,
        }.items()
        if address and not _is_address(address)
    ]
    problems += [f"{claim}: {what}: each needs a place of its own" for claim, what in crossings(settings.claims())]
    return problems


def _is_address(text: str) -> bool:
    """Whether a request can be sent there."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False


def _called(name: str, settings: Settings) -> str:
    """The setting that says what ``wrong_names`` complains of."""
    if name.startswith("the collection"):
        return "MONGO_COLLECTION"
    return "MONGO_DATABASE" if settings.mongo_database or not settings.mongo_uri else "MONGO_URI"


def _decode(kind: type, value: Any) -> Any:
    return kind(value)
