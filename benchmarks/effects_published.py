"""Registries that are confounded, of worlds in which six published trials found the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import pi, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from effects_worlds import draw_world, load_trial
from scipy.optimize import brentq
from scipy.special import expit, logit

from paincast.cohort.tables import Cohort
from paincast.effects import TargetTrial, compare_techniques
from paincast.effects.average import ATE
from paincast.effects.trial import Strategy
from paincast.evidence.records import records_of

FloatArray = npt.NDArray[np.float64]
Row = dict[str, Any]

EPISODES = 5000
SEEDS_APART = 1000
SAME_PATIENT = 0.5
"""Strength of predictors without the technique, relative to that with it; as in the simulator."""


class Published(NamedTuple):
    """A trial as it was published, and the month of visits of a registry that is the nearest to its own.

    ``arms`` are events and patients of technique and control; where a trial tells means of pain, ``difference`` is
    technique less control, with the standard deviation between patients.
    """

    source: str
    technique: str
    indication: str
    control: str
    month: float
    arms: tuple[int, int, int, int] | None = None
    difference: tuple[float, float] | None = None


TRIALS: dict[str, Published] = {
    "genicular ablation, sham": Published(
        "malaithong2023", "genicular_rfa", "knee_osteoarthritis", "placebo_injection", 12.0, difference=(0.6, 2.5)
    ),
    "facet ablation, sham": Published(
        "vankleef1999", "facet_rfa", "lumbar_facet", "placebo_injection", 3.0, arms=(10, 15, 6, 16)
    ),
    "PROCESS": Published(
        "process2007", "spinal_cord_stimulation", "failed_back_surgery", "usual_care", 6.0, arms=(24, 50, 4, 44)
    ),
    # Standard deviations of the next two from the interval of the difference and the patients seen.
    "MINT, facet": Published("mint2017", "facet_rfa", "lumbar_facet", "usual_care", 3.0, difference=(-0.18, 2.2)),
    "LESS": Published(
        "friedly2014",
        "epidural_steroid_injection",
        "lumbar_stenosis",
        "placebo_injection",
        1.0,
        difference=(-0.2, 3.1),
    ),
    "transforaminal saline": Published(
        "ghahreman2010",
        "epidural_steroid_injection",
        "lumbar_radicular_disc",
        "placebo_injection",
        1.0,
        arms=(15, 28, 7, 37),
    ),
}


def find_shares(trial: Published) -> tuple[float, float]:
    """Find the shares with half relief of a world in which the trial found the truth: technique, control.

    A difference of means becomes one of log odds by pi / sqrt(3) standard deviations (Hasselblad and Hedges 1995,
    10.1037/0033-2909.117.1.167), beside the share of the record after the technique.
    """
    if trial.arms is not None:
        treated, n_treated, untreated, n_untreated = trial.arms
        return treated / n_treated, untreated / n_untreated
    assert trial.difference is not None
    records = [one for one in records_of(trial.technique) if trial.indication in one.indications and one.curve]
    share = records[0].curve[trial.month]
    change, spread = trial.difference
    return share, float(expit(logit(share) + change / spread * pi / sqrt(3.0)))


def draw_registry(trial: Published, seed: int) -> tuple[TargetTrial, Cohort, pd.DataFrame]:
    """Draw a registry in which pain, depression, opioids, age and site decide who gets the control.

    Returns
    -------
    TargetTrial
    Cohort
        Those with the control have passed block or trial of stimulation too, as in the trials.
    DataFrame
        True risks by episode, ``control, technique``.
    """
    rng = np.random.default_rng(seed + SEEDS_APART)
    strategies = (
        Strategy(name="control", technique=trial.control),
        Strategy(name="technique", technique=trial.technique),
    )
    target = replace(
        load_trial("epidural_against_root_block"),
        question=trial.source,
        indications=(trial.indication,),
        conditions=(),
        strategies=strategies,
        month=trial.month,
    )
    world = draw_world(target, seed, {trial.technique: EPISODES})
    episodes = world.cohort.episodes
    rows = world.truth.expand(technique=trial.technique, outcome="pain_response", month=trial.month)
    prognosis = logit(rows.set_index("episode_id")["probability"].reindex(episodes["episode_id"]).to_numpy(float))
    prognosis -= prognosis.mean()
    shares = find_shares(trial)
    risks = {
        "control": shift(SAME_PATIENT * prognosis, shares[1]),
        "technique": shift(prognosis, shares[0]),
    }
    treated = rng.random(len(episodes)) < expit(choose(episodes, rng))
    risk = np.where(treated, risks["technique"], risks["control"])
    responds = rng.random(len(episodes)) < risk
    cohort = replace(
        world.cohort,
        episodes=episodes.assign(technique=episodes["technique"].where(treated, trial.control)),
        visits=tell_outcome(world.cohort, responds),
    )
    return target, cohort, pd.DataFrame(risks, index=episodes["episode_id"])


def shift(log_odds: FloatArray, share: float) -> FloatArray:
    """Shift log odds so that the mean risk is a share."""
    found = brentq(lambda level: expit(log_odds + level).mean() - share, -20.0, 20.0)
    return np.asarray(expit(log_odds + found))


def choose(episodes: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    """Compute the log odds of getting the technique and not the control."""

    def standardise(name: str) -> FloatArray:
        values = episodes[name].astype("Float64").to_numpy(float, na_value=np.nan)
        return np.asarray(np.nan_to_num((values - np.nanmean(values)) / np.nanstd(values)))

    sites = dict(zip(sorted(episodes["site_id"].unique()), rng.normal(0.0, 0.4, 99), strict=False))
    habit = episodes["site_id"].map(sites).to_numpy(float)
    users = (episodes["opioid_mme"].fillna(0.0) > 0.0).to_numpy(float)
    healthy = -0.5 * standardise("depression") - 0.6 * (users - users.mean()) - 0.2 * standardise("age_years")
    return 0.4 * standardise("pain_nrs") + healthy + habit


def tell_outcome(cohort: Cohort, responds: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Write the outcome into the pain of all visits that were kept: it falls by 70 or by 15 %."""
    pain = cohort.episodes["pain_nrs"].astype("Float64").to_numpy(float, na_value=np.nan)
    after = pd.Series(np.where(responds, 0.3, 0.85) * pain, index=cohort.episodes["episode_id"])
    told = cohort.visits["episode_id"].map(after).round(2)
    scores = told.where(cohort.visits["pain_nrs"].notna()).astype(cohort.visits["pain_nrs"].dtype)
    return cohort.visits.assign(pain_nrs=scores)


