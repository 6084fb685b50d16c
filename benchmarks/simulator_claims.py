"""What the simulator promises, measured on large cohorts: each function gives a table with a verdict in every row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm
from simulator_sample import (
    draw,
    open_with,
    own_rows,
    read_episodes,
    read_outcome,
    read_probability,
    records_in,
    size_for,
)

from paincast.evaluation.simulated.truth import compute_bayes_bound, load_whole_truth
from paincast.evidence import PredictorEffect, Record, simulated_records, simulated_techniques
from paincast.evidence.synthesis.odds import share_true
from paincast.settings import SCENARIOS
from paincast.simulator import Truth
from paincast.simulator.course.response import scale_curve

ASKED = (
    "pain_response_30",
    "function_response",
    "quality_of_life_gain",
    "opioid_reduction",
    "satisfaction",
    "complication",
    "relief_duration",
)
KEYS = ["episode_id", "technique", "indication", "approach", "pain_nrs"]


def check_marginals(n: int = 200_000, scenarios: Sequence[str] = SCENARIOS) -> pd.DataFrame:
    """Largest deviation from the evidence curve over its months, in percentage points."""
    rows = []
    for technique in simulated_techniques():
        for scenario in scenarios:
            if records_in(technique, scenario):
                with draw([technique], size_for(technique, n, scenario), scenario=scenario) as folder:
                    rows += _deviate(folder, technique, scenario)
    found = pd.DataFrame(rows)
    found["ok"] = found[["truth_pp", "observed_pp"]].abs().max(axis=1) <= 1.0
    return found


def _deviate(folder: Path, technique: str, scenario: str) -> list[dict[str, Any]]:
    episodes, truth = read_episodes(folder, KEYS), load_whole_truth(folder)
    records = records_in(technique, scenario)
    months = sorted({month for record in records for month in record.curve or ()})
    held = {month: read_probability(truth, episodes, month) for month in months}
    seen = {month: read_outcome(folder, episodes, month) for month in months}
    rows = []
    for record in records:
        own, curve = own_rows(episodes, record), scale_curve(record, scenario)
        gaps = {month: 100 * (held[month][own].mean() - share) for month, share in curve.items()}
        drawn = {month: 100 * (np.nanmean(seen[month][own]) - share) for month, share in curve.items()}
        counts = {month: np.isfinite(seen[month][own]).sum() for month in curve}
        errors = {month: 100 * np.sqrt(share * (1 - share) / counts[month]) for month, share in curve.items()}
        worst = max(drawn, key=lambda month: abs(drawn[month]))
        told = {"record": record.id, "scenario": scenario, "n": int(own.sum()), "months": len(curve)}
        told |= {"worst_month": f"{worst:g}", "truth_pp": _largest(gaps), "observed_pp": _largest(drawn)}
        rows.append({**told, "z": _largest({month: drawn[month] / errors[month] for month in curve})})
    return rows


def _largest(values: dict[float, float]) -> float:
    return float(max(values.values(), key=abs))


def check_ceilings(n: int = 100_000) -> pd.DataFrame:
    """Bayes-optimal AUC of each record at its primary month, against what the record implies."""
    alone = open_with(
        correlation="independent", confounding_strength=0.0, site_response_sd=0.0, response_drift_per_year=0.0
    )
    found: dict[str, dict[str, Any]] = {}
    for name, assumptions in (("independent", alone), ("default", open_with())):
        for technique in simulated_techniques():
            with draw([technique], size_for(technique, n), assumptions=assumptions) as folder:
                episodes, truth = read_episodes(folder, KEYS), load_whole_truth(folder)
                for record in records_in(technique, "literature"):
                    own = own_rows(episodes, record)
                    p = read_probability(truth, episodes.loc[own], float(record.primary_month or 0))
                    row = found.setdefault(record.id, {"record": record.id, "implied": np.nan})
                    row["implied"] = record.implied.bayes_optimal_auc if record.implied else np.nan
                    row[name] = compute_bayes_bound(p)[0]
    table = pd.DataFrame(found.values())
    table["ok_independent"] = table["implied"].isna() | ((table["independent"] - table["implied"]).abs() <= 0.02)
    table["ok_default"] = table["default"].between(0.55, 0.78)
    return table


def check_truth(n: int = 1_100_000, bins: int = 20) -> pd.DataFrame:
    """Observed frequency against the true probability in bins of it, each technique at its primary month.

    Some 9 % of the episodes have no visit, because their patients have died.
    """
    techniques = simulated_techniques()
    with draw(techniques, -(-n // len(techniques))) as folder:
        p, y = collect_primary(folder)
    return bin_truth(p, y, bins)


def collect_primary(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """True probability and response at the primary month of each episode's record, where there was a visit."""
    episodes, truth = read_episodes(folder, KEYS), load_whole_truth(folder)
    primary = {technique: primary_of(technique) for technique in episodes["technique"].unique()}
    p, y = np.full(len(episodes), np.nan), np.full(len(episodes), np.nan)
    for month in sorted(set(primary.values())):
        own = episodes["technique"].map(primary).eq(month).to_numpy()
        p[own] = read_probability(truth, episodes.loc[own], month)
        y[own] = read_outcome(folder, episodes.loc[own], month)
    known = np.isfinite(p) & np.isfinite(y)
    return p[known], y[known]


