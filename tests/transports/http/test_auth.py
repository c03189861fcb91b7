"""Credentials: each kind, refreshed, and never told."""

import base64
from urllib.parse import parse_qs

import pytest

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope
from pipeline.errors import Fatal, Outage, WrongSettings
from tests.asking import client_of, ids, order, outgoing, pull, push
from tests.scripted import Reply


class TestAuth:
    @pytest.mark.parametrize(
        ("auth", "header"),
        [
            ({"type": "bearer", "token_env": "A"}, "Bearer aaa"),
            ({"type": "basic", "user_env": "A", "password_env": "B"}, "Basic YWFhOmJiYg=="),
            ({"type": "api_key", "key_env": "A", "header": "Authorization"}, "aaa"),
        ],
    )
    async def test_each_kind(self, erp, tmp_path, auth, header):
        erp.token = header
        erp.put(order(1))
        assert len(await pull(client_of(erp, tmp_path, {"A": "aaa", "B": "bbb"}, auth=auth))) == 1

    async def test_an_oauth2_token_is_fetched_and_refreshed(self, erp, tmp_path):
        erp.token = "Bearer first"
        erp.put(order(1))
        auth = {"type": "oauth2", "token_url": erp.url.replace("orders", "token")}
        auth |= {"client_id_env": "A", "client_secret_env": "B"}
        client = client_of(erp, tmp_path, {"A": "id", "B": "secret"}, auth=auth)
        await pull(client)
        erp.token = "Bearer second"
        await pull(client)
        assert [one.path for one in erp.requests] == ["/token", "/orders", "/orders", "/token", "/orders"]

    async def test_a_refusal_stops_and_tells_no_secret(self, erp, tmp_path):
        erp.token = "Bearer right"
        with pytest.raises(Fatal, match="refuses us") as caught:
            await pull(client_of(erp, tmp_path, {"A": "wrong"}, auth={"type": "bearer", "token_env": "A"}))
        assert "wrong" not in str(caught.value)

    def test_a_secret_that_is_not_set_is_told_by_its_name(self, erp, tmp_path):
        with pytest.raises(WrongSettings, match="north: the environment variable A is not set"):
            client_of(erp, tmp_path, auth={"type": "bearer", "token_env": "A"})

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"url": "ftp://x"}, "north: url: expected an address"),
            ({"url": "https://user:secret@erp.example"}, "no password in an address"),
            ({"url": "https://erp.example/orders?plant=7"}, "north: url: expected no query in it"),
            ({"auth": {"type": "magic"}}, "north: auth: .*magic"),
            ({"auth": {"type": "bearer", "token": "abc"}}, "north: auth: "),
            ({"page": "cursor"}, "north: next: required"),
            ({"rate": 0}, "north: rate: "),
            ({"pages": "x"}, "north: pages: there is no such option"),
        ],
    )
    def test_wrong_options_are_told(self, erp, tmp_path, options, why):
        with pytest.raises(WrongSettings, match=why):
            client_of(erp, tmp_path, **options)


SECRETS = {"I": "c", "S": "a+b%2F:c"}


def oauth(server, **more):
    url = server.url.replace("orders", "token")
    return {"type": "oauth2", "token_url": url, "client_id_env": "I", "client_secret_env": "S", **more}


def tokens(server):
    return [asked for asked in server.asked if asked.path == "/token"]


