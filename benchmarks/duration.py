"""How long relief lasts and by how much pain changes: predictions for fresh simulated patients, beside peers.

Usage: python benchmarks/duration.py [SEEDS]    (Markdown; needs benchmarks/duration_requirements.txt)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sksurv.ensemble import GradientBoostingSurvivalAnalysis, RandomSurvivalForest
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv
from threadpoolctl import threadpool_limits

from paincast.cohort.tables import Cohort
from paincast.evaluation.performance.change import compute_change_metrics
from paincast.evaluation.survival.curves import compute_aalen_johansen, compute_kaplan_meier
from paincast.evaluation.survival.duration import compute_brier_terms, compute_duration_metrics, integrate_over_months
from paincast.evidence.records import primary_horizon, simulated_techniques
from paincast.features import EpisodeEncoder
from paincast.models.continuous.change import fit_change_model
from paincast.models.survival.duration import fit_duration_model
from paincast.outcomes import OUTCOMES, compute_outcome
from paincast.settings import ChangeSettings, DurationSettings
from paincast.simulator import Truth, simulate_cohort

TRAIN, FRESH, FRESH_SEED = 2_000, 10_000, 9_000
OURS, CURVE, TRUTH = "paincast", "Kaplan-Meier", "truth"


def make_peers() -> dict[str, Callable[[], Any]]:
    """Two settings each: the better of them on the test cohort is shown, which favours the peer."""

    def forest(leaf: int) -> Callable[[], Any]:
        return lambda: RandomSurvivalForest(200, min_samples_leaf=leaf, max_features="sqrt", random_state=0, n_jobs=1)

    stochastic = {"n_estimators": 150, "max_depth": 2, "subsample": 0.5, "max_features": "sqrt", "random_state": 0}
    return {
        "random survival forest: 15": forest(15),
        "random survival forest: 40": forest(40),
        "gradient boosting: default": lambda: GradientBoostingSurvivalAnalysis(random_state=0),
        "gradient boosting: stochastic": lambda: GradientBoostingSurvivalAnalysis(**stochastic),
        "Cox, ridge: 30": lambda: CoxPHSurvivalAnalysis(alpha=30.0, ties="efron"),
        "Cox, ridge: 300": lambda: CoxPHSurvivalAnalysis(alpha=300.0, ties="efron"),
    }


def ask_duration(cohort: Cohort, technique: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Episodes that were seen, and when their relief ended, how."""
    asked = compute_outcome(
        cohort.episodes, cohort.visits, cohort.events, OUTCOMES["relief_duration"], primary_horizon(technique)
    )
    assert asked.months is not None
    assert asked.status is not None
    seen = asked.months.notna().to_numpy()
    episodes = cohort.episodes.loc[seen].reset_index(drop=True)
    return episodes, asked.months.to_numpy(float)[seen], asked.status.to_numpy(float)[seen]


def read_truth(truth: Truth, technique: str, ids: pd.Series, months: list[float]) -> np.ndarray:
    """True probability that the response holds at every visit up to a month; missing where none was simulated."""
    table = truth.expand(technique=technique, outcome="relief_duration")
    return ids.to_frame().merge(
        table.pivot(index="episode_id", columns="month", values="probability").reindex(columns=months),
        left_on="episode_id", right_index=True, how="left",
    )[months].to_numpy(float)  # fmt: skip


def predict_peer(
    peer: Any, x: np.ndarray, times: tuple[np.ndarray, np.ndarray], z: np.ndarray, at: list[float], steps: int
) -> Any:
    """Fit to times between visits that change no answer at the visits.

    A forest multiplies shares, and takes losses at the visits. Cox models and boosting add hazards up and take their
    exponential, which is far too high a survival where half are lost at one visit: they get the losses spread over
    twenty steps between the visits, without which they lose to Kaplan-Meier for some techniques.
    """
    months, status = times
    edges = np.array([0.0, *at, np.inf])
    place = np.searchsorted(edges, np.maximum(months, 1e-6))
    share = (1 + np.random.default_rng(0).integers(steps, size=len(months))) / steps
    inside = np.minimum(place, len(at))
    spread = edges[inside - 1] + share * (edges[inside] - edges[inside - 1])
    put = np.where((status == 1) & (place == inside), spread, np.maximum(months, 0.01))
    fitted = peer().fit(x, Surv.from_arrays(status == 1, put))
    curves = fitted.predict_survival_function(z, return_array=True)
    place = np.searchsorted(fitted.unique_times_, np.array(at) + 1e-9, side="right") - 1
    return np.where(place >= 0, curves[:, np.maximum(place, 0)], 1.0)


