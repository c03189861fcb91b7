"""docs/troubleshooting.md has a place for each thing that its table and the exit codes send a person to."""

import ast
import re

import pytest

from pipeline import errors
from pipeline.errors import Fatal, See, WrongSettings, WrongUsage
from tests.deploy.dockerfile import ROOT

TEXT = (ROOT / "docs/troubleshooting.md").read_text()
COMMANDS = (ROOT / "docs/commands.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"(?m)^## ", TEXT)[1:]}
ROWS = re.findall(r"(?m)^\| (.+?) \| .+ \|.+\|$", SECTIONS.pop("By what it says"))[1:]
LINKED = re.findall(r"(?m)^\| \[(\d+)\]\(#exit-code-\1\) ", SECTIONS.pop("By its exit code"))
CODES = re.findall(r"(?m)^\| (\d+) \|", COMMANDS.partition("## Exit codes")[2].partition("\n## ")[0])


@pytest.mark.parametrize("row", ROWS)
def test_each_row_of_the_table_has_a_section(row):
    messages = re.findall(r"`([^`]+)`", row)
    if messages:
        assert [name for name, section in SECTIONS.items() if f"`{messages[0]}`" in section]
    else:
        words = set(re.findall(r"\w+", row.lower())) - {"a", "an", "the", "s"}
        assert [name for name in SECTIONS if words <= set(re.findall(r"\w+", name.lower()))]


def test_each_exit_code_has_a_section_and_no_other_has():
    assert CODES == LINKED
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Fatal)]
    assert {kind.exit_code for kind in kinds} <= {int(code) for code in CODES}
    assert [name for name in SECTIONS if name.startswith("Exit code")] == [f"Exit code {code}" for code in CODES]


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


HINTED = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Fatal)}
UNHINTED = {kind.__name__ for kind in (WrongSettings, WrongUsage)}
"""They name the setting or the word that is wrong, a line each: there is no more to say."""


def test_each_section_that_a_message_names_is_there():
    assert {str(see) for see in See} <= {anchor(heading) for heading in SECTIONS}


def test_each_error_that_ends_a_run_names_its_section_and_each_section_has_one():
    named = {kind.see.name for kind in vars(errors).values() if isinstance(kind, type) and getattr(kind, "see", None)}
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "See":
                named.add(node.attr)
            kind = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if kind in HINTED - UNHINTED and getattr(errors, kind).see is None:
                hints = [keyword for keyword in node.keywords if keyword.arg == "see"]
                assert hints, f"{path}:{node.lineno} names no section"
    assert named == {see.name for see in See}
