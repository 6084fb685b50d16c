"""What refitting cannot show: the variance between sites, and of values that are missing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from paincast.files.serialization import from_plain, to_plain
from paincast.models.binary.uncertainty_components import (
    UncertaintyComponents,
    estimate_site_variance,
    fit_uncertainty_components,
)


def make_sites(spread: float, n_sites: int, n_each: int, seed: int = 0, *, weighted: bool = False):
    rng = np.random.default_rng(seed)
    sites = np.repeat(np.arange(n_sites), n_each)
    linear_predictor = rng.normal(-0.4, 0.8, len(sites))
    shifts = rng.normal(0, spread, n_sites)
    outcome = (rng.random(len(sites)) < expit(linear_predictor + shifts[sites])).astype(float)
    weights = rng.uniform(0.5, 1.5, len(sites)) if weighted else np.ones(len(sites))
    return pd.Series([f"s{site}" for site in sites], dtype="str"), outcome, weights, linear_predictor


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_the_spread_between_sites_is_recovered(spread, weighted):
    found = [estimate_site_variance(*make_sites(spread, 40, 400, seed, weighted=weighted)) for seed in range(20)]
    assert np.sqrt(np.mean(found)) == pytest.approx(spread, rel=0.12)


def test_sites_that_are_alike_are_found_alike():
    found = [estimate_site_variance(*make_sites(0.0, 20, 200, seed)) for seed in range(30)]
    assert min(found) == 0.0
    assert np.sqrt(np.mean(found)) < 0.08


def test_a_shift_of_all_sites_is_no_spread():
    sites, outcome, weights, linear_predictor = make_sites(0.0, 20, 400)
    assert estimate_site_variance(sites, outcome, weights, linear_predictor - 0.3) < 0.01


def test_scale_of_weights_does_not_matter_and_rows_without_weight_or_site_are_left_out():
    sites, outcome, weights, linear_predictor = make_sites(0.4, 12, 150, weighted=True)
    found = estimate_site_variance(sites, outcome, weights, linear_predictor)
    assert estimate_site_variance(sites, outcome, 3 * weights, linear_predictor) == pytest.approx(found)
    more = [np.concatenate([one, extra]) for one, extra in ((outcome, [1.0, 1]), (linear_predictor, [0.0, 0]))]
    for labels, added in ((["s0", "new"], [0.0, 0.0]), ([None, None], [1.0, 1.0])):
        longer = pd.concat([sites, pd.Series(labels, dtype="str")], ignore_index=True)
        got = estimate_site_variance(longer, more[0], np.concatenate([weights, added]), more[1])
        assert got == pytest.approx(found)


def test_two_sites_say_nothing():
    assert estimate_site_variance(*make_sites(2.0, 2, 300)) == 0.0


def make_fit(min_site_sd: float = 0.1):
    sites, outcome, weights, linear_predictor = make_sites(0.5, 30, 200)
    n = len(sites)
    episodes = pd.DataFrame(
        {
            "site_id": sites,
            "odi": np.where(np.arange(n) % 4 == 0, np.nan, 40.0),
            "depression": pd.array([True, False] * (n // 2), dtype="boolean"),
        }
    )
    rng = np.random.default_rng(1)
    contributions = rng.normal(0, [0.3, 0.4, 0.2], (n, 3))
    contributions[episodes["odi"].isna().to_numpy(), :2] = 9.0
    owners = ("odi", "odi", "depression")
    fitted = fit_uncertainty_components(
        episodes, outcome, weights, linear_predictor, contributions, owners, min_site_sd=min_site_sd
    )
    return fitted, episodes


def test_what_a_missing_value_hides_is_the_spread_of_what_known_ones_add():
    fitted, episodes = make_fit()
    assert fitted.missing["odi"] == pytest.approx(0.3**2 + 0.4**2, rel=0.1)
    assert fitted.missing["depression"] == pytest.approx(0.2**2, rel=0.1)
    asked = episodes.head(3).assign(odi=[1.0, np.nan, np.nan])
    asked["depression"] = pd.array([True, False, pd.NA], dtype="boolean")
    odi, depression = fitted.missing["odi"], fitted.missing["depression"]
    hidden = fitted.missing_variance(asked)
    np.testing.assert_allclose(hidden, [0.0, odi, odi + depression], atol=1e-12)


def test_sites_vary_by_what_is_seen_and_by_no_less_than_assumed():
    seen, assumed = make_fit()[0].between_sites, make_fit(min_site_sd=2.0)[0].between_sites
    assert seen == pytest.approx(0.25, rel=0.4)
    assert assumed == pytest.approx(4.0)


def test_without_sites_what_is_assumed_remains():
    _, episodes = make_fit()
    n = len(episodes)
    rows = (episodes.drop(columns="site_id"), np.arange(n) % 2.0, np.ones(n), np.zeros(n), np.zeros((n, 0)), ())
    assert fit_uncertainty_components(*rows, min_site_sd=0.1) == UncertaintyComponents(between_sites=0.1**2, missing={})


def test_state_survives_json():
    fitted, episodes = make_fit()
    again = from_plain(json.loads(json.dumps(to_plain(fitted))), UncertaintyComponents)
    assert again == fitted
    np.testing.assert_array_equal(again.missing_variance(episodes), fitted.missing_variance(episodes))
