"""Individual contrasts, policies and hidden confounding against the truth, ours beside peers.

The simulator is linear on the log odds, which favours linear learners; the foreign world has products and steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from effects_peers import LASSO_DR, LINEAR, TREE_BASED, Fit
from effects_worlds import EPIDURAL, ROOT_BLOCK, SPARE, World, draw_known, draw_world, load_trial
from foreign_world import draw_outcome
from foreign_world import draw_world as draw_effects
from scipy.special import expit, logit
from simulator_sample import OPEN

from paincast.effects import compare_techniques
from paincast.effects.arms import Arms, make_arms
from paincast.effects.bounds import compute_bounds
from paincast.effects.individual import estimate_individual_contrasts
from paincast.effects.nuisance import Nuisance, assign_folds, fit_nuisance
from paincast.effects.policy import INDIVIDUAL, SINGLE, choose_single, compute_policy_value, recommend
from paincast.effects.propensity import fit_propensity
from paincast.simulator import simulate_cohort

FloatArray = npt.NDArray[np.float64]
Row = dict[str, Any]

FEWEST_KNOWN = 1500
"""Episodes of an arm from which fewer are drawn: below, a trial is refused."""

COMPLETE = {
    name: getattr(OPEN, name)
    for name in (
        *("visit_missing_share", "loss_share", "loss_mnar", "data_end_year"),
        *("missing", "missing_other", "missing_at_visits"),
    )
}
"""Settings of a registry that misses nothing."""

OURS, CONSTANT, ORACLE = "paincast", "the same for all", "oracle"
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
HIDDEN = {"hidden_choice": 0.7, "hidden_response": 0.5}
"""Log odds per standard deviation of the hidden factor: of the choice, and of every outcome."""


def draw_arms(n: int, seed: int, **assumptions: Any) -> tuple[World, Arms, FloatArray]:
    """Draw n episodes, half of each strategy, and their true risks under each."""
    half = max(n // 2, FEWEST_KNOWN)
    trial = load_trial("epidural_against_root_block")
    world = draw_world(trial, seed, dict.fromkeys((EPIDURAL, ROOT_BLOCK), int(half * SPARE)), **assumptions)
    arms = make_arms(trial, world.cohort)
    # A cohort stands in the order of its approaches, so that the first rows of a technique would not be its mix.
    order = np.random.default_rng(seed).permutation(len(arms.strategy))
    rank = pd.Series(arms.strategy[order]).groupby(arms.strategy[order]).cumcount().to_numpy()
    # Nor would folds of consecutive rows, as some peers make them, be alike: the rows stay mixed.
    arms = take_rows(arms, order[rank < n // 2])
    return world, arms, find_mean_truth(world, arms.episodes)


def take_rows(arms: Arms, rows: npt.NDArray[np.intp]) -> Arms:
    """Take some of the analysed episodes."""
    kept = {name: getattr(arms, name)[rows] for name in ("strategy", "outcome", "patient", "site", "matrix")}
    return replace(arms, episodes=arms.episodes.iloc[rows].reset_index(drop=True), **kept)


def list_options(world: World, episodes: pd.DataFrame) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Give for each option the place of its strategy, its true risks and the propensity of the option."""
    trial, ids = world.trial, episodes["episode_id"]
    risks = world.truth.expand(outcome=trial.outcome.name, month=trial.month, by_approach=True).fillna({"approach": ""})
    chosen = world.truth.propensity.fillna({"approach": ""})
    for place, strategy in enumerate(trial.strategies):
        own = risks[risks["technique"] == strategy.technique]
        for approach, rows in own.groupby("approach"):
            same = chosen[(chosen["technique"] == strategy.technique) & (chosen["approach"] == approach)]
            risk, share = (
                frame.set_index("episode_id")["probability"].reindex(ids).to_numpy(float) for frame in (rows, same)
            )
            yield place, risk, share


def find_mean_truth(world: World, episodes: pd.DataFrame) -> FloatArray:
    """Find the true risk under each strategy, averaged over its approaches as they are chosen for such patients."""
    total, mass = np.zeros((2, len(episodes), len(world.trial.strategies)))
    for place, risk, share in list_options(world, episodes):
        total[:, place] += share * risk
        mass[:, place] += share
    return np.asarray(total / mass)


