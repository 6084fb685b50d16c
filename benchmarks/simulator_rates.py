"""Rates against their settings, correlations against the documented matrix, and noise against every covariate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.special import expit, logit, ndtri
from scipy.stats import binom, norm
from simulator_claims import KEYS, primary_of
from simulator_sample import (
    OPEN,
    SEED,
    draw,
    open_with,
    own_rows,
    read_episodes,
    read_outcome,
    read_probability,
)

from paincast.evaluation.simulated.polychoric import compute_polychoric_correlations
from paincast.evaluation.simulated.truth import load_whole_truth
from paincast.evidence import Record, simulated_records, simulated_techniques
from paincast.schema import EPISODES
from paincast.simulator import Assumptions, documented_correlations
from paincast.simulator.course.events import Risk, list_risks
from paincast.simulator.course.response import scale_curve

Row = dict[str, Any]


def judge_rate(observed: float, n: int, expected: float, **told: Any) -> Row:
    """A row that says how far a share lies from its setting: the normal score of its exact binomial tail."""
    count = round(observed * n)
    tail = min(float(binom.cdf(count, n, expected)), float(binom.sf(count - 1, n, expected)), 0.5)
    z = float(norm.isf(max(tail, 1e-300))) * np.sign(observed - expected)
    return {**told, "n": n, "setting": float(expected), "observed": float(observed), "z": float(z)}


def close_rates(rows: list[Row]) -> pd.DataFrame:
    """Judge all rates together: a limit that one family in a hundred passes by chance."""
    found = pd.DataFrame(rows)
    found["ok"] = found["z"].abs() <= norm.isf(0.01 / (2 * len(found)))
    return found


def check_events(n: int = 100_000) -> pd.DataFrame:
    """Events of every kind and technique, and deaths, against the rates of the records and the assumptions."""
    rows: list[Row] = []
    for technique in simulated_techniques():
        with draw([technique], n) as folder:
            episodes = read_episodes(folder, KEYS)
            events = pd.read_parquet(folder / "events.parquet")
        for record in simulated_records(technique):
            own = episodes.loc[own_rows(episodes, record), "episode_id"]
            mine = events[events["episode_id"].isin(set(own))]
            for risk in list_risks(record, scale_curve(record, "literature"), OPEN):
                had = mine[(mine["kind"] == risk.event_kind) & (mine["detail"] == risk.detail)]
                share = had["episode_id"].nunique() / len(own)
                told = {"record": record.id, "event": f"{risk.event_kind}: {risk.detail}"}
                rows.append(judge_rate(share, len(own), expect_event(record, risk), **told))
            rows += [_judge_deaths(record, mine, len(own), month) for month in (1.0, 3.0, 12.0) if record.survival]
    return close_rates(rows)


def expect_event(record: Record, risk: Risk) -> float:
    """Share that has the event before death ends all."""
    if record.survival is None:
        return risk.probability
    hazard = np.log(2.0) / record.survival.median_months
    start = 0.0 if risk.place is None else sorted(record.curve or {})[risk.place]
    alive = (np.exp(-hazard * start) - np.exp(-hazard * risk.by_month)) / (hazard * (risk.by_month - start))
    return float(risk.probability * alive)


def _judge_deaths(record: Record, events: pd.DataFrame, n: int, month: float) -> Row:
    assert record.survival is not None
    died = events[(events["kind"] == "death") & (events["month"] <= month)]["episode_id"].nunique()
    expected = 1 - 0.5 ** (month / record.survival.median_months)
    return judge_rate(died / n, n, expected, record=record.id, event=f"death by month {month:g}")


def check_missing(n: int = 60_000) -> pd.DataFrame:
    """Missing values before the procedure and at visits, against their settings (without site and age)."""
    assumptions = Assumptions(
        missing_by_site=0.0, missing_by_age=0.0, loss_share=0.0, visit_missing_share=0.0, data_end_year=2200.0
    )
    techniques = simulated_techniques()
    with draw(techniques, n // len(techniques), assumptions=assumptions) as folder:
        episodes, visits = read_episodes(folder), pd.read_parquet(folder / "visits.parquet")
    rows = [_judge_column(episodes, name, assumptions) for name in EPISODES if _can_be_missing(episodes, name)]
    indication = visits["episode_id"].map(episodes.set_index("episode_id")["indication"])
    for name, share in assumptions.missing_at_visits.items():
        gaps = _where_recorded(visits[name], indication)
        if name == "opioid_mme" or not len(gaps):
            continue
        rows.append(judge_rate(gaps.mean(), len(gaps), share, place="visit", column=name))
    return close_rates(rows)


def _can_be_missing(episodes: pd.DataFrame, name: str) -> bool:
    able = EPISODES[name].role in ("predictor", "funnel", "safety") and name != "indication"
    return able and bool(episodes[name].notna().any())


def _where_recorded(values: pd.Series, group: pd.Series) -> pd.Series:
    """Gaps of a column in those groups that record it at all."""
    gaps = values.isna()
    return gaps[~gaps.groupby(group.to_numpy()).transform("all")]


def _judge_column(episodes: pd.DataFrame, name: str, assumptions: Assumptions) -> Row:
    gaps = _where_recorded(episodes[name], episodes["technique"].astype(str) + episodes["indication"].astype(str))
    always = name in ("active_infection", "pregnant")
    share = 0.0 if always else assumptions.missing.get(name, assumptions.missing_other)
    return judge_rate(gaps.mean(), len(gaps), share, place="before", column=name)


def check_loss(n: int = 200_000, technique: str = "facet_rfa") -> pd.DataFrame:
    """Loss at each visit of those who respond and those who do not: the same cohort with and without loss."""
    lossy = open_with(loss_share=Assumptions().loss_share, loss_mnar=Assumptions().loss_mnar)
    with draw([technique], n) as whole, draw([technique], n, assumptions=lossy) as seen:
        episodes = read_episodes(whole, KEYS)
        assert episodes["episode_id"].equals(read_episodes(seen, KEYS)["episode_id"])
        months = sorted({month for record in simulated_records(technique) for month in record.curve or ()})
        rows, held = [], np.ones(len(episodes), dtype=bool)
        for month in months:
            responded, kept = read_outcome(whole, episodes, month), read_outcome(seen, episodes, month)
            there = np.isfinite(kept)
            assert np.array_equal(kept[there], responded[there])
            for value, share in ((1.0, lossy.loss_share), (0.0, expit(logit(lossy.loss_share) + lossy.loss_mnar))):
                own = held & (responded == value)
                told = {"month": f"{month:g}", "responds": "yes" if value else "no"}
                rows.append(judge_rate(1 - there[own].mean(), int(own.sum()), float(share), **told))
            held &= there
    return close_rates(rows)


INDICATIONS_CHECKED = {
    "lumbar_radicular_disc": ["epidural_steroid_injection", "nerve_root_block"],
    "knee_osteoarthritis": ["joint_injection", "genicular_artery_embolization"],
    "pancreatic_cancer": ["celiac_plexus_neurolysis"],
}
"""Indications whose patients nobody turns away after a trial or block, and what treats them."""


def check_correlations(n: int = 200_000) -> pd.DataFrame:
    """Correlations of the scores behind the columns of one indication each, against the documented matrix.

    Second episodes are left out: a year more of pain and an earlier procedure go together in them whatever the scores.
    """
    documented = documented_correlations()
    assumptions = open_with(assignment="randomised", repeat_share=0.0)
    rows = []
    for indication, techniques in INDICATIONS_CHECKED.items():
        with draw(techniques, 20_000, assumptions=assumptions) as folder:
            share = (read_episodes(folder, KEYS)["indication"] == indication).mean()
        size = int(1.02 * n / share / len(techniques))
        with draw(techniques, size, assumptions=assumptions) as folder:
            episodes = read_episodes(folder)
        own = episodes[episodes["indication"] == indication].head(n)
        columns = gather_scores(own, list(documented.index))
        found, error = compute_polychoric_correlations(columns), standard_errors(columns)
        rows.append(_compare_matrices(indication, found, documented, error, len(own)))
    result = pd.DataFrame(rows)
    result["ok"] = result["largest_deviation"] <= 0.03
    return result


def gather_scores(episodes: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Columns with a score of their own, as numbers; opioids by use, since the dose is known of users only."""
    columns: dict[str, Any] = {"opioid_use": episodes["opioid_mme"] > 0}
    for name in names:
        if name in EPISODES and name != "work_status" and EPISODES[name].role != "funnel":
            values = episodes[name]
            if EPISODES[name].categories:
                values = (values == EPISODES[name].categories[0]).where(values.notna())
            if values.nunique() > 1:
                columns[name] = values.astype(float)
    return pd.DataFrame(columns)


