"""Referred patients with every option as often as it is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paincast.cohort.tables import Cohort, load_cohort
from paincast.errors import RefusalError, SettingsError
from paincast.schema import TABLES
from paincast.simulator import Truth, simulate_cohort, simulate_referrals, write_referrals

KNEE, DISC = "knee_osteoarthritis", "lumbar_radicular_disc"


@pytest.fixture(scope="module")
def referred() -> tuple[Cohort, Truth]:
    return simulate_referrals(indications=[KNEE, DISC], patients_per_indication=6000, seed=5)


def test_options_are_as_frequent_as_they_are_chosen(referred: tuple[Cohort, Truth]) -> None:
    """Observed shares of the options lie within 4 standard errors of the mean true probabilities."""
    cohort, truth = referred
    keys = ["technique", "approach"]
    propensity = truth.propensity.merge(cohort.episodes[["episode_id", "indication"]], on="episode_id")
    propensity = propensity[propensity["indication"] == DISC]
    expected = propensity.fillna({"approach": ""}).groupby(keys)["probability"].mean()
    own = cohort.episodes[cohort.episodes["indication"] == DISC]
    observed = own[keys].astype("str").fillna("").value_counts(normalize=True).reindex(expected.index)
    assert len(expected) == 4
    assert (np.abs(observed - expected) < 4 * np.sqrt(expected * (1 - expected) / len(own))).all()


def test_an_indication_may_have_three_techniques(referred: tuple[Cohort, Truth]) -> None:
    episodes = referred[0].episodes
    shares = episodes.loc[episodes["indication"] == KNEE, "technique"].value_counts(normalize=True)
    assert set(shares.index) == {"joint_injection", "genicular_rfa", "genicular_artery_embolization"}
    assert shares.max() > 3 * shares.min()


def test_the_number_asked_for_is_that_of_referred_patients(referred: tuple[Cohort, Truth]) -> None:
    cohort = referred[0]
    funnel = pd.DataFrame(cohort.details["funnel"])
    assert (funnel["selected"] == funnel["treated"]).all()
    assert funnel["treated"].sum() == len(cohort.episodes)
    passed_over = funnel.set_index("technique")["referred"] > funnel.set_index("technique")["treated"]
    assert passed_over[passed_over].index.tolist() == ["genicular_rfa"]
    for indication, part in funnel.groupby("indication"):
        assert part["referred"].sum() == pytest.approx(6000 * 1.1, rel=0.02), indication
    disc = cohort.episodes[cohort.episodes["indication"] == DISC]
    assert disc["patient_id"].nunique() == 6000
    assert cohort.details["patients_per_indication"] == 6000
    assert cohort.details["indications"] == [DISC, KNEE]


def test_fewer_patients_are_the_first_of_more(referred: tuple[Cohort, Truth]) -> None:
    few, _ = simulate_referrals(indications=[DISC], patients_per_indication=200, seed=5)
    many = referred[0].episodes.set_index("episode_id")
    same = many.loc[few.episodes["episode_id"]].reset_index()[few.episodes.columns]
    pd.testing.assert_frame_equal(same, few.episodes)
    assert few.episodes["patient_id"].nunique() == 200


def test_the_patients_are_those_of_a_cohort_with_quotas(referred: tuple[Cohort, Truth]) -> None:
    quota, _ = simulate_cohort(techniques=["genicular_artery_embolization"], episodes_per_technique=300, seed=5)
    own = referred[0].select_technique("genicular_artery_embolization").episodes.head(300)
    pd.testing.assert_frame_equal(own.reset_index(drop=True), quota.episodes)


def test_written_referrals_are_those_in_memory(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"indications": [KNEE], "patients_per_indication": 150, "seed": 3}
    manifest = write_referrals(tmp_path / "cohort", **asked, workers=2, chunk_blocks=1)
    cohort, _ = simulate_referrals(**asked)
    loaded = load_cohort(tmp_path / "cohort")
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(loaded, table), getattr(cohort, table))
    assert loaded.details == {**cohort.details, "hashes": manifest["hashes"]}


def test_progress_ends_where_it_is_expected_to(counted_steps) -> None:
    cohort, _ = simulate_referrals(indications=[KNEE], patients_per_indication=100, progress=counted_steps)
    assert sum(counted_steps.done) == len(cohort.episodes)
    assert counted_steps.expected == pytest.approx(len(cohort.episodes))


@pytest.mark.parametrize(
    ("wrong", "error", "code"),
    [
        ({"indications": []}, SettingsError, "PC-SIMULATOR-03"),
        ({"indications": KNEE}, SettingsError, "PC-SIMULATOR-03"),
        ({"indications": ["knee"]}, SettingsError, "PC-SIMULATOR-04"),
        ({"indications": ["cancer_pain"]}, RefusalError, "PC-SIMULATOR-05"),
        ({"patients_per_indication": 0}, SettingsError, "PC-SIMULATOR-06"),
        ({"patients_per_indication": 2.5}, SettingsError, "PC-SIMULATOR-06"),
    ],
)
def test_impossible_referrals_are_refused(wrong: dict[str, Any], error: type[Exception], code: str) -> None:
    with pytest.raises(error, check=lambda raised: raised.code == code):
        simulate_referrals(**wrong)