def run_duration(technique: str, cohort: Cohort, fresh: Cohort, truth: Truth, seed: int) -> tuple[list[Any], list[Any]]:
    """Scores of every prediction, and the metrics of ours."""
    episodes, months, status = ask_duration(cohort, technique)
    others, fresh_months, fresh_status = ask_duration(fresh, technique)
    started = time.perf_counter()
    model = fit_duration_model(episodes, months, status, DurationSettings(), np.random.default_rng(seed))
    seconds = {OURS: time.perf_counter() - started}
    at = list(model.cuts)
    real = read_truth(truth, technique, others["episode_id"], at)
    shape = (len(others), len(at))
    predicted = {OURS: model.survival(others, at)}
    predicted[CURVE] = np.broadcast_to(compute_kaplan_meier(months, status, at)["survival"].to_numpy(), shape)
    encoder = EpisodeEncoder().fit(episodes)
    x, z = encoder.transform(episodes), encoder.transform(others)
    for name, peer in make_peers().items():
        started = time.perf_counter()
        predicted[name] = predict_peer(peer, x, (months, status), z, at, 1 if "forest" in name else 20)
        seconds[name] = time.perf_counter() - started
    predicted[TRUTH] = np.where(np.isfinite(real), real, np.nanmean(real, axis=0))
    scores = [
        {
            "technique": technique,
            "seed": seed,
            "prediction": name,
            "ibs": integrate_over_months(compute_brier_terms(fresh_months, fresh_status, one, at), at).mean(),
            "distance": np.nanmean(np.abs(one - real)),
            "seconds": seconds.get(name, 0.0),
        }
        for name, one in predicted.items()
    ]
    told = {"technique": technique, "seed": seed}
    ours = compute_duration_metrics(fresh_months, fresh_status, predicted[OURS], at, others["patient_id"])
    values = {f"O/E {month} months": _pick(ours, f"o_e_ratio_{month}") for month in (6, 12)}
    for month in (6.0, 12.0):
        place = at.index(month)
        values[f"expected/true {month:g}"] = np.nanmean(predicted[OURS][:, place]) / np.nanmean(real[:, place])
        lower, upper = (limit[:, 0] for limit in model.survival_interval(others, [month]))
        held = (lower <= real[:, place]) & (real[:, place] <= upper)
        values[f"cover {month:g}"] = held[np.isfinite(real[:, place])].mean()
    values |= {
        "C (Uno)": _pick(ours, "concordance_uno"),
        **score_incidence(model, others, fresh_months, fresh_status, months, status),
    }
    return scores, [{**told, **values}]


def score_incidence(
    model: Any, others: pd.DataFrame, fresh_months: Any, fresh_status: Any, months: Any, status: Any
) -> Any:
    """Where death competes: integrated Brier score of the cumulative incidence against Aalen-Johansen."""
    if model.death is None:
        return {}
    at = list(model.cuts)
    lost, _ = model.incidence(others, at)
    curve = compute_aalen_johansen(months, status, at)["incidence"].to_numpy()
    both = {OURS: 1.0 - lost, "Aalen-Johansen": np.broadcast_to(1.0 - curve, lost.shape)}
    scores = {
        f"incidence, {name}": integrate_over_months(
            compute_brier_terms(fresh_months, fresh_status, one, at, death_competes=True), at
        ).mean()
        for name, one in both.items()
    }
    table = compute_duration_metrics(
        fresh_months, fresh_status, both[OURS], at, others["patient_id"], death_competes=True
    )
    return scores | {f"no-loss O/E {month}": _pick(table, f"o_e_ratio_{month}") for month in (6, 12)}


def run_change(technique: str, cohort: Cohort, fresh: Cohort, seed: int) -> dict[str, Any]:
    """Metrics of the interval of change, beside the quantiles of the training rows."""
    (own, change), (others, seen) = (ask_change(one, technique) for one in (cohort, fresh))
    started = time.perf_counter()
    model = fit_change_model(own, change, ChangeSettings(), np.random.default_rng(seed))
    seconds = time.perf_counter() - started
    plain = pd.DataFrame([np.quantile(change, [0.1, 0.5, 0.9])] * len(seen), columns=["lower", "median", "upper"])
    table = compute_change_metrics(seen, model.predict(others), others["patient_id"], reference=plain)
    base = compute_change_metrics(seen, plain, others["patient_id"])
    names = ("coverage", "mean_width", "pinball_loss", "mean_absolute_error", "below_median")
    told = {"technique": technique, "seed": seed, "fit, s": seconds, **{name: _pick(table, name) for name in names}}
    return told | {f"{name}, plain": _pick(base, name) for name in names[:4]}


