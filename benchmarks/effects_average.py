"""Average contrasts against the truth: bias, coverage, standard errors, and the contrast without adjustment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from effects_worlds import (
    EPIDURAL,
    ROOT_BLOCK,
    World,
    draw_known,
    draw_world,
    find_truth,
    keep_episodes,
    load_trial,
    make_pair,
)

from paincast.effects import compare_techniques
from paincast.effects.average import ATE
from paincast.effects.comparison import Comparison
from paincast.statistics import compute_clustered_error

Row = dict[str, Any]
REACH = 1.96


def measure(world: World, seed: int) -> Iterator[Row]:
    """Compare the strategies of a world, and hold each contrast against the truth."""
    started = time.process_time()
    comparison = compare_techniques(world.trial, world.cohort, np.random.default_rng(seed))
    seconds = time.process_time() - started
    told = {"seed": seed, "refused": "; ".join(one.name for one in comparison.failed), "seconds": seconds}
    if comparison.failed:
        yield told
        return
    arms, nuisance = comparison.analysis.arms, comparison.analysis.nuisance
    truth = find_truth(world, arms.episodes)
    for row in comparison.contrasts.to_dict("records"):
        place = arms.strategies.index(row["strategy"])
        difference = truth[:, place] - truth[:, 0]
        if row["population"] == ATE:
            scores = nuisance.scores[:, place] - nuisance.scores[:, 0]
            told["patient_error"] = compute_clustered_error((scores - scores.mean()) / len(scores), arms.patient)
        else:
            overlap = 1.0 / (1.0 / nuisance.propensity).sum(axis=1)
            difference = difference * overlap / overlap.mean()
            told["patient_error"] = np.nan
        yield {**told, **row, "truth": float(difference.mean()), **measure_naive(comparison, place)}


def measure_naive(comparison: Comparison, place: int) -> Row:
    """Compare the shares among those whose outcome is known, without any adjustment."""
    arms = comparison.analysis.arms
    groups = [arms.outcome[arms.known & (arms.strategy == index)] for index in (place, 0)]
    variance = sum(group.var(ddof=1) / len(group) for group in groups)
    return {"naive": float(groups[0].mean() - groups[1].mean()), "naive_error": float(np.sqrt(variance))}


def measure_average(seed: int) -> Iterator[Row]:
    """Two techniques, 2,000 known outcomes each; default registry with missing values and loss not at random."""
    return measure(draw_known(load_trial("epidural_against_root_block"), seed), seed)


def measure_three(seed: int) -> Iterator[Row]:
    """Three strategies at once, 2,000 known outcomes each."""
    return measure(draw_known(load_trial("epidural_approaches"), seed, spare=4.8), seed)


def measure_large(seed: int) -> Iterator[Row]:
    """Two techniques, 20,000 analysed episodes in all: what is drawn above that are second episodes."""
    trial = load_trial("epidural_against_root_block")
    return measure(draw_world(trial, seed, {EPIDURAL: 10_800, ROOT_BLOCK: 10_800}), seed)


def measure_one_name(seed: int) -> Iterator[Row]:
    """One technique under two names, which are given by severity, opioids and site: the true contrast is 0."""
    trial = make_pair("lumbar_radicular_disc", ROOT_BLOCK, EPIDURAL, 3.0)
    drawn = draw_world(trial, seed, {ROOT_BLOCK: 5400})
    named = name_twice(drawn.cohort.episodes, np.random.default_rng(seed))
    cohort = keep_episodes(drawn.cohort, named.notna())
    world = drawn._replace(cohort=type(cohort)(**{**vars(cohort), "episodes": cohort.episodes.assign(technique=named)}))
    for row in measure(world, seed):
        yield {**row, "truth": 0.0}


def name_twice(episodes: pd.DataFrame, rng: np.random.Generator) -> pd.Series:
    """Give each episode one of two names, by what is recorded of the patient and the site."""
    pain = (episodes["pain_nrs"] - episodes["pain_nrs"].mean()).fillna(0.0) / episodes["pain_nrs"].std()
    users = (episodes["opioid_mme"] > 0).astype(float)
    sites = episodes["site_id"].map(
        dict(zip(sorted(episodes["site_id"].unique()), rng.normal(0, 0.5, 999), strict=False))
    )
    log_odds = 0.4 * pain + 0.6 * (users - users.mean()) + sites
    chosen = rng.random(len(episodes)) < 1.0 / (1.0 + np.exp(-log_odds))
    return pd.Series(np.where(chosen, EPIDURAL, ROOT_BLOCK), index=episodes.index, dtype="str")


CLAIMS: dict[str, Callable[[int], Iterator[Row]]] = {
    "average": measure_average,
    "three": measure_three,
    "large": measure_large,
    "one-name": measure_one_name,
}


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise bias with its standard error, coverage, and the ratio of standard errors to the spread of errors."""
    found = []
    for (population, strategy), own in rows.dropna(subset=["estimate"]).groupby(["population", "strategy"], sort=False):
        error = own["estimate"] - own["truth"]
        naive = own["naive"] - own["truth"]
        found.append(
            {
                "population": population,
                "strategy": strategy,
                "seeds": len(own),
                "refused": int(rows["refused"].fillna("").ne("").sum()),
                "n": own["n"].mean(),
                "truth": own["truth"].mean(),
                "bias": error.mean(),
                "its error": error.std() / np.sqrt(len(own)),
                "covers": (error.abs() <= REACH * own["standard_error"]).mean(),
                "by patient alone": (error.abs() <= REACH * own["patient_error"])
                .where(own["patient_error"] > 0)
                .mean(),
                "found": ((own["lower"] > 0) | (own["upper"] < 0)).mean(),
                "mean SE": own["standard_error"].mean(),
                "SE / SD": own["standard_error"].mean() / error.std(),
                "naive bias": naive.mean(),
                "naive covers": (naive.abs() <= REACH * own["naive_error"]).mean(),
                "seconds": own["seconds"].mean(),
            }
        )
    return pd.DataFrame(found).round(4)
