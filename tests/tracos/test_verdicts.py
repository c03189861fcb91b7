"""What each error means: every code of the driver's lists and of the server's own."""

import asyncio

import pytest
from pymongo import helpers_shared
from pymongo.errors import AutoReconnect, OperationFailure, WriteConcernError, WTimeoutError

from pipeline.errors import Fatal, TracosOutage
from pipeline.tracos.outages import ride_out
from pipeline.tracos.verdicts import (
    COLLECTION,
    LABELS,
    LOGIN,
    ORDER,
    PASSING,
    POISON,
    RIGHTS,
    Refusal,
    Verdict,
    judge,
    missing_right,
    name_of,
)
from tests.tracos import server_codes

TABLES = {
    "passing": (PASSING, Verdict.PASSES, Verdict.PASSES),
    "login": (LOGIN, Verdict.LOGIN, Verdict.LOGIN),
    "rights": (RIGHTS, Verdict.RIGHTS, Verdict.RIGHTS),
    "order": (ORDER, Verdict.STOPS, Verdict.ORDER),
    "collection": (COLLECTION, Verdict.STOPS, Verdict.STOPS),
}


def test_what_the_driver_tries_again_passes():
    driver = helpers_shared._RETRYABLE_ERROR_CODES | helpers_shared._NOT_PRIMARY_CODES | helpers_shared._SHUTDOWN_CODES
    assert len(driver) > 10
    assert {judge(code, alone=alone) for code in driver for alone in (True, False)} == {Verdict.PASSES}


def test_what_the_server_calls_passing_passes():
    assert {judge(code, alone=alone) for code in server_codes.passing() for alone in (True, False)} == {Verdict.PASSES}


def test_each_code_of_the_server_has_one_verdict_as_a_whole_and_one_for_a_statement():
    names = server_codes.names()
    assert len(names) > 350
    for code, name in names.items():
        tables = [key for key, (table, _, _) in TABLES.items() if code in table]
        assert len(tables) <= 1, code
        expected = TABLES[tables[0]][1:] if tables else (Verdict.STOPS, Verdict.ORDER)
        assert (judge(code), judge(code, alone=True)) == expected, code
        assert name_of(code, name) == f"code {code}, {name}"


def test_the_tables_call_codes_what_the_server_calls_them():
    names = server_codes.names() | {11001: "DuplicateKey", 12582: "DuplicateKey"}
    names |= dict.fromkeys((17419, 17420), "BSONObjectTooLarge")
    for table, _, _ in TABLES.values():
        assert {code: names[code] for code in table} == table
    assert ORDER.keys() >= POISON


@pytest.mark.parametrize("code", [None, 0, -1, 99999, 16755])
def test_codes_that_nobody_knows_have_verdicts_too(code):
    assert (judge(code), judge(code, alone=True)) == (Verdict.STOPS, Verdict.ORDER)
    assert "code" in name_of(code)


@pytest.mark.parametrize("label", sorted(LABELS))
@pytest.mark.parametrize("code", [1, 8, 13, 18, 121, 99999])
def test_a_label_goes_before_any_code(code, label):
    assert judge(code, labels=[label]) is judge(code, labels=[label], alone=True) is Verdict.PASSES
    assert judge(code, labels=["SomethingElse"]) is judge(code)


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("bad auth : Authentication failed.", Verdict.LOGIN),
        ("user is not allowed to do action [insert] on [plant.workorders]", Verdict.RIGHTS),
        ("you are over your space quota, using 513 MB of 512 MB", Verdict.STOPS),
        ("CMD_NOT_ALLOWED: createIndexes", Verdict.STOPS),
    ],
)
def test_the_code_of_atlas_is_a_login_only_where_it_says_so(message, verdict):
    assert judge(8000, message=message) is verdict


SECRET = "hunter2"


async def told(error, **options):
    async def failing():
        raise error

    with pytest.raises(Fatal) as caught:
        await ride_out(failing, seconds=0, **options)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("code", sorted(server_codes.names()))
async def test_every_code_is_told_with_its_name_and_without_its_words(code):
    name = server_codes.names()[code]
    error = await told(OperationFailure(f"about {SECRET}", code, {"codeName": name, "errmsg": SECRET}))
    assert f"code {code}, {name}" in str(error)
    assert isinstance(error, TracosOutage) is (code in PASSING)


