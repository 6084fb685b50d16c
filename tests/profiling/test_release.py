"""What is released of real patients: nothing small, nothing that gives a small count away, no patient's value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from paincast.disclosure.shares import release_parts, release_shares, release_single_shares
from paincast.profiling import compute_profile
from paincast.profiling.linked import link_cohort
from paincast.profiling.profile import Profile

COUNTED = ("n", "count", "rows", "times", "asked", "at_risk")
tables = st.integers(1, 6).flatmap(lambda rows: arrays(np.int64, (rows, 2), elements=st.integers(0, 14)))


def make_shares(counts: np.ndarray) -> pd.DataFrame:
    """Make a table of shares of groups: those counted, and the others."""
    n = counts.sum(axis=1)
    share = counts[:, 0] / np.maximum(n, 1)
    shares = {"n": n, "count": counts[:, 0], "share": share, "lower": share / 2, "upper": (1 + share) / 2}
    return pd.DataFrame({**shares, "with_patients": counts[:, 0], "without_patients": counts[:, 1]})


def attack(counts: np.ndarray, hidden: np.ndarray, hidden_totals: np.ndarray) -> list[tuple[float, float]]:
    """Bound every hidden cell by what is known: cells and totals that are shown, exactly, and the sums of columns."""
    known, values = [], []
    n_rows, n_columns = counts.shape
    for (row, column), is_hidden in np.ndenumerate(hidden):
        if not is_hidden:
            one = np.zeros(counts.shape)
            one[row, column] = 1
            known.append(one.ravel())
            values.append(counts[row, column])
    for row in range(n_rows):
        if not hidden_totals[row]:
            one = np.zeros(counts.shape)
            one[row] = 1
            known.append(one.ravel())
            values.append(counts[row].sum())
    for column in range(n_columns):
        one = np.zeros(counts.shape)
        one[:, column] = 1
        known.append(one.ravel())
        values.append(counts[:, column].sum())
    bounds = []
    for cell in np.flatnonzero(hidden):
        aim = np.zeros(counts.size)
        aim[cell] = 1
        low, high = (linprog(sign * aim, A_eq=np.array(known), b_eq=values) for sign in (1, -1))
        bounds.append((low.fun, -high.fun))
    return bounds


@settings(deadline=None)
@given(counts=tables, is_zero_shown=st.booleans())
def test_no_shown_share_is_of_few_and_counts_are_rounded(counts: np.ndarray, is_zero_shown: bool) -> None:
    released = release_shares(make_shares(counts), is_zero_shown=is_zero_shown)
    shown = released["count"].notna().to_numpy()
    of_patients = counts[shown & (counts.sum(axis=1) > 0)]
    assert ((of_patients >= 5) | (is_zero_shown & (of_patients == 0))).all()
    numbers = released[["n", "count"]].to_numpy(dtype=float, na_value=0.0)
    assert (numbers % 5 == 0).all()
    percent = released["share"].dropna() * 100
    assert np.allclose(percent, percent.round())
    assert released.loc[~shown, ["share", "lower", "upper"]].isna().to_numpy().all()


@settings(deadline=None, max_examples=60)
@given(counts=tables, is_zero_shown=st.booleans())
def test_no_hidden_count_can_be_worked_out_from_exact_margins(counts: np.ndarray, is_zero_shown: bool) -> None:
    """Even who knew all that is shown without rounding, and the sums over all groups, is left in doubt."""
    released = release_shares(make_shares(counts), is_zero_shown=is_zero_shown)
    hidden_rows, hidden_totals = released["count"].isna().to_numpy(), released["n"].isna().to_numpy()
    hidden = np.column_stack([hidden_rows, hidden_rows])
    if counts.sum() < 5 or min(counts.sum(axis=0)) < 5:
        return  # The sums over all groups are small themselves: they are hidden where they stand.
    for low, high in attack(counts, hidden, hidden_totals):
        assert high - low >= 1
        assert not (low >= 1 - 1e-6 and high <= 4 + 1e-6)


@settings(deadline=None)
@given(counts=arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 14)))
def test_parts_of_a_whole_hide_two_or_none(counts: np.ndarray) -> None:
    table = make_shares(np.column_stack([counts, counts.sum() - counts])).assign(n=int(counts.sum()))
    shown = release_parts(table)["count"]
    hidden = shown.isna().to_numpy()
    assert not ((counts[~hidden] > 0) & (counts[~hidden] < 5)).any()
    assert hidden.sum() != 1 or (counts > 0).sum() == 1
    assert not hidden.any() or counts[hidden].sum() >= 5 or counts.sum() < 5


@settings(deadline=None, max_examples=60)
@given(counts=tables, is_zero_shown=st.booleans())
def test_a_single_share_is_hidden_as_in_a_partition_of_its_own(counts: np.ndarray, is_zero_shown: bool) -> None:
    table = make_shares(counts).assign(row=range(len(counts)))
    alone = release_single_shares(table, is_zero_shown=is_zero_shown)
    apart = release_shares(table, within=["row"], is_zero_shown=is_zero_shown)
    pd.testing.assert_frame_equal(alone.drop(columns="note"), apart)


def test_a_single_share_tells_which_part_is_small() -> None:
    released = release_single_shares(make_shares(np.array([[3, 60], [60, 2], [1, 2], [30, 30]])))
    assert released["note"].tolist() == ["fewer than 5", "all but fewer than 5", "fewer than 5 in all", ""]
    assert released["n"].isna().tolist() == [False, False, True, False]


def test_a_patient_with_many_episodes_is_one_patient() -> None:
    shares = make_shares(np.array([[30, 40], [50, 60], [70, 80]])).assign(with_patients=[2, 50, 70])
    assert release_shares(shares)["count"].isna().tolist() == [True, True, False]


def test_simulated_patients_are_released_as_they_are() -> None:
    counts = np.array([[1, 2], [3, 4]])
    assert release_shares(make_shares(counts), real=False)["count"].tolist() == [1, 3]


@pytest.fixture(
    scope="module", params=[150, pytest.param(60, marks=pytest.mark.slow), pytest.param(400, marks=pytest.mark.slow)]
)
def pair(request: pytest.FixtureRequest, invent) -> tuple[Profile, Profile]:
    """The profile of the same rows as those of real patients, and as those of simulated ones."""
    released, exact = (
        compute_profile(invent(request.param, seed=request.param, basis=basis)) for basis in ("real", "synthetic")
    )
    return released, exact


def test_no_table_of_a_real_cohort_shows_a_small_count(pair: tuple[Profile, Profile]) -> None:
    released, exact = pair
    for name, table in released.tables.items():
        for column in set(COUNTED) & set(table):
            assert (table[column].fillna(0).to_numpy(dtype=float) % 5 == 0).all(), name
        keys = [key for key in table if table[key].dtype == "str" or key in ("month", "first", "last")]
        keys = [key for key in keys if key not in ("note", "verdict", "because")]
        if "count" in table and len(table):
            both = table.merge(exact.tables[name], on=keys, suffixes=("", "_exact"))
            assert len(both) == len(table), name
            shown = both[both["count"].notna()]
            counted, n = shown["count_exact"].astype(int), shown["n_exact"].astype(int)
            assert not counted.between(1, 4).any(), name
            assert not (n - counted).between(1, 4).any(), name
            assert ((shown["count"] - counted).abs() <= 2).all(), name


def test_thirty_percent_relief_does_not_give_few_patients_away(pair: tuple[Profile, Profile]) -> None:
    released, exact = pair
    counts = exact.tables["outcomes"].pivot(index="technique", columns="outcome", values="count")
    between = (counts["pain_response_30"] - counts["pain_response"]).astype(int)
    shown = released.tables["outcomes"].set_index(["outcome", "technique"]).loc["pain_response_30", "count"].notna()
    assert not (shown & between.between(1, 4)).any()


def test_a_group_of_a_technique_is_hidden_with_the_technique(pair: tuple[Profile, Profile]) -> None:
    released, _ = pair
    outcomes, expected = released.tables["outcomes"], released.tables["expected"]
    hidden = outcomes[(outcomes["outcome"] == "pain_response") & outcomes["count"].isna()]["technique"]
    assert expected.loc[expected["technique"].isin(hidden), "share"].isna().all()


def test_sites_of_few_patients_have_no_name(invent) -> None:
    cohort = invent(120, basis="real", n_sites=60)
    named = set(link_cohort(cohort).sites.labels)
    sizes = cohort.episodes.groupby("site_id")["patient_id"].nunique()
    assert named <= {*sizes.index[sizes >= 5], "other sites", "not known"}
    assert "other sites" in named
