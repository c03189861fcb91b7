"""What an API says of its refusal: its headline and its details, field by field, in one line."""

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.transports.http.answers import Answer
from pipeline.transports.http.reasons import means_error, reason

SOME = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9)
JSON = st.recursive(SOME, lambda some: st.lists(some) | st.dictionaries(st.text(max_size=9), some), max_leaves=20)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            '{"title": "One or more errors occurred.", "status": 400, "errors": {"Title": ["At most 40 characters."]}}',
            "One or more errors occurred.: Title: At most 40 characters.",
        ),
        (
            '{"message": "The given data was invalid.", "errors": {"title": ["Too long.", "Odd."]}}',
            "The given data was invalid.: title: Too long.; Odd.",
        ),
        ('{"error": true, "msg": "Order is locked by SMITH"}', "Order is locked by SMITH"),
        (
            '{"title": "It did not validate.", "invalid-params": [{"name": "age", "reason": "must be positive"}]}',
            "It did not validate.: age: must be positive",
        ),
        (
            '{"errors": [{"field": "title", "message": "too long"}, {"field": "status", "message": "not legal"}]}',
            "title: too long; status: not legal",
        ),
        ('{"errors": {"title": "is too long"}}', "title: is too long"),
        ('{"title": ["At most 40."], "status": ["Unknown."]}', "title: At most 40.; status: Unknown."),
        ('{"title": "Conflict", "detail": "locked by SMITH"}', "locked by SMITH (Conflict)"),
        ('{"detail": [{"loc": ["body", "title"], "msg": "too long", "type": "x"}]}', "body.title: too long"),
        (
            '{"error": {"code": "E/1", "message": {"lang": "en", "value": "No order"}, "innererror": '
            '{"errordetails": [{"propertyref": "GL", "message": "bad account"}]}}}',
            "No order (E/1): GL: bad account",
        ),
        (
            '{"error": {"code": "0x1", "message": "No", "details": [{"target": "title", "message": "long"}]}}',
            "No (0x1): title: long",
        ),
        ('{"Error": {"reasonCode": "BMXAA1E", "message": "BMXAA1E - no GL", "statusCode": "400"}}', "BMXAA1E - no GL"),
        ('{"oslc:Error": {"oslc:message": "no such site", "spi:reasonCode": "B1"}}', "no such site (B1)"),
        ('{"errors": [{"title": "T", "detail": "D", "source": {"pointer": "/data/t"}}]}', "/data/t: D (T)"),
        ('[{"message": "bad", "errorCode": "E1", "fields": ["Title", "Asset"]}]', "Title.Asset: bad (E1)"),
        ('{"errorMessages": ["no rights"], "errors": {}}', "no rights"),
        ('{"Message": "Invalid.", "ModelState": {"order.Title": ["x"]}}', "Invalid.: order.Title: x"),
        ('{"error": "invalid_client", "error_description": "it has expired"}', "it has expired (invalid_client)"),
        ('{"timestamp": "1", "status": 400, "error": "Bad Request", "path": "/orders"}', "Bad Request"),
        ('{"foo": 1}', '{"foo":1}'),
        ('"no"', "no"),
        ("true", "it gives no reason"),
        ("{}", "it gives no reason"),
        ("", "it gives no reason"),
        ("no such\n\tplant", "no such plant"),
        ("<html><title>Sign &amp; in</title>", "it answers with an HTML page (Sign & in)"),
        ("<?xml version='1.0'?><error/>", "it answers with XML"),
    ],
)
def test_forms_that_servers_use(body, said):
    assert reason(Answer(422, httpx.Headers(), body.encode())) == said


@given(JSON)
def test_any_json_has_a_reason_of_one_line(data):
    said = reason(Answer(400, httpx.Headers(), msgspec.json.encode(data)))
    assert said
    assert len(said) <= 2000
    assert said.isprintable()


@given(st.binary(max_size=200))
def test_anything_else_too(body):
    assert reason(Answer(400, httpx.Headers(), body)).isprintable()


@pytest.mark.parametrize("value", ["locked", 1, True, [1], {"code": 5}, ["", "x"], {"a": {"b": "no plant"}}, 0.5])
def test_errors(value):
    assert means_error(value)


@pytest.mark.parametrize(
    "value", [None, "", " ", 0, False, [], {}, [""], "OK", "none", {"code": 0, "message": "Success"}]
)
def test_what_only_looks_like_one(value):
    assert not means_error(value)