async def test_what_is_tried_again_succeeds_when_it_is_over(log):
    seen = []

    async def flaky():
        seen.append(1)
        if len(seen) < 3:
            raise OperationFailure(f"busy with {SECRET}", 262, {"codeName": "ExceededTimeLimit"})
        return "done"

    assert await ride_out(flaky, seconds=30) == "done"
    assert len(seen) == 3
    lines = [line for line in log if "MongoDB" in line]
    assert len(lines) == 2
    assert "ExceededTimeLimit" in lines[0]
    assert SECRET not in "".join(log)


@pytest.mark.parametrize(
    ("message", "right"),
    [
        (
            'not authorized on plant to execute command { update: "workorders", updates: [ { q: { a: "hunter2" } } ] }',
            "update on plant.workorders",
        ),
        ('not authorized on plant to execute command { count: "workorders", query: {} }', "find on plant.workorders"),
        ('not authorized on plant to execute command { createIndexes: "a b", x: 1 }', "createIndex on plant.a b"),
        ("not authorized on admin to execute command { hello: 1 }", "hello on admin"),
        ("user is not allowed to do action [insert] on [plant.workorders]", "insert on plant.workorders"),
    ],
)
async def test_a_missing_right_is_named(message, right):
    assert missing_right(message) == right
    error = await told(OperationFailure(message, 13, {"codeName": "Unauthorized"}))
    assert right in str(error)


async def test_a_right_that_cannot_be_read_from_the_words_is_told_all_the_same():
    error = await told(OperationFailure("there is no such right", 13, {"codeName": "Unauthorized"}))
    assert "lacks a right" in str(error)


async def test_where_nobody_has_logged_in_no_right_is_lacking_but_a_login():
    error = await told(OperationFailure("command find requires authentication", 13, {"codeName": "Unauthorized"}))
    assert "wants a login" in str(error)


async def test_writes_that_nobody_confirms_are_an_outage_and_a_write_concern_that_cannot_be_met_is_none():
    late = await told(WTimeoutError("waiting", 64, {"codeName": "WriteConcernTimeout"}))
    assert isinstance(late, TracosOutage)
    assert "no majority of its members confirms writes" in str(late)
    never = await told(WriteConcernError("no", 100, {"codeName": "UnsatisfiableWriteConcern"}))
    assert not isinstance(never, TracosOutage)
    assert "see its option w" in str(never)


async def test_who_does_not_confirm_is_told_as_the_uri_asks():
    asked = {"errInfo": {"wtimeout": True, "writeConcern": {"w": 3, "wtimeout": 5000}}}
    late = await told(WTimeoutError("waiting", 64, asked))
    assert "not as many of its members confirm writes as w=3 in MONGO_URI asks for" in str(late)
    unbuilt = await told(WTimeoutError("waiting", 64, {"index": "number_1"}))
    assert "no majority of its members has built the index number_1 in time" in str(unbuilt)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("operation cancelled", "(no answer in time)"),
        ("127.0.0.1:27017: connection closed", "(it ended the connection)"),
        ("127.0.0.1:27017: timed out", "(no answer in time)"),
    ],
)
async def test_a_connection_that_worked_and_then_failed_is_no_matter_of_tls(words, reason):
    """A reply that is lost in a failover was told as "see tls in MONGO_URI", and as "_OperationCancelled"."""
    assert reason in str(await told(AutoReconnect(words)))


async def test_what_is_not_tried_again_is_not_said_to_be(log):
    async def failing():
        await asyncio.sleep(0.02)
        raise AutoReconnect("connection closed")

    with pytest.raises(TracosOutage):
        await ride_out(failing, seconds=0.01)
    assert log == []


def test_a_refusal_names_fields_and_indexes_and_no_value():
    twin = Refusal.of(
        {
            "index": 0,
            "code": 11000,
            "errmsg": 'E11000 duplicate key error collection: a.b index: asset tag_1 dup key: { asset.tag: "hunter2" }',
            "keyPattern": {"asset.tag": 1, "site": 1},
            "keyValue": {"asset.tag": SECRET, "site": 1},
        }
    )
    assert (twin.fields, twin.index) == (("asset.tag", "site"), "asset tag_1")
    assert str(twin.reason) == (
        "MongoDB refuses the document: another document has the same `asset.tag`, `site` (unique index asset tag_1) "
        "(code 11000, DuplicateKey)"
    )
    for code in (10334, 17280, 16755):
        assert f"(code {code}" in str(Refusal(code).reason)
