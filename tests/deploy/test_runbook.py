"""docs/operations.md has a place for each thing that the README's table and the exit codes send a person to."""

import re

import pytest

from pipeline import errors
from tests.deploy.dockerfile import ROOT

README = (ROOT / "README.md").read_text()
TEXT = (ROOT / "docs/operations.md").read_text()
RUNBOOK = TEXT.partition("\n## Runbook\n")[2].partition("\n## ")[0]
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"(?m)^### ", RUNBOOK)[1:]}
ROWS = re.findall(r"(?m)^\| (.+?) \| .+ \|$", README.partition("## Troubleshooting")[2].partition("\n## ")[0])[1:]
CODES = re.findall(r"(?:^|, )(\d+) ", re.search(r"(?s)Exit codes: (.*?)\.\n", README)[1].replace("\n", " "))


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("row", ROWS)
def test_each_row_of_the_readme_has_a_section(row):
    messages = re.findall(r"`([^`]+)`", row)
    if messages:
        assert [name for name, section in SECTIONS.items() if f"`{messages[0]}`" in section]
    else:
        words = set(re.findall(r"\w+", row.lower())) - {"a", "an", "the", "s"}
        assert [name for name in SECTIONS if words <= set(re.findall(r"\w+", name.lower()))]


def test_each_exit_code_has_a_section_and_no_other_has():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Fatal)]
    assert {kind.exit_code for kind in kinds} <= {int(code) for code in CODES}
    assert [name for name in SECTIONS if name.startswith("Exit code")] == [f"Exit code {code}" for code in CODES]


def test_each_anchor_in_it_is_there():
    headings = {anchor(heading) for heading in re.findall(r"(?m)^#+ (.+)$", TEXT)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings
    assert all((ROOT / "docs" / name).exists() for name in re.findall(r"\]\(([^)#:]+)\)", TEXT))
