"""Shapes and drift of records: what is looked at once stands for all records of its shape."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.clients.records.drift import LIMIT, SHAPES, Keys, Watch
from pipeline.clients.records.shapes import named, outermost, paths_of, shape_of

KEYS = st.text("ab.[\n é", min_size=1, max_size=3)
RECORDS = st.recursive(
    st.dictionaries(KEYS, st.integers() | st.none() | st.text(max_size=2), max_size=3),
    lambda inner: st.dictionaries(
        KEYS, inner | st.lists(inner | st.integers(), max_size=2) | st.integers(), max_size=3
    ),
    max_leaves=6,
)


def slowly(data, at=()):
    """The paths of all keys, found without haste."""
    for key, value in data.items():
        path = (*at, key)
        yield path
        if isinstance(value, dict):
            yield from slowly(value, path)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for one in value:
                if isinstance(one, dict):
                    yield from slowly(one, (*path, "[]"))


def ended(watch, *, is_whole=True, learns=True):
    return watch.ended("2026-11-25", is_whole=is_whole, learns=learns)


def note(watch, *records):
    return [watch.note(record, lambda _: "one") for record in records]


@given(RECORDS)
def test_a_shape_has_all_keys_of_a_record_on_one_line_each(data):
    paths = paths_of(shape_of(data))
    assert len(paths) == len(set(slowly(data)))
    assert all(path.isprintable() for path in paths)


@given(RECORDS, RECORDS)
def test_records_of_one_shape_have_the_same_paths(one, other):
    if shape_of(one) == shape_of(other):
        assert set(slowly(one)) == set(slowly(other))


@given(st.lists(RECORDS, min_size=1), st.lists(RECORDS, min_size=1))
def test_what_is_new_is_what_no_record_before_had(before, after):
    watch = Watch({}, {})
    assert not any(note(watch, *before))
    known, drift = ended(watch)
    assert drift == []
    watch = Watch({}, known)
    told = note(watch, *after)
    known_paths = {path for record in before for path in paths_of(shape_of(record))}
    for record, unknown in zip(after, told, strict=True):
        assert unknown == outermost(paths_of(shape_of(record)) - known_paths)
    learned, _ = ended(watch)
    assert not any(note(Watch({}, learned), *before, *after))
    again, drift = ended(Watch({}, learned))
    assert (again, drift) == (learned, [])


@given(st.lists(RECORDS, min_size=1))
def test_the_same_records_again_change_nothing(records):
    watch = Watch({}, {})
    note(watch, *records)
    known, _ = ended(watch)
    watch = Watch({}, known)
    note(watch, *records)
    assert ended(watch) == (known, [])


def test_many_shapes_are_counted_as_one_by_one():
    records = [{"id": 1, f"k{number % (SHAPES * 2)}": 1} for number in range(SHAPES * 4)]
    watch = Watch({}, {"one": Keys(frozenset({"$.id", *(f"$.k{n}" for n in range(10, 900))}))})
    note(watch, *records)
    _, (drift,) = ended(watch)
    assert drift.records == SHAPES * 4
    assert drift.new["$.k0"] == 2


def test_beyond_the_limit_nothing_is_new_and_no_more_is_remembered():
    watch = Watch({}, {})
    note(watch, {f"k{number}": 1 for number in range(LIMIT + 50)})
    known, _ = ended(watch)
    assert len(known["one"].seen) == LIMIT
    watch = Watch({}, known)
    assert note(watch, {"other": 1}) == [()]
    known, drift = ended(watch)
    assert len(known["one"].seen) == LIMIT
    assert not any(one.new for one in drift)


def test_a_run_that_is_not_whole_misses_nothing():
    watch = Watch({}, {"one": Keys(frozenset({"$.a", "$.b"}), frozenset({"$.a", "$.b"}))})
    note(watch, {"a": 1})
    known, drift = ended(watch, is_whole=False)
    assert (drift, known["one"].always) == ([], {"$.a", "$.b"})


def test_of_a_first_run_that_is_not_whole_nothing_is_known():
    watch = Watch({}, {})
    note(watch, {"a": 1, "b": 1})
    assert ended(watch, is_whole=False) == ({}, [])


def test_what_a_layout_names_is_never_new_nor_what_is_on_the_way_there():
    names = {"one": named([("a", "b"), ("c.d",)])}
    watch = Watch(names, {"one": Keys(frozenset())})
    assert note(watch, {"a": {"b": 1}, "c.d": 1}, {"a": {"x": 1}}) == [(), ("$.a.x",)]


def test_of_many_records_each_is_looked_at_on_top_and_some_below():
    records = [{"id": number, "a": {"b": 1}} for number in range(5000)]
    records[4000] = {"id": 1, "a": {"b": 1}, "top": 1}
    records[4321] = {"id": 1, "a": {"b": 1, "below": 1}}
    known = {"one": Keys(frozenset({"$.id", "$.a", "$.a.b"}))}
    watch, thorough = Watch({}, known), Watch({}, known, thorough=True)
    told = note(watch, *records)
    assert (told[4000], told[4321]) == (("$.top",), ())
    assert note(thorough, *records)[4321] == ("$.a.below",)
    _, (drift,) = ended(watch)
    assert (drift.records, drift.new) == (5000, {"$.top": 1})
    _, (drift,) = ended(thorough)
    assert drift.new == {"$.a.below": 1, "$.top": 1}


def test_below_what_many_records_have_is_found_as_a_rule():
    known = {"one": Keys(frozenset({"$.id", "$.a", "$.a.b"}), frozenset({"$.id", "$.a", "$.a.b"}))}
    watch = Watch({}, known)
    note(watch, *({"id": number, "a": {"c": 1}} for number in range(5000)))
    _, (drift,) = ended(watch)
    assert (drift.new, drift.gone) == ({"$.a.c": 5000}, ("$.a.b",))


def test_a_key_that_few_records_have_is_not_missed_where_it_may_have_been_overlooked():
    names = {"one": named([("a", "rare"), ("top",)])}
    often = frozenset({"$.a.rare", "$.top"})
    known = {"one": Keys(frozenset({"$.id", "$.a", *often}), often=often)}
    watch = Watch(names, known)
    note(watch, *({"id": number, "a": {"rare": 1} if number == 4321 else {}} for number in range(5000)))
    _, (drift,) = ended(watch)
    assert drift.gone == ("$.top",)


def test_a_key_that_few_records_had_may_be_in_none_by_chance():
    names = {"one": named([("id",), ("rare",), ("often",)])}
    watch = Watch(names, {})
    note(
        watch, *({"id": n} | ({"rare": 1} if n == 7 else {}) | ({"often": 1} if n % 5 == 0 else {}) for n in range(100))
    )
    known, _ = ended(watch)
    watch = Watch(names, known)
    note(watch, *({"id": n} for n in range(1000)))
    _, (drift,) = ended(watch)
    assert drift.gone == ("$.often",)
