"""What can be said of the locked packages without asking anybody: where they come from, and under which licence."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = tomllib.loads((ROOT / "poetry.lock").read_text())["package"]

LICENCES = re.compile(r"MIT|Apache|BSD|ISC|MPL-2\.0|Mozilla Public License 2\.0|PSF-2\.0|(?<!A)GPL-3\.0")
"""Those that go together with ours, GPL-3.0-or-later. The embedded mongod's own, SSPL, is told in the README."""

IN_ITS_REPOSITORY = {"atheris": "Apache-2.0"}
"""Of packages that say nothing of it: see LICENSE there."""


def licence(name):
    """What the installed package says of itself: in its own words, else in those of the index."""
    said = metadata(name)
    classified = [one for one in said.get_all("Classifier", ()) if one.startswith("License ::")]
    return said.get("License-Expression") or "; ".join(classified) or (said.get("License") or "").partition("\n")[0]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package["name"])
def test_a_package_comes_from_the_index_with_hashes(package):
    assert "source" not in package, "from a repository, an address or a folder"
    assert package["files"]
    for file in package["files"]:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]), file["file"]


def test_every_licence_is_one_that_goes_together_with_ours():
    told = {}
    for package in PACKAGES:
        try:
            told[package["name"]] = licence(package["name"]) or IN_ITS_REPOSITORY.get(package["name"], "")
        except PackageNotFoundError:  # for another system
            continue
    assert len(told) > 40
    assert {name: said for name, said in told.items() if not LICENCES.search(said)} == {}


def test_who_audits_asks_about_all_that_is_locked():
    audit = (ROOT / ".ci/audit").read_text()
    assert "--requirement constraints.txt" in audit
    named = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "constraints.txt").read_text())
    assert sorted(named) == sorted(package["name"] for package in PACKAGES)
