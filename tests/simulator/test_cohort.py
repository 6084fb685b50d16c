"""The cohort is what a registry could hold; its truth stands beside it; impossible settings are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.cohort.tables import Cohort, load_cohort
from paincast.cohort.validate import validate_tables
from paincast.eligibility import assess_technique
from paincast.errors import OutputError, RefusalError, SettingsError
from paincast.evaluation.simulated.truth import load_truth, load_whole_truth
from paincast.evidence import evidence_version, load_record, load_records, records_of, simulated_techniques
from paincast.files import hash_file
from paincast.schema import TABLES
from paincast.simulator import Assumptions, Truth, simulate_cohort, write_cohort
from paincast.simulator.checks import list_records
from paincast.simulator.course.response import scale_curve
from paincast.simulator.defaults import COURSES, Preference

TRUTH_KEY = ["episode_id", "technique", "outcome", "month"]
OUTCOME_NAMES = {
    "pain_response",
    "pain_response_30",
    "function_response",
    "quality_of_life_gain",
    "opioid_reduction",
    "satisfaction",
    "relief_duration",
    "complication",
}


@pytest.fixture(scope="module")
def simulated() -> tuple[Cohort, Truth]:
    return simulate_cohort(episodes_per_technique=400, seed=5)


def test_each_technique_has_the_episodes_asked_for(simulated: tuple[Cohort, Truth]) -> None:
    counts = simulated[0].episodes["technique"].value_counts()
    assert counts.to_dict() == dict.fromkeys(simulated_techniques(), 400)
    assert simulated[0].episodes["episode_id"].is_unique


def test_indications_and_approaches_are_those_of_the_evidence(simulated: tuple[Cohort, Truth]) -> None:
    for technique, episodes in simulated[0].episodes.groupby("technique"):
        covered = {(record.approach, name) for record in records_of(str(technique)) for name in record.indications}
        approaches = episodes["approach"].astype(object).where(episodes["approach"].notna(), None)
        assert set(zip(approaches, episodes["indication"], strict=True)) <= covered
    esi = simulated[0].select_technique("epidural_steroid_injection").episodes
    assert set(esi["approach"]) == {"transforaminal", "interlaminar", "caudal"}


def test_some_patients_come_twice(simulated: tuple[Cohort, Truth]) -> None:
    repeats = simulated[0].episodes["patient_id"].duplicated().mean()
    assert 0.05 < repeats < 0.13


@pytest.mark.slow
def test_no_truth_is_in_the_cohort(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    probabilities = truth.expand(outcome="pain_response")["probability"].to_numpy()
    hidden = [probabilities, truth.propensity["probability"].to_numpy()]
    hidden += list(truth.episodes.select_dtypes("number").drop(columns="option").to_numpy(float).T)
    known = np.concatenate(hidden)
    known = known[np.isfinite(known) & (np.round(known, 3) != known)]
    for table, columns in TABLES.items():
        frame: pd.DataFrame = getattr(cohort, table)
        assert list(frame.columns) == list(columns)
        for values in frame.select_dtypes("number").to_numpy(float, na_value=np.nan).T:
            assert not np.isin(known, values).any()


def test_every_eligible_technique_has_potential_outcomes(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    probabilities = truth.expand(outcome="pain_response")
    assert not probabilities.duplicated(TRUTH_KEY).any()
    assert probabilities["probability"].between(0, 1, inclusive="neither").all()
    assert set(truth.options["outcome"]) >= OUTCOME_NAMES
    eligible: dict[str, set[str]] = {}
    for technique in simulated_techniques():
        for record in records_of(technique):
            for indication in record.indications if record.response else ():
                eligible.setdefault(indication, set()).add(technique)
    held = probabilities.groupby("episode_id")["technique"].agg(set)
    expected = cohort.episodes.set_index("episode_id")["indication"].map(eligible)
    assert held.reindex(expected.index).equals(expected)
    assert {"spinal_cord_stimulation", "epidural_steroid_injection"} in expected.tolist()


def test_the_technique_received_is_that_of_the_truth(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    named = truth.options.drop_duplicates(["indication", "option"])[["indication", "option", "technique", "approach"]]
    received = truth.episodes.merge(named, on=["indication", "option"], how="left")
    assert received["technique"].tolist() == cohort.episodes["technique"].tolist()
    assert received["approach"].fillna("").tolist() == cohort.episodes["approach"].fillna("").tolist()
    assert set(truth.factors.columns) == {"episode_id", "sensitisation", "distress", "poor_health"}


def test_approaches_not_received_are_averaged_as_they_would_be_chosen(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    asked = {"technique": "epidural_steroid_injection", "outcome": "pain_response", "month": 3.0}
    whole = truth.expand(**asked).set_index("episode_id")["probability"]
    parts = truth.expand(**asked, by_approach=True)
    episodes = cohort.episodes.set_index("episode_id")
    received = episodes.loc[whole.index, "technique"] == "epidural_steroid_injection"
    own = parts.merge(episodes[["approach"]], left_on=["episode_id", "approach"], right_on=["episode_id", "approach"])
    assert whole[received].to_numpy() == pytest.approx(
        own.set_index("episode_id")["probability"].reindex(whole.index[received]).to_numpy()
    )
    other = parts[parts["episode_id"].isin(whole.index[~received])]
    ends = other.groupby("episode_id")["probability"].agg(["min", "max"]).reindex(whole.index[~received])
    assert (whole[~received] >= ends["min"] - 1e-9).all()
    assert (whole[~received] <= ends["max"] + 1e-9).all()


def test_propensity_sums_to_one_and_holds_what_was_received(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    propensity = truth.propensity
    assert propensity.groupby("episode_id")["probability"].sum().to_numpy() == pytest.approx(1.0, abs=1e-5)
    assert propensity["selection"].between(0, 1).all()
    keys = ["episode_id", "technique", "approach"]
    received = cohort.episodes[keys].fillna("").merge(propensity.fillna({"approach": ""}), on=keys, how="left")
    assert (received["probability"] > 0).all()


def test_opioid_reduction_is_asked_of_users(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    asked = truth.expand(technique="facet_rfa", outcome="opioid_reduction", month=6)
    doses = cohort.episodes.set_index("episode_id")["opioid_mme"].reindex(asked["episode_id"])
    assert (doses.dropna() > 0).all()
    assert len(asked) < len(truth.expand(technique="facet_rfa", outcome="pain_response", month=6))


def test_relief_and_complications_have_a_truth(simulated: tuple[Cohort, Truth]) -> None:
    truth = simulated[1]
    relief = truth.expand(technique="facet_rfa", outcome="relief_duration").pivot(
        index="episode_id", columns="month", values="probability"
    )
    assert (relief.diff(axis=1).iloc[:, 1:] <= 1e-9).all().all()
    response = truth.expand(technique="facet_rfa", outcome="pain_response", month=1).set_index("episode_id")
    assert relief[1.0].to_numpy() == pytest.approx(response["probability"].reindex(relief.index).to_numpy(), abs=1e-4)
    any_kind = truth.expand(technique="facet_rfa", outcome="complication")["probability"]
    kinds = [name for name in truth.options["outcome"].unique() if name.startswith("complication: ")]
    assert any_kind.nunique() == 1
    assert len(kinds) > 5


def test_the_funnel_tells_rates_per_treated_and_by_intention_to_treat(simulated: tuple[Cohort, Truth]) -> None:
    funnel = pd.DataFrame(simulated[0].details["funnel"])
    treated = funnel.groupby("technique")["treated"].sum()
    assert (treated == 400).all()
    assert (funnel["referred"] >= funnel["selected"]).all()
    assert (funnel["selected"] >= funnel["treated"]).all()
    scs = funnel.query("technique == 'spinal_cord_stimulation' and indication == 'failed_back_surgery'").iloc[0]
    assert scs["stage"] == "stimulation_trial_success"
    response = load_record("spinal_cord_stimulation", "failed_back_surgery").response
    assert response
    assert response.trial_success
    expected = response.scenarios["literature"] * response.trial_success
    assert scs["response_intention_to_treat"] == pytest.approx(expected)
    assert scs["selected"] / scs["referred"] == pytest.approx(response.trial_success, abs=0.07)
    esi = funnel[funnel["technique"] == "epidural_steroid_injection"]
    assert (esi["referred"] == esi["treated"]).all()


def test_nobody_is_treated_against_an_absolute_contraindication(simulated: tuple[Cohort, Truth]) -> None:
    episodes = simulated[0].episodes
    implanted = episodes[episodes["technique"] == "spinal_cord_stimulation"]
    assert implanted["stimulation_trial_success"].tolist() == [True] * 400
    for technique, own in episodes.groupby("technique"):
        assessed = assess_technique(str(technique), own)
        assert assessed["eligible"].all(), technique


def test_what_belongs_to_a_technique_is_recorded_with_it_only(simulated: tuple[Cohort, Truth]) -> None:
    episodes = simulated[0].episodes
    waveform = episodes.groupby("technique")["stimulation_waveform"].agg(lambda values: values.notna().mean())
    assert waveform.drop("spinal_cord_stimulation").max() == 0
    assert waveform["spinal_cord_stimulation"] > 0.9
    blocks = episodes.groupby("technique")["diagnostic_blocks_positive"].agg(lambda values: values.notna().mean())
    assert blocks["facet_rfa"] == 1
    assert blocks["facet_joint_injection"] == 0


def test_death_ends_follow_up(simulated: tuple[Cohort, Truth]) -> None:
    cohort = simulated[0].select_technique("celiac_plexus_neurolysis")
    death = cohort.events[cohort.events["kind"] == "death"].set_index("episode_id")["month"]
    last = cohort.visits.groupby("episode_id")["month"].max()
    both = pd.concat([death.rename("death"), last.rename("last")], axis=1).dropna()
    assert len(both) > 100
    assert (both["last"] <= both["death"] + 0.005).all()


def test_details_say_where_the_rows_come_from(simulated: tuple[Cohort, Truth]) -> None:
    cohort = simulated[0]
    assert cohort.basis == "synthetic"
    assert cohort.n_real == 0
    assert cohort.details["evidence_version"] == evidence_version()
    assert cohort.details["seed"] == 5
    assert cohort.details["scenario"] == "literature"
    assert any("Friedly" in source for source in cohort.sources)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the number of workers and of blocks ahead."""
    asked = {"techniques": ["facet_rfa", "nerve_root_block"], "episodes_per_technique": 4000}
    for name, seed, workers, ahead in (("one", 3, 1, 1), ("two", 3, 4, 9), ("other", 4, 2, 8)):
        write_cohort(tmp_path / name, **asked, seed=seed, workers=workers, chunk_blocks=ahead)
    hashes = {
        name: {file.name: hash_file(file) for file in (tmp_path / name).iterdir()} for name in ("one", "two", "other")
    }
    assert hashes["one"] == hashes["two"]
    assert all(hashes["one"][name] != hashes["other"][name] for name in ("episodes.parquet", "truth.parquet"))


