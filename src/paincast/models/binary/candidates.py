"""Candidates: kinds of model with their tuning parameters, and how each is fitted to an encoded matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from paincast.models.binary.additive import fit_additive
from paincast.models.binary.learners import Model, fit_boosted, fit_logistic
from paincast.settings import ModelSettings
from paincast.splits import count_smaller_class

FloatArray = npt.NDArray[np.float64]

NATIVE_MISSING = ("ebm", "xgboost")
"""Kinds that take missing values as they are."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kind of model with its tuning parameters."""

    kind: str
    parameters: dict[str, Any]

    @property
    def label(self) -> str:
        """Say in a few words what the candidate is."""
        held = {name: value for name, value in self.parameters.items() if value is not None}
        return f"{self.kind} (" + ", ".join(f"{name}={value:.4g}" for name, value in held.items()) + ")"

    @property
    def is_average(self) -> bool:
        """Tell whether it stands for an average of others."""
        return "averaged" in self.parameters

    @property
    def native_missing(self) -> bool:
        """Tell whether the kind takes missing values as they are."""
        return self.kind in NATIVE_MISSING


def keep_affordable(settings: ModelSettings, outcome: FloatArray) -> ModelSettings:
    """Leave out, beside a logistic model, the kinds for which there are too few episodes of the smaller class.

    Flexible learners need many times the events of a logistic regression before their performance is stable [1]_: with
    few, cross-validation lets one win by chance too often.

    References
    ----------
    .. [1] van der Ploeg T et al. Modern modelling techniques are data hungry. BMC Med Res Methodol 2014;14:137.
       doi:10.1186/1471-2288-14-137
    """
    if "logistic" not in settings.candidates or count_smaller_class(outcome) >= settings.minimum_flexible:
        return settings
    return replace(settings, candidates=["logistic"])


def list_linear(settings: ModelSettings, *, borrows: bool) -> tuple[Candidate, ...]:
    """Give the penalised logistic candidates, the simplest first: what is shared alone, then looser and looser fits."""
    shares = sorted(settings.borrowing, reverse=True) if borrows else [0.0]
    ridges = [(0.0, 1.0 / spread**2) for spread in sorted(settings.ridge_prior_sds)]
    lassos = [(settings.l1_ratio, strength) for strength in sorted(settings.lasso_penalties, reverse=True)]
    longest = max(len(ridges), len(lassos))
    steps = [one for place in range(longest) for grid in (ridges, lassos) for one in grid[place : place + 1]]
    simplest = Candidate(kind="logistic", parameters={"borrowed": shares[0], "strength": None, "l1_ratio": None})
    others = [
        Candidate(kind="logistic", parameters={"borrowed": share, "strength": strength, "l1_ratio": l1_ratio})
        for l1_ratio, strength in steps
        for share in shares
    ]
    return (simplest, *others)


def fit_candidate(
    candidate: Candidate,
    matrix: FloatArray,
    outcome: FloatArray,
    rng: np.random.Generator,
    weights: FloatArray | None = None,
    *,
    spreads: FloatArray | None = None,
    prior: FloatArray | None = None,
    directions: FloatArray | None = None,
    monotone: tuple[int, ...] = (),
) -> Model:
    """Fit one candidate to an encoded matrix.

    The strength of a ridge is the inverse variance of a normal prior of the coefficients, that of a lasso a multiple of
    one over the square root of the number of rows: the same grid serves small and large cohorts.
    """
    if candidate.native_missing:
        fit = fit_boosted if candidate.kind == "xgboost" else fit_additive
        return fit(matrix, outcome, parameters=candidate.parameters, rng=rng, weights=weights, monotone=monotone)
    strength, l1_ratio = candidate.parameters["strength"], candidate.parameters["l1_ratio"]
    n = len(outcome) if weights is None else int(np.count_nonzero(weights))
    shrink = strength and strength / (np.sqrt(n) if l1_ratio else n)
    borrowed = candidate.parameters["borrowed"]
    return fit_logistic(
        matrix,
        outcome,
        penalty=shrink,
        l1_ratio=l1_ratio or 0.0,
        weights=weights,
        spreads=spreads,
        prior=None if prior is None else borrowed * prior,
        directions=directions,
    )
