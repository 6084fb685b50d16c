"""Comparisons from cohort to contrast: who is analysed, what is refused, and that nothing is seen before it may be."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, conform
from paincast.effects import Comparison, TargetTrial, compare_techniques
from paincast.effects.arms import compute_flow, make_arms
from paincast.effects.average import FEW_SITES, Clusters, count_clusters
from paincast.effects.comparison import NOT_RECORDED
from paincast.effects.trial import Strategy, list_covariates
from paincast.errors import DataError, RefusalError
from paincast.simulator import Assumptions, Truth, simulate_cohort, simulate_referrals

Simulated = tuple[Cohort, Truth]
EPIDURAL, ROOT_BLOCK = "epidural_steroid_injection", "nerve_root_block"


def change_episodes(cohort: Cohort, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Cohort:
    return replace(cohort, episodes=change(cohort.episodes.copy()).reset_index(drop=True))


def take_away_overlap(cohort: Cohort) -> Cohort:
    """Take the root blocks away from patients with the worst pain."""

    def cut(episodes: pd.DataFrame) -> pd.DataFrame:
        return episodes[(episodes["pain_nrs"] < 7.8) | (episodes["technique"] == EPIDURAL)]

    return change_episodes(cohort, cut)


@pytest.fixture(scope="module")
def comparison(trial: TargetTrial, simulated: Simulated) -> Comparison:
    return compare_techniques(trial, simulated[0], np.random.default_rng(1))


def test_a_confounded_registry_is_answered_near_the_truth(comparison: Comparison, simulated: Simulated) -> None:
    assert comparison.failed == ()
    assert comparison.unadjusted.empty
    assert {"pain_nrs", "site_id", "procedure_year"} <= {*comparison.adjusted}
    assert (comparison.clusters.by, comparison.clusters.sites) == (("patient", "site"), 12)
    assert (comparison.basis, comparison.n_real) == ("synthetic", 0)
    ids = comparison.analysis.arms.episodes["episode_id"]
    asked = {"outcome": "pain_response", "month": 3.0}
    risks = [
        simulated[1].expand(technique=name, **asked).set_index("episode_id")["probability"].reindex(ids).mean()
        for name in (ROOT_BLOCK, EPIDURAL)
    ]
    own = comparison.contrasts.iloc[0]
    assert abs(own["estimate"] - (risks[1] - risks[0])) < 3 * own["standard_error"]
    assert own["lower"] < own["estimate"] < own["upper"]
    assert comparison.risks["estimate"].to_numpy() - risks == pytest.approx(0, abs=0.05)


def test_the_same_seed_gives_the_same_numbers(comparison: Comparison, trial: TargetTrial, simulated: Simulated) -> None:
    again = compare_techniques(trial, simulated[0], np.random.default_rng(1))
    pd.testing.assert_frame_equal(again.contrasts, comparison.contrasts)


def test_the_flow_counts_down_to_the_analysed(comparison: Comparison) -> None:
    counts = comparison.flow[["root_block", "epidural"]]
    assert (counts.diff().iloc[1:] <= 0).all(axis=None)
    arms = comparison.analysis.arms
    assert counts.iloc[-2].tolist() == [(arms.strategy == place).sum() for place in range(2)]
    assert counts.iloc[-1].sum() == arms.known.sum()


def test_nothing_is_seen_before_the_diagnostics_pass(trial: TargetTrial, simulated: Simulated) -> None:
    blinded = compare_techniques(trial, take_away_overlap(simulated[0]), np.random.default_rng(1))
    assert blinded.failed
    for name in ("contrasts", "risks", "analysis"):
        with pytest.raises(RefusalError) as refused:
            getattr(blinded, name)
        assert refused.value.code == "PC-EFFECTS-04"
        assert [one.name for one in blinded.failed if one.name not in str(refused.value)] == []
    restored = pickle.loads(pickle.dumps(blinded))
    for each in (blinded, restored):
        assert each.unblinded is None
        assert "estimate" not in repr(each)
        frames = [value for value in vars(each).values() if isinstance(value, pd.DataFrame)]
        assert len(frames) == 6
        assert [frame for frame in frames if {"estimate", "outcome"} & {*frame.columns}] == []


def test_no_negative_control_is_computed_without_overlap(trial: TargetTrial, simulated: Simulated) -> None:
    asked = replace(trial, negative_controls=("satisfaction",))
    blinded = compare_techniques(asked, take_away_overlap(simulated[0]), np.random.default_rng(1))
    assert blinded.failed
    assert blinded.negative_controls.empty


def test_a_block_that_decides_has_to_be_adjusted_for(trial: TargetTrial) -> None:
    cohort, _ = simulate_referrals(
        indications=["knee_osteoarthritis"], patients_per_indication=4000, keep_untreated=True, seed=1
    )
    strategies = (Strategy(name="none", technique="no_procedure"), Strategy(name="ablation", technique="genicular_rfa"))
    asked = replace(trial, indications=("knee_osteoarthritis",), conditions=(), strategies=strategies)
    with pytest.raises(RefusalError) as refused:
        make_arms(replace(asked, covariates=("age_years", "bmi")), cohort)
    assert refused.value.code == "PC-EFFECTS-06"
    assert "test_block_success" in str(refused.value)


def test_the_first_eligible_episode_of_a_patient_counts(trial: TargetTrial, simulated: Simulated) -> None:
    cohort = simulated[0]
    episodes = make_arms(trial, cohort).episodes
    assert not episodes["patient_id"].duplicated().any()
    first = cohort.episodes.groupby("patient_id")["procedure_year"].min()
    assert (episodes["procedure_year"] == episodes["patient_id"].map(first)).mean() > 0.99
    mixed = change_episodes(cohort, lambda rows: rows.iloc[::-1])
    assert set(make_arms(trial, mixed).episodes["episode_id"]) == set(episodes["episode_id"])


@pytest.mark.parametrize("techniques", [[EPIDURAL, ROOT_BLOCK], [ROOT_BLOCK]])
@pytest.mark.parametrize("value", [None, " "])
def test_a_strategy_without_patients_is_one_line(
    techniques: list[str], value: str | None, trial: TargetTrial, simulated: Simulated
) -> None:
    def forget(episodes: pd.DataFrame) -> pd.DataFrame:
        nameless = episodes["technique"].isin(techniques)
        return episodes.assign(patient_id=episodes["patient_id"].mask(nameless, value).astype("str"))

    for find in (compute_flow, make_arms):
        with pytest.raises(DataError) as refused:
            find(trial, change_episodes(simulated[0], forget))
        assert refused.value.code == "PC-EFFECTS-08"
        assert "patient_id" in str(refused.value)
        assert "root_block" in str(refused.value)
        assert ("epidural" in str(refused.value)) is (EPIDURAL in techniques)
        assert "\n" not in str(refused.value)


def test_a_table_without_the_column_of_patients_is_one_line(trial: TargetTrial, simulated: Simulated) -> None:
    with pytest.raises(DataError) as refused:
        make_arms(trial, change_episodes(simulated[0], lambda rows: rows.drop(columns="patient_id")))
    assert refused.value.code == "PC-EFFECTS-08"


def test_episodes_without_a_patient_are_left_out_and_counted(
    comparison: Comparison, trial: TargetTrial, simulated: Simulated
) -> None:
    def forget(episodes: pd.DataFrame) -> pd.DataFrame:
        return episodes.assign(patient_id=episodes["patient_id"].mask(np.arange(len(episodes)) % 10 == 0))

    cohort = change_episodes(simulated[0], forget)
    arms = make_arms(trial, cohort)
    named = change_episodes(cohort, lambda rows: rows.dropna(subset="patient_id"))
    assert set(arms.episodes["episode_id"]) == set(make_arms(trial, named).episodes["episode_id"])
    steps = arms.flow["step"].tolist()
    assert len(steps) == len(comparison.flow) + 1
    left = arms.flow.set_index("step").loc["with a recorded patient", ["root_block", "epidural"]]
    assert left.sum() == cohort.episodes["patient_id"].notna().sum()


def test_who_has_an_absolute_contraindication_to_any_strategy_is_left_out(
    trial: TargetTrial, simulated: Simulated
) -> None:
    def infect(episodes: pd.DataFrame) -> pd.DataFrame:
        return episodes.assign(active_infection=pd.array(np.arange(len(episodes)) % 10 == 0, dtype="boolean"))

    arms = make_arms(trial, change_episodes(simulated[0], infect))
    assert not arms.episodes["active_infection"].any()


def test_a_condition_that_cannot_be_assessed_is_not_fulfilled(trial: TargetTrial, simulated: Simulated) -> None:
    smokers = replace(trial, conditions=({"column": "smoker", "is": False},))
    episodes = make_arms(smokers, simulated[0]).episodes
    assert episodes["smoker"].notna().all()
    assert not episodes["smoker"].any()


def test_columns_of_the_choice_and_of_ids_are_no_covariates(trial: TargetTrial, simulated: Simulated) -> None:
    arms = make_arms(trial, simulated[0])
    owners = {name.partition("=")[0] for name in arms.columns}
    assert not owners & {"technique", "approach", "steroid", "patient_id", "episode_id", "guidance"}
    assert {"pain_nrs", "site_id", "procedure_year"} <= owners
    assert np.isfinite(arms.matrix).all()


def test_rare_indicators_are_marked(trial: TargetTrial, simulated: Simulated) -> None:
    def add_rare(episodes: pd.DataFrame) -> pd.DataFrame:
        place = np.arange(len(episodes))
        flags = {"social_isolation": place % 100 == 0, "widespread_pain": place % 100 > 0, "scoliosis": place % 20 == 0}
        return episodes.assign(**{name: pd.array(flag, dtype="boolean") for name, flag in flags.items()})

    arms = make_arms(trial, change_episodes(simulated[0], add_rare))
    common = dict(zip(arms.columns, arms.common.tolist(), strict=True))
    assert not common["social_isolation"]
    assert not common["widespread_pain"]
    assert common["scoliosis"]
    assert common["age_years"]


def test_too_few_outcomes_are_refused(trial: TargetTrial, simulated: Simulated) -> None:
    few = change_episodes(simulated[0], lambda rows: rows.groupby("technique").head(1200))
    with pytest.raises(RefusalError) as refused:
        make_arms(trial, few)
    assert refused.value.code == "PC-EFFECTS-02"


def test_a_month_without_visits_is_refused(trial: TargetTrial, simulated: Simulated) -> None:
    with pytest.raises(RefusalError) as refused:
        make_arms(replace(trial, month=100.0), simulated[0])
    assert refused.value.code == "PC-EFFECTS-02"
    assert "months 1 and 24" in str(refused.value)


def test_an_indication_that_the_cohort_lacks_is_refused(trial: TargetTrial, simulated: Simulated) -> None:
    with pytest.raises(RefusalError) as refused:
        make_arms(replace(trial, indications=("lumbar_stenosis",)), simulated[0])
    assert refused.value.code == "PC-EFFECTS-02"


FUNNELS = [
    ("lumbar_facet", "facet_joint_injection", "facet_rfa"),
    ("failed_back_surgery", EPIDURAL, "spinal_cord_stimulation"),
]


@pytest.mark.parametrize(("indication", "first", "second"), FUNNELS)
@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_stage_that_decides_and_is_not_seen_is_refused(
    indication: str, first: str, second: str, is_recorded: bool, trial: TargetTrial
) -> None:
    cohort, _ = simulate_cohort(
        techniques=[first, second],
        episodes_per_technique=200,
        seed=1,
        assumptions=Assumptions(referrals={indication: 1.0}, reference_size=2000),
    )
    if not is_recorded:
        funnel = [name for name, column in cohort.contract.episodes.items() if column.role == "funnel"]
        cohort = change_episodes(cohort, lambda rows: conform("episodes", rows.drop(columns=funnel)))
    strategies = (Strategy(name="one", technique=first), Strategy(name="other", technique=second))
    with pytest.raises(RefusalError) as refused:
        make_arms(replace(trial, indications=(indication,), conditions=(), strategies=strategies), cohort)
    assert refused.value.code == "PC-EFFECTS-01"
    assert "other" in str(refused.value)


def test_a_stage_that_is_recorded_for_all_is_a_covariate(trial: TargetTrial, simulated: Simulated) -> None:
    def test_all(episodes: pd.DataFrame) -> pd.DataFrame:
        relief = np.random.default_rng(1).uniform(0, 100, len(episodes))
        return episodes.assign(block_relief_percent=relief)

    assert "block_relief_percent" in make_arms(trial, change_episodes(simulated[0], test_all)).columns


NOT_ADJUSTED = "standardised difference of columns not adjusted for, root_block and epidural"


def test_a_confounder_that_the_list_leaves_out_blinds_the_contrast(trial: TargetTrial, simulated: Simulated) -> None:
    listed = replace(trial, covariates=("age_years", "pain_nrs", "odi"), not_adjusted={"bmi": "an instrument"})
    found = compare_techniques(listed, simulated[0], np.random.default_rng(1))
    assert [one.name for one in found.failed] == [NOT_ADJUSTED]
    assert found.adjusted == ("age_years", "pain_nrs", "odi", "site_id")
    assert not {*found.unadjusted["column"]} & {*found.adjusted}
    assert found.unadjusted.loc[found.unadjusted["column"] == "bmi", "reason"].unique().tolist() == ["an instrument"]
    with pytest.raises(RefusalError) as refused:
        _ = found.contrasts
    assert refused.value.code == "PC-EFFECTS-04"
    assert "prior_spine_surgery" in str(refused.value)
    assert "bmi" not in str(refused.value)


def test_a_list_of_all_that_is_recorded_gives_the_same_numbers(
    comparison: Comparison, trial: TargetTrial, simulated: Simulated
) -> None:
    recorded = tuple(name for name in comparison.adjusted if name != "site_id")
    listed = compare_techniques(replace(trial, covariates=recorded), simulated[0], np.random.default_rng(1))
    assert listed.unadjusted.empty
    assert listed.diagnostics == comparison.diagnostics
    pd.testing.assert_frame_equal(listed.contrasts, comparison.contrasts)


def test_a_covariate_that_is_hardly_recorded_is_told(trial: TargetTrial, simulated: Simulated) -> None:
    def forget(episodes: pd.DataFrame) -> pd.DataFrame:
        return episodes.assign(bmi=episodes["bmi"].mask(np.arange(len(episodes)) % 10 > 0))

    recorded = list_covariates(trial)
    found = compare_techniques(
        replace(trial, covariates=recorded), change_episodes(simulated[0], forget), np.random.default_rng(1)
    )
    assert "bmi" not in found.adjusted
    [reason] = found.unadjusted.loc[found.unadjusted["column"] == "bmi", "reason"]
    assert reason == NOT_RECORDED
    assert found.failed == ()


@pytest.mark.parametrize(("site", "n_sites"), [("only", 1), (None, 0)])
def test_one_site_or_none_is_told(site: str | None, n_sites: int, trial: TargetTrial, simulated: Simulated) -> None:
    def move(episodes: pd.DataFrame) -> pd.DataFrame:
        return episodes.assign(site_id=pd.Series([site] * len(episodes), dtype="str"))

    clusters = count_clusters(make_arms(trial, change_episodes(simulated[0], move)))
    assert (clusters.by, clusters.sites, clusters.are_few) == (("patient",), n_sites, False)


@pytest.mark.parametrize(("n_sites", "are_few"), [(2, True), (FEW_SITES - 1, True), (FEW_SITES, False)])
def test_few_sites_are_few_clusters(n_sites: int, are_few: bool) -> None:
    clusters = Clusters(patients=5000, sites=n_sites)
    assert clusters.by == ("patient", "site")
    assert clusters.are_few is are_few


def test_a_negative_control_that_fails_blinds_the_contrast(trial: TargetTrial, simulated: Simulated) -> None:
    def confound(episodes: pd.DataFrame) -> pd.DataFrame:
        rng = np.random.default_rng(1)
        shift = np.where(episodes["technique"] == EPIDURAL, 0.5, 0.2)
        return episodes.assign(social_isolation=pd.array(rng.random(len(episodes)) < shift, dtype="boolean"))

    cohort = change_episodes(simulated[0], confound)
    asked = replace(trial, negative_controls=("social_isolation", "smoker"))
    found = compare_techniques(asked, cohort, np.random.default_rng(1))
    assert [one.name for one in found.failed] == ["negative control social_isolation, standard errors from 0"]
    assert set(found.negative_controls["control"]) == {"social_isolation", "smoker"}


def test_an_outcome_may_be_a_negative_control(trial: TargetTrial, simulated: Simulated) -> None:
    asked = replace(trial, negative_controls=("satisfaction",))
    found = compare_techniques(asked, simulated[0], np.random.default_rng(1)).negative_controls
    assert found["control"].tolist() == ["satisfaction"]
    assert (found["lower"] < found["estimate"]).all()
