"""Groups held out: who is learnt from, order in time, patients in two places, jobs, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from paincast.errors import DataError, RefusalError
from paincast.evaluation.groups.internal_external import predict_internal_external

SITES = np.array(["a", "a", "b", "b", "c", "c"])


def predict(fit, groups=SITES, *, patients=None, seed=0, **more):
    return predict_internal_external(fit, groups, patients=patients, rng=np.random.default_rng(seed), **more)


def remember(seen):
    def fit(rows, rng):
        del rng
        seen.append(rows.tolist())
        return np.full(6, len(rows) / 10)

    return fit


def test_each_group_is_predicted_from_the_others(counted_steps):
    seen = []
    probability, held_out = predict(remember(seen), progress=counted_steps)
    assert seen == [[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3]]
    assert probability.tolist() == [0.4] * 6
    assert held_out["predicted"].all()
    assert (counted_steps.done, counted_steps.expected) == ([1.0] * 3, 3)


def test_a_patient_seen_in_two_places_is_learnt_from_in_neither():
    seen = []
    predict(remember(seen), patients=["p", "q", "p", "r", "s", "t"])
    assert seen == [[3, 4, 5], [1, 4, 5], [0, 1, 2, 3]]


def test_later_years_are_predicted_from_earlier_ones():
    seen = []
    probability, held_out = predict(remember(seen), [2021, 2021, 2019, None, 2020, 2020], earlier_only=True)
    assert seen == [[2], [2, 4, 5]]
    np.testing.assert_array_equal(np.isnan(probability), [False, False, True, True, False, False])
    assert held_out["reason"].tolist() == ["no rows to learn from", "", ""]


def test_rows_without_a_group_are_learnt_from_and_not_predicted():
    seen = []
    probability, _ = predict(remember(seen), ["a", "a", "b", "b", None, None])
    assert seen == [[2, 3, 4, 5], [0, 1, 4, 5]]
    assert np.isnan(probability[4:]).all()


@pytest.mark.slow
def test_jobs_change_nothing():
    def fit(rows, rng):
        return np.full(6, len(rows) / 10) + 0.1 * rng.random(6)

    one, two = predict(fit)[0], predict(fit, jobs=2)[0]
    np.testing.assert_array_equal(one, two)


def test_a_refusal_is_told_and_the_others_go_on():
    def fit(rows, rng):
        del rng
        if 0 not in rows:
            raise RefusalError("too few responders")
        return np.full(6, 0.5)

    probability, held_out = predict(fit)
    assert np.isnan(probability[:2]).all()
    assert (probability[2:] == 0.5).all()
    assert held_out["reason"].tolist() == ["too few responders", "", ""]


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="1 group to hold out; at least 2 are needed"):
        predict(remember([]), ["a"] * 6)
    with pytest.raises(DataError, match="probability: 2 of 2 values are missing"):
        predict(lambda rows, rng: np.full(6, np.nan))  # noqa: ARG005