def make_foreign(world: World, arms: Arms, seed: int) -> tuple[Arms, FloatArray]:
    """Draw outcomes from effects that are not the simulator's, of the same patients with the same choice."""
    trial = world.trial
    named = [strategy.technique for strategy in trial.strategies]
    drawn = {name: int((world.cohort.episodes["technique"] == name).sum()) for name in named}
    settings = replace(OPEN, referrals={trial.indications[0]: 1.0})
    complete, _ = simulate_cohort(
        techniques=named, episodes_per_technique=max(drawn.values()), seed=seed, assumptions=settings
    )
    episodes = complete.episodes.set_index("episode_id").loc[arms.episodes["episode_id"]].reset_index()
    truth = np.column_stack([expit(draw_effects()[name].log_odds(episodes)) for name in named])
    outcome = np.empty(len(episodes))
    for place, rng in enumerate(np.random.default_rng([seed, 77]).spawn(len(named))):
        own = arms.strategy == place
        outcome[own] = draw_outcome(named[place], truth[own, place], rng)
    outcome[arms.episodes["pain_nrs"].isna().to_numpy()] = np.nan
    return replace(arms, outcome=outcome), truth


def fit_scores(arms: Arms, seed: int) -> Nuisance:
    """Fit propensity and nuisance functions."""
    return fit_nuisance(arms, fit_propensity(arms, assign_folds(arms, np.random.default_rng(seed))))


def cross_fit_peer(fit: Fit, arms: Arms, nuisance: Nuisance) -> FloatArray:
    """Predict the contrasts of each fold by a peer that learnt from the others."""
    contrasts = np.zeros((len(arms.strategy), 2))
    for number in np.unique(nuisance.fold):
        own = nuisance.fold == number
        train = ~own & arms.known
        effect = fit(arms.matrix[train], arms.strategy[train], arms.outcome[train])
        contrasts[own, 1] = effect(arms.matrix[own])
    return contrasts


def judge(contrasts: FloatArray, truth: FloatArray) -> Row:
    """Compare contrasts with the truth: root mean squared error, and the value of following them."""
    difference = truth[:, 1] - truth[:, 0]
    value = truth[np.arange(len(truth)), recommend(contrasts)].mean()
    return {
        "pehe": float(np.sqrt(np.mean((contrasts[:, 1] - difference) ** 2))),
        "value": float(value),
        "regret": float(truth.max(axis=1).mean() - value),
    }


def measure_learners(arms: Arms, truth: FloatArray, seed: int, peers: dict[str, Fit]) -> Iterator[Row]:
    """Compare ours and peers on the same rows and folds, and a constant that knows the true mean."""
    nuisance = fit_scores(arms, seed)
    difference = (truth[:, 1] - truth[:, 0]).mean()
    constant = np.column_stack([np.zeros(len(truth)), np.full(len(truth), difference)])
    yield {"method": CONSTANT, "seconds": 0.0, **judge(constant, truth)}
    started = time.process_time()
    yield {"method": OURS, **judge(estimate_individual_contrasts(arms, nuisance), truth)} | _stop(started)
    for name, fit in peers.items():
        started = time.process_time()
        yield {"method": name, **judge(cross_fit_peer(fit, arms, nuisance), truth)} | _stop(started)


def _stop(started: float) -> Row:
    return {"seconds": time.process_time() - started}


def measure_size(n: int, seed: int) -> Iterator[Row]:
    """Compare learners on n episodes: nothing missing or lost, the default registry, and that in the foreign world."""
    _, *complete = draw_arms(n, seed, **COMPLETE)
    world, *default = draw_arms(n, seed)
    drawn = {"nothing missing": complete, "default registry": default, "foreign": make_foreign(world, default[0], seed)}
    for name, (arms, truth) in drawn.items():
        for row in measure_learners(arms, truth, seed, LINEAR | TREE_BASED):
            yield {"seed": seed, "world": name, "n": n, **row}


def measure_individual(seed: int) -> Iterator[Row]:
    """Error of individual contrasts (PEHE) against the truth, 2,000 episodes."""
    return measure_size(2000, seed)


def measure_individual_10000(seed: int) -> Iterator[Row]:
    """Error of individual contrasts (PEHE) against the truth, 10,000 episodes."""
    return measure_size(10_000, seed)


