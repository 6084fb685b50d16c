"""Functions without SciPy have its digits."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats

from paincast.models.domain import TAIL, find_limit
from paincast.scoring.arrays import to_arrow
from paincast.scoring.functions import FEW_VALUES, expit, logit, ndtri

ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(arrays(np.float64, st.integers(0, 40), elements=ANY | st.floats(-40, 40)))
def test_probabilities_are_those_of_scipy(log_odds):
    np.testing.assert_array_equal(expit(log_odds), special.expit(log_odds))


def test_many_probabilities_are_those_of_few():
    log_odds = np.random.default_rng(0).normal(0, 5, 2 * FEW_VALUES)
    few = np.concatenate([expit(half) for half in np.split(log_odds, 2)])
    np.testing.assert_array_equal(expit(log_odds), few)
    np.testing.assert_array_equal(logit(few), special.logit(few))


@given(st.floats(1e-13, 1 - 1e-13))
def test_quantiles_are_those_of_scipy(probability):
    assert ndtri(probability) == special.ndtri(probability)


@pytest.mark.parametrize("probability", [0.0, 1.0, 1e-15])
def test_a_quantile_out_of_reach_is_refused(probability):
    with pytest.raises(ValueError, match=r"near 0 or 1|domain"):
        ndtri(probability)


@pytest.mark.parametrize("n", [0, 1, 2, 10, 63, 64, 65, 200])
def test_limits_of_the_domain_are_quantiles(n):
    assert math.isclose(find_limit(n), stats.chi2.ppf(1 - TAIL, max(n, 1)), rel_tol=1e-13)


@given(
    st.sampled_from([np.float64, np.int64, np.int32, np.uint64, np.bool_]).flatmap(
        lambda kind: arrays(kind, st.integers(0, 20), elements={"allow_nan": False} if kind is np.float64 else None)
    ),
    st.data(),
)
def test_arrays_are_those_of_arrow(values, data):
    assert to_arrow(values).equals(pa.array(values))
    missing = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))), dtype=bool)
    assert to_arrow(values, missing).equals(pa.array(values, mask=missing))
    assert to_arrow(values[::2], missing[::2]).equals(pa.array(values[::2], mask=missing[::2]))