def primary_of(technique: str) -> float:
    return float(max(record.primary_month or 0 for record in simulated_records(technique)))


def bin_truth(p: np.ndarray, y: np.ndarray, bins: int, limit: float = 3.0) -> pd.DataFrame:
    """Observed frequency by bins of the probability; O/E is judged where ``limit`` standard errors are below 2 %."""
    rows = []
    for place, own in enumerate(np.array_split(np.argsort(p, kind="stable"), bins), start=1):
        expected, error = p[own].mean(), np.sqrt((p[own] * (1 - p[own])).sum()) / len(own)
        ratio, spread = y[own].mean() / expected, error / expected
        z = (y[own].mean() - expected) / error
        judged = spread < 0.02 / limit
        rows.append(
            {
                "bin": place,
                "n": len(own),
                "probability": expected,
                "observed": y[own].mean(),
                "z": z,
                "O/E": ratio,
                "ok": bool(abs(z) <= limit and (not judged or 0.98 <= ratio <= 1.02)),
            }
        )
    return pd.DataFrame(rows)


def check_outcomes(n: int = 400_000, bins: int = 20) -> pd.DataFrame:
    """Every other outcome, asked of the visits and events, against its true probability in 20 bins.

    Together the bins of all outcomes are asked one question at 3 standard errors: their limit is Bonferroni's, 4.2
    standard errors for 120 bins. One question for each bin would fail by chance for more than a quarter of all seeds.
    """
    techniques = simulated_techniques()
    with draw(techniques, -(-n // len(techniques))) as folder:
        episodes, truth = read_episodes(folder), load_whole_truth(folder)
        parts = [ask_outcomes(folder, episodes, truth, technique) for technique in techniques]
    outcomes = list(dict.fromkeys(outcome for part in parts for outcome in part))
    limit = float(norm.isf(norm.sf(3) / (bins * len(outcomes))))
    rows = []
    for outcome in outcomes:
        p, y = (np.concatenate([part[outcome][place] for part in parts if outcome in part]) for place in (0, 1))
        known = np.isfinite(p) & np.isfinite(y)
        found = bin_truth(p[known], y[known], bins, limit)
        told = {"outcome": outcome, "n": int(known.sum()), "O/E": float(y[known].sum() / p[known].sum())}
        told |= {"largest |z| of bins": float(found["z"].abs().max()), "limit": limit}
        rows.append({**told, "ok": bool(found["ok"].all())})
    return pd.DataFrame(rows)


def ask_outcomes(
    folder: Path, episodes: pd.DataFrame, truth: Truth, technique: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """True probability and answer of each outcome at a technique's primary month, by the definitions of the design."""
    own, month = episodes[episodes["technique"] == technique].reset_index(drop=True), primary_of(technique)
    held = truth.options[truth.options["technique"] == technique].groupby("outcome")["month"].max()
    answers = {}
    for outcome in ASKED:
        if outcome in held.index:
            # The truth holds complications at the month of their published rate.
            at = float(held[outcome]) if outcome == "complication" else month
            known = read_probability(truth, own, at, outcome=outcome)
            answers[outcome] = (known, read_outcome(folder, own, at, outcome))
    return answers


def check_effects(n: int = 200_000) -> pd.DataFrame:
    """Odds ratios recovered by logistic regression on the functional form of each record, with site and year."""
    rows = []
    for technique in simulated_techniques():
        with draw([technique], size_for(technique, n)) as folder:
            episodes = read_episodes(folder)
            for record in records_in(technique, "literature"):
                own = episodes.loc[own_rows(episodes, record)].reset_index(drop=True)
                y = read_outcome(folder, own, float(record.primary_month or 0))
                rows += recover_effects(own, y, record)
    found = pd.DataFrame(rows)
    found["ok"] = found["z"].abs() <= 3
    return found


def recover_effects(own: pd.DataFrame, y: np.ndarray, record: Record) -> list[dict[str, Any]]:
    # What everybody has who is treated (an implant follows a passed test) tells nobody from anybody.
    active = [
        effect
        for effect in record.active_predictors
        if effect.transform.kind != "equals" or share_true(effect.transform, record.baseline[effect.column]) < 1.0
    ]
    seen = np.isfinite(y)
    design = [transform(effect, own, record).to_numpy(dtype=float) for effect in active]
    year = own["procedure_year"].to_numpy(dtype=float) - 2019
    sites = pd.get_dummies(own["site_id"], dtype=float).to_numpy()
    x = np.column_stack([*design, year, sites])[seen]
    estimate, error = fit_logistic_regression(x, y[seen])
    return [
        {
            "record": record.id,
            "predictor": effect.meaning,
            "odds_ratio": effect.odds_ratio,
            "recovered": float(np.exp(estimate[place])),
            "z": float((estimate[place] - np.log(effect.odds_ratio)) / error[place]),
        }
        for place, effect in enumerate(active)
    ]


def transform(effect: PredictorEffect, episodes: pd.DataFrame, record: Record) -> pd.Series:
    """The functional form in which an odds ratio is stated, taken from the words of the record alone."""
    values, kind, value = episodes[effect.column], effect.transform.kind, effect.transform.value
    if kind == "equals":
        return values == value
    numbers = values.astype(float)
    if kind == "per_sd":
        baseline = record.baseline.get(effect.column)
        return numbers / (baseline.sd if baseline and baseline.sd else _assumed_sd(effect.column))
    limit = float(value)
    compared = {
        "below": numbers < limit,
        "at_least": numbers >= limit,
        "above": numbers > limit,
        "per": numbers / limit,
    }
    return compared[kind]


def _assumed_sd(column: str) -> float:
    baseline = open_with().baseline.get(column)
    return float(baseline.sd if baseline and baseline.sd else 1.0)


def fit_logistic_regression(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood by Newton's method, with standard errors from Fisher's information; no penalty."""
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = expit(x @ beta)
        information = (x * (p * (1 - p))[:, None]).T @ x
        step = np.linalg.lstsq(information, x.T @ (y - p), rcond=None)[0]
        beta += step
        if np.abs(step).max() < 1e-9:
            break
    return beta, np.sqrt(np.diag(np.linalg.pinv(information)))


Treatment = tuple[str, str | None]

CONTRASTS: tuple[tuple[str, Treatment, Treatment, float], ...] = (
    ("lumbar_facet", ("facet_rfa", None), ("facet_joint_injection", None), 3.0),
    ("knee_osteoarthritis", ("genicular_artery_embolization", None), ("joint_injection", None), 6.0),
    ("failed_back_surgery", ("spinal_cord_stimulation", None), ("epidural_steroid_injection", "caudal"), 3.0),
)
"""Indication, two treatments that are eligible for it, and the month.

A technique is compared by one approach: by several it would be another treatment wherever they are mixed otherwise.
"""


def check_confounding(n: int = 200_000) -> pd.DataFrame:
    """Difference in response between two techniques: naive, and weighted by the true propensity, against the truth."""
    return pd.concat([compare_techniques(*contrast, n) for contrast in CONTRASTS], ignore_index=True)


def compare_techniques(indication: str, first: Treatment, second: Treatment, month: float, n: int) -> pd.DataFrame:
    """What is compared is all who are referred: the weights undo the choice, and the selection by a trial or block.

    The potential outcomes are the same in both assignments.
    """
    rows = []
    for assignment in ("confounded", "randomised"):
        with draw([first[0], second[0]], n, assumptions=open_with(assignment=assignment)) as folder:
            episodes = read_episodes(folder, KEYS)
            episodes = episodes[episodes["indication"] == indication]
            either = received(episodes, first) | received(episodes, second)
            episodes = episodes[either].reset_index(drop=True)
            y, truth = read_outcome(folder, episodes, month), load_whole_truth(folder)
        arm = received(episodes, first)
        weight = 1.0 / np.where(arm, read_propensity(truth, episodes, first), read_propensity(truth, episodes, second))
        gap = read_potential(truth, episodes, month, first) - read_potential(truth, episodes, month, second)
        known, error = _average_arms(gap, arm, weight)
        for estimate, weights in (("naive", np.ones(len(y))), ("weighted", weight)):
            if (assignment, estimate) == ("randomised", "naive"):
                continue
            difference, se = _contrast(y, arm, weights)
            told = {"assignment": assignment, "estimate": estimate, "n": len(y), "truth": known}
            rows.append({**told, "difference": difference, "se": se, "z": (difference - known) / np.hypot(se, error)})
    found = pd.DataFrame(rows)
    biased = (found["assignment"] == "confounded") & (found["estimate"] == "naive")
    found["ok"] = (found["z"].abs() > 3) == biased
    found.insert(0, "compared", f"{name_treatment(first)} - {name_treatment(second)}, {indication}, month {month:g}")
    return found


def name_treatment(treatment: Treatment) -> str:
    return " ".join(word for word in reversed(treatment) if word)


def received(episodes: pd.DataFrame, treatment: Treatment) -> np.ndarray:
    rows = episodes["technique"] == treatment[0]
    return (rows if treatment[1] is None else rows & (episodes["approach"] == treatment[1])).to_numpy()


def read_propensity(truth: Truth, episodes: pd.DataFrame, treatment: Treatment) -> np.ndarray:
    """Probability of being treated in this way."""
    table = truth.propensity
    table = table[table["technique"] == treatment[0]]
    table = table if treatment[1] is None else table[table["approach"] == treatment[1]]
    held = (table["probability"] * table["selection"]).groupby(table["episode_id"]).sum()
    return held.reindex(episodes["episode_id"]).to_numpy()


def read_potential(truth: Truth, episodes: pd.DataFrame, month: float, treatment: Treatment) -> np.ndarray:
    """True probability of response under a treatment, received or not."""
    table = truth.expand(technique=treatment[0], outcome="pain_response", month=month, by_approach=True)
    table = table if treatment[1] is None else table[table["approach"] == treatment[1]]
    return table.set_index("episode_id")["probability"].reindex(episodes["episode_id"]).to_numpy()


def _average_arms(gap: np.ndarray, arm: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Mean over all who are referred, from either arm, and its standard error."""
    means, errors = [], []
    for side in (arm, ~arm):
        share = weight[side] / weight[side].sum()
        means.append(share @ gap[side])
        errors.append(np.sqrt((share**2) @ (gap[side] - means[-1]) ** 2))
    return float(np.mean(means)), float(np.hypot(*errors) / 2)


def _contrast(y: np.ndarray, arm: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Difference of weighted means and its standard error (Hajek)."""
    means, variance = [], 0.0
    for side in (arm, ~arm):
        share = weight[side] / weight[side].sum()
        means.append(share @ y[side])
        variance += (share**2) @ (y[side] - means[-1]) ** 2
    return float(means[0] - means[1]), float(np.sqrt(variance))
