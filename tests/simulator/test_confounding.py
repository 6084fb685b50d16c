"""Choice under settings of known strength: a factor that nobody records, and techniques that some never get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from paincast.errors import SettingsError
from paincast.simulator import Assumptions, Never, simulate_referrals
from paincast.simulator.course.response import PAIN, compute_effects, compute_shared, scale_curve
from paincast.simulator.population.choice import (
    compute_propensity,
    draw_choice,
    name_choice_columns,
    rank_techniques,
    withhold,
)
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.referral import make_columns
from paincast.simulator.scenario import Scenario, build_scenario

from .conftest import Drawn, draw_block

DISC = "lumbar_radicular_disc"
CHOICE, RESPONSE = 0.9, 0.6


@pytest.fixture(scope="module")
def hidden() -> Drawn:
    assumed = Assumptions(hidden_choice=CHOICE, hidden_response=RESPONSE)
    return draw_block(build_scenario([DISC], "literature", assumed), DISC, 21)


def _estimate_slope(chosen: NDArray[Any], offset: NDArray[Any], covariate: NDArray[Any]) -> tuple[float, float]:
    """Fit a logistic regression on one covariate with an offset, by Newton's method: slope and standard error."""
    design = np.column_stack([np.ones(len(offset)), covariate]).astype(float)
    coefficients, information = np.zeros(2), np.eye(2)
    for _ in range(8):
        probability = expit(offset + design @ coefficients)
        information = (design * (probability * (1 - probability))[:, None]).T @ design
        coefficients = coefficients + np.linalg.solve(information, design.T @ (chosen - probability))
    return float(coefficients[1]), float(np.sqrt(np.linalg.inv(information)[1, 1]))


def _make_choice_columns(drawn: Drawn, assumptions: Assumptions) -> Columns:
    names = name_choice_columns([option.record for option in drawn.stratum.options], assumptions)
    return make_columns(drawn.stratum.population, drawn.screened.referred, assumptions, names=names)


def _compute_propensity(drawn: Drawn, assumptions: Assumptions) -> NDArray[Any]:
    """Compute the propensity of the same patients under other settings."""
    records = [option.record for option in drawn.stratum.options]
    columns = _make_choice_columns(drawn, assumptions)
    return compute_propensity(columns, drawn.screened.referred, records, drawn.scenario.sites, assumptions)


def test_the_hidden_factor_is_independent_of_what_comes_before_the_choice(hidden: Drawn) -> None:
    referred = hidden.screened.referred
    columns = make_columns(hidden.stratum.population, referred, hidden.scenario.assumptions)
    known = [values for values in (*columns.values(), referred.site, referred.year) if values.std() > 0]
    known += list(referred.latents.factors)
    first = ~referred.is_repeat
    errors = [np.corrcoef(referred.hidden[first], values[first])[0, 1] * np.sqrt(first.sum()) for values in known]
    assert np.abs(errors).max() < 4.0
    assert referred.hidden[first].std() == pytest.approx(1.0, abs=0.02)
    again = np.flatnonzero(referred.is_repeat)
    assert (referred.hidden[again] == referred.hidden[again - 1]).all()


def test_the_hidden_factor_moves_the_choice_by_its_strength(hidden: Drawn, radicular: Drawn) -> None:
    options = [option.record for option in hidden.stratum.options]
    is_second = rank_techniques(options) == 1
    assert [record.technique for record in options if record.technique != "epidural_steroid_injection"] == [
        "nerve_root_block"
    ]
    for drawn, strength in ((hidden, CHOICE), (radicular, 0.0)):
        without, factor = (
            _compute_propensity(drawn, Assumptions())[is_second].sum(axis=0),
            drawn.screened.referred.hidden,
        )
        moved = logit(drawn.screened.propensity[is_second].sum(axis=0).astype(float)) - logit(without.astype(float))
        assert moved == pytest.approx(strength * factor, abs=2e-5)
        chosen = is_second[drawn.screened.chosen]
        slope, error = _estimate_slope(chosen, logit(without), factor)
        assert abs(slope - strength) < 4 * error


def test_the_hidden_factor_moves_every_outcome_by_its_strength(hidden: Drawn, radicular: Drawn) -> None:
    for drawn, strength in ((hidden, RESPONSE), (radicular, 0.0)):
        treated, option = drawn.treated["transforaminal"], drawn.option("transforaminal")
        plain, referred = replace(drawn.scenario.assumptions, hidden_response=0.0), drawn.screened.referred
        shared = compute_shared(drawn.scenario.sites, referred, plain, treated.rows)
        for outcome, margin in treated.course.margins.items():
            model = option.model.by_outcome[outcome]
            known = model.intercepts[1] + model.strength * treated.effects[option.effect] + shared
            slope, error = _estimate_slope(margin[:, 1] >= 0, known, referred.hidden[treated.rows])
            assert abs(slope - strength) < 4 * error, outcome


def test_the_treated_respond_as_published_whatever_the_hidden_factor(hidden: Drawn) -> None:
    """A record is solved in its own indication: that of the nerve root block is another one."""
    own = [option for option in hidden.stratum.options if option.record.indication == DISC]
    assert len(own) == 3
    for place, option in enumerate(own):
        referred, scenario = hidden.screened.referred, hidden.scenario
        columns = make_columns(hidden.stratum.population, referred, scenario.assumptions)
        predictor = compute_effects(option.record, columns, scenario.assumptions)
        predictor = predictor + compute_shared(scenario.sites, referred, scenario.assumptions)
        probability = expit(option.model.by_outcome[PAIN].intercepts[1] + predictor)
        curve = list(scale_curve(option.record, scenario.name).values())
        weighted = np.average(probability, weights=hidden.screened.propensity[place])
        assert weighted == pytest.approx(curve[1], abs=0.006)


