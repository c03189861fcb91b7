"""Credentials: each kind, refreshed, and never told."""

import pytest

from pipeline.errors import Fatal, WrongSettings
from tests.asking import client_of, order, pull


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
