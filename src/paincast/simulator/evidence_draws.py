"""Probabilities of reference patients under draws from the uncertainty of the evidence.

No outcome is simulated. The same patients are simulated twice, completely and as a registry would record them; a draw
moves the level of every record and all of its odds ratios, and the intercepts are solved anew, so that the share of
responders of each record is the one that was drawn. A model that follows these probabilities therefore knows what
studies disagree about, and carries no noise of simulated outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from paincast.errors import RefusalError
from paincast.evidence.figures import PredictorEffect, Record
from paincast.evidence.records import simulated_records
from paincast.evidence.scenarios import shift_intervals
from paincast.schema import EPISODES
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.course.response import PAIN, PAIN_30, transform_column
from paincast.simulator.generator import simulate_cohort
from paincast.simulator.population.marginals import Columns
from paincast.simulator.population.sites import FloatArray, Truths
from paincast.simulator.truth import Truth

REFERENCE_PATIENTS = 3000
"""Episodes of a technique on which draws are computed. Half as many give the same widths within 2 %."""

DRAWS = 300
"""Draws of the evidence: a covariance needs several times as many as a model has columns."""

MINIMUM_LEVEL_SD = 0.8
"""Least standard deviation, in log odds, of the level of a record. It is that of an assumed share: on the one published
set of patients with individual data and a curve, the observed share lay beyond the interval of a new study."""

LEVEL_CORRELATION = 0.7
"""Correlation of the levels of two records of a technique: their studies share definitions, years and selection."""

LINK_SDS: Mapping[str, float] = MappingProxyType({"shift": 0.5, "strength": 0.25, PAIN_30: 0.3})
"""Standard deviations of what is assumed of outcomes other than half relief: the distance of their level in log odds,
the logarithm of the relative strength of effects, and the distance in log odds of 30 % from 50 % relief."""

_SETTLED = 1e-9
_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class ReferencePatients:
    """Simulated patients of a technique.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        As a registry would record them, with missing values.
    complete : DataFrame of shape (n, ...)
        The same without missing values.
    truth : Truth
        Their probabilities if the evidence held as it is pooled.
    """

    episodes: pd.DataFrame
    complete: pd.DataFrame
    truth: Truth


@dataclass(frozen=True, kw_only=True)
class EvidenceDraws:
    """Probabilities of an outcome at a month under draws of the evidence.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Reference patients in the denominator of the outcome, as recorded.
    log_odds : ndarray of shape (n, n_draws)
        Log odds of the outcome of each patient under each draw.
    """

    episodes: pd.DataFrame
    log_odds: FloatArray


@lru_cache(maxsize=4)
def simulate_reference_patients(technique: str, scenario: str) -> ReferencePatients:
    """Simulate the patients on whom draws are computed: always the same for a technique and a scenario.

    Raises
    ------
    RefusalError
        If the technique has no response curve.
    """
    assumptions = Assumptions()
    complete_records = replace(assumptions, missing=dict.fromkeys(assumptions.missing, 0.0), missing_other=0.0)
    (recorded, truth), (complete, _) = (
        simulate_cohort(
            techniques=[technique],
            episodes_per_technique=REFERENCE_PATIENTS,
            scenario=scenario,
            seed=assumptions.reference_seed,
            assumptions=assumed,
        )
        for assumed in (assumptions, complete_records)
    )
    return ReferencePatients(episodes=recorded.episodes, complete=complete.episodes, truth=truth)


def list_drawn_outcomes() -> tuple[str, ...]:
    """List the outcomes of which the evidence can be drawn: those at a visit."""
    return (PAIN, PAIN_30, *Assumptions().outcome_links)


def list_months(technique: str) -> tuple[float, float]:
    """Give the first and the last month at which every curve of a technique says something.

    Raises
    ------
    RefusalError
        If it has no response curve.
    """
    curves = [record.response.months for record in simulated_records(technique) if record.response]
    return max(min(curve) for curve in curves), min(max(curve) for curve in curves)


def require_month(technique: str, month: float) -> None:
    """Require that every curve of a technique says something of a month.

    Raises
    ------
    RefusalError
        If the technique has no curve, or the month lies outside.
    """
    first, last = list_months(technique)
    if not first <= month <= last:
        raise RefusalError(
            f"{technique}: the evidence tells of month {first:g} to {last:g}, not of month {month:g}",
            code="PC-SIMULATOR-50",
        )


def draw_evidence(
    technique: str, outcome: str, month: float, *, scenario: str, rng: np.random.Generator, draws: int = DRAWS
) -> EvidenceDraws:
    """Draw the evidence on an outcome at a month.

    Parameters
    ----------
    technique : str
        A technique with a response curve.
    outcome : str
        One of :func:`list_drawn_outcomes`.
    month : float
        Between the months of :func:`list_months`; between two months of a curve, log odds are linear in the logarithm
        of the month.
    scenario : str
        Where the levels are centred.
    rng : numpy.random.Generator
        Source of the draws.
    draws : int
        Number of draws.

    Returns
    -------
    EvidenceDraws
        Levels are normal on the log odds, with the standard deviation of a new study's share and at least
        :data:`MINIMUM_LEVEL_SD`, correlated by :data:`LEVEL_CORRELATION` between the records of the technique. Log
        odds ratios are normal around the record's estimate; a predictor has one draw in all records.

    Raises
    ------
    RefusalError
        If the technique has no curve, the month lies outside it, or the outcome needs a measure that is not recorded.
    """
    patients = simulate_reference_patients(technique, scenario)
    log_odds = np.full((len(patients.episodes), draws), np.nan)
    for record in draw_records(technique, outcome, [month], scenario=scenario, rng=rng, draws=draws):
        log_odds[record.rows] = record.intercepts[0] + record.offset
    drawn = ~np.isnan(log_odds[:, 0])
    return EvidenceDraws(episodes=patients.episodes.loc[drawn], log_odds=log_odds[drawn])


class RecordDraws(NamedTuple):
    """Draws of one record: ``log odds = intercepts + offset``.

    Parameters
    ----------
    rows : ndarray of bool, shape (n,)
        The reference patients of the record.
    intercepts : ndarray of shape (n_months, n_draws)
        By month.
    offset : ndarray of shape (n_rows, n_draws)
        The rest of each patient's log odds, the same at all months.
    """

    rows: Truths
    intercepts: FloatArray
    offset: FloatArray


def draw_records(
    technique: str, outcome: str, months: Sequence[float], *, scenario: str, rng: np.random.Generator, draws: int
) -> Iterator[RecordDraws]:
    """Draw the evidence of each record at some months; a draw moves the levels of all months alike.

    Parameters and errors are those of :func:`draw_evidence`.
    """
    for month in months:
        require_month(technique, month)
    patients = simulate_reference_patients(technique, scenario)
    options = patients.truth.options
    options = options[(options["technique"] == technique) & (options["outcome"] == outcome)]
    if options.empty:
        raise RefusalError(
            f"{technique}: the evidence tells nothing of {outcome}, which needs a measure that is not recorded",
            code="PC-SIMULATOR-51",
        )
    link_rng, level_rng, effect_rng = rng.spawn(3)
    shift, strength = _draw_link(outcome, draws, link_rng)
    common = level_rng.standard_normal(draws)
    scores = _draw_scores(technique, draws, effect_rng)
    in_denominator = patients.truth.episodes["opioid_user"].to_numpy(bool) | (outcome != "opioid_reduction")
    for record, own in zip(records := simulated_records(technique), level_rng.spawn(len(records)), strict=True):
        rows = _find_rows(patients, options, record) & in_denominator
        if rows.any():
            level = np.sqrt(LEVEL_CORRELATION) * common
            level = level + np.sqrt(1.0 - LEVEL_CORRELATION) * own.standard_normal(draws)
            sds = _list_level_sds(record, scenario)
            moved = [shift + level * interpolate(sds, month) for month in months]
            yield _draw_record(record, patients, options, rows, months, moved, strength, scores)


def interpolate(by_month: Mapping[float, float], month: float) -> float:
    """Interpolate linearly in the logarithm of the month.

    Examples
    --------
    >>> interpolate({1.0: 0.0, 4.0: 2.0}, 2.0)
    1.0
    """
    months = sorted(by_month)
    return float(np.interp(math.log(month), np.log(months), [by_month[known] for known in months]))


def _draw_link(outcome: str, draws: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Draw how far the level of an outcome lies from where it is assumed, and the factor of its effects."""
    shifts, strengths = rng.standard_normal((2, draws))
    if outcome == PAIN:
        return np.zeros(draws), np.ones(draws)
    if outcome == PAIN_30:
        return LINK_SDS[PAIN_30] * shifts, np.ones(draws)
    return LINK_SDS["shift"] * shifts, np.exp(LINK_SDS["strength"] * strengths)


