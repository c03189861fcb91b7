"""The decision log, the journal, and what clients remember, as files that somebody else has damaged."""

import sqlite3
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from unittest import mock

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from pipeline.dataflow.ports import NOTHING_IS_SURE
from pipeline.deadletters import Standing
from pipeline.errors import Fatal, WrongUsage
from pipeline.history import index
from pipeline.history.conflicts import newest_conflicts, read_conflicts
from pipeline.history.decisions import erase_decisions, index_decisions, read_decisions, read_order
from pipeline.history.journal import FlowCounts, Journal, Run, last_runs, read_runs, recent_runs
from pipeline.months import index_of
from pipeline.service.alerts import due
from pipeline.service.drift import KnownKeys
from pipeline.service.drift import described as keys_described
from pipeline.service.metrics import Metrics
from pipeline.service.passes import Pass
from pipeline.service.restoring import find_conflict
from pipeline.service.told import described as told_described
from pipeline.service.told import load_told
from pipeline.transports.folder.known import KnownFiles
from pipeline.transports.folder.known import described as files_described
from pipeline.transports.http.state import State, described
from tests.fuzz.laws import law, see_line
from tests.fuzz.places import place
from tests.fuzz.registry import target
from tests.fuzz.running import run
from tests.fuzz.targets.records import CLIENTS

AT = datetime(2026, 10, 31, 12, tzinfo=UTC)
ENTRY = (
    b'{"at":"2026-10-31T12:00:00Z","run":"r","client":"erp","number":%d,"locator":"a.json","rule":"three_way",'
    b'"record":"h","lost":[{"field":"title","value":"a","kept":"b","side":"client","because":"x"}]}'
)
RUN = (
    b'{"run":"%d","command":"run","began":"2026-10-31T12:00:00Z","flows":[{"flow":"a.inbound","client":"a","read":1}]}'
)
DAMAGE = (b"\xff\xfe", b"[" * 3000, b"{}", b'{"a":' * 2000, b'{"at": "\xff"}', b"", b'{"rule":"missed"}')


@target(
    "history.decisions",
    ENTRY % 7,
    ENTRY.replace(b"three_way", b"missed") % 1,
    ENTRY.replace(b"00Z", b"00") % 7,
    *DAMAGE,
    share=0.5,
)
def decisions(data: bytes) -> None:
    """Of the decision log with a damaged line, the other entries are told; conflicts are listed, found or not there."""
    path = place() / "decisions.jsonl"
    path.write_bytes(b"\n".join((ENTRY % 1, data.replace(b"\n", b" "), ENTRY % 2, b"")))
    numbers = [entry.number for entry in read_decisions(path)]
    law({1, 2} <= set(numbers) or b"missed" in data, "a damaged line costs others")
    told = read_conflicts(path)
    law(len(told) >= 1, "a conflict is lost")
    newest, _ = newest_conflicts(path, 99)
    law(len(newest) == len(told) or b"missed" in data, "of the newest conflicts others are told")
    for number in ("2", "7"):
        try:
            find_conflict(path, number, "title")
        except WrongUsage as error:
            see_line(str(error))
    sorted(entry.at for entry in read_decisions(path))
    alone = [read_order(path, number) for number in (1, 2, 7)]
    with mock.patch.object(index, "BLOCK", 50):
        index_decisions(path)
        law([read_order(path, number) for number in (1, 2, 7)] == alone, "an index changes what is told")
    index_of(path).unlink()
    erase_decisions(path, "erp", {7}, {7}, lambda line: b"7" in line)
    left = list(read_decisions(path))
    law(not [entry for entry in left if (entry.client, entry.number) == ("erp", 7)], "an entry is left")
    law({1, 2} <= {entry.number for entry in left} or b"missed" in data, "an entry of another order is gone")


@target("history.index", b"", b"wos2" * 30, b"\xff" * 200, share=0.2)
def beside(data: bytes) -> None:
    """An index that somebody else has written changes nothing of what is told of an order."""
    path = place() / "indexed.jsonl"
    path.write_bytes(b"\n".join((ENTRY % 1, ENTRY % 2, ENTRY % 3, b"")))
    alone = [read_order(path, number) for number in (1, 2, 3)]
    with mock.patch.object(index, "BLOCK", 300):
        index_of(path).unlink(missing_ok=True)
        index_decisions(path)
        index_of(path).write_bytes(index_of(path).read_bytes() + data)
        for _ in range(2):
            law([read_order(path, number) for number in (1, 2, 3)] == alone, "an index changes what is told")
            index_of(path).write_bytes(data)
        index_decisions(path)


@target("history.journal", RUN % 7, RUN.replace(b"00Z", b"00") % 7, *DAMAGE)
def journal(data: bytes) -> None:
    """Of the journal with a damaged line, the other runs are told, and all can be put in order."""
    path = place() / "runs.jsonl"
    path.write_bytes(b"\n".join((RUN % 1, data.replace(b"\n", b" "), RUN % 2, b"")))
    runs = list(read_runs(path))
    law(last_runs(path, 99) == runs, "the last runs are others")
    law({"1", "2"} <= {run.run for run in runs}, "a damaged line costs others")
    sorted(run.began for run in runs)
    since = datetime(1970, 1, 1, tzinfo=UTC)
    last = [run for run in {run.run: run for run in runs}.values() if run.began >= since]
    law(recent_runs(path, since) == (last, True), "of the newest runs others are told")


