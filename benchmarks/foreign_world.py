"""A world in which the evidence is partly wrong: the patients of the simulator, outcomes from effects drawn anew.

The log odds of a technique are a known function of its patients' complete values:

- each column has a size of effect of its own, shared by all techniques and varied a little from one to the next, and
  the sign that the evidence of the technique gives it; columns on which the evidence is silent may act as well;
- of all pairs of technique and column with such a sign a fifth are turned round;
- each technique has three products of two columns and two steps at thresholds of its own.

All is scaled to a spread and a prevalence drawn for each technique. Sizes of effect in the evidence are not used. Who
is lost to follow-up depends on the outcome at the simulator's default rates. A value that patients of an indication
never have acts as the average.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from simulator_sample import OPEN, as_markdown

from paincast.contract import BUILT_IN
from paincast.evaluation.simulated.truth import compute_bayes_bound
from paincast.evidence import simulated_records, simulated_techniques
from paincast.evidence.figures import PredictorEffect
from paincast.evidence.records import primary_horizon
from paincast.schema import EPISODES
from paincast.simulator import Assumptions, simulate_cohort
from paincast.simulator.course.visit_process import compute_loss

FloatArray = npt.NDArray[np.float64]
Pair = tuple[str, str]

FOREIGN_SEED = 77_001
FOREIGN_VERSION = "2"
"""To be raised when outcomes change: cohorts kept on disk are then drawn again."""

FLIPPED_SHARE = 0.2
N_PRODUCTS = 3
N_STEPS = 2
SPREADS = (0.55, 1.0)
PREVALENCES = (0.35, 0.65)
REFERENCE_SIZE = 20_000


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What gives the log odds of one technique.

    Parameters
    ----------
    centres, scales : dict of str to float
        What turns the number of a term into a standard score.
    slopes : dict of str to float
        Log odds per standard deviation of a term; a category has a term for each of its values.
    products : tuple of (str, str, float)
        Log odds per product of two standard scores.
    steps : tuple of (str, float, float)
        Term, threshold on the standard score, and log odds above against below it.
    intercept, factor : float
        ``log odds = intercept + factor * sum``.
    """

    centres: Mapping[str, float]
    scales: Mapping[str, float]
    slopes: Mapping[str, float]
    products: tuple[tuple[str, str, float], ...]
    steps: tuple[tuple[str, float, float], ...]
    intercept: float = 0.0
    factor: float = 1.0

    def log_odds(self, episodes: pd.DataFrame) -> FloatArray:
        """Compute the log odds of complete episodes, shape (n,)."""
        terms = expand_terms(episodes)
        scores = {
            name: np.nan_to_num((terms[name] - self.centres[name]) / self.scales[name], nan=0.0)
            for name in self.centres
        }
        total = np.zeros(len(episodes))
        for name, slope in self.slopes.items():
            total += slope * scores[name]
        for first, second, slope in self.products:
            total += slope * scores[first] * scores[second]
        for name, threshold, height in self.steps:
            total += height * (scores[name] > threshold)
        return self.intercept + self.factor * total


