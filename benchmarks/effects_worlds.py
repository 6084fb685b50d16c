"""Cohorts with known truth for comparisons of techniques."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.cohort.tables import Cohort
from paincast.effects import TargetTrial, read_trial
from paincast.effects.arms import make_arms
from paincast.effects.trial import Strategy
from paincast.outcomes import name_in_truth
from paincast.simulator import Assumptions, Truth, simulate_cohort

FloatArray = npt.NDArray[np.float64]

TRIALS = Path(__file__).resolve().parents[1] / "configs" / "trial"
EPIDURAL, ROOT_BLOCK = "epidural_steroid_injection", "nerve_root_block"
KNOWN = 2000
SPARE = 1.4
"""Episodes simulated for each known outcome that is wanted: some are lost, and second episodes are not analysed."""


class World(NamedTuple):
    """A trial, a cohort and the truth behind it."""

    trial: TargetTrial
    cohort: Cohort
    truth: Truth


def load_trial(name: str) -> TargetTrial:
    """Load a trial that is shipped."""
    return read_trial(TRIALS / f"{name}.yaml")


def make_pair(indication: str, first: str, second: str, month: float, **more: Any) -> TargetTrial:
    """Make the trial of two techniques that all of an indication are eligible for."""
    shipped = load_trial("epidural_against_root_block")
    named = {"question": f"{second} against {first}", "indications": (indication,), "conditions": ()}
    strategies = (Strategy(name=first, technique=first), Strategy(name=second, technique=second))
    return replace(shipped, **named, strategies=strategies, month=month, **more)


def draw_world(trial: TargetTrial, seed: int, per_technique: Mapping[str, int], **assumptions: Any) -> World:
    """Simulate the eligible of a trial, with a number of episodes of each technique."""
    [indication] = trial.indications
    settings = Assumptions(referrals={indication: 1.0}, **assumptions)
    most = max(per_technique.values())
    cohort, truth = simulate_cohort(
        techniques=list(per_technique), episodes_per_technique=most, seed=seed, assumptions=settings
    )
    mixed = cohort.episodes["technique"].sample(frac=1.0, random_state=np.random.default_rng(seed))
    rank = mixed.groupby(mixed).cumcount().reindex(cohort.episodes.index)
    return World(trial, keep_episodes(cohort, rank < cohort.episodes["technique"].map(per_technique)), truth)


def draw_known(trial: TargetTrial, seed: int, known: int = KNOWN, spare: float = SPARE, **assumptions: Any) -> World:
    """Simulate the eligible of a trial, of each strategy as many as give a number of known outcomes.

    They are taken at random: a cohort stands in the order of its approaches, so that its first rows are not their mix.
    """
    sizes = {strategy.technique: int(known * spare) for strategy in trial.strategies}
    world = draw_world(trial, seed, sizes, **assumptions)
    arms = make_arms(trial, world.cohort)
    order = np.random.default_rng(seed).permutation(len(arms.strategy))
    counts = pd.Series(arms.known[order]).groupby(arms.strategy[order])
    if counts.sum().min() < known:
        raise ValueError(f"too few known outcomes with {spare:g} times as many episodes")
    taken = order[(counts.cumsum() <= known).to_numpy()]
    kept = world.cohort.episodes["episode_id"].isin(arms.episodes["episode_id"].iloc[taken])
    return world._replace(cohort=keep_episodes(world.cohort, kept))


def keep_episodes(cohort: Cohort, kept: pd.Series) -> Cohort:
    """Keep some episodes of a cohort."""
    return replace(cohort, episodes=cohort.episodes[kept.to_numpy(bool)].reset_index(drop=True))


def find_truth(world: World, episodes: pd.DataFrame) -> FloatArray:
    """Find the true risk of each analysed episode under each strategy, shape (n, k).

    Under a technique by all approaches it is that of the approach received, or averaged as they are chosen.
    """
    trial, columns = world.trial, []
    for strategy in trial.strategies:
        asked = {"technique": strategy.technique, "outcome": name_in_truth(trial.outcome), "month": trial.month}
        rows = world.truth.expand(**asked, by_approach=bool(strategy.approaches))
        if strategy.approaches:
            [approach] = strategy.approaches
            rows = rows[rows["approach"] == approach]
        columns.append(rows.set_index("episode_id")["probability"].reindex(episodes["episode_id"]).to_numpy(float))
    return np.column_stack(columns)
