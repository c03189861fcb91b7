"""Every link of a page leads somewhere: to a file that is there, and to a heading or an anchor that it has."""

import re

import pytest

from tests.plant import ROOT

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "llms.txt")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(path):
    """Those that GitHub gives the headings of a page."""
    text = re.sub(r"(?ms)^```.*?^```", "", path.read_text())
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"(?m)^#+ (.+)$", text)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    lost = []
    for link in LINK.findall(re.sub(r"(?ms)^```.*?^```", "", page.read_text())):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_readme_in_the_site_and_in_the_list_for_machines():
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    for name in ("README.md", "llms.txt"):
        linked = {link.partition("#")[0] for link in LINK.findall((ROOT / name).read_text())}
        assert pages - linked == set(), name
    shown = set(re.findall(r"(?m)^ +- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text()))
    assert {name.removeprefix("docs/") for name in pages} - shown == set()
