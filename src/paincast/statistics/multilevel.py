"""Fit shares by a binomial model whose log odds are a sum of normal effects, each block with a spread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit

from paincast.errors import DataError

FloatArray = npt.NDArray[np.float64]

_STEPS = 60
_TOLERANCE = 1e-9


class Block(NamedTuple):
    """Effects that share a normal prior with mean 0.

    Parameters
    ----------
    design : ndarray of shape (n, n_effects)
        What each row takes of each effect.
    scale : float
        Standard deviation of the effects or, where ``estimated``, the scale of its half-normal prior; in log odds.
    estimated : bool
        Whether the standard deviation is estimated.
    """

    design: FloatArray
    scale: float
    estimated: bool = True


class MultilevelFit(NamedTuple):
    """A fitted model.

    Parameters
    ----------
    sds : mapping of str to float
        Standard deviation of the effects of each block.
    designs : mapping of str to ndarray
        The designs of the rows that were fitted.
    residual : ndarray of shape (n,)
        Events less expected events.
    factor : ndarray of shape (n, n)
        Cholesky factor of ``I + W^1/2 K W^1/2``.
    root_weight : ndarray of shape (n,)
        Square root of the binomial information ``W``.
    """

    sds: Mapping[str, float]
    designs: Mapping[str, FloatArray]
    residual: FloatArray
    factor: FloatArray
    root_weight: FloatArray


def fit_multilevel(
    events: npt.ArrayLike, n: npt.ArrayLike, blocks: Mapping[str, Block], *, offset: npt.ArrayLike = 0.0
) -> MultilevelFit:
    """Fit a binomial model with blocks of normal effects on the log odds by the Laplace approximation.

    The standard deviations that are estimated take the mode of their marginal posterior on the log scale, with
    half-normal priors [1]_; the effects are then normal around their mode [2]_.

    Parameters
    ----------
    events, n : array-like of shape (n_rows,)
        Patients with the outcome, and patients; need not be whole numbers.
    blocks : mapping of str to Block
        Effects by name.
    offset : array-like of shape (n_rows,)
        Log odds that are known before; to be added to what is predicted.

    Returns
    -------
    MultilevelFit

    Raises
    ------
    DataError
        If there is no row, or a count is not from 0 to ``n``.

    References
    ----------
    .. [1] Röver C, Bender R, Dias S et al. On weakly informative prior distributions for the heterogeneity parameter in
       Bayesian random-effects meta-analysis. Res Synth Methods 2021;12:448-474. doi:10.1002/jrsm.1475
    .. [2] Rasmussen CE, Williams CKI. Gaussian processes for machine learning. MIT Press 2006, algorithm 3.1.
    """
    counted, total = (np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in (events, n))
    if (
        not len(counted)
        or counted.shape != total.shape
        or not ((counted >= 0) & (counted <= total) & (total > 0)).all()
    ):
        raise DataError("shares to fit: every row needs events from 0 to n, and n above 0", code="PC-STATISTICS-02")
    products = {name: block.design @ block.design.T for name, block in blocks.items()}
    estimated = [name for name, block in blocks.items() if block.estimated]
    scales = np.array([blocks[name].scale for name in estimated])
    fixed = sum(
        (blocks[name].scale ** 2 * product for name, product in products.items() if name not in estimated),
        start=np.zeros((len(counted), len(counted))),
    )
    start, known = np.zeros(len(counted)), np.broadcast_to(np.asarray(offset, dtype=np.float64), counted.shape)

    def kernel(log_sds: FloatArray) -> FloatArray:
        total_kernel: FloatArray = fixed.copy()
        for name, log_sd in zip(estimated, log_sds, strict=True):
            total_kernel += np.exp(2.0 * log_sd) * products[name]
        return total_kernel

    def cost(log_sds: FloatArray) -> float:
        *_, log_evidence = _find_mode(counted, total, kernel(log_sds), known, start)
        return -(log_evidence - 0.5 * float(np.sum((np.exp(log_sds) / scales) ** 2)) + float(np.sum(log_sds)))

    best = np.log(scales / 2.0)
    if estimated:
        bounds = [(np.log(scale / 50.0), np.log(3.0 * scale)) for scale in scales]
        best = minimize(cost, best, method="L-BFGS-B", bounds=bounds).x
    residual, factor, root_weight, _ = _find_mode(counted, total, kernel(best), known, start)
    sds = {name: block.scale for name, block in blocks.items()} | dict(
        zip(estimated, np.exp(best).tolist(), strict=True)
    )
    return MultilevelFit(
        sds=sds,
        designs={name: block.design for name, block in blocks.items()},
        residual=residual,
        factor=factor,
        root_weight=root_weight,
    )


def predict_multilevel(fit: MultilevelFit, designs: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Compute mean and covariance of the log odds of new rows.

    Parameters
    ----------
    fit : MultilevelFit
        From :func:`fit_multilevel`.
    designs : mapping of str to ndarray of shape (n_rows, n_effects)
        What each row takes of the effects of each block; a block that is left out adds nothing, neither to the mean nor
        to the spread.

    Returns
    -------
    mean : ndarray of shape (n_rows,)
    covariance : ndarray of shape (n_rows, n_rows)
    """
    shared = {name: fit.sds[name] ** 2 * design for name, design in designs.items()}
    across = sum(shared[name] @ fit.designs[name].T for name in designs)
    among = sum(shared[name] @ design.T for name, design in designs.items())
    reduced = solve_triangular(fit.factor, (across * fit.root_weight).T, lower=True)
    return np.asarray(across @ fit.residual), np.asarray(among - reduced.T @ reduced)


def _find_mode(
    events: FloatArray, n: FloatArray, kernel: FloatArray, offset: FloatArray, start: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Find the mode of the sums of effects by Newton's method, and the log evidence; ``start`` is moved to the mode."""
    sums, last = start, -np.inf
    for _ in range(_STEPS):
        residual, root, factor = _linearise(events, n, kernel, sums + offset)
        target = root**2 * sums + residual
        step = target - root * cho_solve((factor, True), root * (kernel @ target))
        sums = kernel @ step
        log_odds = sums + offset
        value = float(np.sum(events * log_odds - n * np.logaddexp(0.0, log_odds))) - 0.5 * float(step @ sums)
        if abs(value - last) < _TOLERANCE:
            break
        last = value
    start[:] = sums
    residual, root, factor = _linearise(events, n, kernel, sums + offset)
    return residual, factor, root, value - float(np.sum(np.log(np.diag(factor))))


def _linearise(
    events: FloatArray, n: FloatArray, kernel: FloatArray, log_odds: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    share = expit(log_odds)
    root = np.sqrt(n * share * (1.0 - share))
    return events - n * share, root, np.linalg.cholesky(np.eye(len(n)) + root[:, None] * kernel * root)
