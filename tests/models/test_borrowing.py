"""Borrowing between techniques: few rows gain from related techniques, many rows are not hurt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from paincast.cohort.tables import conform
from paincast.features import EpisodeEncoder
from paincast.models.binary.borrowing import Pool, fit_shared, make_part, make_pool, weigh_directions
from paincast.models.binary.selection import Sample, encode_sample, select_candidate
from paincast.models.binary.surroundings import make_parts, make_surroundings
from paincast.schema import TECHNIQUES
from paincast.settings import ModelSettings, TrainingSettings

RELATED = TECHNIQUES[1:10]
OWN = TECHNIQUES[0]
COLUMNS = ("depression", "smoker", "odi", "age_years", "bmi", "pain_duration_months")
SHARED = np.array([-0.7, -0.5, -0.5, -0.2, -0.3, -0.4])
FEW = {
    "candidates": ["logistic"],
    "ridge_prior_sds": [0.06, 0.12, 0.25],
    "lasso_penalties": [0.8],
    "pool_penalties": [0.001, 0.004, 0.015],
}


def make_episodes(technique: str, n: int, rng: np.random.Generator, coefficients: np.ndarray):
    """Make episodes whose log odds are linear in z-scores and flags, with the true log odds."""
    z = rng.normal(size=(n, 4))
    flags = (rng.random((n, 2)) < 0.35).astype(float)
    linear_predictor = 0.4 + np.column_stack([flags, z]) @ coefficients
    frame = pd.DataFrame(
        {
            "episode_id": [f"{technique}-{i}" for i in range(n)],
            "patient_id": [f"{technique}-p{i}" for i in range(n)],
            "technique": technique,
            "depression": flags[:, 0] == 1,
            "smoker": flags[:, 1] == 1,
            "odi": (45 + 12 * z[:, 0]).clip(0, 100),
            "age_years": (58 + 11 * z[:, 1]).clip(18, 95),
            "bmi": (28 + 4 * z[:, 2]).clip(15, 60),
            "pain_duration_months": np.expm1(3 + 0.8 * z[:, 3]).clip(1, 600),
        }
    )
    outcome = (rng.random(n) < expit(linear_predictor)).astype(float)
    return conform("episodes", frame), outcome, linear_predictor


def make_regret(n: int, seed: int, *, borrowing: tuple[float, ...], distance: float = 0.15, n_related: int = 500):
    """Give the excess log loss over the truth, on fresh patients, of a technique with n rows among nine others."""
    rng = np.random.default_rng(seed)
    own = SHARED + rng.normal(0, distance, len(SHARED))
    asked = {}
    for technique in RELATED:
        episodes, outcome, _ = make_episodes(technique, n_related, rng, SHARED + rng.normal(0, distance, len(SHARED)))
        asked[technique] = (episodes, outcome)
    episodes, outcome, _ = make_episodes(OWN, n, rng, own)
    settings = TrainingSettings(model=ModelSettings(borrowing=list(borrowing), **FEW))
    parts = make_parts(asked, settings, np.random.default_rng(1), directed=False)
    near = make_surroundings(OWN, episodes, parts, settings, np.random.default_rng(2), directed=False)
    sample = Sample(episodes=episodes, outcome=outcome, weights=np.ones(n), technique=OWN, pool=near.pool)
    selection = select_candidate(sample, settings.model, np.random.default_rng(3))
    encoded = encode_sample(sample, settings.model)
    model = selection.fit(encoded, np.random.default_rng(4))
    fresh, _, linear_predictor = make_episodes(OWN, 4000, rng, own)
    served = model.linear_predictor(encoded.encoders[False].transform(fresh))
    loss = np.logaddexp(0, served) - expit(linear_predictor) * served
    return float(np.mean(loss - np.logaddexp(0, linear_predictor) + expit(linear_predictor) * linear_predictor))


@pytest.mark.slow
def test_forty_rows_gain_from_nine_related_techniques():
    regrets = np.array(
        [[make_regret(40, seed, borrowing=shares) for shares in ((1.0, 0.5, 0.0), (0.0,))] for seed in range(8)]
    )
    shared, separate = regrets.mean(axis=0)
    assert shared < 0.6 * separate
    assert (regrets[:, 0] < regrets[:, 1]).sum() >= 7


@pytest.mark.slow
def test_five_thousand_rows_are_not_hurt_even_where_techniques_differ():
    regrets = np.array(
        [
            [make_regret(5000, seed, borrowing=shares, distance=0.5) for shares in ((1.0, 0.5, 0.0), (0.0,))]
            for seed in range(5)
        ]
    )
    harm = regrets[:, 0] - regrets[:, 1]
    assert harm.mean() <= harm.std(ddof=1) / np.sqrt(len(harm)) + 1e-4
    assert regrets.max() < 0.01


def make_parts_of(names, n=300, seed=0, coefficients=SHARED):
    rng = np.random.default_rng(seed)
    parts = {}
    for name in names:
        episodes, outcome, _ = make_episodes(name, n, rng, coefficients)
        encoder = EpisodeEncoder().fit(episodes)
        patients = episodes["patient_id"].to_numpy(object)
        parts[name] = make_part(name, encoder, encoder.transform(episodes), {}, outcome, np.ones(n), patients)
    return parts


def test_what_is_shared_is_near_what_generated_it():
    own, *others = make_parts_of(TECHNIQUES[:10], n=600).values()
    shared = fit_shared(Pool(parts=tuple(others), penalty=1e-4), own)
    units = np.array([0.5, 0.5, 1, 1, 1, 1])
    found = np.array([shared.coefficients[name] for name in COLUMNS])
    np.testing.assert_allclose(found, SHARED * units, atol=0.1)


def test_an_unrelated_level_of_each_technique_is_not_shared():
    parts = make_parts_of(TECHNIQUES[:4], n=600)
    own, *others = parts.values()
    rarer = [
        type(part)(**{**part.__dict__, "outcome": part.outcome * (np.arange(600) % 3 == 0)}) if place == 0 else part
        for place, part in enumerate(others)
    ]
    levels = fit_shared(Pool(parts=tuple(rarer), penalty=1e-3), own)
    assert all(abs(levels.coefficients[name]) < 0.6 for name in COLUMNS)
    assert np.sign([levels.coefficients[name] for name in COLUMNS]).tolist() == np.sign(SHARED).tolist()


def test_weights_of_zero_take_a_technique_out():
    own, first, second = make_parts_of(TECHNIQUES[:3]).values()
    turned = type(second)(**{**second.__dict__, "outcome": 1.0 - second.outcome})
    weights = np.repeat([1.0, 1e-9], 300)
    without = fit_shared(Pool(parts=(first,), penalty=0.004), own)
    weighted = fit_shared(Pool(parts=(first, turned), penalty=0.004), own, weights)
    both = fit_shared(Pool(parts=(first, turned), penalty=0.004), own)
    gap = max(abs(weighted.coefficients[name] - without.coefficients[name]) for name in COLUMNS)
    moved = max(abs(both.coefficients[name] - without.coefficients[name]) for name in COLUMNS)
    assert gap < 0.5 * moved


def test_patients_of_the_technique_are_not_borrowed_from_elsewhere():
    (part,) = make_parts_of(TECHNIQUES[:1]).values()
    own = part.patients[:100]
    pool = make_pool([part], own, np.random.default_rng(0), penalties=[0.01], most_rows=1000)
    assert set(pool.parts[0].patients) == set(part.patients[100:])
    assert make_pool([part], part.patients, np.random.default_rng(0), penalties=[0.01], most_rows=1000) == Pool()


@pytest.mark.slow
def test_the_pool_is_thinned_and_its_penalty_is_one_of_those_given():
    parts = list(make_parts_of(TECHNIQUES[1:4]).values())
    penalties = [0.001, 0.01, 10.0]
    pool = make_pool(parts, np.array([]), np.random.default_rng(0), penalties=penalties, most_rows=120)
    assert [len(part.outcome) for part in pool.parts] == [120] * 3
    assert pool.penalty in penalties[:2]
    again = make_pool(parts, np.array([]), np.random.default_rng(0), penalties=penalties, most_rows=120)
    np.testing.assert_array_equal(again.parts[0].patients, pool.parts[0].patients)


def test_techniques_with_one_class_or_without_follow_up_lend_nothing():
    rng = np.random.default_rng(0)
    episodes, outcome, _ = make_episodes(RELATED[0], 120, rng, SHARED)
    asked = {
        RELATED[0]: (episodes, outcome),
        RELATED[1]: (episodes, np.ones(120)),
        RELATED[2]: (episodes, np.full(120, np.nan)),
        RELATED[3]: (episodes, np.where(np.arange(120) < 50, np.nan, outcome)),
    }
    parts = make_parts(asked, TrainingSettings(), np.random.default_rng(1))
    assert list(parts) == [RELATED[0], RELATED[3]]
    assert len(parts[RELATED[3]].outcome) == 70


@pytest.mark.parametrize("off", [{"borrowing": [0.0]}, {"pool_rows": 0}, {"candidates": ["xgboost"]}])
def test_borrowing_can_be_turned_off(off):
    parts = make_parts_of(RELATED[:2])
    episodes, _, _ = make_episodes(OWN, 60, np.random.default_rng(0), SHARED)
    settings = TrainingSettings(model=ModelSettings(**off))
    near = make_surroundings(OWN, episodes, parts, settings, np.random.default_rng(0))
    assert near.pool == Pool()


@pytest.mark.parametrize(("minimum", "lenders"), [(41, 2), (40, 0)])
def test_a_technique_with_episodes_enough_borrows_from_none(minimum, lenders):
    rng = np.random.default_rng(0)
    episodes, _, _ = make_episodes(OWN, 120, rng, SHARED)
    outcome = np.where(np.arange(120) < 10, np.nan, (np.arange(120) < 50).astype(float))
    others = {name: make_episodes(name, 90, rng, SHARED)[:2] for name in RELATED[:2]}
    settings = TrainingSettings(model=ModelSettings(minimum_alone=minimum))
    parts = make_parts({OWN: (episodes, outcome), **others}, settings, rng)
    near = make_surroundings(OWN, episodes, parts, settings, rng)
    assert len(near.pool.parts) == lenders


def test_directions_weigh_a_yes_as_two_standard_deviations():
    episodes, _, _ = make_episodes(OWN, 200, np.random.default_rng(0), SHARED)
    encoder = EpisodeEncoder().fit(episodes)
    weights = dict(
        zip(encoder.get_feature_names_out(), weigh_directions(encoder, {"depression": -1, "bmi": 1}), strict=True)
    )
    assert weights.pop("depression") == -1.0
    assert weights.pop("bmi") == 0.5
    assert set(weights.values()) == {0.0}
