"""Settings, secrets and the file of clients, as people write them."""

import contextlib
import warnings

import msgspec

from pipeline.clients.connector import ClientSettings
from pipeline.clients.registry import find_client, kinds, options_of
from pipeline.dataflow.budget import Budget
from pipeline.errors import WrongSettings
from pipeline.service.customers import customers, located
from pipeline.service.environment import meant, peek
from pipeline.service.secrets import Secrets
from pipeline.service.settings import Settings, load
from pipeline.service.toml_lines import line_of
from pipeline.tracos.address import durable, read_address, wrong_names
from pipeline.transports.http.options import HttpOptions
from tests.fuzz.given import Given
from tests.fuzz.laws import law, see_line, see_told
from tests.fuzz.places import place
from tests.fuzz.registry import target
from tests.fuzz.targets.records import OPTIONS

NAMES = tuple(field.name.upper() for field in msgspec.structs.fields(Settings) if field.name != "secrets")
SECRET = "s3cr3t"
KINDS = {kind.name: kind for kind in kinds()}
CONNECT = {kind: find_client(kind) for kind in OPTIONS}


@target(
    "settings.dotenv",
    b"MONGO_URI=mongodb://u:s3cr3t@h/db\nDATA_INBOUND_DIR='a b'\nMAX_DEAD_LETTERS=5%\n",
    *(
        b"export CLIENTS=a,b\nCLIENT_TIMEZONE=America/Sao_Paulo\n",
        b"\xef\xbb\xbfDURABILITY=file\n",
        b"MONGO_URL=x\nA\n='",
    ),
    *(
        b'SYNC_MAX_DELETES="1\n',
        b"DATA_STATE_DIR=data\nDATA_JOURNAL=data/x\n",
        b"CLIENTS_FILE=\0\n",
        b"LOG_LEVEL=${LOG_LEVEL}\n",
        b"DATA_STATE_DIR=data\nDATA_JOURNAL=d\0x\n",
        b"ALERT_URL=https://s3cr3t@[h]:x/\nPING_URL=http://h/s3cr3t\n",
    ),
    share=0.1,
)
def dotenv(data: bytes) -> None:
    """A file of settings is understood, or all that is wrong with it is told, without its secrets."""
    path = place() / ".env"
    path.write_bytes(data)
    peek({}, path, "LOG_LEVEL")
    try:
        load({}, path)
    except WrongSettings as error:
        see_told(error)
        law(SECRET not in str(error), "a secret is shown")


@target(
    "settings.environment",
    bytes(range(80)),
    b"\x03\x05\x09",
    bytes(range(0, 200, 7)),
    b"\0\x05\x20mongodb://u:s3cr3t@h/?w=0",
    share=0.1,
)
def environment(data: bytes) -> None:
    """The same of the environment."""
    given = Given(data)
    said = {given.pick(NAMES): given.text() for _ in range(given.byte() % 6)}
    meant(given.text(), NAMES)
    try:
        settings = load(said, place() / "none")
    except WrongSettings as error:
        see_told(error)
        return
    Budget(settings.max_dead_letters)
    settings.claims()


@target(
    "settings.uri",
    b"mongodb://u:s3cr3t@h:1/db?w=1",
    b"mongodb+srv://s3cr3t@h/?tls=true",
    b"mongodb://[::1]:99999/",
    b"mongodb://u:s3cr3t/@h",
)
def uri(data: bytes) -> None:
    """An address of MongoDB is read as the driver reads it, or told in a line that holds nothing of it."""
    text = data.decode("utf-8", "replace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            address = read_address(text)
            durable(address.options, 60)
        except WrongSettings as error:
            see_line(str(error))
            law(SECRET not in str(error), "a secret is shown")
            return
    law("@" not in address.shown, "credentials are shown")
    wrong_names(address.database or "a", text)


@target("settings.secret", b"hush\n", b"\xef\xbb\xbfhush\r\n", b"", b"\xff", b"a" * 70_000, b" \n")
def secret(data: bytes) -> None:
    """A file holds a secret, or is told in a line that does not hold its content."""
    path = place() / "secret"
    path.write_bytes(data)
    try:
        value = Secrets({"KEY_FILE": str(path)}).get("KEY")
        law(bool(value and value.strip()), "a secret is empty")
    except WrongSettings as error:
        see_line(str(error))
    with contextlib.suppress(WrongSettings):
        Secrets({"KEY_FILE": data.decode("utf-8", "surrogateescape")}).get("KEY")


@target(
    "settings.clients",
    b'[clients.erp]\nkind = "erp_json"\ninbound_dir = "in"\noutbound_dir = "out"\n',
    b'[clients.sap]\nkind = "sap_pm"\nurl = "https://h/x"\nnumber = "SAP-{id}"\nauthority = { title = "client" }\n',
    b'[clients.csv]\nkind = "csv_folder"\ninbound_dir="a"\noutbound_dir="b"\nlayout="own"\n[layouts.own]\nid = "x"\n'
    b'status = { at = "s", words = { N = "created" } }\n',
    b'[clients.rest]\nkind = "rest_json"\nurl = "http://h"\nauth = { type="bearer", token_env="T" }\npage="cursor"\n',
    *(
        b"[clients]\n",
        b'[clients."a b"]\n',
        b"clients = 1\n",
        b"layouts = 1\n[clients.x]\nkind = 7\n",
        b"\xff",
        b"[client.a]\n",
    ),
    b'[clients.a]\nkind = "erp_json"\ntimezone = "../x"\nevery="0m"\ndirection="up"\ndatabase="$"\ncollection="a.b"\n',
    share=0.1,
)
def clients(data: bytes) -> None:
    """A file of clients describes clients that can be made, or what is wrong with each is told, with its line."""
    path = place() / "clients.toml"
    path.write_bytes(data)
    try:
        named = customers(Settings(clients_file=path))
    except WrongSettings as error:
        see_told(error)
        return
    line_of(data.decode("utf-8", "replace"), "clients", "erp", "kind")
    for one in named.named.values():
        if one.kind not in OPTIONS:
            continue  # it would import whatever it names
        settings = ClientSettings(
            name=one.name,
            layout=one.layout,
            layouts=one.layouts,
            options=one.options,
            number=one.number,
            authority=one.authority,
            state_dir=place(),
            secret=lambda name: "x",
        )
        try:
            CONNECT[one.kind](settings).terms  # noqa: B018 - it is to be made
        except WrongSettings as error:
            see_told(error)
            for problem in error.problems:
                located(one, problem)


@target(
    "settings.options",
    *(bytes([kind, *range(kind, 120 + kind)]) for kind in range(len(OPTIONS))),
    *(bytes([kind]) for kind in range(len(OPTIONS))),
    share=0.3,
)
def options(data: bytes) -> None:
    """A client of any kind is made of options, or what is wrong with them is told."""
    given = Given(data)
    kind = given.pick(tuple(OPTIONS))
    known = [field.name for field in msgspec.structs.fields(options_of(KINDS[kind]) or HttpOptions)]
    said = dict(OPTIONS[kind])
    for _ in range(given.byte() % 5):
        said[given.pick(known)] = given.json(2)
    if given.byte() % 8 == 7:
        said[given.text()] = 1
    settings = ClientSettings(name="erp", options=said, state_dir=place(), secret=lambda name: "x")
    try:
        CONNECT[kind](settings).terms  # noqa: B018 - it is to be made
    except WrongSettings as error:
        see_told(error)