def draw_foreign(technique: str, complete: pd.DataFrame, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw outcomes of complete episodes, and which of them a registry sees.

    Returns
    -------
    outcome, probability : ndarray of shape (n,)
        1, 0 or NaN where lost, and the probability that generated it.
    """
    probability = expit(draw_world()[technique].log_odds(complete))
    return draw_outcome(technique, probability, rng), probability


def draw_outcome(technique: str, probability: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw outcomes, shape (n,), and lose some of them at the simulator's default rates: 1, 0 or NaN where lost."""
    outcome_rng, loss_rng = rng.spawn(2)
    outcome = (outcome_rng.random(len(probability)) < probability).astype(float)
    default = Assumptions()
    failing, responding = compute_loss(default)
    staying = (1.0 - np.where(outcome == 1, responding, failing)) ** _count_visits(technique)
    staying *= (1.0 - default.visit_missing_share) * (1.0 - default.missing_at_visits["pain_nrs"])
    outcome[loss_rng.random(len(probability)) >= staying] = np.nan
    return outcome


def expand_terms(episodes: pd.DataFrame) -> dict[str, FloatArray]:
    """Write columns as numbers: skewed ones on the log scale, one for each value of a category."""
    terms = {}
    for column in BUILT_IN.model_columns:
        values = episodes[column.name]
        if column.type == "category":
            for level in column.categories:
                terms[f"{column.name}={level}"] = (values == level).to_numpy(float, na_value=0.0)
        else:
            numbers = values.astype("Float64").to_numpy(float, na_value=np.nan)
            terms[column.name] = np.log1p(numbers) if column.log_scale else numbers
    return terms


@lru_cache(maxsize=1)
def draw_world() -> Mapping[str, Effects]:
    """Draw the effects of every technique that can be simulated, from one fixed seed."""
    techniques = simulated_techniques()
    shared_rng, sign_rng, *own = np.random.default_rng(FOREIGN_SEED).spawn(2 + len(techniques))
    directions = {(name, term): sign for name in techniques for term, sign in list_directions(name).items()}
    signs = turn_signs(directions, sign_rng)
    sizes = _draw_shared(directions, shared_rng)
    return {
        name: _draw_technique(name, {term: sign for (one, term), sign in signs.items() if one == name}, sizes, rng)
        for name, rng in zip(techniques, own, strict=True)
    }


def list_directions(technique: str) -> dict[str, float]:
    """List the sign that the evidence of a technique gives to each term; sizes decide where records disagree."""
    total: dict[str, float] = {}
    for record in simulated_records(technique):
        for effect in record.active_predictors:
            term, orientation = _orient(effect)
            total[term] = total.get(term, 0.0) + orientation * float(np.log(effect.odds_ratio))
    return {term: float(np.sign(value)) for term, value in total.items() if value}


def turn_signs(directions: Mapping[Pair, float], rng: np.random.Generator) -> dict[Pair, float]:
    """Turn a fifth of the signs round."""
    pairs = sorted(directions)
    turned = rng.permutation(len(pairs))[: round(FLIPPED_SHARE * len(pairs))]
    return {pair: -directions[pair] if place in turned else directions[pair] for place, pair in enumerate(pairs)}


def _orient(effect: PredictorEffect) -> tuple[str, float]:
    kind, value = effect.transform.kind, effect.transform.value
    if EPISODES[effect.column].type == "category":
        return f"{effect.column}={value}", 1.0
    return effect.column, -1.0 if kind == "below" or value is False else 1.0


def _draw_shared(directions: Mapping[Pair, float], rng: np.random.Generator) -> dict[str, float]:
    """Draw the effect of each term that all techniques share: signed, 0 where it does nothing."""
    known: dict[str, float] = {}
    for (_, term), sign in directions.items():
        known[term] = known.get(term, 0.0) + sign
    sizes = {}
    for term in expand_terms(pd.DataFrame({column.name: [None] for column in BUILT_IN.model_columns})):
        size, sign, active = abs(rng.normal()), rng.choice([-1.0, 1.0]), rng.random() < 1 / 3
        if known.get(term):
            sizes[term] = float(np.sign(known[term]) * (0.3 + size))
        else:
            sizes[term] = float(0.6 * sign * size) if active else 0.0
    return sizes


def _draw_technique(
    technique: str, signs: Mapping[str, float], sizes: Mapping[str, float], rng: np.random.Generator
) -> Effects:
    seed = FOREIGN_SEED + zlib.crc32(technique.encode()) % 10_000
    reference, _ = simulate_cohort(
        techniques=[technique], episodes_per_technique=REFERENCE_SIZE, seed=seed, assumptions=OPEN
    )
    terms = {
        name: values
        for name, values in expand_terms(reference.episodes).items()
        if np.isfinite(values).any() and np.nanstd(values) > 0
    }
    slopes = {}
    for name in terms:
        varied = np.exp(rng.normal(scale=0.4))
        absent = rng.random() < 0.5
        sign = signs.get(name)
        if sign is not None:
            slopes[name] = sign * abs(sizes[name] or 0.3) * varied
        elif sizes[name] and not absent:
            slopes[name] = sizes[name] * varied
    raw = Effects(
        centres={name: float(np.nanmean(values)) for name, values in terms.items()},
        scales={name: float(np.nanstd(values)) for name, values in terms.items()},
        slopes=slopes,
        products=_draw_products(list(terms), slopes, rng),
        steps=_draw_steps([name for name in terms if _is_number(name)], rng),
    )
    return _scale(raw, reference.episodes, rng)


def _draw_products(
    terms: Sequence[str], slopes: Mapping[str, float], rng: np.random.Generator
) -> tuple[tuple[str, str, float], ...]:
    """Draw pairs of which at least one acts by itself."""
    acting = list(slopes)
    products = []
    for _ in range(N_PRODUCTS):
        first = str(rng.choice(acting))
        second = str(rng.choice([name for name in terms if name.partition("=")[0] != first.partition("=")[0]]))
        products.append((first, second, float(rng.choice([-1.0, 1.0]) * rng.uniform(0.8, 1.6))))
    return tuple(products)


def _draw_steps(numbers: Sequence[str], rng: np.random.Generator) -> tuple[tuple[str, float, float], ...]:
    chosen = rng.permutation(list(numbers))[:N_STEPS]
    return tuple(
        (str(name), float(rng.uniform(-0.7, 0.7)), float(rng.choice([-1.0, 1.0]) * rng.uniform(1.5, 3.0)))
        for name in chosen
    )


def _scale(raw: Effects, reference: pd.DataFrame, rng: np.random.Generator) -> Effects:
    total = raw.log_odds(reference)
    factor = float(rng.uniform(*SPREADS) / total.std())
    prevalence = float(rng.uniform(*PREVALENCES))
    intercept = brentq(lambda shift: float(expit(shift + factor * total).mean()) - prevalence, -30.0, 30.0)
    parts = {name: getattr(raw, name) for name in ("centres", "scales", "slopes", "products", "steps")}
    return Effects(**parts, intercept=float(intercept), factor=factor)


def _is_number(term: str) -> bool:
    return term in EPISODES and EPISODES[term].type == "number"


def _count_visits(technique: str) -> int:
    months = simulated_records(technique)[0].curve or {}
    return sum(month <= primary_horizon(technique) for month in months)


def describe_world(n: int = 20_000) -> pd.DataFrame:
    """Describe each technique: its columns, the signs turned round, the prevalence and the highest AUROC."""
    directions = {(name, term): sign for name in simulated_techniques() for term, sign in list_directions(name).items()}
    rows = []
    for technique, effects in draw_world().items():
        complete, _ = simulate_cohort(techniques=[technique], episodes_per_technique=n, seed=1, assumptions=OPEN)
        outcome, probability = draw_foreign(technique, complete.episodes, np.random.default_rng(1))
        own = {term: sign for (one, term), sign in directions.items() if one == technique and term in effects.slopes}
        turned = sum(np.sign(effects.slopes[term]) != sign for term, sign in own.items())
        linear = Effects(centres=effects.centres, scales=effects.scales, slopes=effects.slopes, products=(), steps=())
        share = np.corrcoef(linear.log_odds(complete.episodes), effects.log_odds(complete.episodes))[0, 1] ** 2
        rows.append(
            {
                "technique": technique,
                "terms": len(effects.slopes),
                "with a sign": len(own),
                "turned": int(turned),
                "linear share": float(share),
                "prevalence": float(probability.mean()),
                "lost": float(np.isnan(outcome).mean()),
                "AUROC of the truth": compute_bayes_bound(probability)[0],
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    print(as_markdown(describe_world()))
