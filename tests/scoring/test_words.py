"""Patterns, conditions and lists of the scoring core."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paincast.scoring.arrays import join_texts
from paincast.scoring.conditions import assess, assess_frozen, freeze, list_columns
from paincast.scoring.patients import Patients
from paincast.scoring.patterns import Patterns
from paincast.scoring.reasons import list_missing

SMALL = st.integers(0, 3)


@settings(max_examples=200, deadline=None)
@given(blocks=st.lists(arrays(np.int64, st.tuples(st.just(4), st.integers(1, 30)), elements=SMALL), max_size=5))
def test_rows_have_one_number_exactly_where_all_codes_are_the_same(blocks):
    patterns, seen = Patterns(), {}
    for block in blocks:
        before = len(patterns)
        found = patterns.find(list(block), block.shape[1])
        for row, number in zip(block.T.tolist(), found.numbers.tolist(), strict=True):
            assert seen.setdefault(tuple(row), number) == number
        new = [tuple(block[:, row].tolist()) for row in found.new_rows]
        assert [seen[row] for row in new] == list(range(before, len(patterns)))
    assert len(set(seen.values())) == len(seen) == len(patterns)


def test_codes_that_do_not_fit_into_one_key_are_told_apart():
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 1000, 500) for _ in range(12)]
    found = Patterns().find(codes, 500)
    assert len(set(found.numbers.tolist())) == len(set(zip(*(code.tolist() for code in codes), strict=True)))


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from(["", "a", "b; c"]), st.sampled_from(["", "d"])), max_size=12))
def test_texts_are_joined_without_the_empty_ones(rows):
    first, second = (pa.array([row[place] for row in rows], pa.string()).dictionary_encode() for place in (0, 1))
    joined = join_texts(first, second)
    assert joined.to_pylist() == ["; ".join(filter(None, row)) for row in rows]
    assert len(set(joined.dictionary.to_pylist())) == len(joined.dictionary)


PATIENTS = Patients(
    pa.table(
        {
            "inr": pa.array([1.0, 2.0, None, 2.0]),
            "pregnant": pa.array([True, False, None, None]),
            "sex": pa.array(["female", "male", None, "female"]).dictionary_encode(),
        }
    )
)


def read(condition) -> list[bool | None]:
    truth = assess(condition, PATIENTS)
    assert not (truth.holds & truth.unknown).any()
    return [None if unknown else bool(holds) for holds, unknown in zip(*truth, strict=True)]


def test_comparisons_are_unknown_where_the_value_is():
    assert read({"column": "inr", "at_least": 1.5}) == [False, True, None, True]
    assert read({"column": "inr", "below": 1.5}) == [True, False, None, False]
    assert read({"column": "pregnant", "is": False}) == [False, True, None, None]
    assert read({"column": "sex", "any_of": ["female"]}) == [True, False, None, True]
    assert read({"column": "absent", "is": True}) == [None] * 4


def test_combinations_follow_kleene():
    high, pregnant = {"column": "inr", "at_least": 1.5}, {"column": "pregnant", "is": True}
    assert read({"any": [high, pregnant]}) == [True, True, None, True]
    assert read({"all": [high, pregnant]}) == [False, False, None, None]
    assert list_columns({"any": [{"all": [high, pregnant]}, high]}) == ["inr", "pregnant"]


@settings(max_examples=100, deadline=None)
@given(missing=arrays(np.bool_, st.tuples(st.integers(1, 12), st.just(6))), most=st.integers(1, 7), data=st.data())
def test_the_widest_unknown_values_are_listed(missing, most, data):
    names = [f"x{place}" for place in range(6)]
    columns = {
        name: [None if is_missing else 1.0 for is_missing in missing[:, place]] for place, name in enumerate(names)
    }
    answered = np.array(data.draw(st.lists(st.booleans(), min_size=len(missing), max_size=len(missing))))
    table = pa.table({name: pa.array(values, pa.float64()) for name, values in columns.items()})
    listed = list_missing(names, np.arange(6, 0, -1) / 3, Patients(table), answered, unit="log_odds", most=most)
    for row, reasons in enumerate(listed.to_pylist()):
        expected = [name for place, name in enumerate(names) if missing[row, place] and answered[row]][:most]
        assert [reason["variable"] for reason in reasons] == expected
        assert [reason["log_odds"] for reason in reasons] == [
            round((6 - names.index(name)) / 3, 6) for name in expected
        ]
        assert all(reason["value"] is None and reason["points"] is None for reason in reasons)


def test_codes_tell_levels_missing_and_unknown_apart():
    patients = Patients(pa.table({"sex": ["b", None, "a", "c"], "yes": [True, None, False, True]}))
    assert patients.codes("sex", ("a", "b")).tolist() == [1, 2, 0, 3]
    assert patients.codes("yes", ("true",)).tolist() == [0, 1, 2, 0]
    assert patients.codes("absent", ("a",)).tolist() == [1] * 4
    np.testing.assert_array_equal(patients.numbers("yes"), [1.0, np.nan, 0.0, 1.0])
    emptied = patients.empty(["sex"], np.array([True, False, True, False]))
    assert emptied.codes("sex", ("a", "b")).tolist() == [2, 2, 2, 3]
    assert patients.codes("sex", ("a", "b")).tolist() == [1, 2, 0, 3]


def test_a_part_of_few_patients_is_what_it_would_be_alone():
    condition = freeze({"any": [{"column": "inr", "at_least": 2}, {"column": "pregnant", "is": True}]})
    for rows in (np.array([2, 3]), np.array([True, False, False, True]), np.array([1])):
        part, alone = PATIENTS.take(rows), Patients(PATIENTS.table.filter(np.isin(np.arange(4), np.arange(4)[rows])))
        assert len(part) == len(alone)
        assert part.table.to_pylist() == alone.table.to_pylist()
        assert part.column("sex").to_pylist() == alone.column("sex").to_pylist()
        assert part.column("absent") is None
        np.testing.assert_array_equal(part.numbers("inr"), alone.numbers("inr"))
        np.testing.assert_array_equal(part.missing("pregnant"), alone.missing("pregnant"))
        np.testing.assert_array_equal(part.codes("sex", ("male",)), alone.codes("sex", ("male",)))
        np.testing.assert_array_equal(assess_frozen(condition, part)[1], assess_frozen(condition, alone)[1])
        np.testing.assert_array_equal(part.take(np.array([0])).numbers("inr"), alone.numbers("inr")[:1])


def test_of_no_rows_there_is_no_pattern():
    found = Patterns().find([np.empty(0, dtype=np.int64)], 0)
    assert len(found.numbers) == len(found.new_rows) == 0