def measure_published(seed: int) -> Iterator[Row]:
    """Confounded registries of worlds in which six published trials found the truth, 5,000 episodes each."""
    for name, trial in TRIALS.items():
        target, cohort, risks = draw_registry(trial, seed)
        comparison = compare_techniques(target, cohort, np.random.default_rng(seed))
        treated, control = find_shares(trial)
        told = {"seed": seed, "trial": name, "published": treated - control}
        if comparison.failed:
            yield {**told, "refused": "; ".join(one.name for one in comparison.failed)}
            continue
        [row] = comparison.contrasts[comparison.contrasts["population"] == ATE].to_dict("records")
        arms = comparison.analysis.arms
        own = risks.reindex(arms.episodes["episode_id"])
        groups = [arms.outcome[arms.known & (arms.strategy == place)] for place in range(2)]
        yield {
            **told,
            **row,
            "refused": "",
            "truth": float((own["technique"] - own["control"]).mean()),
            "naive": float(groups[1].mean() - groups[0].mean()),
        }


CLAIMS: dict[str, Callable[[int], Iterator[Row]]] = {"published": measure_published}


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise by trial: bias, and how often the interval holds the truth of the world."""
    found = []
    for name, own in rows.groupby("trial", sort=False):
        answered = own.dropna(subset=["estimate"])
        error = answered["estimate"] - answered["truth"]
        found.append(
            {
                "trial": name,
                "published": own["published"].mean(),
                "seeds": len(own),
                "refused": len(own) - len(answered),
                "n": answered["n"].mean(),
                "truth": answered["truth"].mean(),
                "bias": error.mean(),
                "covers": ((answered["lower"] <= answered["truth"]) & (answered["truth"] <= answered["upper"])).mean(),
                "naive bias": (answered["naive"] - answered["truth"]).mean(),
            }
        )
    return pd.DataFrame(found).round(4)
