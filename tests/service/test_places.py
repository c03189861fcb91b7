"""A place is one place, however it is written."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.service.places import claimed_collection, claimed_path, crossings


def told(*paths):
    claims = [claimed_path("", str(number), Path(path)) for number, path in enumerate(paths)]
    return sorted(f"{claim} {what}" for claim, what in crossings(claims))


def test_links_dots_and_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("link").symlink_to("in")
    Path("far").symlink_to(tmp_path / "link" / "not" / "there")
    assert told("in", "./x/../link") == ["0 the same as 1", "1 the same as 0"]
    assert told("in", tmp_path / "link/deeper") == ["0 1 lies in it", "1 lies in 0"]
    assert told("in", "far") == ["0 1 lies in it", "1 lies in 0"]
    assert told("in", "inner", "out") == []


def test_a_file_under_two_names_and_a_folder_under_two_mounts(tmp_path, monkeypatch):
    (tmp_path / "log").touch()
    os.link(tmp_path / "log", tmp_path / "journal")
    assert told(tmp_path / "log", tmp_path / "journal") == ["0 the same as 1", "1 the same as 0"]
    for name in ("data/in/deep", "mnt"):
        (tmp_path / name).mkdir(parents=True)
    real = Path.stat

    def mounted(self, **options):  # what a second mount looks like: another path, the same folder
        return real(tmp_path / "data/in" if self == tmp_path / "mnt" else self, **options)

    monkeypatch.setattr(Path, "stat", mounted)
    assert told(tmp_path / "data/in", tmp_path / "mnt") == ["0 the same as 1", "1 the same as 0"]
    assert told(tmp_path / "data/in/deep", tmp_path / "mnt") == ["0 lies in 1", "1 0 lies in it"]


def test_what_no_file_system_has_is_a_place_too(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    assert told(tmp_path / "circle", tmp_path / "circle") == ["0 the same as 1", "1 the same as 0"]
    assert told("a\0b", "a\0b/c") == ["0 1 lies in it", "1 lies in 0"]


def test_collections_with_what_is_kept_beside_them():
    claims = [
        claimed_collection("a", "collection", "plant", "orders"),
        claimed_collection("b", "collection", "plant", "orders.sync"),
        claimed_collection("c", "collection", "other", "orders"),
    ]
    assert [f"{claim} {what}" for claim, what in crossings(claims)] == [
        "collection of a the same as collection of b",
        "collection of b the same as collection of a",
    ]


names = st.lists(st.sampled_from("ab"), min_size=1, max_size=4)


@given(st.lists(names, max_size=6))
def test_whatever_is_named_equal_and_nested_places_are_told_and_no_others(paths):
    """Law: a claim is told exactly where it is, holds, or lies in another."""
    paths = [Path("/nowhere", *parts) for parts in paths]
    claims = [claimed_path(str(number), "dir", path) for number, path in enumerate(paths)]
    expected = {
        str(one)
        for one, path in enumerate(paths)
        for two, other in enumerate(paths)
        if one != two and (path.is_relative_to(other) or other.is_relative_to(path))
    }
    assert {claim.owner for claim, _ in crossings(claims)} == expected