@pytest.mark.slow
def test_a_streamed_cohort_is_the_one_in_memory(tmp_path: Path) -> None:
    manifest = write_cohort(tmp_path / "cohort", episodes_per_technique=60, seed=3)
    cohort, truth = simulate_cohort(episodes_per_technique=60, seed=3)
    loaded = load_cohort(tmp_path / "cohort")
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(loaded, table), getattr(cohort, table))
    assert {**cohort.details, "hashes": manifest["hashes"]} == loaded.details
    assert manifest["n_episodes"] == len(cohort.episodes)
    known = load_whole_truth(tmp_path / "cohort")
    pd.testing.assert_frame_equal(known.episodes, truth.episodes)
    pd.testing.assert_frame_equal(known.options, truth.options)
    asked = {"technique": "facet_rfa", "outcome": "pain_response", "month": 6.0}
    pd.testing.assert_frame_equal(load_truth(tmp_path / "cohort", **asked), truth.expand(**asked))


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, check=lambda error: error.code == "PC-FILES-03"):
        write_cohort(tmp_path, techniques=["facet_rfa"], episodes_per_technique=10)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_episodes_do_not_depend_on_what_else_is_asked_for(simulated: tuple[Cohort, Truth]) -> None:
    alone, truth = simulate_cohort(techniques=["spinal_cord_stimulation"], episodes_per_technique=400, seed=5)
    together = simulated[0].select_technique("spinal_cord_stimulation")
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(alone, table), getattr(together, table))
    asked = {"outcome": "pain_response", "month": 3.0}
    shared = simulated[1].expand(**asked)
    shared = shared[shared["episode_id"].isin(alone.episodes["episode_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(truth.expand(**asked), shared)


def test_a_smaller_cohort_is_a_part_of_a_larger_one() -> None:
    damaged = Assumptions(entry_error_share=0.05)
    asked = {"techniques": ["facet_rfa"], "seed": 9, "assumptions": damaged}
    small = simulate_cohort(**asked, episodes_per_technique=50)[0]
    large = simulate_cohort(**asked, episodes_per_technique=3000)[0]
    pd.testing.assert_frame_equal(small.episodes, large.episodes.head(50))
    for table in ("visits", "events"):
        held = getattr(large, table)
        held = held[held["episode_id"].isin(small.episodes["episode_id"])]
        pd.testing.assert_frame_equal(getattr(small, table), held.reset_index(drop=True))


def test_progress_counts_episodes(counted_steps) -> None:
    simulate_cohort(
        techniques=["facet_rfa", "si_joint_rfa"],
        episodes_per_technique=30,
        progress=counted_steps,
    )
    assert (sum(counted_steps.done), counted_steps.expected) == (60, 60)


def test_entry_errors_are_all_rejected(fully_observed: Assumptions) -> None:
    wrong = replace(fully_observed, entry_error_share=0.02)
    asked = {"techniques": ["si_joint_rfa"], "episodes_per_technique": 500, "seed": 4}
    clean, _ = simulate_cohort(**asked, assumptions=fully_observed)
    cohort, _ = simulate_cohort(**asked, assumptions=wrong)
    valid, rejects = validate_tables({name: getattr(cohort, name) for name in TABLES})
    n_wrong = 0
    for table in ("episodes", "visits"):
        before, after = getattr(clean, table), getattr(cohort, table)
        changed = before.ne(after) & ~(before.isna() & after.isna())
        n_wrong += int(changed.to_numpy(bool, na_value=False).sum())
        kept = valid[table]
        assert (kept.isna().sum().sum() - before.isna().sum().sum()) == int(
            changed.to_numpy(bool, na_value=False).sum()
        )
    assert n_wrong > 300
    assert len(rejects) == n_wrong
    assert set(rejects["rule"]) == {"range"}


@pytest.mark.slow
@given(seed=st.integers(0, 2**63 - 1), n=st.integers(1, 40), technique=st.sampled_from(simulated_techniques()))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_cohort_is_valid(seed: int, n: int, technique: str) -> None:
    cohort, _ = simulate_cohort(techniques=[technique], episodes_per_technique=n, seed=seed)
    tables = {name: getattr(cohort, name) for name in TABLES}
    valid, rejects = validate_tables(tables)
    assert rejects.empty, rejects.to_string()
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(valid[name], frame)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"techniques": ["facet_rf"]}, SettingsError, "technique: unknown name 'facet_rf'; did you mean 'facet_rfa'"),
        ({"techniques": []}, SettingsError, "techniques must be a list with at least one of"),
        ({"techniques": "facet_rfa"}, SettingsError, "techniques must be a list"),
        ({"techniques": ["bariatric_embolization"]}, RefusalError, "bariatric_embolization is refused: .*pain outcome"),
        ({"scenario": "literatur"}, SettingsError, "scenario: .*'literature'"),
        ({"episodes_per_technique": -1}, SettingsError, "episodes_per_technique=-1 .*1 to 10000000"),
        ({"episodes_per_technique": 0}, SettingsError, "episodes_per_technique=0 .*1 to 10000000"),
        ({"episodes_per_technique": 2.5}, SettingsError, "whole number"),
        ({"seed": -3}, SettingsError, "seed=-3 .*0 to 9223372036854775807"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        simulate_cohort(**wrong)


def test_a_technique_without_a_curve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    without = tuple(
        replace(record, response=None) if record.technique == "genicular_rfa" else record for record in load_records()
    )
    monkeypatch.setattr("paincast.evidence.records.load_records", lambda: without)
    with pytest.raises(RefusalError, match=r"genicular_rfa cannot be simulated.*real data only"):
        simulate_cohort(techniques=["genicular_rfa"])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"loss_share": 1.2}, "loss_share=1.2 is not allowed; a share lies from 0 to 1"),
        ({"repeat_share": -0.1}, "repeat_share=-0.1 is not allowed"),
        ({"missing": {"odi": 1.5}}, r"missing\['odi'\]=1.5 is not allowed"),
        ({"missing": {"ody": 0.5}}, "missing: unknown name 'ody'; did you mean 'odi'"),
        ({"missing_at_visits": {"bmi": 0.5}}, "missing_at_visits: unknown name 'bmi'"),
        ({"factor_correlations": (0.9, 0.9, -0.9)}, "factor_correlations: not positive definite"),
        ({"loadings": {"pain_nrs": (0.9, 0.9, 0.0)}}, "loadings: those of 'pain_nrs' explain .* allowed is below 1"),
        ({"loadings": {"pain_nrs": (0.9, 0.9)}}, r"loadings\['pain_nrs'\] must hold 3 numbers"),
        ({"assignment": "random"}, "assignment: unknown name 'random'; did you mean 'randomised'"),
        ({"correlation": "none"}, "correlation: unknown name 'none'"),
        ({"untreated": "middle"}, "untreated: unknown name 'middle'"),
        ({"response_persistence": 1.0}, "response_persistence=1.0 is not allowed; from 0 to below 1"),
        ({"site_habit_sd": -1.0}, "site_habit_sd=-1.0 is not allowed; give a number, at least 0"),
        ({"n_sites": 0}, "n_sites=0 is not allowed; give a whole number, at least 1"),
        ({"response_30_shift": 0.0}, "response_30_shift=0.0 is not allowed; it must be above 0"),
        ({"pass_shares": {"block_relief_percent": 0.0}}, "pass_shares.*above 0, at most 1"),
        ({"first_year": 2030}, "first_year=2030 is after last_year=2024"),
        ({"courses": {**COURSES, "pgic": ((0.0, 1.0), (2.0, 1.0))}}, "courses.*pgic.*3 or more"),
        ({"courses": {**COURSES, "odi_change": ((1.0, 0.0), (2.0, 1.0))}}, "margins increasing"),
        ({"preferences": {("si_joint_rfa", None): Preference(terms={"site_id": 1.0})}}, "preferences: unknown name"),
        ({"preferences": {("si_joint_rfa", None): Preference(popularity=0.0)}}, "popularity=0.0 is not allowed"),
        (
            {"preferences": {("si_joint_rfa", None): Preference(popularity=1e-7)}},
            "preferences, pass_shares: of those referred fewer than 1 in 10,000 would be treated by si_joint_rfa",
        ),
        ({"guidance": {"": {"xray": 1.0}}}, "guidance: unknown name 'xray'"),
        ({"guidance": {"": {"ct": 0.5}}}, r"guidance\[''\]: shares add up to 0.5; they must to 1"),
        ({"guidance": {}}, "guidance lacks ''"),
        ({"courses": {}}, "courses lacks pain_relief"),
        ({"outcome_links": {}}, "outcome_links lacks function_response"),
        ({"referrals": {"sacroiliac_joint": 0.0}}, "referrals: no indication of si_joint_rfa is referred"),
    ],
)
def test_impossible_assumptions_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        simulate_cohort(
            techniques=["si_joint_rfa"], episodes_per_technique=5, assumptions=replace(Assumptions(), **changed)
        )


