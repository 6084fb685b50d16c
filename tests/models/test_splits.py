"""Folds keep patients together, and every class on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from paincast.splits import spread_folds


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


def test_each_fold_has_a_stream_of_its_own_and_patients_stay_together():
    outcome = np.tile([0.0, 1.0], 20)
    patients = np.repeat(np.arange(20), 2).astype(object)
    folds = spread_folds(outcome, patients, 4, np.random.default_rng(1))
    assert len({stream.integers(2**62) for _, stream in folds}) == 4
    for (train, test), _ in folds:
        assert not set(patients[train]) & set(patients[test])
