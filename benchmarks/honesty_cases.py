"""Techniques and outcomes that evidence tells of, their priors, and other patients under fresh draws of the evidence.

The prior follows the reference patients of the package. Everybody here is someone else: patients simulated under the
same assumptions from another seed, whose probabilities follow draws from another seed.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from paincast.errors import RefusalError
from paincast.evidence.records import primary_horizon
from paincast.models.binary.response import ResponseModel
from paincast.models.prior.gaussian import EvidencePrior, make_evidence_prior
from paincast.models.prior.response import fit_with_prior, make_prior_response
from paincast.settings import ModelSettings, TrainingSettings
from paincast.simulator import evidence_draws, simulate_cohort
from paincast.simulator.evidence_draws import EvidenceDraws, draw_evidence

FloatArray = npt.NDArray[np.float64]

PRIOR_SEED = 1
FRESH_SEED = 2
PATIENT_SEED = 880_001
SETTINGS = TrainingSettings(jobs=1, model=ModelSettings(candidates=["logistic"]))
"""Without trees: the truth of a draw of the evidence is linear but for thresholds."""

_NOT_RECORDED = "PC-SIMULATOR-51"


@dataclass(frozen=True)
class Case:
    """A technique and an outcome at the technique's primary month."""

    technique: str
    outcome: str

    @property
    def month(self) -> float:
        """The primary month of the technique."""
        return primary_horizon(self.technique)

    def make_stream(self, *seed: int) -> np.random.Generator:
        """Make a random stream that no other case has."""
        return np.random.default_rng([*seed, zlib.crc32(f"{self.technique}/{self.outcome}".encode())])


@dataclass(frozen=True, kw_only=True)
class OtherPatients:
    """Patients that the prior has not seen, under fresh draws of the evidence.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        As a registry records them.
    complete : DataFrame of shape (n, ...)
        The same without missing values.
    truth : ndarray of shape (n, n_draws)
        Probability of each patient under each draw.
    """

    episodes: pd.DataFrame
    complete: pd.DataFrame
    truth: FloatArray

    def take(self, rows: npt.NDArray[np.intp] | Sequence[int]) -> OtherPatients:
        """Give some of the patients."""
        return OtherPatients(
            episodes=self.episodes.iloc[rows], complete=self.complete.iloc[rows], truth=self.truth[rows]
        )


def list_cases(techniques: Sequence[str], outcomes: Sequence[str]) -> list[Case]:
    """List the cases; an outcome whose measure a technique does not record is left out."""
    cases = [Case(technique, outcome) for technique in techniques for outcome in outcomes]
    return [case for case in cases if _is_told(case)]


def _is_told(case: Case) -> bool:
    try:
        draw_evidence(
            case.technique,
            case.outcome,
            case.month,
            scenario="literature",
            rng=np.random.default_rng(0),
            draws=2,
        )
    except RefusalError as refusal:
        if refusal.code != _NOT_RECORDED:
            raise
        return False
    return True


def make_prior(case: Case, scenario: str = "literature") -> EvidencePrior:
    """Make the prior that is served, from its own seed."""
    drawn = draw_evidence(case.technique, case.outcome, case.month, scenario=scenario, rng=case.make_stream(PRIOR_SEED))
    return make_evidence_prior(drawn.episodes, drawn.log_odds)


def draw_others(case: Case, n: int, draws: int) -> OtherPatients:
    """Draw the evidence anew on other patients.

    Parameters
    ----------
    case : Case
        Technique and outcome.
    n : int
        Number of patients that are simulated; those outside the denominator of the outcome are left out.
    draws : int
        Number of draws.
    """

    def simulate_others(**asked: Any) -> Any:
        return simulate_cohort(**{**asked, "seed": PATIENT_SEED, "episodes_per_technique": n})

    # The package draws on its reference patients only; here the same functions run on other patients.
    simulate = evidence_draws.simulate_reference_patients.__wrapped__
    with mock.patch.object(evidence_draws, "simulate_cohort", simulate_others):
        others = simulate(case.technique, "literature")
    with mock.patch.object(evidence_draws, "simulate_reference_patients", return_value=others):
        drawn: EvidenceDraws = draw_evidence(
            case.technique,
            case.outcome,
            case.month,
            scenario="literature",
            rng=case.make_stream(FRESH_SEED),
            draws=draws,
        )
    complete = others.complete.loc[drawn.episodes.index]
    return OtherPatients(episodes=drawn.episodes, complete=complete, truth=expit(drawn.log_odds))


def serve(
    prior: EvidencePrior,
    episodes: pd.DataFrame | None,
    outcome: FloatArray,
    rng: np.random.Generator,
    *,
    individual: bool = True,
    settings: TrainingSettings = SETTINGS,
) -> ResponseModel:
    """Make the model that is served after some patients were seen, or none."""
    seen = prior.episodes.iloc[:0] if episodes is None else episodes
    fit_rng, draw_rng = rng.spawn(2)
    fit = fit_with_prior(prior, seen, outcome, settings, fit_rng)
    known = seen.loc[np.isfinite(outcome)]
    return make_prior_response(fit, known, settings, draw_rng, individual=individual)


def count_missing(prior: EvidencePrior, episodes: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Count the missing values of each patient in the columns of a model."""
    columns = list(dict.fromkeys(prior.encoder.owners))
    return np.asarray(episodes[columns].isna().sum(axis=1), dtype=np.intp)


def empty_cells(prior: EvidencePrior, others: OtherPatients, at_least: int, rng: np.random.Generator) -> OtherPatients:
    """Empty cells at random until every patient misses a number of values."""
    columns = list(dict.fromkeys(prior.encoder.owners))
    known = others.episodes[columns].notna().to_numpy()
    order = np.argsort(np.where(known, rng.random(known.shape), -1.0), axis=1)
    emptied = np.zeros_like(known)
    np.put_along_axis(emptied, order[:, :at_least], values=True, axis=1)
    episodes = others.episodes.copy()
    episodes[columns] = episodes[columns].mask(emptied)
    return replace(others, episodes=episodes)
