"""The reasons of an answer: known values whose direction is certain enough, and what unknown values could change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.deferred import special
from paincast.explain.contributions import Explanation, format_value, sum_by_variable
from paincast.models.serialization import Response

Reason = dict[str, str | float]

LEAST_CERTAINTY = 0.9
"""Least posterior probability of the sign of a contribution for which it is told as a reason."""

MOST_MISSING = 5
"""Unknown values that are listed for a patient where no other number is asked."""

LEAST_REACH = 0.005
"""Smallest change, in the unit of the contributions, for which an unknown value is listed."""

MOST_MISSING = 5
"""Most unknown values that are listed of a patient."""


def find_certain(response: Response, episodes: pd.DataFrame, explanation: Explanation) -> npt.NDArray[np.bool_]:
    """Find the contributions whose sign has a posterior probability of at least nine in ten.

    Without a prior, it is the share of the refits that have the sign. A model with a prior believes to some degree that
    no recorded value matters; ``effect_weight`` is the rest. That degree decides whether reasons are told at all;
    of those that are, the sign is asked given that values matter. Contributions are then normal, with the mean and
    variance that leave those of all draws when contributions of 0 are mixed in to the degree of that belief.

    Parameters
    ----------
    response : Response
        The model; its refits stand for draws from the posterior of its coefficients.
    episodes : DataFrame of shape (n, ...)
        Episodes in the types of the contract.
    explanation : Explanation
        Of the same model and episodes.

    Returns
    -------
    ndarray of bool, shape (n, n_variables)
        True everywhere for a model without refits, such as one of an earlier version; False everywhere for a model
        that tells patients apart no better than the overall risk does.
    """
    if not response.shows_reasons:
        return np.zeros(explanation.contributions.shape, dtype=bool)
    served = explanation.contributions.to_numpy(dtype=float)
    agreeing, squares, n_refits = np.zeros(served.shape), np.zeros(served.shape), 0
    for _, encoded in response.refit_contributions(episodes):
        drawn = sum_by_variable(response, encoded)
        agreeing += np.sign(drawn) == np.sign(served)
        squares += (drawn - served) ** 2
        n_refits += 1
    weight = response.effect_weight
    if weight == 1.0 or not n_refits:
        return np.asarray(agreeing >= LEAST_CERTAINTY * n_refits)
    expected = served / weight
    variance = np.maximum(squares / n_refits - weight * (1.0 - weight) * expected**2, 0.0) / weight
    return np.asarray((served != 0.0) & (np.abs(expected) >= special.ndtri(LEAST_CERTAINTY) * np.sqrt(variance)))


def list_reasons(
    explanation: Explanation, certain: npt.NDArray[np.bool_] | None = None, *, most: int = 3
) -> tuple[list[list[Reason]], list[list[Reason]]]:
    """List each patient's strongest reasons for and against the outcome; a missing value is never one.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the patients.
    certain : ndarray of bool, shape (n, n_variables), optional
        Contributions that may be told (:func:`find_certain`); by default all.
    most : int
        Maximum number of reasons for, and of reasons against.

    Returns
    -------
    reasons_for, reasons_against : list of length n
        Each a list of ``{"variable", "value", "log_odds"}`` (``"points"`` for a change of pain), the strongest first.
        "For" means towards a higher probability or, for a change of pain, towards less pain.
    """
    names = list(explanation.contributions.columns)
    columns = [explanation.contract.episodes[name] for name in names]
    values = [
        [format_value(column, value) for column, value in zip(columns, row, strict=True)]
        for row in explanation.values.itertuples(index=False, name=None)
    ]
    told = explanation.values.notna().to_numpy(bool)
    if certain is not None:
        told = told & certain
    contributions = np.where(told, explanation.sign * explanation.contributions.to_numpy(), 0.0)
    order = np.argsort(-contributions, axis=1, kind="stable")

    def pick(row: int, chosen: npt.NDArray[np.intp], sign: float) -> list[Reason]:
        return [
            {
                "variable": names[j],
                "value": values[row][j],
                explanation.unit: round(float(explanation.sign * contributions[row, j]), 6),
            }
            for j in chosen
            if sign * contributions[row, j] > 0
        ]

    upward = [pick(row, order[row][:most], 1.0) for row in range(len(values))]
    downward = [pick(row, order[row][::-1][:most], -1.0) for row in range(len(values))]
    return upward, downward


def list_missing(
    explanation: Explanation,
    variances: Mapping[str, float],
    level: float,
    *,
    scale: npt.NDArray[np.float64] | None = None,
    most: int = MOST_MISSING,
) -> list[list[Reason]]:
    """List each patient's unknown values, and how wide the contribution is that each could have.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the patients.
    variances : mapping of str to float
        By variable, the variance of its contribution among training patients whose value is known.
    level : float
        Level of the half-width that is given.
    scale : ndarray of shape (n,), optional
        What the standard deviations are multiplied by for each patient; by default 1.
    most : int
        Maximum number for a patient.

    Returns
    -------
    list of length n
        Each a list of ``{"variable", "log_odds"}`` (``"points"`` for a change of pain): half the width of the interval
        of the contribution that the value could have, the widest first.
    """
    names = [name for name in explanation.values.columns if variances.get(name)]
    reach = np.array([special.ndtri(0.5 + level / 2.0) * np.sqrt(variances[name]) for name in names])
    listed = [place for place in np.argsort(-reach, kind="stable") if reach[place] >= LEAST_REACH]
    missing = explanation.values[names].isna().to_numpy(bool)
    scales = np.ones(len(missing)) if scale is None else scale
    return [
        [
            {"variable": names[place], explanation.unit: round(float(reach[place] * by), 6)}
            for place in [place for place in listed if row[place]][:most]
        ]
        for row, by in zip(missing, scales, strict=True)
    ]
