from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paincast.disclosure.groups import rank_values
from paincast.reporting.figures.bubbles import compute_bubbles


def test_ranks_run_from_low_to_high_and_skip_what_has_no_order():
    np.testing.assert_array_equal(rank_values(pd.Series([3.0, np.nan, 1.0, 2.0])), [1, np.nan, 0, 0.5])
    np.testing.assert_array_equal(rank_values(pd.Series([True, False, None], dtype="boolean")), [1, 0, np.nan])
    assert np.isnan(rank_values(pd.Series(["a", "b"], dtype="str"))).all()
    np.testing.assert_array_equal(rank_values(pd.Series([2.0, 2.0])), [0.5, 0.5])
    assert np.isnan(rank_values(pd.Series([np.nan, np.nan]))).all()


@st.composite
def variables(draw):
    numbers = st.one_of(st.none(), st.integers(0, 12).map(float))
    kinds = [(numbers, "float64"), (st.sampled_from(["a", "b", "c", None]), "str")]
    strategy, dtype = draw(st.sampled_from(kinds))
    return pd.Series(draw(st.lists(strategy, max_size=60)), dtype=dtype)


@pytest.mark.slow
@settings(deadline=None)
@given(variables())
def test_no_group_of_few_is_shown_nor_can_be_worked_out(values):
    contribution = pd.Series(np.linspace(-1, 1, len(values)), dtype=float)
    bubbles = compute_bubbles(contribution, values, smallest=5)
    assert (bubbles["n"] >= 5).all()
    hidden = len(values) - int(bubbles["n"].sum())
    assert hidden == 0 or hidden >= 5 or bubbles.empty


def test_bubbles_are_means_of_their_group():
    values = pd.Series(["a"] * 6 + ["b"] * 8, dtype="str")
    bubbles = compute_bubbles(pd.Series([1.0] * 6 + [-0.5] * 8), values, smallest=5)
    assert bubbles[["contribution", "n"]].to_numpy().tolist() == [[1.0, 6.0], [-0.5, 8.0]]


def test_one_group_of_few_takes_another_with_it():
    values = pd.Series(["a"] * 3 + ["b"] * 8 + ["c"] * 9, dtype="str")
    bubbles = compute_bubbles(pd.Series(np.ones(20)), values, smallest=5)
    assert bubbles["n"].tolist() == [9]


def test_many_episodes_of_one_patient_are_one_patient():
    values = pd.Series(["a"] * 9 + ["b"] * 9 + ["c"] * 9, dtype="str")
    patients = np.array(["one"] * 7 + ["two"] * 2 + [f"p{i}" for i in range(18)])
    bubbles = compute_bubbles(pd.Series(np.ones(27)), values, smallest=5, patients=patients)
    assert bubbles["n"].tolist() == [9]
