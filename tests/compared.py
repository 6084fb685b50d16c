"""Cohorts to compare techniques on, and results that take seconds: shared by tests of commands, reports and runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from paincast.cohort.tables import Cohort
from paincast.effects import read_trial
from paincast.effects.trial import find_trial
from paincast.reporting.effects import results as module
from paincast.reporting.effects.results import ComparisonResults, Origin, gather_results
from paincast.simulator import Assumptions, simulate_cohort

TRIAL = "epidural_against_root_block"


def simulate_registry() -> Cohort:
    """Simulate a confounded registry of both techniques, with missing values and loss to follow-up."""
    cohort, _ = simulate_cohort(
        techniques=["epidural_steroid_injection", "nerve_root_block"],
        episodes_per_technique=2700,
        seed=4,
        assumptions=Assumptions(referrals={"lumbar_radicular_disc": 1.0}, reference_size=4000),
    )
    return cohort


def take_episodes(cohort: Cohort, is_taken: np.ndarray) -> Cohort:
    """Take some episodes of a cohort with their visits and events."""
    episodes = cohort.episodes[is_taken].reset_index(drop=True)
    linked = {
        name: table[table["episode_id"].isin(set(episodes["episode_id"]))].reset_index(drop=True)
        for name, table in (("visits", cohort.visits), ("events", cohort.events))
    }
    return replace(cohort, episodes=episodes, **linked)


def part_by_pain(cohort: Cohort) -> Cohort:
    """Let pain decide: with much pain hardly anybody gets a nerve root block, with little hardly anybody the other."""
    pain, is_block = cohort.episodes["pain_nrs"], cohort.episodes["technique"] == "nerve_root_block"
    return take_episodes(cohort, ((is_block & (pain <= 7)) | (~is_block & (pain >= 6))).to_numpy(bool))


def gather(cohort: Cohort, **changes: Any) -> ComparisonResults:
    """Compare on a cohort by a trial that may be changed; one covariate is a measure, predictions are responses."""
    file = find_trial(TRIAL)
    origin = Origin(trial_name=TRIAL, trial_text=file.read_text(encoding="utf-8"), cohort_name="ours", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_BENCHMARKS", 1)
        patch.setattr(module, "estimate_individual_contrasts", lambda _, made: made.response - made.response[:, :1])
        trial = replace(read_trial(file, cohort.contract), **changes)
        return gather_results(trial, cohort, np.random.default_rng(1), origin)