class TestOAuth2:
    @pytest.fixture
    def start(self, serve):
        """``start(token)``: a server that gives ``token``, and orders to who has one."""

        def begin(token, says=None):
            def answer(asked):
                if asked.path == "/token":
                    return token(asked) if callable(token) else token
                if says is not None:
                    return says(asked)
                return {"items": [order(1)]} if asked.method == "GET" else {"id": 1}

            return serve(answer)

        return begin

    @pytest.mark.parametrize(
        "ends",
        [
            {"expires_in": "3599"},
            {"expires_in": None},
            {},
            {"expires_in": "soon"},
            {"expires_in": 3600.5},
            {"expires_in": 10**400},
            {"expires_in": "inf"},
            {"expires_in": [1]},
            {"expires_in": True},
        ],
        ids=str,
    )
    async def test_when_a_token_ends_may_be_said_in_many_ways(self, start, tmp_path, ends):
        server = start({"access_token": "abcd", "token_type": "Bearer", **ends})
        client = client_of(server, tmp_path, SECRETS, auth=oauth(server))
        assert ids(await pull(client)) == ids(await pull(client)) == [1]
        assert server.asked[-1].headers["authorization"] == "Bearer abcd"

    @pytest.mark.parametrize("ends", [0, -5, "0"])
    async def test_a_token_that_has_ended_is_fetched_for_each_request(self, start, tmp_path, ends):
        server = start({"access_token": "abcd", "expires_in": ends})
        client = client_of(server, tmp_path, SECRETS, auth=oauth(server))
        await pull(client)
        await pull(client)
        assert len(tokens(server)) == 2

    async def test_id_and_secret_are_form_encoded_in_the_header(self, start, tmp_path):
        server = start({"access_token": "abcd"})
        await pull(client_of(server, tmp_path, SECRETS, auth=oauth(server, scope="a b")))
        said = server.asked[0].headers["authorization"]
        assert base64.b64decode(said.removeprefix("Basic ")) == b"c:a%2Bb%252F%3Ac"
        assert parse_qs(server.asked[0].body.decode()) == {"grant_type": ["client_credentials"], "scope": ["a b"]}

    async def test_or_told_in_the_form(self, start, tmp_path):
        server = start({"access_token": "abcd"})
        await pull(client_of(server, tmp_path, SECRETS, auth=oauth(server, method="client_secret_post")))
        assert "authorization" not in server.asked[0].headers
        said = parse_qs(server.asked[0].body.decode())
        assert (said["client_id"], said["client_secret"]) == (["c"], ["a+b%2F:c"])

    async def test_many_pushes_need_one_token(self, start, tmp_path):
        server = start({"access_token": "abcd", "expires_in": 3600})
        client = client_of(server, tmp_path, SECRETS, auth=oauth(server), parallel=8)
        await push(client, *(outgoing(number) for number in range(40)))
        assert len(tokens(server)) == 1

    async def test_a_token_that_ends_among_many_pushes_is_fetched_anew_once(self, start, tmp_path):
        given = iter(["first", "second", "third"])
        valid = ["first"]

        def says(asked):
            if len(server.asked) > 20:
                valid[0] = "second"
            return {"id": 1} if asked.headers["authorization"] == f"Bearer {valid[0]}" else Reply({}, 401)

        server = start(lambda asked: {"access_token": next(given), "expires_in": 3600}, says)
        client = client_of(server, tmp_path, SECRETS, auth=oauth(server), parallel=8)
        await push(client, *(outgoing(number) for number in range(40)))
        assert len(tokens(server)) == 2

    @pytest.mark.parametrize(
        ("token", "why"),
        [
            (
                Reply({"error": "invalid_client", "error_description": "AADSTS7000222: the\nsecret expired"}, 401),
                r"gives no token \(it answers 401: invalid_client: AADSTS7000222: the secret expired\): see auth",
            ),
            (
                {"error": "invalid_client", "error_description": "AADSTS7000215"},
                r"it answers 200: invalid_client: AADSTS7000215",
            ),
            (Reply(b"<html><title>Sign in</title>", kind="text/html"), r"answers 200, with an HTML page \(Sign in\)"),
            (Reply(b"", 302, {"Location": "/login?next=secret"}), r"it answers 302, moved to /login\)"),
            ({"access_token": ""}, "gives no token"),
            ({"access_token": 5, "AccessToken": "hidden"}, "gives no token"),
            ({"access_token": "a\nb"}, "gives no token"),
            ([], "gives no token"),
        ],
        ids=str,
    )
    async def test_why_there_is_no_token(self, start, tmp_path, token, why):
        server = start(token)
        client = client_of(server, tmp_path, SECRETS, auth=oauth(server))
        with pytest.raises(Fatal, match=why) as caught:
            await pull(client)
        assert not {"hidden", "secret=", SECRETS["S"]} & set(str(caught.value).split())
        assert len(server.asked) == 1

    async def test_a_secret_that_the_server_repeats_is_not_told(self, start, tmp_path):
        server = start(lambda asked: Reply({"error": f"bad secret {SECRETS['S']}"}, 400))
        with pytest.raises(Fatal, match=r"bad secret \*\*\*\)"):
            await pull(client_of(server, tmp_path, SECRETS, auth=oauth(server)))

    async def test_who_is_refused_once_does_not_ask_again_for_each_order(self, start, tmp_path):
        server = start(Reply({"error": "invalid_client"}, 401))
        client = client_of(server, tmp_path, SECRETS, auth=oauth(server), parallel=8)
        with pytest.raises(Fatal, match="invalid_client"):
            await push(client, *(outgoing(number) for number in range(40)))
        assert len(server.asked) == 1

    async def test_a_tokens_server_that_is_away_is_an_outage_and_named(self, start, tmp_path):
        server = start(Reply({}, 503))
        with pytest.raises(Outage, match=r"localhost:\d+ answers 503"):
            await pull(client_of(server, tmp_path, SECRETS, auth=oauth(server), attempts=2))
        assert len(server.asked) == 2


