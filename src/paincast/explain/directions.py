"""Compare the direction of each variable in a model with the published direction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.disclosure.groups import is_ordered, rank_values
from paincast.explain.contributions import Explanation
from paincast.explain.resampling import Resamples

FloatArray = npt.NDArray[np.float64]

MORE, LESS, UNCLEAR, UNUSED, NO_ORDER = "more", "less", "unclear", "not used", "no order"
STRONG, WEAK = "moderate or strong", "weaker"


class DirectionVerdict(StrEnum):
    """Whether a learned direction agrees with the published direction."""

    AGREES = "agrees"
    CONFLICTS = "conflicts"
    UNDECIDED = "undecided"
    UNPUBLISHED = "no published direction"


class _Learned(NamedTuple):
    """Learned direction of one contrast: of a variable, or of one level of a category against the others."""

    level: str
    direction: str
    published: str
    verdict: DirectionVerdict


def assess_directions(
    explanation: Explanation,
    resamples: Resamples,
    directions: Mapping[str, int],
    *,
    strong: Collection[str] = (),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare the direction in which each variable changes the prediction with the published direction.

    A learned direction is the slope of the contributions over the ranks of the values; for a yes/no variable, the
    difference between yes and no; for a level of a category, the difference between it and the other levels. It is
    *more* or *less* of the outcome if the interval of the slope, over patients and refits, excludes zero, and *unclear*
    otherwise.

    A conflict is a finding, not an error: the cohort may differ from the published cohorts, a variable may be a proxy
    for a correlated one, or the published direction may be wrong. Agreement is not independent confirmation if
    published directions were used to fit the model or to simulate its patients.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the cohort by the served model.
    resamples : Resamples
        From :func:`paincast.explain.resampling.resample_explanations` of the same cohort.
    directions : mapping of str to {-1, 1}
        From :func:`paincast.evidence.expected_signs.load_expected_signs`: by variable, or ``variable=level``. A
        direction on which sources contradict each other is not included and counts as not published.
    strong : collection of str
        Directions with moderate or strong evidence.
    confidence : float
        Nominal coverage of the interval of the slope.

    Returns
    -------
    DataFrame
        ``variable, evidence_direction, learned_direction, verdict, evidence_strength``; for a category the directions
        are listed by level, and a conflict in one level makes the verdict "conflicts".
    """
    rows = []
    for column, name in enumerate(explanation.contributions.columns):
        learned = _learn(explanation, resamples, column, directions, confidence)
        keys = [
            f"{name}={contrast.level}" if contrast.level else str(name) for contrast in learned if contrast.published
        ]
        rows.append(
            {
                "variable": name,
                "evidence_direction": "; ".join(
                    _format_verdict(contrast.level, contrast.published) for contrast in learned if contrast.published
                ),
                "learned_direction": "; ".join(
                    _format_verdict(contrast.level, contrast.direction) for contrast in learned
                ),
                "verdict": _join_verdicts([contrast.verdict for contrast in learned]).value,
                "evidence_strength": "" if not keys else STRONG if any(key in strong for key in keys) else WEAK,
            }
        )
    return pd.DataFrame(rows)


def list_unseen_directions(explanation: Explanation, directions: Mapping[str, int]) -> list[str]:
    """List the variables with a published direction that the model does not use, sorted by name."""
    return sorted({name.split("=")[0] for name in directions} - set(map(str, explanation.contributions.columns)))


def _learn(
    explanation: Explanation, resamples: Resamples, position: int, directions: Mapping[str, int], confidence: float
) -> list[_Learned]:
    name = str(explanation.contributions.columns[position])
    values, contribution = explanation.values[name], explanation.contributions[name].to_numpy(dtype=float)
    learned = []
    for level, key, score in _list_scores(name, values, directions):
        sign = directions.get(key, 0)
        published = {1: MORE, -1: LESS}.get(sign, "")
        slope = _find_slope(score, contribution, np.ones((1, len(score))))[0]
        drawn = _draw_slopes(score[resamples.rows], resamples, position)
        direction = _find_direction(explanation.sign * slope, explanation.sign * drawn, confidence)
        learned.append(_Learned(level, direction, published, _compare_directions(direction, published)))
    return learned or [_Learned("", NO_ORDER, "", DirectionVerdict.UNPUBLISHED)]


def _list_scores(name: str, values: pd.Series, directions: Mapping[str, int]) -> list[tuple[str, str, FloatArray]]:
    """List level, key in the directions and score of each contrast of a variable; NaN where a value is missing."""
    if is_ordered(values):
        return [("", name, rank_values(values))]
    levels = sorted(key.split("=", 1)[1] for key in directions if key.startswith(f"{name}="))
    known = values.notna().to_numpy(bool)
    return [
        (level, f"{name}={level}", np.where(known, (values == level).to_numpy(float, na_value=0.0), np.nan))
        for level in levels
    ]


def _find_slope(score: FloatArray, contribution: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute the least-squares slope of contributions over a score for each row of weights; NaN if undefined."""
    known = np.isfinite(score)
    x, y, w = score[known], contribution[known], weights[:, known]
    centred, total = x - (x.mean() if len(x) else 0.0), w.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = w @ centred / total
        spread = w @ centred**2 / total - mean**2
        slope = (w @ (centred * y) / total - mean * (w @ y) / total) / spread
    return np.asarray(np.where(spread > 1e-12, slope, np.nan), dtype=float)


def _draw_slopes(score: FloatArray, resamples: Resamples, position: int) -> FloatArray:
    drawn = np.full(len(resamples.weights), np.nan)
    for model, values in enumerate(resamples.contributions):
        chosen = resamples.model == model
        drawn[chosen] = _find_slope(score, values[:, position], resamples.weights[chosen])
    return drawn


def _find_direction(slope: float, drawn: FloatArray, confidence: float) -> str:
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(slope) or not len(known):
        return UNCLEAR
    if abs(slope) <= 1e-9 and np.abs(known).max() <= 1e-9:
        return UNUSED
    lower, upper = np.quantile(known, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    if min(lower, slope) > 1e-9:
        return MORE
    return LESS if max(upper, slope) < -1e-9 else UNCLEAR


def _compare_directions(direction: str, published: str) -> DirectionVerdict:
    if not published:
        return DirectionVerdict.UNPUBLISHED
    if direction not in (MORE, LESS):
        return DirectionVerdict.UNDECIDED
    return DirectionVerdict.AGREES if direction == published else DirectionVerdict.CONFLICTS


def _join_verdicts(verdicts: list[DirectionVerdict]) -> DirectionVerdict:
    for verdict in (DirectionVerdict.CONFLICTS, DirectionVerdict.UNDECIDED, DirectionVerdict.AGREES):
        if verdict in verdicts:
            return verdict
    return DirectionVerdict.UNPUBLISHED


def _format_verdict(level: str, direction: str) -> str:
    return f"{level}: {direction}" if level else direction
