"""What is known before any real patient is seen: a model of simulated episodes, a published rate, or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.features import EpisodeEncoder
from paincast.models.binary.logistic import LinearModel
from paincast.models.binary.response import ResponseModel
from paincast.models.binary.selection import Sample
from paincast.models.observation_weights import compute_effective_size

FloatArray = npt.NDArray[np.float64]

EVIDENCE = "evidence"
INTERCEPT = "intercept"
INTERCEPT_AND_SLOPE = "intercept_and_slope"
BLENDED = "blended"
OVERALL_RISK = "overall_risk"
AVERAGE = "average"
REAL = "real"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known before any real patient is seen.

    Parameters
    ----------
    said : str
        In words, what the level ``evidence`` is, or why there is none.
    encoder : EpisodeEncoder
        Of simulated episodes, on columns that the real set holds too; without columns where nothing is simulated.
    model : LinearModel, optional
        Model of the simulated cohort, or a constant: a published rate. None where there is neither.
    refits : tuple of LinearModel
        The same, as uncertain as it is.
    response : ResponseModel, optional
        Where ``model`` comes from, if it was fitted to simulated episodes.
    matrix : ndarray of shape (n_evidence, n_encoded)
        Simulated episodes with a known outcome, or the patients of a published rate, of whom nothing else is known.
    outcome, weights : ndarray of shape (n_evidence,)
        Their outcome, and their weights for loss to follow-up.
    patients : ndarray of shape (n_evidence,)
        Patient of each.
    episodes : DataFrame, optional
        The simulated episodes themselves.
    sources : tuple of str
        Citations.
    """

    said: str
    encoder: EpisodeEncoder
    model: LinearModel | None = None
    refits: tuple[LinearModel, ...] = ()
    response: ResponseModel | None = None
    matrix: FloatArray
    outcome: FloatArray
    weights: FloatArray
    patients: npt.NDArray[np.object_]
    episodes: pd.DataFrame | None = None
    sources: tuple[str, ...] = ()

    @property
    def levels(self) -> tuple[str, ...]:
        """Name the levels that exist, the one that stands most on evidence first."""
        if self.response is not None:
            return (EVIDENCE, INTERCEPT, INTERCEPT_AND_SLOPE, BLENDED, REAL)
        return (OVERALL_RISK, REAL) if self.model is None else (EVIDENCE, OVERALL_RISK, REAL)

    def measure_size(self, weight: float) -> float:
        """Give how many real rows the simulated ones count for at a weight of each (Kish, times the weight)."""
        return weight * compute_effective_size(self.weights)


def make_model_evidence(response: ResponseModel, sample: Sample, said: str, sources: tuple[str, ...] = ()) -> Evidence:
    """Take a model of a simulated cohort as the evidence.

    Parameters
    ----------
    response : ResponseModel
        Fitted to the simulated cohort; a logistic model whose calibration is folded in.
    sample : Sample
        The simulated rows with a known outcome.
    said : str
        What it is, in words.
    sources : tuple of str
        Citations.
    """
    assert isinstance(response.model, LinearModel)
    return Evidence(
        said=said,
        encoder=response.encoder,
        model=response.model,
        refits=tuple(refit for refit in response.refits if isinstance(refit, LinearModel)),
        response=response,
        matrix=response.encoder.transform(sample.episodes),
        outcome=sample.outcome,
        weights=sample.weights,
        patients=sample.patients,
        episodes=sample.episodes,
        sources=sources,
    )


def make_rate_evidence(
    share: float, n: int, rng: np.random.Generator, said: str, *, sources: tuple[str, ...] = (), refits: int = 30
) -> Evidence:
    """Take a published rate as the evidence: the same log odds for everyone.

    Parameters
    ----------
    share : float
        Share with the outcome, between 0 and 1.
    n : int
        Patients it was seen in; refits are drawn from its posterior under Jeffreys' prior.
    rng : numpy.random.Generator
        Source of the draws.
    said : str
        What it is, in words.
    sources : tuple of str
        Citations.
    refits : int
        Number of draws.
    """
    draws = rng.beta(share * n + 0.5, (1.0 - share) * n + 0.5, size=refits)
    models = [make_constant(float(np.log(one / (1.0 - one)))) for one in (share, *draws)]
    return replace(
        make_no_evidence(said),
        model=models[0],
        refits=tuple(models[1:]),
        matrix=np.empty((n, 0)),
        outcome=(np.arange(n) < round(share * n)).astype(float),
        weights=np.ones(n),
        patients=np.arange(n).astype(object),
        sources=sources,
    )


def make_no_evidence(said: str) -> Evidence:
    """Say that nothing is known beforehand, and why."""
    empty = np.empty(0)
    return Evidence(
        said=said,
        encoder=EpisodeEncoder().fit(pd.DataFrame({"patient_id": pd.Series(dtype="str")})),
        matrix=np.empty((0, 0)),
        outcome=empty,
        weights=empty,
        patients=np.empty(0, dtype=object),
    )


def make_constant(linear_predictor: float, n_columns: int = 0) -> LinearModel:
    """Give everyone the same log odds."""
    return LinearModel(intercept=linear_predictor, coefficients=np.zeros(n_columns), means=np.zeros(n_columns))
