"""Metrics by group: against the bootstrap and the whole, coverage, shrinkage, pooling, and what is hidden."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paincast.errors import DataError, SettingsError
from paincast.evaluation.groups.subgroups import (
    GROUP_COLUMNS,
    POOLED_COLUMNS,
    compute_metrics_by_group,
    make_audit_attributes,
    pool_groups,
)
from paincast.evaluation.performance.link_functions import LINK_FUNCTIONS
from paincast.evaluation.performance.metrics import compute_metrics

LIMITS = ["estimate", "lower", "upper"]


def make_rows(n, seed, slope=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-0.3, 1.0, size=n)
    outcome = rng.random(n) < 1 / (1 + np.exp(-(shift + slope * log_odds)))
    return outcome.astype(float), 1 / (1 + np.exp(-log_odds))


def compute(outcome, probability, **more):
    attributes = more.pop("attributes", None)
    attributes = pd.DataFrame({"all": ["yes"] * len(outcome)}) if attributes is None else attributes
    return compute_metrics_by_group(outcome, probability, attributes, **{"patients": None, **more})


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_one_group_of_all_is_the_whole_and_agrees_with_the_bootstrap(clustered, weighted):
    outcome, probability = make_rows(1200, 3, slope=0.7, shift=0.2)
    patients = np.arange(1200) // 4 if clustered else np.arange(1200)
    weights = 1.0 + np.random.default_rng(2).random(1200) if weighted else None
    got = compute(outcome, probability, patients=patients, weights=weights).set_index("metric")
    expected = compute_metrics(
        outcome, probability, patients=patients, weights=weights, rng=np.random.default_rng(1), resamples=2000
    ).set_index("metric")
    for metric in LINK_FUNCTIONS:
        assert got.loc[metric, "estimate"] == pytest.approx(expected.loc[metric, "estimate"], abs=1e-7)
        width = expected.loc[metric, "upper"] - expected.loc[metric, "lower"]
        for limit in ("lower", "upper"):
            assert got.loc[metric, limit] == pytest.approx(expected.loc[metric, limit], abs=0.07 * width), metric


def test_levels_are_the_rows_with_the_level():
    outcome, probability = make_rows(900, 5)
    sites = pd.Series(["a", "b", "b"] * 300)
    got = compute(outcome, probability, attributes=pd.DataFrame({"site": sites}))
    assert tuple(got.columns) == GROUP_COLUMNS
    alone = compute(outcome[sites == "b"], probability[sites == "b"])
    np.testing.assert_allclose(got.loc[got["level"] == "b", LIMITS], alone[LIMITS])
    assert got["group"].unique().tolist() == ["site: a", "site: b"]
    assert got.drop_duplicates("level")["n"].tolist() == [300, 600]
    assert got.drop_duplicates("level")["n_events"].sum() == outcome.sum()
    assert got["shrunken"].isna().all()  # two levels do not tell how far levels differ


def test_small_levels_are_drawn_to_the_others():
    outcome, probability = make_rows(2100, 8)
    levels = np.repeat([f"site {place:02d}" for place in range(12)], [40] * 6 + [310] * 6)
    got = compute(outcome, probability, attributes=pd.DataFrame({"site": levels}))
    rows = got[got["metric"] == "o_e_ratio"]
    spread = np.log(rows[["estimate", "shrunken"]].astype(float)).std()
    assert spread["shrunken"] < 0.7 * spread["estimate"]
    small = rows.head(6)
    assert ((small["shrunken_upper"] - small["shrunken_lower"]) < 0.6 * (small["upper"] - small["lower"])).all()


@pytest.mark.slow
def test_intervals_of_small_groups_cover_the_truth():
    covered = dict.fromkeys(("auroc", "o_e_ratio", "calibration_intercept", "calibration_slope"), 0)
    reference = compute(*make_rows(200_000, 1)).set_index("metric")["estimate"]
    for seed in range(300):
        found = compute(*make_rows(120, 100 + seed)).set_index("metric")
        for metric in covered:
            covered[metric] += found.loc[metric, "lower"] <= reference[metric] <= found.loc[metric, "upper"]
    assert all(0.91 <= count / 300 <= 0.985 for count in covered.values()), covered


def test_sites_are_pooled_and_a_new_one_is_foreseen():
    rng = np.random.default_rng(4)
    parts, sites = [], []
    for site in range(10):
        parts.append(make_rows(400, 50 + site, shift=rng.normal(0, 0.4)))
        sites += [f"site {site}"] * 400
    outcome, probability = (np.concatenate(part) for part in zip(*parts, strict=True))
    by_site = compute(outcome, probability, attributes=pd.DataFrame({"site": sites}))
    pooled = pool_groups(by_site)
    assert tuple(pooled.columns) == POOLED_COLUMNS
    row = pooled.set_index("metric").loc["calibration_intercept"]
    assert row["predicted_lower"] < row["lower"] < row["estimate"] < row["upper"] < row["predicted_upper"]
    assert row["tau"] == pytest.approx(0.4, abs=0.2)
    assert row["n"] == 4000
    ratio = pooled.set_index("metric").loc["o_e_ratio"]
    assert 0 < ratio["predicted_lower"] < ratio["estimate"] < ratio["predicted_upper"]


def test_small_levels_have_no_metrics_and_no_counts():
    outcome, probability = make_rows(400, 6)
    levels = np.repeat(["a", "b", "c"], [200, 197, 3])
    got = compute(outcome, probability, attributes=pd.DataFrame({"site": levels}))
    small = got[got["level"] == "c"]
    assert small[[*LIMITS, "error", "shrunken"]].isna().all(axis=None)
    assert set(small["method"]) == {"not estimable: fewer than 5 patients with or without the outcome"}
    assert small[["n", "n_patients", "n_events"]].isna().all(axis=None)
    # 397 of 400 would give the three away: the smaller of the others is hidden with them.
    assert got[got["level"] == "b"]["n"].isna().all()
    assert got[got["level"] == "a"]["n"].notna().all()
    pooled = pool_groups(got)
    assert pooled["n_groups"].tolist() == [2] * len(pooled)
    assert pooled["method"].str.contains("1 left out").all()
    assert pooled["n"].isna().all()
    assert pooled["predicted_lower"].isna().all()


def test_many_rows_of_few_patients_are_small():
    outcome, probability = make_rows(400, 6)
    patients = np.where(np.arange(400) < 200, np.arange(400), 200 + np.arange(400) % 3)
    levels = np.repeat(["a", "b"], 200)
    got = compute(outcome, probability, attributes=pd.DataFrame({"site": levels}), patients=patients)
    assert got[got["level"] == "b"]["estimate"].isna().all()


def test_one_level_alone_is_not_pooled():
    pooled = pool_groups(compute(*make_rows(100, 1)))
    assert pooled[LIMITS].isna().all(axis=None)
    assert set(pooled["method"]) == {"not estimable: 1 of 1 levels can be pooled, 2 are needed"}


@pytest.mark.parametrize(
    ("probability", "metric", "reason"),
    [
        (np.full(60, 0.4), "calibration_slope", "the predictions are constant or separate the outcome classes"),
        (
            np.repeat([0.2, 0.8], 30),
            "calibration_slope",
            "the predictions are constant or separate the outcome classes",
        ),
        (np.repeat([0.2, 0.8], 30), "auroc", "no finite error"),
    ],
)
def test_what_cannot_be_said_is_no_perfect_score(probability, metric, reason):
    row = compute(np.repeat([0.0, 1.0], 30), probability).set_index("metric").loc[metric]
    assert row[[*LIMITS, "error"]].isna().all()
    assert row["method"] == f"not estimable: {reason}"


def test_attributes_are_those_of_the_contract():
    episodes = pd.DataFrame(
        {
            "sex": ["female", None, "male", "male"],
            "age_years": [39.99, 40.0, 75.0, np.nan],
            "indication": ["crps"] * 4,
            "ethnicity": [None] * 4,
            "payer": ["public", "private", None, "public"],
            "procedure_year": pd.array([2019, 2020, None, 2020], dtype="Int64"),
            "smoker": [True, False, True, False],
        },
        index=[5, 6, 7, 8],
    )
    found = make_audit_attributes(episodes)
    assert found.columns.tolist() == ["sex", "age_band", "indication", "payer", "procedure_year"]
    assert found["age_band"].tolist() == ["under 40", "40 to 59", "75 and over", "missing"]
    assert found["sex"].tolist() == ["female", "missing", "male", "male"]
    assert found["procedure_year"].tolist() == ["2019", "2020", "missing", "2020"]
    assert make_audit_attributes(pd.DataFrame(index=range(3))).shape == (3, 0)


def test_no_attribute_makes_an_empty_table():
    outcome, probability = make_rows(50, 1)
    assert compute(outcome, probability, attributes=pd.DataFrame(index=range(50))).columns.tolist() == list(
        GROUP_COLUMNS
    )


def test_bad_input_is_refused():
    outcome, probability = make_rows(50, 1)
    with pytest.raises(DataError, match="attributes has 2 rows, the outcome has 50"):
        compute(outcome, probability, attributes=pd.DataFrame({"site": ["a", "b"]}))
    with pytest.raises(DataError, match="weights: 50 finite numbers above 0 are needed"):
        compute(outcome, probability, weights=np.zeros(50))
    with pytest.raises(SettingsError, match="confidence=2 is out of range"):
        compute(outcome, probability, confidence=2.0)