def standard_errors(columns: pd.DataFrame) -> pd.DataFrame:
    """Standard error of each correlation near 0: large where both columns are rare yes/no."""
    factor = {}
    for name in columns:
        values = columns[name].dropna()
        share = float((values > values.min()).mean()) if values.nunique() == 2 else None
        density = norm.pdf(ndtri(share)) if share else 1.0
        factor[name] = np.sqrt(share * (1 - share)) / density if share else 1.0
    scale = np.array([factor[name] for name in columns])
    return pd.DataFrame(np.outer(scale, scale) / np.sqrt(len(columns)), index=columns.columns, columns=columns.columns)


def _compare_matrices(
    indication: str, found: pd.DataFrame, documented: pd.DataFrame, error: pd.DataFrame, n: int
) -> Row:
    names = list(found.index)
    upper = np.triu(np.ones(found.shape, dtype=bool), 1) & np.isfinite(found.to_numpy())
    gap = np.where(upper, found - documented.loc[names, names], np.nan)
    sharp = np.where(error <= 0.0075, gap, np.nan)
    at = np.unravel_index(np.nanargmax(np.abs(sharp)), gap.shape)
    return {
        "indication": indication,
        "n": n,
        "pairs": int(upper.sum()),
        "pairs with SE <= 0.0075": int(np.isfinite(sharp).sum()),
        "largest_deviation": float(np.nanmax(np.abs(sharp))),
        "of": f"{names[at[0]]} x {names[at[1]]}",
        "largest |z| of the others": float(np.nanmax(np.abs(np.where(error > 0.0075, gap / error, 0.0)))),
    }