def measure_individual_20000(seed: int) -> Iterator[Row]:
    """Error of individual contrasts (PEHE) against the truth, 20,000 episodes."""
    return measure_size(20_000, seed)


def measure_policy(seed: int) -> Iterator[Row]:
    """Value of following individual contrasts: 2,000 known outcomes each, default registry; the interval's coverage."""
    return measure_value(seed)


def measure_policy_at_random(seed: int) -> Iterator[Row]:
    """The same, but who is lost does not depend on the outcome itself, as the estimate of a value assumes."""
    return measure_value(seed, loss_mnar=0.0)


def measure_value(seed: int, **assumptions: float) -> Iterator[Row]:
    """Estimate values of policies and hold them against the true ones."""
    world = draw_known(load_trial("epidural_against_root_block"), seed, **assumptions)
    comparison = compare_techniques(world.trial, world.cohort, np.random.default_rng(seed))
    if comparison.failed:
        yield {"seed": seed, "method": OURS, "refused": True}
        return
    arms, nuisance = comparison.analysis.arms, comparison.analysis.nuisance
    truth = find_mean_truth(world, arms.episodes)
    contrasts = estimate_individual_contrasts(arms, nuisance)
    table = compute_policy_value(arms, nuisance, contrasts)
    rows = np.arange(len(truth))
    real = {INDIVIDUAL: truth[rows, recommend(contrasts)].mean(), SINGLE: truth[rows, choose_single(nuisance)].mean()}
    for told in table.to_dict("records"):
        if told["policy"] in real and told["against"] in ("", SINGLE):
            value = real[told["policy"]] - (real[SINGLE] if told["against"] else 0.0)
            name = f"{OURS}: {told['policy']}" + (f" less {told['against']}" if told["against"] else "")
            interval = {key: told[key] for key in ("estimate", "standard_error", "lower", "upper")}
            yield {"seed": seed, "method": name, "value": value, **interval}
    peer = judge(cross_fit_peer(LINEAR[LASSO_DR], arms, nuisance), truth)
    yield {"seed": seed, "method": LASSO_DR, "value": peer["value"]}
    yield {"seed": seed, "method": ORACLE, "value": float(truth.max(axis=1).mean())}
    yield {"seed": seed, "method": "as treated", "value": float(truth[rows, arms.strategy].mean())}


def measure_hidden(seed: int) -> Iterator[Row]:
    """A hidden factor acts on choice and outcomes: do bounds of its true strength hold the truth?"""
    world = draw_known(load_trial("epidural_against_root_block"), seed, **HIDDEN)
    comparison = compare_techniques(world.trial, world.cohort, np.random.default_rng(seed))
    if comparison.failed:
        yield {"seed": seed, "refused": True}
        return
    arms, nuisance = comparison.analysis.arms, comparison.analysis.nuisance
    truth = find_mean_truth(world, arms.episodes)
    outcome_r2, strategy_r2 = find_strength(world, arms)
    [found] = compute_bounds(arms, nuisance, outcome_r2, strategy_r2).to_dict("records")
    yield {"seed": seed, "truth": float((truth[:, 1] - truth[:, 0]).mean()), **found}


def find_strength(world: World, arms: Arms) -> tuple[float, float]:
    """Compute from the truth how much of outcome and weights the hidden factor explains beside all other causes.

    The factor is integrated out (Gauss-Hermite): given the other causes, its density among the analysed is that of
    those referred times the chance to be analysed under either strategy.
    """
    hidden = world.truth.episodes.set_index("episode_id")["hidden"].loc[arms.episodes["episode_id"]].to_numpy(float)
    options = world.truth.options
    scale = options.loc[
        (options["outcome"] == world.trial.outcome.name) & (options["month"] == world.trial.month), "shared_strength"
    ].iloc[0]
    shift = NODES - hidden[:, None]
    # Of the two techniques of this indication the root block is the second, whose utility the factor raises.
    push = HIDDEN["hidden_choice"] * np.array([world.trial.strategies[0].technique == ROOT_BLOCK, False])
    push[1] = HIDDEN["hidden_choice"] - push[0]
    mass, risk = np.zeros((2, 2, *shift.shape))
    own = np.zeros((2, len(hidden)))
    for place, probability, share in list_options(world, arms.episodes):
        weight = share[:, None] * np.exp(push[place] * shift)
        mass[place] += weight
        own[place] += share
        risk[place] += weight * expit(logit(probability)[:, None] + scale * HIDDEN["hidden_response"] * shift)
    risk /= mass
    chosen = mass / mass.sum(axis=0)
    return _summarize_strength(chosen * compute_sampling(own, arms)[:, None, None], risk)


