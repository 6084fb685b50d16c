"""Applicability domain: flag patients who are unlike the training cohort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2
from sklearn.covariance import LedoitWolf

from paincast.features import EncodedVariable, EpisodeEncoder
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


def fit_domain(encoder: EpisodeEncoder, episodes: pd.DataFrame) -> Domain:
    """Summarise the numeric variables of the training cohort.

    Parameters
    ----------
    encoder : EpisodeEncoder
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
    numbers = _numeric_variables(encoder)
    if not numbers:
        return Domain(names=(), precision=np.empty((0, 0)))
    scores = np.nan_to_num(_scores(encoder, numbers, episodes), nan=0.0)
    precision = LedoitWolf(assume_centered=True).fit(scores).precision_
    return Domain(names=tuple(variable.name for variable in numbers), precision=np.asarray(precision))


def flag_out_of_domain(domain: Domain, encoder: EpisodeEncoder, episodes: pd.DataFrame) -> pd.Series:
    """Give the reason why each episode is outside the training cohort.

    An episode is outside if a number is more than four standard deviations from the training mean, if the Mahalanobis
    distance of its numbers exceeds that of all but 1 in 10,000 of a normal cohort, or if it has a yes/no value that
    did not occur in training.

    Parameters
    ----------
    domain : Domain
        Summary of the training cohort.
    encoder : EpisodeEncoder
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
    unseen = encoder.find_unseen(episodes)
    return explain_distance(encoder, far, unseen, squared > find_limit(len(kept)))


def find_limit(n_numbers: int) -> float:
    """Find the squared Mahalanobis distance that all but 1 in 10,000 of a normal cohort have."""
    return float(chi2.ppf(1.0 - TAIL, df=max(n_numbers, 1)))


def explain_distance(
    encoder: EpisodeEncoder, far: pd.DataFrame, unseen: pd.DataFrame, together: npt.NDArray[np.bool_]
) -> pd.Series:
    """Say in what an episode is far from the training cohort.

    Parameters
    ----------
    encoder : EpisodeEncoder
        The encoder of the model.
    far : DataFrame of bool, shape (n, n_numbers)
        Whether each number is far from the training mean.
    unseen : DataFrame of bool, shape (n, ...)
        Whether a value did not occur in training; only yes/no values count here.
    together : ndarray of bool, shape (n,)
        Whether the numbers together are far.

    Returns
    -------
    Series of str, shape (n,)
        Empty where nothing is far.
    """
    booleans = [variable.name for variable in encoder.variables_ if variable.kind == "boolean"]
    combination = pd.DataFrame({"the combination of values": together}, index=far.index)
    flags = pd.concat([far, unseen.reindex(columns=booleans, fill_value=False), combination], axis=1)
    names = [encoder.contract.label(str(name)) for name in flags.columns]
    reasons = [_explain_distance(names, row) for row in flags.to_numpy(bool)]
    return pd.Series(reasons, index=far.index, dtype="str")


def _explain_distance(names: list[str], flags: npt.NDArray[np.bool_]) -> str:
    far = [name for name, flag in zip(names, flags, strict=True) if flag]
    return f"far from the training cohort: {', '.join(far)}" if far else ""


def _numeric_variables(encoder: EpisodeEncoder) -> list[EncodedVariable]:
    return [variable for variable in encoder.variables_ if variable.kind == "number" and variable.varies]


def _scores(encoder: EpisodeEncoder, variables: list[EncodedVariable], episodes: pd.DataFrame) -> FloatArray:
    columns = [encoder.standard_scores(variable, episodes[variable.name]) for variable in variables]
    return np.column_stack(columns) if columns else np.empty((len(episodes), 0))