def ask_change(cohort: Cohort, technique: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Episodes with a change of pain at the primary horizon."""
    asked = compute_outcome(
        cohort.episodes, cohort.visits, cohort.events, OUTCOMES["pain_change"], primary_horizon(technique)
    )
    known = asked.value.notna().to_numpy()
    return cohort.episodes.loc[known].reset_index(drop=True), asked.value.to_numpy(float)[known]


def _pick(table: pd.DataFrame, metric: str) -> float:
    return float(table.loc[table["metric"] == metric, "estimate"].iloc[0])


def show_mean(values: pd.Series, digits: int = 4) -> str:
    """Mean over the seeds with its standard error."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def print_table(rows: list[dict[str, str]], title: str) -> None:
    print(f"\n{title}\n")
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(row.get(name, "") for name in names) + " |")


def pick_better(scores: pd.DataFrame) -> pd.DataFrame:
    """Keep, for each peer and technique, the setting with the lower mean score."""
    scores = scores.assign(family=scores["prediction"].str.split(":").str[0])
    mean = scores.groupby(["technique", "family", "prediction"])["ibs"].mean()
    best = set(mean.groupby(level=[0, 1]).idxmin())
    return scores[
        [key in best for key in zip(scores["technique"], scores["family"], scores["prediction"], strict=True)]
    ]


def tell_scores(scores: pd.DataFrame) -> None:
    kept = pick_better(scores)
    wide = kept.pivot_table(index=["technique", "seed"], columns="family", values="ibs")
    peers = [name for name in wide if name not in (OURS, TRUTH)]
    gains = wide[peers].sub(wide[OURS], axis=0)
    rows = []
    for technique, own in [*wide.groupby(level=0, sort=False), ("**mean**", wide.groupby(level=1).mean())]:
        gain = gains.loc[technique] if technique in gains.index else gains.groupby(level=1).mean()
        row = {"technique": str(technique), OURS: f"{own[OURS].mean():.4f}", TRUTH: f"{own[TRUTH].mean():.4f}"}
        rows.append(row | {f"{name} − {OURS}": show_mean(gain[name]) for name in peers})
    print_table(rows, "Integrated Brier score (IPCW), and by how much the peers' is higher (mean ± SE over seeds)")
    families = kept.groupby("family")[["ibs", "distance", "seconds"]].mean().sort_values("ibs")
    print_table(
        [
            {"prediction": str(name), "IBS": f"{row['ibs']:.4f}", "mean distance from truth": f"{row['distance']:.4f}",
             "fit and predict, s": f"{row['seconds']:.1f}"}
            for name, row in families.iterrows()
        ],
        "All techniques",
    )  # fmt: skip


def tell_means(table: pd.DataFrame, title: str, digits: int = 3) -> None:
    names = [name for name in table if name not in ("technique", "seed")]
    rows = [
        {
            "technique": str(technique),
            **{name: show_mean(own[name].dropna(), digits) for name in names if own[name].notna().any()},
        }
        for technique, own in table.groupby("technique", sort=False)
    ]
    full = max(rows, key=len)
    print_table([{name: row.get(name, "") for name in full} for row in rows], title)


def main() -> None:
    """Print the tables."""
    seeds = range(1, 1 + (int(sys.argv[1]) if len(sys.argv) > 1 else 5))
    started = time.perf_counter()
    scores: list[Any] = []
    metrics: list[Any] = []
    changes: list[Any] = []
    techniques = list(simulated_techniques())
    for seed in seeds:
        whole, _ = simulate_cohort(techniques=techniques, episodes_per_technique=TRAIN, seed=seed)
        tested, truth = simulate_cohort(techniques=techniques, episodes_per_technique=FRESH, seed=FRESH_SEED + seed)
        for technique in techniques:
            cohort, fresh = whole.select_technique(technique), tested.select_technique(technique)
            found = run_duration(technique, cohort, fresh, truth, seed)
            scores += found[0]
            metrics += found[1]
            changes.append(run_change(technique, cohort, fresh, seed))
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    print(f"{TRAIN} episodes a technique to fit, {FRESH} fresh ones to test, {len(seeds)} seeds.")
    tell_scores(pd.DataFrame(scores))
    table = pd.DataFrame(metrics)
    competing = [name for name in table if name.startswith(("incidence", "no-loss"))]
    tell_means(
        table.drop(columns=competing),
        "Duration of relief: calibration, coverage of the true probability by the 90 % interval",
    )
    tell_means(table.dropna(subset=competing)[["technique", "seed", *competing]], "Where death competes", 4)
    tell_means(
        pd.DataFrame(changes),
        "Change of pain: 80 % interval and median, and the quantiles of the training rows (plain)",
    )
    print(f"\nWhole run: {time.perf_counter() - started:.0f} s on one core.")


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
