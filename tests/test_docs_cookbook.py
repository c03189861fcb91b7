"""Each recipe of docs/cookbook.md, done as it stands, with the program and a real MongoDB."""

import gzip
import json
import re
import threading
import tomllib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.plant import ROOT

PAGE = (ROOT / "docs/cookbook.md").read_text()
RECIPES = [part for part in re.split(r"(?m)^## ", PAGE)[1:] if "```" in part]
BLOCK = re.compile(r'(?ms)^```(\w+)(?: title="([^"]+)")?\n(.*?)^```')
ADDRESS = "https://erp.acme.example"


class Kitchen:
    """Where a recipe is done: what its blocks say, in the order in which a person would do it."""

    def __init__(self, plant, asked):
        self.plant, self.asked = plant, asked

    def follow(self, blocks, address):
        pages = {title.removeprefix("GET "): text for _, title, text in blocks if title.startswith("GET ")}
        self.asked["pages"].update(pages)
        for language, _, text in blocks:
            if language == "toml":
                self.table(text.replace(ADDRESS, address))
        done = 0
        for language, title, text in blocks:
            if language != "toml" and not title.startswith("GET "):
                done += self.block(title, text)
        assert done

    def table(self, text):
        (self.plant.home / "clients.toml").write_text(text)
        self.encoding = tomllib.loads(text)["clients"]["acme"].get("encoding", "utf-8")
        for client in tomllib.loads(text)["clients"].values():
            if "inbound_dir" in client:
                (self.plant.home / client["inbound_dir"]).mkdir(parents=True)

    def block(self, title, text):
        """Do it, or look at it; whether there was something to look at."""
        if "/in/" in title and not title.startswith("left"):
            data = text.encode(self.encoding)
            self.plant.put(self.plant.home / title, gzip.compress(data) if title.endswith(".gz") else data)
            return False
        if title == "edited in TracOS":
            self.edit(json.loads(text))
            return False
        self.run()
        if title == "in TracOS":
            self.compare(json.loads(text))
        elif title.startswith("left in "):
            folder = self.plant.home / title.removeprefix("left in ")
            assert sorted(path.name for path in folder.glob("*")) == json.loads(text)
        elif title.startswith("PATCH "):
            assert self.asked["told"] == {title.removeprefix("PATCH "): json.loads(text)}
        else:
            assert json.loads((self.plant.home / title).read_text()) == json.loads(text)
        return True

    def run(self):
        out = json.loads(
            self.plant.command("run", "--json", CLIENTS_FILE="clients.toml", ACME_TOKEN="s3cret"),
        )
        assert out["ending"] == "finished"
        assert not any(flow.get("dead") for flow in out["flows"])

    def edit(self, said):
        if self.plant.orders.count_documents({}) == 0 and not list(self.plant.home.glob("acme/in/*")):
            self.plant.orders.insert_one({**said, "isSynced": False})
            return
        self.run()
        done = self.plant.orders.update_one(
            {"number": said["number"]}, {"$set": {"updatedAt": "2026-10-05T00:00:00.000Z", **said, "isSynced": False}}
        )
        assert done.matched_count == 1

    def compare(self, said):
        said = said if isinstance(said, list) else [said]
        assert self.plant.orders.count_documents({}) == len(said)
        for one in said:
            document = self.plant.orders.find_one({"number": one["number"]})
            assert {key: document.get(key) for key in one} == one


@contextmanager
def erp(asked):
    """The API of the recipe: it shows the pages that stand there, and takes what it is told."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body):
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def do_GET(self):
            assert self.headers["Authorization"] == "Bearer s3cret"
            path = re.sub(r"limit=\d+&?", "", self.path).rstrip("?&")
            self.answer(asked["pages"].get(path, ""))

        def do_PATCH(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked["told"][self.path] = json.loads(body)
            self.answer(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.partition("\n")[0])
def test_the_recipe_works_as_it_stands(plant, recipe):
    asked = {"pages": {}, "told": {}}
    with erp(asked) as address:
        Kitchen(plant, asked).follow(BLOCK.findall(recipe), address)


def test_there_are_ten_recipes_and_more():
    assert len(RECIPES) >= 10
