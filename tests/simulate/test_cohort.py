"""The cohort is what a registry could hold; its truth stands beside it; impossible settings are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paincast.cohort.simulate import Assumptions, Truth, save_simulated, simulate_cohort
from paincast.cohort.tables import Cohort, load_cohort
from paincast.cohort.validate import validate_tables
from paincast.errors import RefusalError, SettingsError
from paincast.evidence import evidence_version, records_of, simulated_techniques
from paincast.files import hash_folder
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.schema import TABLES

TRUTH_KEY = ["episode_id", "technique", "outcome", "month"]


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


def test_no_truth_is_in_the_cohort(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    for table, columns in TABLES.items():
        frame: pd.DataFrame = getattr(cohort, table)
        assert list(frame.columns) == list(columns)
        for hidden in (truth.probabilities["probability"], truth.propensity["probability"]):
            for values in frame.select_dtypes("number").to_numpy(float, na_value=np.nan).T:
                assert not np.isin(hidden[(hidden > 0) & (hidden < 1)], values).any()


def test_every_eligible_technique_has_potential_outcomes(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    assert not truth.probabilities.duplicated(TRUTH_KEY).any()
    assert truth.probabilities["probability"].between(0, 1, inclusive="neither").all()
    eligible: dict[str, set[str]] = {}
    for technique in simulated_techniques():
        for record in records_of(technique):
            for indication in record.indications:
                eligible.setdefault(indication, set()).add(technique)
    held = truth.probabilities.groupby("episode_id")["technique"].agg(set)
    expected = cohort.episodes.set_index("episode_id")["indication"].map(eligible)
    assert held.reindex(expected.index).equals(expected)
    assert {"spinal_cord_stimulation", "epidural_steroid_injection"} in expected.tolist()


def test_propensity_sums_to_one_and_holds_what_was_received(simulated: tuple[Cohort, Truth]) -> None:
    cohort, truth = simulated
    assert truth.propensity.groupby("episode_id")["probability"].sum().to_numpy() == pytest.approx(1.0)
    keys = ["episode_id", "technique", "approach"]
    received = cohort.episodes[keys].fillna("").merge(truth.propensity.fillna({"approach": ""}), on=keys, how="left")
    assert (received["probability"] > 0).all()


def test_control_probability_is_there_where_evidence_gives_it(simulated: tuple[Cohort, Truth]) -> None:
    probabilities = simulated[1].probabilities
    known = probabilities["control_probability"].notna().groupby(probabilities["technique"]).mean()
    assert known["si_joint_rfa"] == 1
    assert known["facet_rfa"] == 0
    assert 0 < known["epidural_steroid_injection"] < 1


def test_without_loss_the_outcome_follows_the_truth(fully_observed: Assumptions) -> None:
    cohort, truth = simulate_cohort(
        techniques=["facet_rfa"], episodes_per_technique=6000, seed=8, assumptions=fully_observed
    )
    outcome = compute_outcome(cohort.episodes, cohort.visits, OUTCOMES["pain_response"], 6.0)
    at = truth.probabilities.query("month == 6").set_index("episode_id")["probability"]
    probability = at.reindex(cohort.episodes["episode_id"]).to_numpy()
    assert outcome.notna().all()
    error = np.sqrt((probability * (1 - probability)).sum())
    assert abs(outcome.sum() - probability.sum()) < 3.5 * error


def test_death_ends_follow_up(simulated: tuple[Cohort, Truth]) -> None:
    cohort = simulated[0].select_technique("celiac_plexus_neurolysis")
    death = cohort.events.set_index("episode_id")["month"]
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


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        save_simulated(*simulate_cohort(episodes_per_technique=40, seed=seed), tmp_path / name)
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert hash_folder(tmp_path / "one") != hash_folder(tmp_path / "other")
    loaded = load_cohort(tmp_path / "one")
    again = simulate_cohort(episodes_per_technique=40, seed=3)[0]
    pd.testing.assert_frame_equal(loaded.episodes, again.episodes)
    assert {file.name for file in (tmp_path / "one").iterdir()} >= {"truth.parquet", "propensity.parquet"}


def test_episodes_do_not_depend_on_what_else_is_asked_for(simulated: tuple[Cohort, Truth]) -> None:
    alone, truth = simulate_cohort(techniques=["spinal_cord_stimulation"], episodes_per_technique=400, seed=5)
    together = simulated[0].select_technique("spinal_cord_stimulation")
    pd.testing.assert_frame_equal(alone.episodes, together.episodes)
    pd.testing.assert_frame_equal(alone.visits, together.visits)
    shared = simulated[1].probabilities
    shared = shared[shared["episode_id"].isin(alone.episodes["episode_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(truth.probabilities, shared)


def test_a_smaller_cohort_is_a_part_of_a_larger_one() -> None:
    small = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=50, seed=9)[0]
    large = simulate_cohort(techniques=["facet_rfa"], episodes_per_technique=3000, seed=9)[0]
    pd.testing.assert_frame_equal(small.episodes, large.episodes.head(50))


def test_progress_counts_episodes() -> None:
    seen: list[tuple[int, int]] = []
    simulate_cohort(
        techniques=["facet_rfa", "si_joint_rfa"],
        episodes_per_technique=30,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (60, 60)


@given(seed=st.integers(0, 2**63), n=st.integers(1, 40), technique=st.sampled_from(simulated_techniques()))
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
        ({"techniques": ["genicular_rfa"]}, RefusalError, "genicular_rfa cannot be simulated.*real data only"),
        ({"techniques": ["joint_injection"]}, RefusalError, "joint_injection: no evidence record exists for it yet"),
        ({"scenario": "literatur"}, SettingsError, "scenario: unknown name 'literatur'; did you mean 'literature'"),
        ({"episodes_per_technique": -1}, SettingsError, "episodes_per_technique=-1 is not allowed.*from 1 to"),
        ({"episodes_per_technique": 0}, SettingsError, "episodes_per_technique=0 is not allowed"),
        ({"episodes_per_technique": 2.5}, SettingsError, "whole number"),
        ({"seed": -3}, SettingsError, "seed=-3 is not allowed; give a whole number that is not negative"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        simulate_cohort(**wrong)
