"""Where a reason points: by path, by offset, and in lines that a person looks at."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deadletters.pointer import CUT, lines_around, locate, readable
from pipeline.errors import Reason

RECORD = b'{\n  "id": 7,\n  "tags": ["a", {"b": "LOST"}],\n  "id": 8\n}'


def marked(payload, reason):
    mark = locate(payload, reason)
    return mark and (readable(payload)[mark.start : mark.end], mark.line, mark.column)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.tags", ('["a", {"b": "LOST"}]', 3, 11)),
        ("$.tags[0]", ('"a"', 3, 12)),
        ("$.tags[1].b", ('"LOST"', 3, 23)),
        ("$.id", ("8", 4, 9)),  # of equal keys the last counts
        ("$.status", ("{", 1, 1)),  # missing: the object that it should be in
        ("$.tags[1].c", ("{", 3, 17)),
        ("$", None),
    ],
)
def test_a_path_leads_to_its_value(path, expected):
    assert marked(RECORD, Reason("x", path)) == expected


@pytest.mark.parametrize(
    ("payload", "offset", "expected"),
    [
        (b"{broken", 1, ("b", 1, 2)),
        (b'{"a":\n nul}', 7, ("n", 2, 2)),
        ('{"é": nul}'.encode(), 7, ("n", 1, 7)),  # bytes are counted, characters are shown
        (b'"\xff"', 1, ("\\", 1, 2)),
        (b'{"a"', 4, ("", 1, 5)),  # behind the end
    ],
)
def test_an_offset_is_in_bytes(payload, offset, expected):
    assert marked(payload, Reason("x", offset=offset)) == expected


@pytest.mark.parametrize("payload", [b"", b"{broken", b"[1]", b"7", b"[" * 100_000, b'{"a": ' * 100_000])
def test_a_path_into_what_is_no_object_points_at_something_or_nowhere_and_never_fails(payload):
    assert locate(payload, Reason("x", "$.a.b")) in (None, locate(payload, Reason("x", offset=0)))


keys = st.text(st.characters(blacklist_characters=".[]", blacklist_categories=["Cs"]), min_size=1, max_size=5)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
)


@given(st.dictionaries(keys, trees, min_size=1, max_size=4), st.data(), st.sampled_from([None, 2]))
def test_the_stretch_that_is_marked_is_the_value(record, data, indent):
    path, value = "$", record
    while isinstance(value, dict | list) and value:
        if isinstance(value, dict):
            key = data.draw(st.sampled_from(sorted(value)))
            path += f".{key}"
        else:
            key = data.draw(st.integers(0, len(value) - 1))
            path += f"[{key}]"
        value = value[key]
    text = json.dumps(record, indent=indent, ensure_ascii=False)
    mark = locate(text.encode(), Reason("x", path))
    assert json.loads(text[mark.start : mark.end]) == value
    assert text.split("\n")[mark.line - 1][mark.column - 1] == text[mark.start]


def test_the_lines_around_are_numbered_and_several_marks_share_one():
    payload = b'{\n1\n2\n3\n4\n"a": "x", "b": "y"\n6\n7\n8\n9}'
    marks = [locate(payload, Reason("x", offset=payload.index(part))) for part in (b'"x"', b'"y"')]
    shown = lines_around(payload, marks)
    assert [line.number for line in shown] == [4, 5, 6, 7, 8]
    (line,) = [line for line in shown if line.marks]
    assert [line.text[start:end] for start, end in line.marks] == ['"', '"']


def test_without_marks_the_beginning_is_shown():
    assert [line.number for line in lines_around(b"\n" * 20, [])] == [1, 2, 3, 4, 5]


def test_a_long_line_is_cut_around_its_mark():
    payload = b'{"a": "' + b"x" * 5000 + b'", "b": 1, "c": "' + b"y" * 5000 + b'"}'
    (line,) = lines_around(payload, [locate(payload, Reason("x", "$.b"))])
    ((start, end),) = line.marks
    assert line.text[start:end] == "1"
    assert len(line.text) <= CUT + 2
    assert line.text[0] == line.text[-1] == "…"
