"""README.md and docs/ show what the program is: its picture, its settings, what it prints."""

import os
import re
import subprocess
import sys

import msgspec
import pytest

from docs.write_settings import PAGE, TABLES, tables
from pipeline.clients.registry import kinds, options_of
from pipeline.clients.schema import table_schema
from pipeline.dataflow.messages import Fate, Outcome
from pipeline.history.decisions import MISSED
from pipeline.history.meaning import MEANING as RULES
from pipeline.orders.merge import Rule
from pipeline.service.customers import TABLES as TABLE_KEYS
from pipeline.service.customers import TEXTS
from pipeline.service.secrets import beside
from pipeline.service.settings import SECRET, Settings
from tests.plant import ROOT

README = (ROOT / "README.md").read_text()
TRUST = re.findall(r"(?m)^\| \[.+?\]\(docs/(\w+\.md).*?\).*? \| (.+) \|$", README.partition("## Why to trust it")[2])
FIGURE = re.compile(r"\d[\d,.]*\d|\d")


def test_the_readme_is_one_that_is_read():
    assert len(README.splitlines()) <= 120


def test_the_picture_of_the_readme_is_the_one_that_the_stages_make(plant):
    (picture,) = re.findall(r"!\[.+\]\((.+\.svg)\)", README)
    assert (ROOT / picture).read_text() == plant.command("graph", "--svg"), (
        f"run, where no MONGO_URI is set: python -m pipeline graph --svg > {picture}"
    )


@pytest.mark.parametrize(("page", "figures"), TRUST, ids=range(len(TRUST)))
def test_the_figures_of_the_readme_are_those_of_the_page_that_it_links(page, figures):
    there = set(FIGURE.findall((ROOT / "docs" / page).read_text()))
    assert set(FIGURE.findall(figures)) <= there


def test_the_readme_has_figures_of_both_pages():
    assert {page for page, _ in TRUST} == {"reliability.md", "performance.md"}


def test_the_page_of_settings_is_the_one_that_the_code_makes():
    assert TABLES.findall(PAGE.read_text()) == [tables()], "run: python -m docs.write_settings"


def test_every_setting_is_in_the_page_and_in_the_example_file():
    names = {field.name.upper() for field in msgspec.structs.fields(Settings) if field.name != "secrets"}
    names |= {beside(name.upper()) for name in SECRET}
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE.read_text(), re.MULTILINE)) == names
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE)) == names


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_every_option_of_a_kind_is_told(kind):
    page = (ROOT / "docs/clients.md").read_text()
    options = [field.encode_name for field in msgspec.structs.fields(options_of(kind))]
    assert [name for name in (kind.name, *options) if not re.search(rf"`{name}\b", page)] == []


def test_every_key_of_every_client_and_of_a_table_is_told():
    pages = {name: (ROOT / f"docs/{name}.md").read_text() for name in ("clients", "layouts")}
    assert [name for name in (*TEXTS, *TABLE_KEYS) if f"`{name}`" not in pages["clients"]] == []
    keys = {key for key, _ in keys_in(table_schema())}
    assert len(keys) > 20
    assert [name for name in sorted(keys) if not re.search(rf"(`|\b){name}(`| = )", pages["layouts"])] == []


def test_every_word_for_what_became_of_an_item_is_explained():
    words = (ROOT / "docs/words.md").read_text()
    said = {word for name in re.findall(r"(?m)^\| ([^|]+) \|", words) for word in re.findall(r"[\w ]+", name)}
    there = {*map(str, Rule), *RULES, MISSED, *map(str, Outcome), *map(str, Fate)}
    assert there - {word.strip() for word in said} == set()


def keys_in(schema):
    """The keys that a JSON schema knows, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for value in schema.values():
            yield from keys_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from keys_in(value)


def test_what_the_readme_shows_is_what_the_program_prints(tmp_path, mongo_uri, database_name):
    environ = {"PYTHONPATH": str(ROOT), "MONGO_URI": mongo_uri, "MONGO_DATABASE": database_name, "LANG": "C.UTF-8"}

    def run(name, *arguments):
        command = [sys.executable, str(ROOT / name), *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=True
        )
        return said(done.stderr + done.stdout)

    def said(text):
        """The lines, without times."""
        text = re.sub(r"\d\d:\d\d:\d\d ", "", re.sub(r"in \d+\.\d s", "in 1.0 s", text))
        text = text.replace(f"{sys.executable} {ROOT}/", ".venv/bin/python ").replace(database_name, "tractian")
        text = re.sub(r"mongodb://\S+/(\S+)", r"embedded, data/mongo (\1)", text)
        return [line for line in text.splitlines() if line]

    def shown(mark):
        return said(re.search(rf"<!-- {mark} -->\n```\n(.*?)```", README, re.DOTALL)[1])

    assert run("setup.py", "--yes") + run("src/main.py") == shown("sample run")
    assert run("src/main.py") == shown("second run")
