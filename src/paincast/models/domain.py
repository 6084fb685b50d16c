"""Applicability domain: flag patients who are unlike the training cohort."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paincast.contract import Contract
from paincast.deferred import pandas as pd
from paincast.deferred import stats
from paincast.features import EncodedVariable, FittedEncoder
from paincast.scoring.linear_plain import FARTHEST_SCORE

FloatArray = npt.NDArray[np.float64]

TAIL = 1e-4
"""Share of a normal training cohort that would be flagged by the combination of its numbers."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Summary of the training cohort's numbers, without patient-level values.

    Parameters
    ----------
    names : tuple of str
        Numeric variables compared.
    precision : ndarray of shape (n_names, n_names)
        Inverse of the shrunken correlation matrix of the standard scores.
    """

    names: tuple[str, ...]
    precision: FloatArray


def fit_domain(encoder: FittedEncoder, episodes: pd.DataFrame) -> Domain:
    """Summarise the numeric variables of the training cohort.

    Parameters
    ----------
    encoder : FittedEncoder
        Encoder fitted on the same episodes.
    episodes : DataFrame of shape (n, ...)
        Training episodes.

    Returns
    -------
    Domain

    References
    ----------
    Ledoit O, Wolf M. J Multivar Anal 2004;88:365-411, doi:10.1016/S0047-259X(03)00096-4.
    """
    from sklearn.covariance import LedoitWolf

    numbers = _numeric_variables(encoder)
    if not numbers:
        return Domain(names=(), precision=np.empty((0, 0)))
    scores = np.nan_to_num(_scores(encoder, numbers, episodes), nan=0.0)
    precision = LedoitWolf(assume_centered=True).fit(scores).precision_
    return Domain(names=tuple(variable.name for variable in numbers), precision=np.asarray(precision))


def flag_out_of_domain(domain: Domain, encoder: FittedEncoder, episodes: pd.DataFrame) -> pd.Series:
    """Give the reason why each episode is outside the training cohort.

    An episode is outside if a number is more than four standard deviations from the training mean, if the Mahalanobis
    distance of its numbers exceeds that of all but 1 in 10,000 of a normal cohort, or if it has a yes/no value that
    did not occur in training.

    Parameters
    ----------
    domain : Domain
        Summary of the training cohort.
    encoder : FittedEncoder
        The encoder with which the summary was fitted.
    episodes : DataFrame of shape (n, ...)
        Episodes to judge.

    Returns
    -------
    Series of str, shape (n,)
        Reasons; empty if the episode is inside.
    """
    kept = [variable for variable in _numeric_variables(encoder) if variable.name in domain.names]
    scores = _scores(encoder, kept, episodes)
    far = pd.DataFrame(
        np.abs(scores) > FARTHEST_SCORE, columns=[variable.name for variable in kept], index=episodes.index
    )
    filled = np.nan_to_num(scores, nan=0.0)
    # Without numbers, a bundle stores an empty list, which has one dimension.
    precision = domain.precision.reshape(len(kept), len(kept))
    squared = np.einsum("ij,jk,ik->i", filled, precision, filled)
    together = squared > find_limit(len(kept))
    booleans = [variable.name for variable in encoder.variables_ if variable.kind == "boolean"]
    unseen = encoder.find_unseen(episodes).reindex(columns=booleans, fill_value=False)
    flags = pd.concat([far, unseen], axis=1)
    reasons = [
        explain_distance(encoder.contract, flags.columns[row], together=is_far)
        for row, is_far in zip(flags.to_numpy(bool), together, strict=True)
    ]
    return pd.Series(reasons, index=episodes.index, dtype="str")


def find_limit(n_numbers: int) -> float:
    """Find the squared Mahalanobis distance that all but 1 in 10,000 of a normal cohort have."""
    n = max(n_numbers, 1)
    return _LIMITS[n - 1] if n <= len(_LIMITS) else float(stats.chi2.ppf(1.0 - TAIL, df=n))


# fmt: off
_LIMITS = (
    15.136705226623606, 18.420680743952584, 21.107513466160444, 23.512742444991076,
    25.74483195905612, 27.85634123601417, 29.87750390922517, 31.827628001262585,
    33.719948438964906, 35.564013941952396, 37.366986437997284, 39.13440388194981,
    40.8706550138363, 42.5792889531133, 44.26322494417528, 45.92489905111385,
    47.566369558144736, 49.18939447196683, 50.79548966562221, 52.3859732730525,
    53.96200011641196, 55.5245887757052, 57.07464313855563, 58.61296974830205,
    60.14029191162241, 61.65726127708596, 63.16446741833317, 64.66244582725025,
    66.15168462853985, 67.63263025741439, 69.10569228986758, 70.57124757534285,
    72.02964379125794, 73.48120251537499, 74.92622189370526, 76.36497896725065,
    77.79773170948854, 79.22472081741611, 80.64617129167124, 82.06229383534452,
    83.4732860963043, 84.87933377393135, 86.28061160794121, 87.6772842643059,
    89.06950713107953, 90.45742703508894, 91.84118288890748, 93.22090627623193,
    94.59672198268848, 95.96874847816385, 97.33709835596869, 98.70187873346815,
    100.0631916182339, 101.42113424328122, 102.77579937452253, 104.12727559320543,
    105.47564755577817, 106.82099623335182, 108.16339913268519, 109.50293050040497,
    110.83966151199297, 112.17366044690593, 113.50499285105408, 114.83372168773383,
)
# fmt: on
"""Quantiles of the chi-squared distribution with 1, 2, ... degrees of freedom that :data:`TAIL` of it exceeds."""


def explain_distance(contract: Contract, names: Iterable[str], *, together: bool) -> str:
    """Say in what an episode is far from the training cohort.

    Parameters
    ----------
    contract : Contract
        Declares the columns.
    names : iterable of str
        Numbers that are far from the training mean, and yes/no columns whose value did not occur in training.
    together : bool
        Whether the numbers together are far.

    Returns
    -------
    str
        Empty if nothing is far.
    """
    labels = [*(contract.label(str(name)) for name in names), *(["the combination of values"] if together else [])]
    return f"far from the training cohort: {', '.join(labels)}" if labels else ""


def _numeric_variables(encoder: FittedEncoder) -> list[EncodedVariable]:
    return [variable for variable in encoder.variables_ if variable.kind == "number" and variable.varies]


def _scores(encoder: FittedEncoder, variables: list[EncodedVariable], episodes: pd.DataFrame) -> FloatArray:
    columns = [encoder.standard_scores(variable, episodes[variable.name]) for variable in variables]
    return np.column_stack(columns) if columns else np.empty((len(episodes), 0))
