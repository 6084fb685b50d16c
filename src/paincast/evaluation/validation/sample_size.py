"""Minimum sample sizes for developing a model and for validating one.

The anticipated AUROC is converted into a distribution of log odds: normal among those with the outcome and among those
without, with one variance, so that a logistic model of them holds exactly. Expectations are computed by quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit, ndtri

from paincast.errors import SettingsError
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]

Z_95 = 1.959963984540054
NODES = 80


def overall_risk_margin(prevalence: float, n: int) -> float:
    """Return the half width of the 95 % interval of the overall risk.

    Parameters
    ----------
    prevalence : float
        Share with the outcome.
    n : int
        Number of episodes with follow-up.

    Returns
    -------
    float
        On the probability scale.
    """
    return Z_95 * math.sqrt(prevalence * (1 - prevalence) / n)


def compute_development_sizes(
    *,
    auroc: float,
    prevalence: float,
    parameters: int,
    shrinkage: float = 0.9,
    optimism: float = 0.05,
    margin: float = 0.05,
) -> pd.DataFrame:
    """Compute how many episodes are needed to develop a model, by each of three criteria.

    Parameters
    ----------
    auroc : float
        Discrimination that can be anticipated, between 0.5 and 1.
    prevalence : float
        Share with the outcome.
    parameters : int
        Candidate predictor parameters: matrix columns, not variables.
    shrinkage : float
        Smallest global shrinkage factor that is acceptable.
    optimism : float
        Largest optimism of Nagelkerke's R² that is acceptable.
    margin : float
        Half width of the 95 % interval of the overall risk that is acceptable.

    Returns
    -------
    DataFrame
        ``criterion, n``; all three must be met.

    Raises
    ------
    SettingsError
        If a figure is out of its range.

    References
    ----------
    Riley RD et al. BMJ 2020;368:m441, doi:10.1136/bmj.m441; Riley RD et al. Stat Med 2021;40:859-864,
    doi:10.1002/sim.8806 (Cox-Snell R² from an AUROC).

    Examples
    --------
    >>> compute_development_sizes(auroc=0.75, prevalence=0.5, parameters=20)["n"].tolist()
    [869, 472, 385]
    """
    _check(auroc, prevalence, parameters)
    explained = compute_cox_snell(auroc, prevalence)
    largest = 1 - (prevalence**prevalence * (1 - prevalence) ** (1 - prevalence)) ** 2
    shrinkage_of_optimism = explained / (explained + optimism * largest)
    return _tabulate(
        {
            f"global shrinkage of at least {shrinkage:g}": _size_for_shrinkage(explained, parameters, shrinkage),
            f"optimism of Nagelkerke's R² of at most {optimism:g}": _size_for_shrinkage(
                explained, parameters, shrinkage_of_optimism
            ),
            f"overall risk to within ±{margin:g}": prevalence * (1 - prevalence) * (Z_95 / margin) ** 2,
        }
    )


def assess_sample_size(*, n: int, prevalence: float, effective_df: float | None, auroc: float) -> pd.DataFrame:
    """Compare a cohort with the sizes that the model served needs.

    Of Riley's criteria, the precision of the overall risk and the optimism of Nagelkerke's R² are kept; the number of
    candidate parameters is replaced by the effective degrees of freedom of the served model, which selection and
    penalties make far fewer. The criterion of global shrinkage is left out: a penalised model is shrunken already, and
    whether enough so is seen from the probability of its calibration slope.

    Parameters
    ----------
    n : int
        Episodes with follow-up.
    prevalence : float
        Share with the outcome.
    effective_df : float or None
        From :func:`paincast.evaluation.validation.stability.compute_effective_df`; with None only the overall risk is
        assessed.
    auroc : float
        Discrimination that can be anticipated of the technique, not that of this model.

    Returns
    -------
    DataFrame
        ``criterion, n, available, met``.

    Raises
    ------
    SettingsError
        If a figure is out of its range.

    References
    ----------
    Riley RD et al. BMJ 2020;368:m441, doi:10.1136/bmj.m441; Pavlou M et al. An evaluation of sample size requirements
    for developing risk prediction models with binary outcomes. BMC Med Res Methodol 2024;24:146,
    doi:10.1186/s12874-024-02268-5

    Examples
    --------
    >>> assess_sample_size(n=400, prevalence=0.5, effective_df=9.3, auroc=0.7)["n"].tolist()
    [245, 385]
    """
    parameters = max(1, math.ceil(effective_df or 0.0))
    sizes = compute_development_sizes(auroc=auroc, prevalence=prevalence, parameters=parameters).iloc[1:]
    if effective_df is None:
        sizes = sizes.iloc[1:]
    else:
        beside = f" with {effective_df:.3g} effective degrees of freedom at an AUROC of {auroc:g}"
        sizes = sizes.assign(criterion=sizes["criterion"] + np.where(np.arange(len(sizes)) == 0, beside, ""))
    return sizes.assign(available=n, met=sizes["n"] <= n).reset_index(drop=True)


def compute_validation_sizes(*, auroc: float, prevalence: float, precision: float = 0.1) -> pd.DataFrame:
    """Compute how many episodes are needed to validate a model in another cohort.

    Parameters
    ----------
    auroc : float
        Discrimination that can be anticipated, between 0.5 and 1; the model is taken as calibrated.
    prevalence : float
        Share with the outcome.
    precision : float
        Standard error of the calibration slope and of ln(O/E), and width of the 95 % interval of the AUROC.

    Returns
    -------
    DataFrame
        ``criterion, n``; all three must be met.

    Raises
    ------
    SettingsError
        If a figure is out of its range.

    References
    ----------
    Riley RD et al. Stat Med 2021;40:4230-4251, doi:10.1002/sim.9025; Riley RD et al. Evaluation of clinical prediction
    models (part 3): calculating the sample size required for an external validation study. BMJ 2024;384:e074821,
    doi:10.1136/bmj-2023-074821; Newcombe RG. Stat Med 2006;25:559-573, doi:10.1002/sim.2324 (standard error of the
    AUROC).

    Examples
    --------
    >>> compute_validation_sizes(auroc=0.75, prevalence=0.5)["n"].tolist()
    [648, 100, 364]
    """
    _check(auroc, prevalence, 1)
    weight: Callable[[FloatArray], FloatArray] = lambda log_odds: expit(log_odds) * expit(-log_odds)  # noqa: E731
    intercept = _expect(weight, auroc, prevalence)
    cross = _expect(lambda log_odds: log_odds * weight(log_odds), auroc, prevalence)
    slope = _expect(lambda log_odds: log_odds**2 * weight(log_odds), auroc, prevalence)
    return _tabulate(
        {
            f"standard error of the calibration slope of at most {precision:g}": intercept
            / (precision**2 * (intercept * slope - cross**2)),
            f"standard error of ln(O/E) of at most {precision:g}": (1 - prevalence) / (prevalence * precision**2),
            f"95 % interval of the AUROC no wider than {precision:g}": _size_for_auroc(auroc, prevalence, precision),
        }
    )


def compute_cox_snell(auroc: float, prevalence: float) -> float:
    """Compute the Cox-Snell R² that a calibrated model of a given AUROC has.

    Parameters
    ----------
    auroc : float
        Between 0.5 and 1.
    prevalence : float
        Share with the outcome.

    Returns
    -------
    float
    """
    entropy = -_expect(_compute_entropy, auroc, prevalence)
    null = -float(_compute_entropy(np.array(logit(prevalence))))
    return 1 - math.exp(-2 * (entropy - null))


def _compute_entropy(log_odds: FloatArray) -> FloatArray:
    """Compute the log loss that is expected of log odds that are right."""
    return compute_log_loss(log_odds, expit(log_odds))


def _expect(function: Callable[[FloatArray], FloatArray], auroc: float, prevalence: float) -> float:
    """Take the expectation of a function of the log odds over patients with and without the outcome."""
    distance = math.sqrt(2) * float(ndtri(auroc))
    scores, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    without = logit(prevalence) + distance * scores - distance**2 / 2
    values = prevalence * function(without + distance**2) + (1 - prevalence) * function(without)
    return float(weights @ values)


def _size_for_shrinkage(explained: float, parameters: int, shrinkage: float) -> float:
    return parameters / ((shrinkage - 1) * math.log(1 - explained / shrinkage))


def _size_for_auroc(auroc: float, prevalence: float, width: float) -> float:
    """Solve Newcombe's variance, which is a x n + b over n squared, for the n that gives the width."""
    below, above = (1 - auroc) / (2 - auroc), auroc / (1 + auroc)
    factor = auroc * (1 - auroc) / (prevalence * (1 - prevalence) * (width / (2 * Z_95)) ** 2)
    slope, constant = (below + above) / 2, 1 - below - above
    return (factor * slope + math.sqrt((factor * slope) ** 2 + 4 * factor * constant)) / 2


def _check(auroc: float, prevalence: float, parameters: int) -> None:
    if not 0.5 < auroc < 1:
        raise SettingsError(f"auroc={auroc:g} is not allowed; give a number between 0.5 and 1", code="PC-EVALUATION-30")
    if not 0 < prevalence < 1:
        raise SettingsError(
            f"prevalence={prevalence:g} is not allowed; give a share between 0 and 1", code="PC-EVALUATION-31"
        )
    if parameters < 1:
        raise SettingsError(f"parameters={parameters} is not allowed; give at least 1", code="PC-EVALUATION-32")


def _tabulate(sizes: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({"criterion": list(sizes), "n": [math.ceil(size) for size in sizes.values()]})