@target("history.told", b"caf\xe9.json", b"\xed\xa0\x80", b"a\nb", b"\0", b'"\\')
def told(data: bytes) -> None:
    """A run whose error and places hold any bytes of names is told in a line, and read again."""
    text, path = data.decode("utf-8", "surrogateescape"), place() / "told.jsonl"
    path.unlink(missing_ok=True)
    flow = FlowCounts(flow="a.inbound", client="a", read=1, source=text, dead={text: 1})
    run = Run(run="r", command="run", began=AT, error=text, flows=(flow,))
    Journal(path).write(run)
    law(len(path.read_bytes().splitlines()) == 1 and len(list(read_runs(path))) == 1, "a run is not told in a line")


@target(
    "state.known_files",
    msgspec.msgpack.encode(["x", {"a.json": [1, [b"proof"]]}]),
    *(
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 3000,
        b"\xc1",
        b"\x92\xa1x\x81\xa1\xff\x92\x01\x90",
        b"\x92\xa1x\xdf\xff\xff\xff\xff",
        msgspec.msgpack.encode(["x", {"a.json": [1, [], [zlib.compress(msgspec.msgpack.encode([b"p"]))]]}, 2]),
        msgspec.msgpack.encode(["x", {"a.json": [1, [], [zlib.compress(b"p" * 99), b"p"]]}, 2]),
    ),
    share=0.2,
)
def known_files(data: bytes) -> None:
    """An index of known files is believed, or is not; it never stops a run."""
    path = place() / "erp.files"
    path.write_bytes(data)
    known = KnownFiles(path, "x", NOTHING_IS_SURE)
    run(known.recall())
    with suppress(ValueError, RecursionError):
        for line in files_described(path)[1]:
            see_line(line)


@target(
    "state.known_keys",
    b'{"status_order": {"seen": ["$.id"], "always": ["$.id"], "new": {"$.x": "2026-10-01"}, "gone": {"$.y": "x"}}}',
    *DAMAGE,
    share=0.2,
)
def known_keys(data: bytes) -> None:
    """What is known of keys is believed, or begun anew; it never stops a run, and can be told."""
    path = place() / "keys.json"
    path.write_bytes(data)
    known = KnownKeys(CLIENTS["erp_json"], path, "report")
    known.findings()
    with suppress(ValueError, RecursionError):
        for line in keys_described(path)[1]:
            see_line(line)
    known.client.validate({"id": 1, "status": "NEW", "createdAt": "2026-10-01", "x": 1})
    for line in known.remember(is_whole=True):
        see_line(line)


@target(
    "state.told",
    b'{"version":1,"trouble":"failed","letters":{"inbound":"2026-10-31T12:00:00Z"}}',
    b'{"letters":{"inbound":"0001-01-01T00:00:00+23:59","outbound":"9999-12-31T23:59:59-23:59"}}',
    b'{"version":2}',
    b'{"trouble":"odd"}',
    *DAMAGE,
    share=0.2,
)
def troubles(data: bytes) -> None:
    """What somebody was told of a client is believed, or told again; letters are told once, and it can be shown."""
    path = place() / "erp.alerts"
    path.write_bytes(data)
    before = load_told(place(), "erp")
    one = Pass(client="erp", began=AT, seconds=1, letters={"inbound": Standing((AT,))})
    after = [after for _, after in due(before, one, AT)]
    law(not after or not list(due(after[-1], one, AT)), "something is told twice")
    with suppress(ValueError, RecursionError):
        for line in told_described(path)[1]:
            see_line(line)


@target(
    "metrics.file",
    b'workorder_sync_last_success_timestamp_seconds{client="erp"} 1.7e9\n',
    b'workorder_sync_last_success_timestamp_seconds{client="erp"} NaN\n',
    b'# TYPE a counter\na{b="\\',
    b'a{b="c"} 1 2 3\n# HELP\n# TYPE x',
    *DAMAGE,
    share=0.05,
)
def metrics(data: bytes) -> None:
    """What lies where metrics go may be anything: the file is whole afterwards, with a time that has come."""
    path = place() / "sync.prom"
    path.write_bytes(data)
    ours = Metrics()
    ours.expect({"erp": ()})
    ours.write(path)
    families = text_string_to_metric_families(path.read_text())
    (succeeded,) = [one.value for family in families for one in family.samples if "success" in one.name]
    law(0 <= succeeded <= datetime.now(UTC).timestamp(), "a success that cannot be")


def _database(time: str) -> bytes:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE read_to (url TEXT PRIMARY KEY, time TEXT NOT NULL) STRICT")
    database.execute("INSERT INTO read_to VALUES ('u', ?)", [time])
    database.commit()
    return database.serialize()


@target(
    "state.database",
    _database("2026-10-31T12:00:00+00:00"),
    _database("9999-12-31"),
    b"SQLite format 3\0",
    b"x" * 200,
    share=0.02,
)
def database(data: bytes) -> None:
    """What is remembered of an API is a time that can be, or is begun anew; it never stops a client."""
    for old in place().glob("erp.sqlite3*"):
        old.unlink()
    path = place() / "erp.sqlite3"
    path.write_bytes(data)

    with suppress(sqlite3.Error):
        for line in described(path)[1]:
            see_line(line)

    async def used() -> None:
        state = State(path)
        async with state:
            moment = await state.watermark("u")
            law(moment is None or moment.tzinfo is not None, "a time has no zone")
            await state.set_etags({"7": "W/1"})
            law(await state.etags(["7"]) == {"7": "W/1"}, "what is written is not remembered")
            [proofs async for proofs in state.proofs()]
            await state.twins()
            [ids async for ids in state.listed()]

    try:
        run(used())
    except Fatal as error:
        see_line(str(error))
        raise
