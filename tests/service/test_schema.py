"""``clients schema``: what it accepts is what is read, and it is draft 4 alone."""

import json
import re
import tomllib
from importlib.metadata import EntryPoint

import pytest

from examples.fake_erp import SETTINGS
from pipeline.clients import registry
from pipeline.clients.spelling import WrongTable, table_of
from pipeline.clients.table_keys import OF_FIELD, OF_KIND, OPTIONS
from pipeline.service.schema import schema_of_clients
from tests.plant import ROOT, Plant

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
ISSUE = """
[clients.acme]
kind = "rest_json"
url = "https://erp.acme.example/orders"
layout = "acme"
direction = "both"
authority = { status = "client", title = "newest", description = "tracos" }

[layouts.acme]
id = "workOrder.ref"
reference = "workOrder.extRef"
created_at = { at = "workOrder.dates.opened", format = "%d/%m/%Y %H:%M" }
updated_at = "workOrder.dates.touched"
title = "workOrder.text"
deleted = { at = "workOrder.void", when = true }
where = { "workOrder.plant" = ["A1", "A2"] }

[layouts.acme.status]
at = "workOrder.state.code"
words = { OPN = "created", APP = "pending", WIP = "in_progress", HLD = "on_hold", CLS = "completed", CAN = "cancelled" }
tell = { on_hold = "HLD" }
steps = { CLS = [] }

[layouts.acme.fields]
priority = { at = "workOrder.prio", words = { "1" = "high", "2" = "medium", "3" = "low" } }
assetId = "workOrder.asset.code"
dueDate = { at = "workOrder.dates.due", kind = "time" }
estimatedHours = { at = "workOrder.hours", kind = "number" }
requiresShutdown = { at = "workOrder.stop", kind = "flag", true = "Y", false = "N" }

[layouts.acme.constants]
"workOrder.source" = "TRACOS"
"""


def faults(schema, said, root):
    """What of draft 4 ``said`` does not keep; an AssertionError for a key of a schema that is none of draft 4's."""
    for key, asked in schema.items():
        assert key in KEYWORDS, key
        if KEYWORDS[key](asked, said, schema, root):
            yield key


def fits(schema, said, root):
    return not any(True for _ in faults(schema, said, root))


def members(asked, said, schema, root):
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in said.items() if isinstance(said, dict) else ():
        found = [properties[name]] if name in properties else []
        found += [one for pattern, one in patterns.items() if re.search(pattern, name)]
        more = schema.get("additionalProperties", {})
        if not found and more is False:
            return True
        if not all(fits(one, value, root) for one in found or [more]):
            return True
    return False


def is_a(said, kinds):
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return any(isinstance(said, TYPES[kind]) and (kind == "boolean" or not isinstance(said, bool)) for kind in kinds)


def is_text(said):
    return isinstance(said, str)


def is_number(said):
    return is_a(said, "number")


KEYWORDS = {
    **dict.fromkeys(("$schema", "title", "description", "definitions"), lambda *_: False),
    **dict.fromkeys(("properties", "patternProperties", "additionalProperties"), members),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), lambda asked, *_: not isinstance(asked, bool)),
    "type": lambda asked, said, schema, root: not is_a(said, asked),
    "enum": lambda asked, said, schema, root: said not in asked,
    "required": lambda asked, said, *_: (isinstance(said, dict) and not set(asked) <= said.keys()) or not asked,
    "minProperties": lambda asked, said, *_: isinstance(said, dict) and len(said) < asked,
    "minItems": lambda asked, said, *_: isinstance(said, list) and len(said) < asked,
    "items": lambda asked, said, s, root: isinstance(said, list) and not all(fits(asked, one, root) for one in said),
    "minLength": lambda asked, said, *_: is_text(said) and len(said) < asked,
    "pattern": lambda asked, said, *_: is_text(said) and not re.search(asked, said),
    "minimum": lambda asked, said, s, root: is_number(said) and said < asked + bool(s.get("exclusiveMinimum")) * 1e-9,
    "maximum": lambda asked, said, *_: is_number(said) and said > asked,
    "anyOf": lambda asked, said, s, root: not any(fits(one, said, root) for one in asked),
    "oneOf": lambda asked, said, s, root: sum(fits(one, said, root) for one in asked) != 1,
    "not": lambda asked, said, s, root: fits(asked, said, root),
    "$ref": lambda asked, said, s, root: not fits(root["definitions"][asked.rpartition("/")[2]], said, root),
}
"""By keyword: whether a value does not keep what is asked."""


@pytest.fixture(scope="module")
def schema():
    """As it is printed, with a kind of somebody else's installed: the one of docs/adding-a-client.md."""
    patch = pytest.MonkeyPatch()
    theirs = EntryPoint("acme_erp", "tests.service.test_schema:connect", "pipeline.clients")
    patch.setattr(registry, "entry_points", lambda group: [theirs])
    made, untold = schema_of_clients()
    patch.undo()
    assert untold == []
    return json.loads(json.dumps(made))


def connect(settings):
    """A kind whose module says nothing of its options."""


def shown():
    """Each file of clients that is shown anywhere."""
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    blocks = [block for text in texts for block in re.findall(r"(?ms)^```toml\n(.*?)^```", text)]
    return [block for block in [*blocks, SETTINGS, ISSUE] if re.search(r"(?m)^\[(clients|layouts)\.", block)]


def accepted(schema, text):
    one = {"clients": {"x": {"kind": "erp_json", "inbound_dir": "i", "outbound_dir": "o"}}}
    return fits(schema, one | tomllib.loads(text), schema)