class TestSecrets:
    @pytest.mark.parametrize("said", ["abcd\n", " abcd", "abcd\r\n", "Bearer abcd", "\tabcd "])
    async def test_blanks_and_ends_of_line_are_no_part_of_one(self, erp, tmp_path, said):
        erp.token = "Bearer abcd"
        auth = {"type": "bearer", "token_env": "TOK"}
        assert await pull(client_of(erp, tmp_path, {"TOK": said}, auth=auth)) == []

    @pytest.mark.parametrize("said", ["ab\ncd", "ab\x00cd", "äöü", "ab\u200bcd", "\ufeffabcd"])
    @pytest.mark.parametrize(
        "auth", [{"type": "bearer", "token_env": "TOK"}, {"type": "api_key", "key_env": "TOK"}], ids=str
    )
    def test_what_no_header_may_hold_is_told_by_its_name(self, erp, tmp_path, said, auth):
        with pytest.raises(WrongSettings, match="north: auth: TOK holds a character that no header may") as caught:
            client_of(erp, tmp_path, {"TOK": said}, auth=auth)
        assert said not in str(caught.value)

    async def test_a_password_may_hold_anything(self, erp, tmp_path):
        erp.token = f"Basic {base64.b64encode('jörg:pä ß '.encode()).decode()}"
        auth = {"type": "basic", "user_env": "U", "password_env": "P"}
        assert await pull(client_of(erp, tmp_path, {"U": "jörg\n", "P": "pä ß \n"}, auth=auth)) == []

    async def test_one_that_the_server_repeats_is_not_told(self, serve, tmp_path):
        server = serve(lambda asked: Reply({"message": f"unknown key {asked.headers['x-api-key']}"}, 403))
        with pytest.raises(Fatal, match=r"refuses us \(403: unknown key \*\*\*\): see auth"):
            await pull(client_of(server, tmp_path, {"K": "k-1234"}, auth={"type": "api_key", "key_env": "K"}))


class TestCsrf:
    """SAP Gateway's handshake: a token with its cookies for each write."""

    @pytest.fixture
    def gateway(self, serve):
        """A server that takes a write only with the token and the cookie of its last Fetch."""
        state = {"number": 0}

        def answer(asked):
            said = asked.headers.get("x-csrf-token")
            if asked.method == "GET" and said == "Fetch":
                state["number"] += 1
                cookies = [f"sap-XSRF_X={state['number']}; path=/", "MYSAPSSO2=1; path=/"]
                return Reply({"items": []}, headers={"X-CSRF-Token": f"T{state['number']}", "Set-Cookie": cookies})
            number = state["number"]
            if said == f"T{number}" and f"sap-XSRF_X={number}" in asked.headers.get("cookie", ""):
                return Reply(status=204)
            return Reply(b"CSRF token validation failed", 403, {"X-CSRF-Token": "Required"}, "text/plain")

        server = serve(answer)
        server.state = state
        return server

    async def test_one_token_for_all_writes(self, gateway, tmp_path):
        client = client_of(gateway, tmp_path, csrf=True, parallel=8, order_params={"sap-language": "EN"})
        results = await push(client, *(outgoing(number) for number in range(20)))
        assert results == ["sent"] * 20
        fetches = [asked for asked in gateway.asked if asked.method == "GET"]
        assert [(asked.path, asked.query) for asked in fetches] == [("/orders", {"sap-language": "EN", "$top": "1"})]

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    async def test_its_cookies_are_kept_for_any_host(self, gateway, tmp_path, host):
        url = gateway.url.replace("localhost", host)
        assert await push(client_of(gateway, tmp_path, csrf=True, url=url), outgoing(1)) == ["sent"]

    async def test_one_that_has_ended_is_fetched_anew(self, gateway, tmp_path):
        client = client_of(gateway, tmp_path, csrf=True)
        async with client.sink() as sink:
            assert (await sink.write_batch([Envelope(outgoing(1), Locator("1"))])).outcomes == ["sent"]
            gateway.state["number"] += 1
            assert (await sink.write_batch([Envelope(outgoing(2), Locator("2"))])).outcomes == ["sent"]
        assert [asked.method for asked in gateway.asked] == ["GET", "PATCH", "PATCH", "GET", "PATCH"]

    async def test_one_that_is_refused_though_it_is_fresh(self, serve, tmp_path):
        required = Reply(b"", 403, {"x-csrf-token": "required"})
        server = serve(lambda asked: Reply({}, headers={"X-CSRF-Token": "T"}) if asked.method == "GET" else required)
        with pytest.raises(Fatal, match="refuses a CSRF token that it has just given: its cookies do not reach it"):
            await push(client_of(server, tmp_path, csrf=True), outgoing(1))
        assert len(server.asked) == 4

    async def test_a_service_without_it(self, serve, tmp_path):
        server = serve(lambda asked: {"items": []})
        assert await push(client_of(server, tmp_path, csrf=True), outgoing(1), outgoing(2)) == ["sent"] * 2
        assert [asked.method for asked in server.asked].count("GET") == 1

    async def test_a_client_that_does_not_know_of_it_is_told(self, gateway, tmp_path):
        with pytest.raises(Fatal, match="asks for a CSRF token with each write: set csrf = true"):
            await push(client_of(gateway, tmp_path), outgoing(1))

    async def test_reading_needs_none(self, gateway, tmp_path):
        gateway.answer = lambda asked: {"items": [order(1)]}
        await pull(client_of(gateway, tmp_path, csrf=True))
        assert "x-csrf-token" not in gateway.asked[0].headers