@pytest.mark.parametrize(
    ("shares", "scenarios", "words"),
    [
        ({6.0: 0.5, 12.0: 1.1}, {"literature": 0.5}, "month 12: share 1.1 is not allowed; above 0 and below 1"),
        ({6.0: 0.5}, {"literature": 1.0}, "scenario literature: share 1.0 is not allowed"),
        ({12.0: 0.5}, {"literature": 0.5}, "no share at its primary month 6"),
        ({6.0: 0.5}, {"literature": 0.6}, "contradicts itself: at its primary month 6 it differs by 0.100"),
        ({0.0: 0.5, 6.0: 0.5}, {"literature": 0.5}, "a month is not above 0"),
    ],
)
def test_contradictory_curves_are_refused(shares: dict[float, float], scenarios: dict[str, float], words: str) -> None:
    record = records_of("si_joint_rfa")[0]
    assert record.response
    point = record.response.points[6.0]
    points = {month: point._replace(share=share) for month, share in shares.items()}
    wrong = replace(record, response=replace(record.response, points=points, scenarios=scenarios))
    with pytest.raises(SettingsError, match=words):
        scale_curve(wrong, "literature")


def test_a_scenario_without_figures_is_refused() -> None:
    with pytest.raises(RefusalError, match="facet_rfa: the evidence has no figure for the scenario rosy; it has lit"):
        list_records("facet_rfa", "rosy")


@pytest.mark.parametrize("setting", ["workers", "chunk_blocks"])
def test_impossible_ways_of_working_are_refused(setting: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"{setting}=0 is not allowed; give a whole number, at least 1"):
        write_cohort(tmp_path / "cohort", techniques=["facet_rfa"], **{setting: 0})


def test_changed_assumptions_are_named(simulated: tuple[Cohort, Truth]) -> None:
    changed = Assumptions(assignment="randomised", loss_mnar=0.0)
    cohort, _ = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=5, assumptions=changed)
    assert cohort.details["changed_assumptions"] == ["assignment", "loss_mnar"]
    assert simulated[0].details["changed_assumptions"] == []
