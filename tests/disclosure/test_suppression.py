"""Hidden counts: none that is small is shown, and none that is hidden can be worked out from what is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from paincast.disclosure.suppression import suppress_small_cells
from paincast.errors import DataError, SettingsError


def count(values):
    columns = [f"part_{place}" for place in range(np.shape(values)[1])]
    return pd.DataFrame(np.asarray(values), columns=columns)


tables = st.tuples(st.integers(1, 6), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(0, 30))
)


@settings(deadline=None)
@given(values=tables, minimum=st.integers(1, 8))
def test_no_small_count_is_shown_and_no_row_or_column_hides_just_one(values, minimum):
    shown = suppress_small_cells(count(values), minimum=minimum)
    parts, hidden = shown.iloc[:, :-1], shown.iloc[:, :-1].isna().to_numpy()
    totals = values.sum(axis=1)
    assert not (parts.to_numpy(dtype=float, na_value=np.nan)[totals > 0] < minimum).any()
    assert not ((shown["total"] > 0) & (shown["total"] < minimum)).any()
    assert (shown["total"].isna().sum() != 1) or len(values) == 1
    for axis, length in ((1, values.shape[1]), (0, values.shape[0])):
        assert ((hidden.sum(axis=axis) != 1) | (length == 1)).all()
        together = np.where(hidden, values, 0).sum(axis=axis)
        assert ((hidden.sum(axis=axis) == 0) | (together >= minimum) | hidden.all(axis=axis)).all()
    kept = ~shown.isna().to_numpy()
    assert (np.column_stack([values, totals])[kept] == shown.to_numpy(dtype=float, na_value=-1)[kept]).all()


def test_large_tables_are_shown_as_they_are():
    shown = suppress_small_cells(count([[10, 20], [30, 40]]))
    assert shown["total"].tolist() == [30, 70]
    assert not shown.isna().any(axis=None)


def test_complements_go_with_the_small_cell():
    shown = suppress_small_cells(count([[98, 2], [50, 60], [40, 30]]))
    assert shown.iloc[0, :2].isna().all()
    assert shown["total"].tolist() == [100, 110, 70]
    # The column sums give the second pair away unless another row is hidden too.
    assert shown.iloc[2, :2].isna().all()
    assert shown.iloc[1, :2].notna().all()


def test_hidden_cells_are_not_told_by_their_sum():
    shown = suppress_small_cells(count([[2, 40], [1, 50], [30, 60], [9, 20]]))
    assert shown["part_0"].isna().tolist() == [True, True, False, True]


def test_a_small_group_is_hidden_with_the_next_smallest():
    shown = suppress_small_cells(count([[3], [50], [20]]))
    assert shown["total"].isna().tolist() == [True, False, True]


def test_nobody_is_no_secret_and_all_alike_is_one():
    shown = suppress_small_cells(count([[0, 0], [12, 0], [30, 40], [20, 25]]))
    assert shown.iloc[0].tolist() == [0, 0, 0]
    assert shown.iloc[1, :2].isna().all()


@pytest.mark.parametrize("values", [[[1.5]], [[-1]], [[np.nan]]])
def test_what_is_no_count_is_refused(values):
    with pytest.raises(DataError, match="counts: 1 of 1 are not allowed; allowed: whole numbers, 0 or more"):
        suppress_small_cells(count(values))
    with pytest.raises(SettingsError, match="minimum=0 is not allowed"):
        suppress_small_cells(count([[1]]), minimum=0)