def check_independence(n: int = 20_000, seeds: int = 5) -> pd.DataFrame:
    """Correlation of each mechanism's noise with every covariate, in standard errors, over several seeds."""
    assumptions = Assumptions(
        missing_by_site=0.0, missing_by_age=0.0, loss_mnar=0.0, data_end_year=2200.0, repeat_share=0.0
    )
    total: dict[tuple[str, str], list[float]] = {}
    for seed in range(SEED, SEED + seeds):
        for technique in simulated_techniques():
            with draw([technique], n, seed=seed, assumptions=assumptions) as folder:
                for pair, z in _correlate_noise(folder, technique).items():
                    total.setdefault(pair, []).append(z)
    pooled = {pair: sum(values) / np.sqrt(len(values)) for pair, values in total.items()}
    frame = pd.DataFrame([(*pair, z) for pair, z in pooled.items()], columns=["mechanism", "covariate", "z"])
    return summarize_noise(frame)


def summarize_noise(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a mechanism: how many covariates, spread and largest of their z, and the limit for as many."""
    rows = []
    for mechanism, own in frame.groupby("mechanism", sort=False):
        limit = norm.isf(0.01 / (2 * len(frame)))
        worst = own.loc[own["z"].abs().idxmax()]
        rows.append(
            {
                "mechanism": mechanism,
                "pairs": len(own),
                "sd of z": float(own["z"].std()),
                "largest |z|": float(abs(worst["z"])),
                "of": worst["covariate"],
                "limit": float(limit),
                "ok": bool(abs(worst["z"]) <= limit),
            }
        )
    return pd.DataFrame(rows)


def _correlate_noise(folder: Path, technique: str) -> dict[tuple[str, str], float]:
    episodes, truth = read_episodes(folder), load_whole_truth(folder)
    month = primary_of(technique)
    p, y = read_probability(truth, episodes, month), read_outcome(folder, episodes, month)
    visits = pq.read_table(
        folder / "visits.parquet", columns=["episode_id", "month"], filters=[("month", "==", month)]
    ).to_pandas()
    held = episodes["episode_id"].isin(set(visits["episode_id"])).to_numpy(dtype=float)
    noise: dict[str, np.ndarray] = {"response": y - p, "visit held": held}
    for name in ("eq5d_index", "catastrophizing_pcs", "bmi", "depression"):
        if episodes[name].notna().any():
            noise[f"missing {name}"] = episodes[name].isna().to_numpy(dtype=float)
    found = {}
    for (indication, approach), rows in episodes.groupby(["indication", "approach"], dropna=False).indices.items():
        if len(rows) < 1000:
            continue
        covariates = gather_covariates(episodes.iloc[rows], p[rows])
        where = f"{technique} {indication} {approach}"
        for mechanism, values in noise.items():
            for name, column in covariates.items():
                if mechanism != f"missing {name}":
                    found[mechanism, f"{name} ({where})"] = _z_of_correlation(values[rows], column)
    return found


def gather_covariates(episodes: pd.DataFrame, p: np.ndarray) -> dict[str, np.ndarray]:
    covariates = {"true probability": p, "year": episodes["procedure_year"].to_numpy(dtype=float)}
    for site in sorted(episodes["site_id"].unique())[:6]:
        covariates[str(site)] = (episodes["site_id"] == site).to_numpy(dtype=float)
    for name, declared in EPISODES.items():
        if declared.type in ("number", "boolean") and episodes[name].notna().any():
            covariates[name] = episodes[name].to_numpy(dtype=float, na_value=np.nan)
    return covariates


def _z_of_correlation(noise: np.ndarray, covariate: np.ndarray) -> float:
    known = np.isfinite(noise) & np.isfinite(covariate)
    if known.sum() < 100 or covariate[known].std() == 0 or noise[known].std() == 0:
        return 0.0
    return float(np.corrcoef(noise[known], covariate[known])[0, 1] * np.sqrt(known.sum()))
