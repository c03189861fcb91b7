"""Hooks of mkdocs: README.md is the site's first page, and what pages link to outside of docs/ comes along.

So one link leads somewhere on GitHub and in the site. Nothing is written into docs/.
"""

import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
FRONT: Final = {"README.md": "index.md"}
"""By file beside docs/, its name in the site, where that is another one."""
OUTSIDE: Final = re.compile(r"\]\(\.\./([^)#\s]+)")
INSIDE: Final = re.compile(r"\]\(docs/")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Bring along what lies beside docs/ and is linked, or is a page of its own."""
    pages = [page.content_string for page in files.documentation_pages()]
    linked = {name for text in pages for name in OUTSIDE.findall(text)}
    for name in sorted(linked | {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "llms.txt"}):
        if (ROOT / name).is_file():  # else the link is told of as one that leads nowhere
            content = (ROOT / name).read_text()
            files.append(File.generated(config, FRONT.get(name, name), content=_moved(content)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """The text with its links as they are in the site."""
    return OUTSIDE.sub(lambda found: f"]({FRONT.get(found[1], found[1])}", markdown)


def _moved(text: str) -> str:
    """A page beside docs/, as one in it."""
    return INSIDE.sub("](", text).replace("](README.md", "](index.md")
