"""Folds keep patients together, and every class on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from paincast.splits import make_folds, spread_folds
from paincast.splits.grouped import QuickGroupKFold


@pytest.mark.parametrize("rare", [0.0, 1.0])
def test_a_few_lost_do_not_take_the_place_of_the_rare_class_in_a_fold(rare):
    """Three patients of a class in three folds leave two of them to train on in each, whoever is lost."""
    outcome = np.full(26, 1.0 - rare)
    outcome[[2, 9, 20]] = rare
    outcome[[4, 5]] = np.nan
    patients = np.arange(26).astype(object)
    for seed in range(20):
        folds = spread_folds(outcome, patients, 3, np.random.default_rng(seed))
        assert [int((outcome[train] == rare).sum()) for (train, _), _ in folds] == [2, 2, 2]


def test_many_lost_are_spread_evenly_like_a_class_of_their_own():
    outcome = np.repeat([0.0, 1.0, np.nan], [30, 9, 6])
    for seed in range(5):
        folds = spread_folds(outcome, np.arange(45).astype(object), 3, np.random.default_rng(seed))
        assert [int(np.isnan(outcome[test]).sum()) for (_, test), _ in folds] == [2, 2, 2]


def test_both_classes_are_left_to_train_on_where_some_split_leaves_them():
    """Of three patients, one with both classes, two must not be tested together: one class alone would be left."""
    outcome = np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    patients = np.array(["p0", "p0", "p1", "p1", "p2"], dtype=object)
    for seed in range(40):
        for train, _ in make_folds(outcome, patients, 3, np.random.default_rng(seed)):
            assert set(outcome[train]) == {0.0, 1.0}


def test_each_fold_has_a_stream_of_its_own_and_patients_stay_together():
    outcome = np.tile([0.0, 1.0], 20)
    patients = np.repeat(np.arange(20), 2).astype(object)
    folds = spread_folds(outcome, patients, 4, np.random.default_rng(1))
    assert len({stream.integers(2**62) for _, stream in folds}) == 4
    for (train, test), _ in folds:
        assert not set(patients[train]) & set(patients[test])


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=30, max_size=120),
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
)
@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_the_quick_folds_are_those_of_the_library(rows, n_folds, seed):
    outcome, patients = np.array(rows + [(0, n) for n in range(5)]).T
    quick, plain = (
        list(kind(n_folds, shuffle=True, random_state=seed).split(outcome, outcome, patients))
        for kind in (QuickGroupKFold, StratifiedGroupKFold)
    )
    for one, other in zip(quick, plain, strict=True):
        np.testing.assert_array_equal(one[1], other[1])


def test_the_quick_folds_are_those_of_the_library_at_the_size_of_a_cohort():
    rng = np.random.default_rng(4)
    outcome = rng.choice(3, size=5_000, p=[0.5, 0.4, 0.1])
    patients = rng.integers(0, 4_200, size=5_000)
    quick, plain = (
        list(kind(5, shuffle=True, random_state=1).split(outcome, outcome, patients))
        for kind in (QuickGroupKFold, StratifiedGroupKFold)
    )
    for one, other in zip(quick, plain, strict=True):
        np.testing.assert_array_equal(one[1], other[1])
