"""docs/troubleshooting.md has a place for each thing that its table and the exit codes send a person to."""

import re

import pytest

from pipeline import errors
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
