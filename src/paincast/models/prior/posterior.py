"""Update a prior by patients: components that believe more or less of the evidence, averaged by marginal likelihood.

Every component is a Gaussian prior over the level and the coefficients of one logistic model. Its posterior is
approximated at the mode [1]_; components are weighted by their prior weight times their marginal likelihood [2]_. Level
and effects have scales of their own, because on the one published set of patients with a curve both were wrong.

References
----------
.. [1] Tierney L, Kadane JB. J Am Stat Assoc 1986;81:82-6. doi:10.1080/01621459.1986.10478240
.. [2] Hoeting JA et al. Bayesian model averaging: a tutorial. Stat Sci 1999;14:382-417. doi:10.1214/ss/1009212519
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.linalg import block_diag, cho_factor, cho_solve
from scipy.special import expit, softmax

from paincast.models.beliefs import EVIDENCE, NO_EFFECT, OVERALL_RISK, UNKNOWN_EFFECTS, WITHOUT_DIFFERENCE
from paincast.models.prior.gaussian import UNTOLD_SD, EvidencePrior, make_design
from paincast.statistics import compute_log_loss

FloatArray = npt.NDArray[np.float64]

BELIEFS = {EVIDENCE: 0.6, UNKNOWN_EFFECTS: 0.14, NO_EFFECT: 0.1, OVERALL_RISK: 0.16}
"""Prior weights of the components. On the one published set with a curve no published effect held, and with more weight
on the evidence its patients were predicted worse than by their overall risk (`benchmarks/honesty.py real`)."""

WITHOUT_EFFECTS = {UNKNOWN_EFFECTS: 0.4, NO_EFFECT: 0.2, OVERALL_RISK: 0.4}
"""The same where the evidence tells of the level alone."""

LEVEL_SCALES = {1.0: 0.95, 2.0: 0.05}
"""Factors of the standard deviation of the level, with their weights: never below what studies disagree about."""

EFFECT_SCALES = {0.5: 0.2, 1.0: 0.6, 2.0: 0.2}
"""Factors of the standard deviations of the effects, with their weights."""

UNKNOWN_SDS = {0.1: 0.4, 0.3: 0.6}
"""Standard deviations of an effect of which the evidence knows nothing, per unit of its column, with their weights."""

FEWEST_OF_SITE = 5
"""Sites with fewer patients share the level of all."""

_SETTLED = 1e-6
_SLACK = 1e-9
_STEPS = 60


class Component(NamedTuple):
    """A prior with a name.

    Parameters
    ----------
    name : str
        What it believes.
    weight : float
        Prior weight.
    mean : ndarray of shape (n_free,)
        Expected level and coefficients.
    covariance : ndarray of shape (n_free, n_free)
        Their covariance; the overall risk has the level alone.
    """

    name: str
    weight: float
    mean: FloatArray
    covariance: FloatArray


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Patients with a known outcome, encoded.

    Parameters
    ----------
    matrix : ndarray of shape (n, n_encoded)
        Columns of the encoder of the prior.
    outcome, weights : ndarray of shape (n,)
        0 or 1, and weights.
    sites : ndarray of shape (n,)
        Number of the site of each row; -1 where it is unknown.
    site_sd : float
        Standard deviation of the effects of sites.
    visits : ndarray of int, shape (n,), optional
        For a duration, the number of the visit at which the row is at risk; a patient has a row for each.
    """

    matrix: FloatArray
    outcome: FloatArray
    weights: FloatArray
    sites: npt.NDArray[np.intp]
    site_sd: float
    visits: npt.NDArray[np.intp] | None = None

    def take(self, rows: npt.NDArray[np.intp]) -> Rows:
        """Keep some rows."""
        return replace(
            self,
            matrix=self.matrix[rows],
            outcome=self.outcome[rows],
            weights=self.weights[rows],
            sites=self.sites[rows],
            visits=None if self.visits is None else self.visits[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Level and coefficients after patients were seen: mean and covariance of the mixture of all components.

    Parameters
    ----------
    mean : ndarray of shape (n_levels + n_coefficients,)
        Log odds of the mean patient, and coefficients.
    covariance : ndarray of shape (n_levels + n_coefficients, n_levels + n_coefficients)
        Their covariance.
    weights : mapping of str to float
        Posterior weight of each belief.
    evidence_share : float
        Part of the mean variance of patients' log odds that comes from the prior and from the disagreement of the
        components; the rest is chance among the patients who were seen.
    """

    mean: FloatArray
    covariance: FloatArray
    weights: dict[str, float]
    evidence_share: float

    @property
    def tells_patients_apart(self) -> bool:
        """Whether no effect and the overall risk together weigh less than half."""
        return sum(self.weights[belief] for belief in WITHOUT_DIFFERENCE) < 0.5


def list_components(prior: EvidencePrior) -> list[Component]:
    """List the components of a prior; their weights add up to 1."""
    beliefs = BELIEFS if prior.has_effects else WITHOUT_EFFECTS
    return [
        Component(belief, level_weight * weight * share, mean, covariance)
        for (level_scale, level_weight), (belief, weight) in product(LEVEL_SCALES.items(), beliefs.items())
        for share, mean, covariance in _list_forms(belief, prior, level_scale)
    ]


def _list_forms(
    belief: str, prior: EvidencePrior, level_scale: float
) -> Iterator[tuple[float, FloatArray, FloatArray]]:
    """List the forms that a belief takes: the share of each, its mean and its covariance."""
    spreads, n_levels = prior.spreads, prior.n_levels
    if belief == EVIDENCE:
        for scale, share in EFFECT_SCALES.items():
            factors = np.concatenate([np.full(n_levels, level_scale), np.full(len(spreads), scale)])
            yield share, prior.mean, np.outer(factors, factors) * prior.covariance
        return
    level, variance = prior.mean[:n_levels], level_scale**2 * prior.covariance[:n_levels, :n_levels]
    if belief == OVERALL_RISK:
        yield 1.0, level, variance
        return
    for sd, share in (UNKNOWN_SDS if belief == UNKNOWN_EFFECTS else {UNTOLD_SD: 1.0}).items():
        yield share, _extend(level, n_levels + len(spreads)), block_diag(variance, np.diag((sd / spreads) ** 2))


class Fit(NamedTuple):
    """A component after patients were seen; ``chance`` is the part of the covariance that is chance among them."""

    marginal: float
    mode: FloatArray
    covariance: FloatArray
    chance: FloatArray


def update_prior(prior: EvidencePrior, rows: Rows | None) -> Posterior:
    """Update a prior by patients.

    Parameters
    ----------
    prior : EvidencePrior
        What is known before.
    rows : Rows, optional
        Patients; without any, the posterior is the mixture of the components.

    Returns
    -------
    Posterior
    """
    components = list_components(prior)
    fits = [fit_component(component, prior, rows) for component in components]
    beliefs = np.log([component.weight for component in components])
    weights = softmax(beliefs + [fit.marginal for fit in fits])
    n = len(prior.mean)
    modes = np.array([_extend(fit.mode, n) for fit in fits])
    mean = weights @ modes
    covariance, chance = np.zeros((2, n, n))
    for weight, mode, fit in zip(weights, modes, fits, strict=True):
        size = len(fit.mode)
        covariance[:size, :size] += weight * fit.covariance
        covariance += weight * np.outer(mode - mean, mode - mean)
        chance[:size, :size] += weight * fit.chance
    by_name: dict[str, float] = {}
    for weight, component in zip(weights, components, strict=True):
        by_name[component.name] = by_name.get(component.name, 0.0) + float(weight)
    total = float((prior.metric * covariance).sum())
    evidence_share = 1.0 - float((prior.metric * chance).sum()) / total
    return Posterior(mean=mean, covariance=covariance, weights=by_name, evidence_share=evidence_share)


def _extend(values: FloatArray, n: int) -> FloatArray:
    return np.concatenate([values, np.zeros(n - len(values))])


def fit_component(component: Component, prior: EvidencePrior, rows: Rows | None) -> Fit:
    """Fit a component; the effects of sites are integrated out."""
    size = len(component.mean)
    if rows is None or not len(rows.outcome):
        return Fit(0.0, component.mean, component.covariance, np.zeros((size, size)))
    n_sites = int(rows.sites.max()) + 1
    effects = make_design(rows.matrix - prior.means, rows.visits, prior.n_levels)[:, :size]
    design = np.column_stack([effects, np.equal.outer(rows.sites, np.arange(n_sites)).astype(float)])
    expected = _extend(component.mean, size + n_sites)
    precision = np.diag(np.full(size + n_sites, 1.0 / rows.site_sd**2))
    precision[:size, :size] = np.linalg.inv(component.covariance)
    mode, curvature = _find_mode(design, rows, expected, precision)
    marginal = _score(design, rows, mode, expected, precision)
    marginal += (np.linalg.slogdet(precision)[1] - np.linalg.slogdet(curvature)[1]) / 2.0
    covariance = np.asarray(np.linalg.inv(curvature), dtype=float)
    chance = covariance @ (curvature - precision) @ covariance
    return Fit(marginal, mode[:size], covariance[:size, :size], chance[:size, :size])


def _score(design: FloatArray, rows: Rows, values: FloatArray, expected: FloatArray, precision: FloatArray) -> float:
    """Compute the log likelihood plus the log density of the prior, up to its constant."""
    away = values - expected
    likelihood = -rows.weights @ compute_log_loss(design @ values, rows.outcome)
    return float(likelihood - away @ precision @ away / 2.0)


def _find_mode(
    design: FloatArray, rows: Rows, expected: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Find the posterior mode by Newton's method with halved steps, and the curvature there."""
    values, reached = expected, _score(design, rows, expected, expected, precision)
    for _ in range(_STEPS):
        probability = expit(design @ values)
        gradient = design.T @ (rows.weights * (rows.outcome - probability)) - precision @ (values - expected)
        step = cho_solve(cho_factor(_curve(design, rows, values, precision)), gradient)
        while (following := _score(design, rows, values + step, expected, precision)) < reached - _SLACK:
            step = step / 2.0
        values, reached = values + step, following
        if np.abs(step).max() < _SETTLED:
            break
    return values, _curve(design, rows, values, precision)


def _curve(design: FloatArray, rows: Rows, values: FloatArray, precision: FloatArray) -> FloatArray:
    probability = expit(design @ values)
    weighted = (rows.weights * probability * (1.0 - probability))[:, None] * design
    return np.asarray(design.T @ weighted + precision)


def draw_coefficients(posterior: Posterior, metric: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Draw level and coefficients whose mean and covariance are those of the posterior.

    The directions in which the log odds of patients vary most get a random rotation of the draws, so that mean and
    covariance are exact in them; what varies in the others is added in proportion.

    Parameters
    ----------
    posterior : Posterior
        Mean and covariance.
    metric : ndarray of shape (n_levels + n_coefficients, n_levels + n_coefficients)
        Of :class:`paincast.models.prior.gaussian.EvidencePrior`.
    draws : int
        Number of draws, at least two.
    rng : numpy.random.Generator
        Source of the rotation.

    Returns
    -------
    ndarray of shape (draws, n_levels + n_coefficients)
    """
    size = len(posterior.mean)
    root = np.linalg.cholesky(metric + 1e-9 * np.eye(size) * np.trace(metric) / size)
    variances, directions = np.linalg.eigh(root.T @ posterior.covariance @ root)
    kept = min(draws - 1, size)
    variances, directions = np.maximum(variances[::-1], 0.0), directions[:, ::-1]
    scale = variances.sum() / max(variances[:kept].sum(), np.finfo(float).tiny)
    basis = np.linalg.solve(root.T, directions[:, :kept] * np.sqrt(variances[:kept] * scale))
    constant = np.full((draws, 1), 1.0)
    rotation = np.linalg.qr(np.column_stack([constant, rng.standard_normal((draws, kept))]))[0][:, 1:]
    return np.asarray(posterior.mean + np.sqrt(draws) * rotation @ basis.T)


def code_sites(sites: pd.Series) -> npt.NDArray[np.intp]:
    """Give a code to each site that has at least :data:`FEWEST_OF_SITE` rows; all other rows get -1.

    Examples
    --------
    >>> code_sites(pd.Series(["b"] * 5 + ["a", None])).tolist()
    [0, 0, 0, 0, 0, -1, -1]
    """
    counts = sites.map(sites.value_counts())
    return np.asarray(pd.factorize(sites.where(counts >= FEWEST_OF_SITE))[0], dtype=np.intp)