def _draw_scores(technique: str, draws: int, rng: np.random.Generator) -> Mapping[tuple[str, str, object], FloatArray]:
    """Draw a normal score of each predictor, the same in all records of the technique."""
    keys = {_key(effect): None for record in simulated_records(technique) for effect in record.predictors}
    return {key: rng.standard_normal(draws) for key in keys}


def _key(effect: PredictorEffect) -> tuple[str, str, object]:
    return effect.column, effect.transform.kind, effect.transform.value


def _find_rows(patients: ReferencePatients, options: pd.DataFrame, record: Record) -> Truths:
    """Find the patients whose received option has the record."""
    own = options.loc[options["record"] == record.id, ["indication", "option"]].drop_duplicates()
    received = pd.MultiIndex.from_frame(patients.truth.episodes[["indication", "option"]])
    return np.asarray(received.isin(pd.MultiIndex.from_frame(own)))


def _list_level_sds(record: Record, scenario: str) -> dict[float, float]:
    width = 2.0 * float(ndtri(0.975))
    return {
        month: max(float(logit(upper) - logit(lower)) / width, MINIMUM_LEVEL_SD)
        for month, (lower, upper) in shift_intervals(record, scenario).items()
    }


def _draw_record(
    record: Record,
    patients: ReferencePatients,
    options: pd.DataFrame,
    rows: Truths,
    months: Sequence[float],
    moved: Sequence[FloatArray],
    strength: FloatArray,
    scores: Mapping[tuple[str, str, object], FloatArray],
) -> RecordDraws:
    """Compute the log odds of the patients of a record under each draw; ``moved`` is by month."""
    own = options[options["record"] == record.id].drop_duplicates(["month"])
    by_month = dict(zip(own["month"], own["intercept"], strict=True))
    relative = float(own["strength"].iloc[0])
    shared = patients.truth.episodes.loc[rows, "shared"].to_numpy(float)[:, None]
    known, drawn = _sum_effects(record, make_simulator_columns(patients.complete.loc[rows]), scores)
    centre = relative * known[:, None] + shared
    offset = relative * strength * drawn + shared
    intercepts = []
    for month, distance in zip(months, moved, strict=True):
        intercept = interpolate(by_month, month)
        share = expit(intercept + centre).mean()
        # On these patients the intercept of the pooled evidence is the known one: only the distance from it is solved.
        known_intercept = _solve(np.array([logit(share)]), centre)[0]
        intercepts.append(intercept - known_intercept + _solve(logit(share) + distance, offset))
    return RecordDraws(rows, np.array(intercepts), np.asarray(offset))