def compute_sampling(propensity: FloatArray, arms: Arms) -> FloatArray:
    """Compute the relative sampling fraction of each strategy, shape (2,): as many of each are analysed.

    Among those who got a strategy the mean of 1 / propensity is 1 / the share of the referred who get it.
    """
    counts = np.bincount(arms.strategy)
    return np.array(
        [counts[place] * np.mean(1.0 / row[arms.strategy == place]) for place, row in enumerate(propensity)]
    )


def _summarize_strength(sampled: FloatArray, risk: FloatArray) -> tuple[float, float]:
    joint = sampled * WEIGHTS
    joint /= joint.sum(axis=(0, 2), keepdims=True)
    density = joint.sum(axis=0)
    long, short = joint / density, joint.sum(axis=2)
    short_risk = (joint * risk).sum(axis=2) / short
    explained = (joint * (risk - short_risk[:, :, None]) ** 2).sum(axis=(0, 2)).mean()
    noise = (joint * risk * (1.0 - risk)).sum(axis=(0, 2)).mean()
    long_weight = (density * (1.0 / long).sum(axis=0)).sum(axis=1).mean()
    short_weight = (1.0 / short).sum(axis=0).mean()
    return float(explained / (explained + noise)), float(1.0 - short_weight / long_weight)


CLAIMS: dict[str, Callable[[int], Iterator[Row]]] = {
    "individual": measure_individual,
    "individual_10000": measure_individual_10000,
    "individual_20000": measure_individual_20000,
    "policy": measure_policy,
    "policy_at_random": measure_policy_at_random,
    "hidden": measure_hidden,
}


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise the rows of a claim."""
    if "truth" in rows:
        return _summarize_hidden(rows)
    return _summarize_individual(rows) if "pehe" in rows else _summarize_policy(rows)


def _summarize_individual(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows.groupby(["world", "n", "method"], sort=False)[["pehe", "regret", "value", "seconds"]].mean()
    table["seeds"] = rows.groupby(["world", "n", "method"], sort=False)["seed"].nunique()
    ours = table.xs(OURS, level="method")["pehe"].reindex(table.index.droplevel("method")).to_numpy()
    table["ours / this"] = ours / table["pehe"]
    return table.round(4).reset_index()


def _summarize_policy(rows: pd.DataFrame) -> pd.DataFrame:
    oracle = rows[rows["method"] == ORACLE].set_index("seed")["value"]
    found = []
    for name, own in rows.dropna(subset=["value"]).groupby("method", sort=False):
        has_interval = own["lower"].notna().all()
        covers = ((own["lower"] <= own["value"]) & (own["value"] <= own["upper"])).mean() if has_interval else np.nan
        found.append(
            {
                "method": name,
                "seeds": len(own),
                "true value": own["value"].mean(),
                "regret": np.nan if "less" in name else (oracle.loc[own["seed"]].to_numpy() - own["value"]).mean(),
                "mean estimate": own["estimate"].mean(),
                "mean SE": own["standard_error"].mean(),
                "covers": covers,
            }
        )
    return pd.DataFrame(found).round(4)


def _summarize_hidden(rows: pd.DataFrame) -> pd.DataFrame:
    own = rows.dropna(subset=["truth"])
    holds = (own["lower_bound"] <= own["truth"]) & (own["truth"] <= own["upper_bound"])
    with_chance = (own["lower"] <= own["truth"]) & (own["truth"] <= own["upper"])
    told = {
        "seeds": len(own),
        "refused": len(rows) - len(own),
        "bounds hold the truth": int(holds.sum()),
        "with their intervals": int(with_chance.sum()),
        "bias without bounds": (own["estimate"] - own["truth"]).mean(),
        "width of bounds": (own["upper_bound"] - own["lower_bound"]).mean(),
        "width with intervals": (own["upper"] - own["lower"]).mean(),
        "outcome_r2": own["outcome_r2"].mean(),
        "strategy_r2": own["strategy_r2"].mean(),
    }
    return pd.DataFrame([told]).round(4)
