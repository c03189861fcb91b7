"""An API that refuses some orders, or calls one otherwise: the others are told, and it is said."""

from http import HTTPStatus

import pytest

from tests.asking import order
from tests.scripted import Reply, serving

CLIENT = """\
[clients.erp]
kind = "rest_json"
url = "{url}"
items = "items"
attempts = 2
retry_seconds = 3
{options}
"""


@pytest.fixture
def erp():
    """A server that holds orders, and answers a write by what ``refuse`` says of its order."""

    def answer(asked):
        if asked.method == "GET":
            return {"items": list(server.orders.values())}
        number = int(asked.path.rpartition("/")[2]) if asked.path != "/orders" else asked.json["id"]
        refused = server.refuse.get(number)
        if refused is not None:
            return refused
        server.orders[number] = server.orders.get(number, {}) | asked.json
        return server.orders[number]

    with serving(answer) as server:
        server.orders = {number: order(number) for number in range(1, 9)}
        server.refuse = {}
        yield server


@pytest.fixture
def sync(plant, erp):
    """``sync(options)``: one run; its exit code and what it prints."""

    def run(options=""):
        plant.home.joinpath("clients.toml").write_text(CLIENT.format(url=erp.url, options=options))
        process = plant.start(CLIENTS_FILE="clients.toml")
        out, err = process.communicate(timeout=60)
        return process.returncode, out + err

    return run


def edit(plant, numbers, title="edited"):
    plant.orders.update_many({"number": {"$in": numbers}}, {"$set": {"title": title, "isSynced": False}})


def unsynced(plant):
    return sorted(one["number"] for one in plant.orders.find({"isSynced": {"$ne": True}}))


def test_one_forbidden_order_is_its_own_dead_letter(plant, erp, sync):
    assert sync()[0] == 0
    erp.refuse[1] = Reply({"error": {"message": "no privilege on this plant"}}, HTTPStatus.FORBIDDEN)
    edit(plant, list(range(1, 9)))
    code, said = sync("parallel = 1")
    assert (code, "7 sent" in said, unsynced(plant)) == (0, True, [1])
    (letter,) = plant.letters().values()
    assert (letter.id, "refuses it (403): no privilege on this plant" in str(letter.reasons[0])) == (1, True)
    before = len(erp.asked)
    assert sync()[0] == 0
    assert [asked.method for asked in erp.asked[before:]] == ["GET"]


def test_credentials_that_end_in_the_middle_stop_it_and_what_was_told_is_told(plant, erp, sync):
    sync()
    edit(plant, list(range(1, 9)))
    held = erp.answer

    def answer(asked):
        told = sum(one.method != "GET" for one in erp.asked)
        return Reply({"message": "expired"}, 401) if told > 5 else held(asked)

    erp.answer = answer
    code, said = sync("parallel = 1")
    assert (code, "refuses us (401: expired): see auth" in said) == (1, True)
    assert (len(unsynced(plant)), plant.letters()) == (3, {})
    erp.answer = held
    before = len(erp.asked)
    assert sync()[0] == 0
    assert (unsynced(plant), sum(one.method != "GET" for one in erp.asked[before:])) == ([], 3)


@pytest.mark.slow
def test_orders_that_fail_block_no_others_and_are_letters_in_the_fifth_run(plant, erp, sync):
    sync()
    for number in (1, 2, 3):
        erp.refuse[number] = Reply({"message": "bad GL account"}, 500)
    for run in range(1, 6):
        edit(plant, list(range(1, 9)), f"edited {run}")
        code, said = sync("parallel = 1")
        assert (code, unsynced(plant)) == (0, [1, 2, 3])
        assert ("answers 500" in said, "bad GL account" in said) == (True, False)  # what it says is for the letter
        assert len(plant.letters()) == (0 if run < 5 else 3)
    assert all("bad GL account" in str(letter.reasons[0]) for letter in plant.letters().values())


def test_an_order_that_the_client_calls_otherwise_is_no_second_one(plant, erp, sync):
    erp.orders.clear()
    plant.orders.insert_one(
        {"number": 777, "title": "born here", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
    )

    def answer(asked):
        if asked.method == "GET":
            return {"items": list(erp.orders.values())}
        erp.orders[400001] = asked.json | {"id": 400001}
        return Reply(erp.orders[400001], 201, {"Location": "/orders/400001"})

    erp.answer = answer
    for _ in range(2):
        sync('create = "POST"')
        plant.orders.update_one({"number": 777}, {"$set": {"isSynced": False}})
    assert [one["number"] for one in plant.orders.find()] == [777]
    said = sorted(str(letter.reasons[0]) for letter in plant.letters().values())
    assert said[0].startswith("the client calls it 400001")
    assert said[1].startswith("the client made this order of ours, 777, and calls it 400001")
    assert sum(asked.method == "POST" for asked in erp.asked) == 1


@pytest.mark.slow
@pytest.mark.slow
def test_an_edit_that_says_again_what_was_told_before_is_told(plant, erp, sync):
    sync()
    keys = {}
    held = erp.answer

    def answer(asked):
        key = asked.headers.get("idempotency-key")
        if key in keys:
            return keys[key]
        said = held(asked)
        if key is not None:
            keys[key] = said
        return said

    erp.answer = answer
    for title in ("A", "B", "A", "B", "A"):
        edit(plant, [1], title)  # its updatedAt stays
        assert sync()[0] == 0
        assert erp.orders[1]["title"] == title