def _sum_effects(
    record: Record, columns: Columns, scores: Mapping[tuple[str, str, object], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Sum the effects of a record's predictors: as they are pooled, shape (n,), and under each draw, (n, n_draws)."""
    n = len(columns["age_years"])
    known, drawn = np.zeros(n), np.zeros((n, len(next(iter(scores.values()), np.empty(0)))))
    for effect in record.predictors:
        if effect.kind == "effect_modifier" or effect.column not in columns:
            continue
        value = transform_column(effect, columns, record, Assumptions()).astype(float)
        known += math.log(effect.odds_ratio) * value
        drawn += np.outer(value, math.log(effect.odds_ratio) + effect.sd * scores[_key(effect)])
    return known, drawn


def make_simulator_columns(episodes: pd.DataFrame) -> Columns:
    """Convert complete episodes to the columns in which odds ratios hold; columns that nobody has are left out."""
    columns: Columns = {}
    for name in episodes.columns[episodes.notna().all()]:
        column = EPISODES[name]
        if column.type == "category":
            columns[name] = np.array([column.categories.index(value) for value in episodes[name]], dtype=np.int8)
        elif column.type == "boolean":
            columns[name] = episodes[name].to_numpy(bool)
        elif column.type in ("number", "integer"):
            columns[name] = episodes[name].to_numpy(np.float32)
    return columns


def _solve(log_odds: FloatArray, offset: FloatArray) -> FloatArray:
    """Solve the intercepts at which the mean probability over patients has the given log odds, by Newton's method.

    Parameters
    ----------
    log_odds : ndarray of shape (n_draws,)
        Of the share of responders.
    offset : ndarray of shape (n, n_draws)
        The rest of each patient's log odds.
    """
    intercept: FloatArray = log_odds - offset.mean(axis=0)
    for _ in range(_STEPS):
        probability = expit(intercept + offset)
        mean = probability.mean(axis=0)
        step = (logit(mean) - log_odds) * mean * (1.0 - mean) / (probability * (1.0 - probability)).mean(axis=0)
        intercept = intercept - step
        if np.abs(step).max() < _SETTLED:
            break
    return intercept
