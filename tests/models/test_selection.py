"""Choosing a candidate: simplest first, what is shared alone among them, and of evidence the signs only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from paincast.cohort.tables import conform
from paincast.evidence import expected_signs as expected_signs_module
from paincast.evidence.expected_signs import load_expected_signs
from paincast.evidence.records import load_records
from paincast.models.binary.boosting import BOOSTED_LINEAR
from paincast.models.binary.kinds import KINDS, keep_affordable
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.model_kind import Candidate
from paincast.models.binary.selection import Sample, encode_sample, select_candidate
from paincast.models.binary.surroundings import make_surroundings
from paincast.settings import MODEL_KINDS, ModelSettings, TrainingSettings
from paincast.splits import make_folds

AVERAGED = ModelSettings(
    candidates=["logistic"], ridge_prior_sds=[0.06, 0.25], lasso_penalties=[0.8], selection_folds=3
)
LINEAR = replace(AVERAGED, averaging=0.0)
PRIOR_ONLY = {"strength": None, "l1_ratio": None}


def make_sample(make_episodes, n: int = 300, **known) -> Sample:
    seed, repeats = known.pop("seed", 0), known.pop("repeats", 0.1)
    episodes, outcome, _ = make_episodes(n, seed=seed, repeats=repeats)
    return Sample(episodes=episodes, outcome=outcome, weights=np.ones(n), technique="facet_rfa", **known)


@pytest.mark.slow
def test_simple_model_is_chosen_on_47_rows(make_episodes):
    sample = make_sample(make_episodes, 47, seed=3, repeats=0.0)
    settings = ModelSettings(trials=3)
    chosen = {select_candidate(sample, settings, np.random.default_rng(seed)).chosen.kind for seed in range(5)}
    assert chosen == {"logistic"}


@pytest.mark.slow
def test_strong_interaction_makes_trees_win():
    rng = np.random.default_rng(6)
    n = 1500
    sign = rng.random((n, 2)) < 0.5
    frame = pd.DataFrame(
        {
            "episode_id": [f"e{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "technique": "facet_rfa",
            "depression": sign[:, 0],
            "smoker": sign[:, 1],
        }
    )
    outcome = (rng.random(n) < np.where(sign[:, 0] == sign[:, 1], 0.8, 0.2)).astype(float)
    sample = Sample(episodes=conform("episodes", frame), outcome=outcome, weights=np.ones(n))
    selection = select_candidate(sample, ModelSettings(trials=3), rng)
    assert selection.chosen.kind == "boosted_logistic"
    assert selection.table["chosen"].sum() == 1


@pytest.mark.slow
@pytest.mark.parametrize("averaging", [0.35, 0.0])
def test_trees_carry_on_the_average_of_the_linear_models(averaging):
    sample = make_crossing()
    settings = replace(AVERAGED, candidates=["logistic", "xgboost"], trials=2, averaging=averaging)
    selection = select_candidate(sample, settings, np.random.default_rng(0))
    assert selection.chosen.kind == "boosted_logistic"
    assert selection.carried_shares.sum() == pytest.approx(1.0)
    encoded = encode_sample(sample, settings)
    served = selection.fit(encoded, np.random.default_rng(0))
    kept = np.flatnonzero(selection.carried_shares)
    parts = [encoded.fit(selection.candidates[place], np.random.default_rng(0)) for place in kept]
    expected = selection.carried_shares[kept] @ np.array([part.coefficients for part in parts])
    np.testing.assert_allclose(served.linear.coefficients, expected)
    base, contributions = served.contributions(encoded.matrices[False])
    np.testing.assert_allclose(
        base + contributions.sum(axis=1), served.linear_predictor(encoded.matrices[False]), atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("crosses", [True, False])
def test_unconstrained_trees_compete_with_those_that_follow_signs(crosses):
    """A sign that is wrong where two columns act together costs the constrained trees; a right one does not."""
    sample = replace(make_crossing(crosses=crosses), strong_directions={"age_years": 1, "bmi": 1})
    settings = ModelSettings(candidates=["xgboost"], trials=4, selection_folds=3)
    selection = select_candidate(sample, settings, np.random.default_rng(0))
    assert selection.chosen.kind == "xgboost"
    assert selection.chosen.parameters["constrained"] is not crosses


def make_crossing(n: int = 1200, *, crosses: bool = True) -> Sample:
    """Make patients in whom two numbers act together only, or each by itself."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(n, 2))
    frame = pd.DataFrame(
        {
            "episode_id": [f"e{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "technique": "facet_rfa",
            "age_years": 60 + 8 * values[:, 0],
            "bmi": 28 + 3 * values[:, 1],
        }
    )
    log_odds = 1.6 * np.sign(values[:, 0] * values[:, 1]) if crosses else 0.4 * values.sum(axis=1)
    outcome = (rng.random(n) < expit(log_odds)).astype(float)
    return Sample(episodes=conform("episodes", frame), outcome=outcome, weights=np.ones(n))


@pytest.mark.parametrize("borrows", [False, True])
def test_linear_candidates_begin_with_the_overall_risk_and_what_is_shared_alone_and_get_looser(borrows):
    settings = ModelSettings()
    first, *others = KINDS["logistic"].list_candidates(settings, borrows=borrows)
    assert first.parameters == {"borrowed": 0.0, **PRIOR_ONLY}
    assert first.is_overall_risk
    assert first.label == "overall risk"
    if borrows:
        shared = others.pop(0)
        assert shared.parameters == {"borrowed": 1.0, **PRIOR_ONLY}
        assert not shared.is_overall_risk
    shares = set(settings.borrowing) if borrows else {0.0}
    assert {one.parameters["borrowed"] for one in others} == shares
    assert len(others) == len(shares) * (len(settings.ridge_prior_sds) + len(settings.lasso_penalties))
    for l1_ratio in (0.0, settings.l1_ratio):
        strengths = [one.parameters["strength"] for one in others if one.parameters["l1_ratio"] == l1_ratio]
        assert strengths == sorted(strengths, reverse=True)
    assert len({one.label for one in (first, *others)}) == 1 + len(others)
    assert not any(one.is_overall_risk for one in others)


@pytest.mark.slow
def test_table_says_what_was_compared_and_the_rule_is_kept(make_episodes):
    sample = make_sample(make_episodes)
    selection = select_candidate(sample, LINEAR, np.random.default_rng(0))
    table = selection.table
    assert list(table.columns) == ["candidate", "kind", "log_loss", "excess", "excess_se", "share", "chosen"]
    assert list(table["candidate"]) == [one.label for one in selection.candidates]
    np.testing.assert_allclose(table["log_loss"], selection.losses.mean(axis=1))
    within = table["excess"] <= table["excess_se"]
    assert list(table.index[table["chosen"]]) == [table.index[within][0]] == [selection.position]
    assert selection.chosen == selection.candidates[selection.position]


@pytest.mark.slow
def test_average_of_logistic_models_is_one_logistic_model(make_episodes):
    sample = make_sample(make_episodes)
    selection = select_candidate(sample, AVERAGED, np.random.default_rng(0))
    assert selection.chosen.is_average
    assert selection.shares.sum() == pytest.approx(1.0)
    members = np.flatnonzero(selection.shares)
    assert selection.chosen.parameters["averaged"] == len(members) > 1
    encoded = encode_sample(sample, AVERAGED)
    served = selection.fit(encoded, np.random.default_rng(0))
    assert isinstance(served, LinearModel)
    parts = [encoded.fit(selection.candidates[place], np.random.default_rng(0)) for place in members]
    matrix = encoded.matrices[False]
    expected = sum(
        share * part.linear_predictor(matrix) for share, part in zip(selection.shares[members], parts, strict=True)
    )
    assert served.linear_predictor(matrix) == pytest.approx(expected, abs=1e-9)
    assert selection.chosen_linear_predictor == pytest.approx(selection.shares @ selection.linear_predictor, abs=1e-9)


def test_average_leans_to_the_simplest_by_its_prior_odds(make_episodes):
    sample = make_sample(make_episodes, 60)
    shares = [
        select_candidate(sample, replace(AVERAGED, simplest_prior_odds=odds), np.random.default_rng(0)).shares[0]
        for odds in (1.0, 1e6)
    ]
    assert shares[0] < 0.9 < shares[1]


def test_zero_standard_errors_take_the_best(make_episodes):
    sample = make_sample(make_episodes)
    table = select_candidate(sample, replace(LINEAR, standard_errors=0.0), np.random.default_rng(0)).table
    assert table.loc[table["chosen"], "excess"].tolist() == [0.0]


def test_refits_have_a_tuning_to_draw_even_where_the_chosen_kind_is_clearly_behind(make_episodes):
    selection = select_candidate(make_sample(make_episodes), LINEAR, np.random.default_rng(0))
    plausible = selection.list_plausible()
    assert plausible
    assert all(selection.table.loc[place, "excess"] <= selection.table.loc[place, "excess_se"] for place in plausible)
    behind = replace(selection, table=selection.table.assign(excess=1.0, excess_se=0.1))
    assert behind.list_plausible() == [selection.position]


def test_the_loss_of_the_choice_is_weighted(make_episodes):
    sample = make_sample(make_episodes)
    weights = np.where(np.arange(300) < 200, 1.4, 0.2)
    selection = select_candidate(replace(sample, weights=weights), LINEAR, np.random.default_rng(0))
    np.testing.assert_allclose(selection.table["log_loss"], selection.losses @ weights / weights.sum())


@pytest.mark.slow
def test_held_out_margins_come_from_folds_without_the_patient(make_episodes):
    sample = make_sample(make_episodes, 200)
    rng = np.random.default_rng(4)
    selection = select_candidate(sample, LINEAR, rng)
    fold_rng = np.random.default_rng(4).spawn(3)[0]
    train, test = make_folds(sample.outcome, sample.patients, LINEAR.selection_folds, fold_rng)[0]
    encoded = encode_sample(sample.take(train), LINEAR)
    model = encoded.fit(selection.candidates[1], rng)
    again = model.linear_predictor(encoded.encoders[False].transform(sample.episodes.iloc[test]))
    np.testing.assert_allclose(selection.linear_predictor[1, test], again, atol=1e-9)


def test_what_is_shared_alone_is_the_overall_risk_without_anything_to_share(make_episodes):
    sample = make_sample(make_episodes)
    weights = np.random.default_rng(1).exponential(size=300)
    encoded = encode_sample(replace(sample, weights=weights), LINEAR)
    model = encoded.fit(Candidate(kind="logistic", parameters={"borrowed": 0.0, **PRIOR_ONLY}), None)
    served = expit(model.linear_predictor(encoded.matrices[False]))
    np.testing.assert_allclose(served, np.average(sample.outcome, weights=weights), atol=1e-9)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_what_is_shared_alone_keeps_its_share_of_the_prior(make_episodes, share):
    sample = make_sample(make_episodes, directions=load_expected_signs("facet_rfa"))
    encoded = encode_sample(sample, LINEAR)
    model = encoded.fit(Candidate(kind="logistic", parameters={"borrowed": share, **PRIOR_ONLY}), None)
    assert isinstance(model, LinearModel)
    np.testing.assert_allclose(model.coefficients, share * encoded.prior)
    assert np.abs(encoded.prior).max() > 0.05
    assert expit(model.linear_predictor(encoded.matrices[False])).mean() == pytest.approx(
        sample.outcome.mean(), abs=1e-9
    )


def fit_with_evidence(sample: Sample) -> tuple[np.ndarray, list[str]]:
    """Choose and fit as training does, directions being read from the records."""
    settings = TrainingSettings(model=ModelSettings(ridge_prior_sds=[0.12], lasso_penalties=[], trials=2))
    near = make_surroundings("facet_rfa", sample.episodes, {}, settings, np.random.default_rng(0))
    assert near.directions["depression"] == -1
    assert near.strong_directions == load_expected_signs("facet_rfa", strong=True) != {}
    known = replace(sample, directions=near.directions, strong_directions=near.strong_directions)
    selection = select_candidate(known, settings.model, np.random.default_rng(1))
    return selection.linear_predictor, [one.label for one in selection.candidates]


def make_certain(effect):
    """Give an effect a spread that leaves no doubt about its sign."""
    return replace(effect, sd=abs(effect.log_odds) / 3.0 or effect.sd)


def change_effects(monkeypatch, change) -> None:
    records = tuple(
        replace(record, predictors=tuple(change(effect) for effect in record.predictors)) for record in load_records()
    )
    monkeypatch.setattr(expected_signs_module, "load_records", lambda: records)


@pytest.mark.slow
def test_of_the_evidence_only_signs_are_read(make_episodes, monkeypatch):
    sample = make_sample(make_episodes)
    change_effects(monkeypatch, make_certain)
    linear_predictor, labels = fit_with_evidence(sample)
    change_effects(
        monkeypatch,
        lambda effect: replace(
            make_certain(effect), log_odds=2.0 * effect.log_odds, sd=1.5 * make_certain(effect).sd, finding="OR 99"
        ),
    )
    doubled, same = fit_with_evidence(sample)
    assert same == labels
    np.testing.assert_array_equal(doubled, linear_predictor)


@pytest.mark.parametrize("technique", ["facet_rfa", "spinal_cord_stimulation"])
def test_turned_signs_are_read(monkeypatch, technique):
    before = {strong: load_expected_signs(technique, strong=strong) for strong in (False, True)}
    assert before[False]
    change_effects(monkeypatch, lambda effect: replace(effect, log_odds=-effect.log_odds))
    for strong, signs in before.items():
        assert load_expected_signs(technique, strong=strong) == {name: -sign for name, sign in signs.items()}


def test_only_a_sign_that_is_all_but_certain_is_strong(monkeypatch):
    all_signs = load_expected_signs("facet_rfa")
    change_effects(monkeypatch, lambda effect: replace(effect, sd=10.0))
    assert load_expected_signs("facet_rfa") == all_signs
    assert load_expected_signs("facet_rfa", strong=True) == {}
    change_effects(monkeypatch, lambda effect: make_certain(effect) if effect.column == "depression" else effect)
    assert load_expected_signs("facet_rfa", strong=True)["depression"] == all_signs["depression"] == -1
    change_effects(monkeypatch, make_certain)
    assert load_expected_signs("facet_rfa", strong=True) == all_signs


def test_more_columns_than_rows_and_weights_of_zero_end_in_a_finite_model(make_episodes):
    sample = make_sample(make_episodes, 24, repeats=0.0)
    weights = np.where(np.arange(24) < 20, 1.2, 0.0)
    selection = select_candidate(replace(sample, weights=weights), LINEAR, np.random.default_rng(0))
    assert np.isfinite(selection.linear_predictor).all()
    assert np.isfinite(selection.table["log_loss"]).all()


@pytest.mark.slow
def test_perfect_separation_ends_in_a_finite_model(make_episodes):
    sample = make_sample(make_episodes, 200)
    separated = replace(sample, outcome=sample.episodes["depression"].to_numpy(float))
    selection = select_candidate(
        separated, replace(LINEAR, candidates=["logistic", "xgboost"], trials=2), np.random.default_rng(0)
    )
    assert np.isfinite(selection.linear_predictor).all()
    assert selection.table["log_loss"].min() < 0.2


def test_flexible_kinds_are_tried_beside_a_logistic_model_only_where_data_are_many():
    settings = ModelSettings(candidates=["logistic", "xgboost"], minimum_flexible=20)
    few, many = np.repeat([0.0, 1.0], [200, 19]), np.repeat([1.0, 0.0], [200, 20])
    assert keep_affordable(settings, few).candidates == ["logistic"]
    assert keep_affordable(settings, many) is settings
    asked = replace(settings, candidates=["xgboost"])
    assert keep_affordable(asked, few) is asked


def test_every_kind_that_the_settings_allow_is_registered():
    assert set(KINDS) == {*MODEL_KINDS, BOOSTED_LINEAR.name}
    assert [name for name, kind in KINDS.items() if kind.name != name] == []
