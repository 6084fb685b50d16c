"""Worlds whose log odds are interactions: the patients of the simulator, outcomes from products of their columns.

- ``signs``: three products of two signs, each of a pair of columns of its own. No column tells anything by itself.
- ``product``: one product of two standard scores, and one step at a threshold of a third column.

The log odds are a known function of the patients' complete values. The columns are drawn for each technique from one
fixed seed among the numbers that a registry records, whatever the evidence says of them: a sign that the evidence gives
to one of them is wrong here. Who is lost to follow-up depends on the outcome at the simulator's default rates.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from foreign_world import draw_outcome, expand_terms
from scipy.special import expit
from simulator_sample import OPEN
from skill_worlds import Labelled

from paincast.contract import BUILT_IN
from paincast.schema import EPISODES
from paincast.simulator import simulate_cohort

FloatArray = npt.NDArray[np.float64]

WORLDS = ("signs", "product")
WORLD_SEED = 51_301
TEST_SEED = 990_011
PAIRS = 3
SIGN_LOG_ODDS = 0.7
PRODUCT_LOG_ODDS = 0.8
STEP_LOG_ODDS = 1.2


@lru_cache(maxsize=8)
def choose_columns(technique: str) -> tuple[str, ...]:
    """Choose six numbers of a technique that have more than ten values and are recorded of most patients."""
    cohort, _ = simulate_cohort(techniques=[technique], episodes_per_technique=2000, seed=WORLD_SEED)
    numbers = [
        column.name
        for column in BUILT_IN.model_columns
        if EPISODES[column.name].type == "number"
        and cohort.episodes[column.name].notna().mean() > 0.7
        and cohort.episodes[column.name].nunique() > 10
    ]
    rng = np.random.default_rng([WORLD_SEED, zlib.crc32(technique.encode())])
    return tuple(str(name) for name in rng.permutation(numbers)[: 2 * PAIRS])


def compute_log_odds(world: str, technique: str, complete: pd.DataFrame) -> FloatArray:
    """Compute the log odds of complete episodes, shape (n,), from standard scores within these episodes' reference."""
    centres, scales = _measure_columns(technique)
    terms = expand_terms(complete)
    first, second, third, fourth, *last = (
        np.nan_to_num((terms[name] - centres[name]) / scales[name]) for name in choose_columns(technique)
    )
    if world == "product":
        return np.asarray(PRODUCT_LOG_ODDS * first * second + STEP_LOG_ODDS * ((third > 0.3) - 0.4))
    pairs = ((first, second), (third, fourth), (last[0], last[1]))
    return SIGN_LOG_ODDS * np.sum([np.where((one > 0) == (other > 0), 1.0, -1.0) for one, other in pairs], axis=0)


@lru_cache(maxsize=8)
def _measure_columns(technique: str) -> tuple[dict[str, float], dict[str, float]]:
    """Measure the median and standard deviation of each chosen column, so that both signs are as frequent."""
    complete, _ = simulate_cohort(
        techniques=[technique], episodes_per_technique=5000, seed=WORLD_SEED, assumptions=OPEN
    )
    terms = expand_terms(complete.episodes)
    names = choose_columns(technique)
    return {name: float(np.nanmedian(terms[name])) for name in names}, {
        name: float(np.nanstd(terms[name])) for name in names
    }


def draw_interactions(world: str, technique: str, n: int, seed: int) -> Labelled:
    """Simulate episodes of one technique as a registry records them, with outcomes of a world of interactions."""
    asked = {"techniques": [technique], "episodes_per_technique": n, "seed": seed}
    recorded, _ = simulate_cohort(**asked)
    complete, _ = simulate_cohort(**asked, assumptions=OPEN)
    truth = expit(compute_log_odds(world, technique, complete.episodes))
    rng = np.random.default_rng([seed, zlib.crc32(f"{world}/{technique}".encode())])
    columns = ["patient_id", "technique", *(column.name for column in BUILT_IN.model_columns)]
    return Labelled(episodes=recorded.episodes[columns], outcome=draw_outcome(technique, truth, rng), truth=truth)


def draw_interactions_test(world: str, technique: str, n: int) -> Labelled:
    """Simulate fresh episodes of one technique."""
    return draw_interactions(world, technique, n, TEST_SEED)