@pytest.mark.parametrize("text", shown())
def test_every_file_that_is_shown_is_accepted(schema, text):
    assert accepted(schema, text.replace("{url}", "http://x/orders"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('kind = "rest_json"', 'kind = "rest_jsn"'),
        ('kind = "rest_json"\n', ""),
        ('kind = "rest_json"', 'kind = "maximo"'),  # which needs a site
        ('url = "https://erp.acme.example/orders"', ""),
        ('direction = "both"', 'direction = "in"'),
        ('direction = "both"', 'diretion = "both"'),
        ('direction = "both"', "inbound_dir = 'x'"),
        ('direction = "both"', 'every = "soon"'),
        ('direction = "both"', 'number = "SAP"'),
        ('direction = "both"', 'timezone = ""'),
        ('direction = "both"', "rate = 0"),
        ('direction = "both"', "page_size = 1.5"),
        ('direction = "both"', 'page = "links"'),
        ('direction = "both"', 'auth = { type = "bearer", token = "secret" }'),
        ('status = "client"', 'status = "theirs"'),
        ("[clients.acme]", "[clients.'a b']"),
        ("[clients.acme]", "[client.acme]"),
        ("[layouts.acme.fields]", "[layout.acme.fields]"),
        ('id = "workOrder.ref"', 'ident = "workOrder.ref"'),
        ('id = "workOrder.ref"', ""),
        ('id = "workOrder.ref"', "id = []"),
        ('format = "%d/%m/%Y %H:%M"', 'formt = "%d"'),
        ('"created"', '"open"'),
        ('tell = { on_hold = "HLD" }', 'tell = { onhold = "HLD" }'),
        ("steps = { CLS = [] }", 'steps = { CLS = "OPN" }'),
        ("steps = { CLS = [] }", 'form = "words"'),
        ('at = "workOrder.state.code"', ""),
        ("when = true", "when = [true]"),
        ('title = "workOrder.text"', 'title = { at = "x", max = 0 }'),
        ('title = "workOrder.text"', 'deleted_at = "workOrder.gone"'),
        ('["A1", "A2"]', "[]"),
        ('kind = "time"', 'kind = "date"'),
        ('kind = "number"', 'kind = "number", true = "Y"'),
        ("priority =", "isSynced ="),
        ("priority =", '"a.b" ='),
        ('"workOrder.source" = "TRACOS"', '"workOrder.source" = ["TRACOS"]'),
    ],
)
def test_mistakes_are_refused(schema, old, new):
    assert accepted(schema, ISSUE)
    assert old in ISSUE
    assert not accepted(schema, ISSUE.replace(old, new, 1))


def test_each_key_of_a_table_is_known_as_the_spelling_knows_it(schema):
    table = schema["properties"]["layouts"]["patternProperties"]["."]["properties"]
    whole = tomllib.loads(ISSUE)["layouts"]["acme"]
    for key, options in OPTIONS.items():
        for one in table[key]["anyOf"]:
            assert set(one.get("properties", {})) in (set(), {"at", *options})
    (fields,) = table["fields"]["patternProperties"].values()
    kinds = {one["properties"]["kind"]["enum"][0]: set(one["properties"]) for one in fields["anyOf"][2:]}
    assert kinds == {kind.value: {"at", *OF_FIELD, *options} for kind, options in OF_KIND.items()}
    for key in whole:
        said = {name: part for name, part in whole.items() if name != key}
        try:
            table_of("acme", said)
            is_read = True
        except WrongTable:
            is_read = False
        assert fits(schema["properties"]["layouts"], {"acme": said}, schema) is is_read


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "my_package.plant7:connect", "anything": 1},
        {"kind": "acme_erp", "anything": 1},
        {"kind": "maximo", "url": "https://x/os/mxapiwodetail", "site": "BEDFORD", "words": {"COMP": "4COMP"}},
        {"kind": "csv_folder", "inbound_dir": "i", "outbound_dir": "o", "columns": {"id": "Order"}, "quiet_seconds": 5},
        {"kind": "sap_pm", "url": "https://x", "odata": 2, "rate": 0.5, "ids": "shared"},
    ],
)
def test_kinds_have_their_own_options_and_those_of_others_any(schema, entry):
    assert fits(schema, {"clients": {"x": entry}}, schema)
    wrong = entry | {"direction": "up"}
    assert not fits(schema, {"clients": {"x": wrong}}, schema)


def test_what_a_key_means_is_told_where_the_source_says_it(schema):
    entries = schema["properties"]["clients"]["patternProperties"]
    (each,) = entries.values()
    rest = next(one["properties"] for one in each["oneOf"] if one.get("title") == "rest_json")
    assert rest["overlap"]["description"] == "How far before it the next run begins."
    assert "layouts" in rest["layout"]["description"]
    assert rest["rate"].items() >= {"type": "number", "minimum": 0, "exclusiveMinimum": True}.items()


def test_it_is_printed_or_written(tmp_path):
    home = Plant(tmp_path)
    printed = json.loads(home.command("clients", "schema"))
    assert home.command("clients", "schema", "--out", "clients.schema.json").splitlines() == [
        "written: clients.schema.json",
        "name it in the first line of the file of clients: #:schema ./clients.schema.json",
    ]
    assert json.loads((tmp_path / "clients.schema.json").read_bytes()) == printed
    assert printed["$schema"] == "http://json-schema.org/draft-04/schema#"
    _, err = home.run("pipeline/__main__.py", "clients", "schema", "--out", "no/such/folder.json", exits=2)
    assert "no/such/folder.json cannot be written: No such file" in err
