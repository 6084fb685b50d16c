"""Those who do not pass a trial or block: followed without the procedure, as the truth says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from paincast.cohort.tables import Cohort
from paincast.cohort.validate import validate_tables
from paincast.errors import RefusalError
from paincast.evaluation.simulated.truth import load_whole_truth
from paincast.schema import EPISODES, TABLES, is_model_input
from paincast.simulator import Truth, simulate_referrals, write_referrals
from paincast.simulator.block import Followed, follow_option
from paincast.simulator.course.response import PAIN, OutcomeModels
from paincast.simulator.scenario import Scenario, require_control

from .conftest import Drawn, draw_block, name_option

ASKED: dict[str, Any] = {
    "indications": ["failed_back_surgery", "pelvic_cancer"],
    "patients_per_indication": 700,
    "seed": 6,
}


@pytest.fixture(scope="module")
def kept() -> tuple[Cohort, Truth]:
    return simulate_referrals(**ASKED, keep_untreated=True)


@pytest.fixture(scope="module")
def untreated(facet: Drawn) -> dict[str, Followed]:
    return {
        name_option(option): follow_option(facet.scenario, facet.stratum, facet.screened, place, is_treated=False)
        for place, option in enumerate(facet.stratum.options)
    }


def _compute_control(drawn: Drawn, followed: Followed, outcome: str, month: int) -> NDArray[np.float64]:
    option = drawn.stratum.options[followed.place]
    model = option.model.by_outcome[outcome]
    effects = model.control_strength * followed.effects[option.effect]
    return np.asarray(expit(model.control_intercepts[month] + effects + followed.shared), dtype=float)


def test_outcomes_are_drawn_with_the_probability_without_the_procedure(
    facet: Drawn, untreated: dict[str, Followed]
) -> None:
    """Noise has mean 0 and knows nothing of the covariates, at the second month; 4.5 standard errors over 300 pairs."""
    errors = []
    for followed in untreated.values():
        for outcome, margin in followed.course.margins.items():
            noise = (margin[:, 1] >= 0) - _compute_control(facet, followed, outcome, 1)
            errors.append(noise.mean() / noise.std() * np.sqrt(len(noise)))
            for values in followed.columns.values():
                if values.std() > 0:
                    errors.append(np.corrcoef(noise, values)[0, 1] * np.sqrt(len(noise)))
    assert len(errors) > 200
    assert np.abs(errors).max() < 4.5
    assert np.std(errors) < 1.2


def test_who_is_referred_is_treated_or_not(facet: Drawn, untreated: dict[str, Followed]) -> None:
    for name, followed in untreated.items():
        treated = facet.treated[name]
        assert not set(treated.rows) & set(followed.rows)
        assert len(treated.rows) + len(followed.rows) == (facet.screened.chosen == followed.place).sum()
        stage = facet.option(name).stage
        assert stage
        assert followed.columns[stage].mean() < treated.columns[stage].mean() - 0.2


def test_response_by_intention_to_treat_is_unbiased_with_the_true_propensity(
    facet: Drawn, untreated: dict[str, Followed]
) -> None:
    """Of all referred: treated or not, weighted by the probability of the choice alone."""
    screened, month = facet.screened, 1
    n = len(screened.chosen)
    for name, followed in untreated.items():
        treated = facet.treated[name]
        outcome, expected = np.full((2, n), np.nan)
        selection = screened.selection_probability[followed.place]
        for part in (treated, followed):
            outcome[part.rows] = part.course.responded[:, month]
            option = facet.option(name)
            model = option.model.by_outcome[PAIN]
            predictor = model.strength * part.effects[option.effect] + part.shared
            with_it = expit(model.intercepts[month] + predictor)
            without = _compute_control(facet, part, PAIN, month)
            expected[part.rows] = selection[part.rows] * with_it + (1 - selection[part.rows]) * without
        known = np.isfinite(outcome)
        weight = 1 / screened.propensity[followed.place][known]
        difference = np.average(outcome[known] - expected[known], weights=weight)
        error = np.sqrt((weight**2 * (outcome - expected)[known] ** 2).sum()) / weight.sum()
        assert abs(difference) < 4 * error


def test_the_first_do_not_depend_on_how_many_follow(scenario: Scenario) -> None:
    whole, part = (
        follow_option(scenario, drawn.stratum, drawn.screened, 1, n, is_treated=False)
        for drawn, n in ((draw_block(scenario, "lumbar_facet", 3, 2_000, treat=False), n) for n in (None, 50))
    )
    for name in ("rows", "shared", "seen", "pain"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:50])


def test_the_untreated_are_recorded_without_a_procedure(kept: tuple[Cohort, Truth]) -> None:
    cohort, truth = kept
    episodes = cohort.episodes
    own = episodes[episodes["technique"] == "no_procedure"]
    assert set(own["intended_technique"]) == {"spinal_cord_stimulation", "hypogastric_plexus_neurolysis"}
    assert own["stimulation_trial_success"].dropna().eq(False).all()
    assert own["stimulation_trial_success"].notna().any()
    chosen = [name for name, column in EPISODES.items() if column.role == "technique" and name != "technique"]
    assert own[[*chosen, "guidance"]].isna().all().all()
    assert own["age_years"].notna().all()
    assert set(cohort.events[cohort.events["episode_id"].isin(own["episode_id"])]["kind"]) == {"death"}
    assert cohort.visits["episode_id"].isin(own["episode_id"]).any()
    others = episodes[episodes["technique"] != "no_procedure"]
    assert others["intended_technique"].isna().all()
    assert not is_model_input(EPISODES["intended_technique"])
    known = truth.episodes.set_index("episode_id")["treated"]
    assert (known.reindex(episodes["episode_id"]).to_numpy() == (episodes["technique"] != "no_procedure")).all()
    funnel = pd.DataFrame(cohort.details["funnel"])
    assert len(own) == (funnel["referred"] - funnel["selected"]).sum()


def test_the_truth_without_a_procedure_is_the_control_of_the_chosen_option(kept: tuple[Cohort, Truth]) -> None:
    cohort, truth = kept
    asked = {"outcome": "pain_response", "month": 3.0}
    none = truth.expand(technique="no_procedure", **asked).set_index("episode_id")
    assert len(none) == len(cohort.episodes)
    assert (none["probability"] == none["control_probability"]).all()
    episodes = cohort.episodes.set_index("episode_id")
    chosen = episodes["intended_technique"].astype("str").fillna(episodes["technique"].astype("str"))
    for technique, own in chosen.groupby(chosen):
        control = truth.expand(technique=str(technique), **asked).set_index("episode_id")["control_probability"]
        assert none.loc[own.index, "probability"].to_numpy() == pytest.approx(control[own.index].to_numpy())
    users = truth.expand(technique="no_procedure", outcome="opioid_reduction", month=3.0)
    assert len(users) == truth.episodes["opioid_user"].sum()
    assert truth.expand(technique="no_procedure")["probability"].notna().all()
    assert "no_procedure" not in set(truth.expand(**asked)["technique"])


def test_the_treated_are_the_same_whoever_is_kept(kept: tuple[Cohort, Truth]) -> None:
    plain, truth = simulate_referrals(**ASKED)
    assert "treated" not in truth.episodes
    for table in TABLES:
        every, own = getattr(kept[0], table), getattr(plain, table)
        same = every[every["episode_id"].isin(plain.episodes["episode_id"])]
        pd.testing.assert_frame_equal(same.reset_index(drop=True), own)


def test_a_cohort_with_untreated_is_valid_and_can_be_written(kept: tuple[Cohort, Truth], tmp_path: Path) -> None:
    valid, rejects = validate_tables({name: getattr(kept[0], name) for name in TABLES})
    assert rejects.empty
    pd.testing.assert_frame_equal(valid["episodes"], kept[0].episodes)
    write_referrals(tmp_path / "cohort", **ASKED, keep_untreated=True)
    pd.testing.assert_frame_equal(load_whole_truth(tmp_path / "cohort").episodes, kept[1].episodes)


def test_untreated_without_a_known_response_are_refused(facet: Drawn) -> None:
    require_control(facet.scenario)
    option = facet.stratum.options[0]
    unknown = {
        outcome: model._replace(control_intercepts=np.full_like(model.control_intercepts, np.nan))
        for outcome, model in option.model.by_outcome.items()
    }
    models = OutcomeModels(months=option.model.months, by_outcome=unknown)
    options = (option._replace(model=models), *facet.stratum.options[1:])
    scenario = replace(facet.scenario, strata={"lumbar_facet": facet.stratum._replace(options=options)})
    with pytest.raises(RefusalError, check=lambda error: error.code == "PC-SIMULATOR-40"):
        require_control(scenario)