def test_no_column_shows_the_hidden_factor() -> None:
    assumed = Assumptions(hidden_choice=CHOICE, hidden_response=RESPONSE)
    asked: dict[str, Any] = {"indications": [DISC], "patients_per_indication": 4000, "seed": 8}
    cohort, truth = simulate_referrals(**asked, assumptions=assumed)
    factor = truth.episodes["hidden"].to_numpy(float)
    assert "hidden" not in cohort.episodes
    for name, values in cohort.episodes.select_dtypes("number").items():
        known = values.notna().to_numpy()
        if known.any() and values.std() > 0:
            assert abs(np.corrcoef(values[known].astype(float), factor[known])[0, 1]) < 4.5 / np.sqrt(known.sum()), name
    assert cohort.details["changed_assumptions"] == ["hidden_choice", "hidden_response"]
    plain, known_truth = simulate_referrals(**asked)
    assert "hidden" not in known_truth.episodes
    compared = ["episode_id", "age_years", "site_id"]
    one, two = (held.episodes[compared].sort_values("episode_id", ignore_index=True) for held in (plain, cohort))
    assert one.equals(two)


def test_a_technique_that_is_never_chosen_for_some_is_not(radicular: Drawn) -> None:
    free, is_block = radicular.screened.propensity, 3
    old = _make_choice_columns(radicular, radicular.scenario.assumptions)["age_years"] >= 60
    assert 0.1 < old.mean() < 0.4
    limited = {}
    for factor in (0.0, 0.05):
        rule = Never(column="age_years", at_least=60.0, odds_factor=factor)
        limited[factor] = _compute_propensity(radicular, Assumptions(never={"nerve_root_block": rule}))
        assert limited[factor].sum(axis=0) == pytest.approx(1.0, abs=1e-6)
        assert limited[factor][:, ~old] == pytest.approx(free[:, ~old], abs=1e-6)
    assert (limited[0.0][is_block, old] == 0).all()
    assert not (draw_choice(limited[0.0], np.random.default_rng(2))[old] == is_block).any()
    before, after = (logit(held[is_block, old].astype(float)) for held in (free, limited[0.05]))
    assert np.exp(after - before) == pytest.approx(0.05, rel=1e-3)
    randomised = replace(Assumptions(never={"nerve_root_block": rule}, hidden_choice=1.0), assignment="randomised")
    assert _compute_propensity(radicular, randomised).std(axis=1).max() < 1e-6


def test_who_would_be_left_without_a_technique_chooses_freely(scenario: Scenario) -> None:
    stratum = scenario.strata[DISC]
    records = [option.record for option in stratum.options]
    propensity = np.tile(np.array([[0.4], [0.3], [0.1], [0.2]], dtype=np.float32), 2)
    columns = {"age_years": np.array([50.0, 70.0], dtype=np.float32)}
    never = {
        "nerve_root_block": Never(column="age_years", at_least=60.0),
        "epidural_steroid_injection": Never(column="age_years", at_least=40.0),
    }
    limited = withhold(propensity, columns, records, never)
    assert limited[:, 0] == pytest.approx([0, 0, 0, 1])
    assert limited[:, 1] == pytest.approx(propensity[:, 1])


def test_an_option_without_probability_is_not_drawn_by_rounding() -> None:
    propensity = np.tile(np.array([[0.9999], [0.0]], dtype=np.float32), 60_000)
    assert not draw_choice(propensity, np.random.default_rng(1)).any()


def test_the_truth_of_a_technique_never_given_is_that_of_the_technique() -> None:
    """For whom an epidural is never chosen, its approaches are averaged as in the cohort."""
    assumed = Assumptions(never={"epidural_steroid_injection": Never(column="age_years", at_least=60.0)})
    cohort, truth = simulate_referrals(indications=[DISC], patients_per_indication=600, seed=2, assumptions=assumed)
    asked = {"technique": "epidural_steroid_injection", "outcome": "pain_response", "month": 3.0}
    whole = truth.expand(**asked).set_index("episode_id")["probability"]
    parts = truth.expand(**asked, by_approach=True).groupby("episode_id")["probability"].agg(["min", "max"])
    parts = parts.loc[whole.index]
    assert len(whole) == len(cohort.episodes)
    assert ((whole >= parts["min"] - 1e-9) & (whole <= parts["max"] + 1e-9)).all()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"hidden_choice": float("nan")}, "PC-SIMULATOR-36"),
        ({"hidden_response": float("inf")}, "PC-SIMULATOR-36"),
        ({"never": {"nerve_root": Never(column="age_years", at_least=60)}}, "PC-SIMULATOR-17"),
        ({"never": {"nerve_root_block": Never(column="age", at_least=60)}}, "PC-SIMULATOR-17"),
        ({"never": {"nerve_root_block": Never(column="age_years")}}, "PC-SIMULATOR-37"),
        ({"never": {"nerve_root_block": Never(column="age_years", at_least=60, below=50)}}, "PC-SIMULATOR-37"),
        ({"never": {"nerve_root_block": Never(column="womac", below=50)}}, "PC-SIMULATOR-38"),
        ({"never": {"nerve_root_block": Never(column="age_years", at_least=18)}}, "PC-SIMULATOR-39"),
        (
            {"never": {"nerve_root_block": Never(column="age_years", below=50, odds_factor=1.5)}},
            "PC-SIMULATOR-07",
        ),
    ],
)
def test_impossible_choices_are_refused(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(SettingsError, check=lambda error: error.code == code):
        simulate_referrals(indications=[DISC], patients_per_indication=5, assumptions=Assumptions(**changed))
