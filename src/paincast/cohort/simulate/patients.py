"""Patients: correlated latent factors, and a standard normal value behind every quantity of an episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paincast.cohort.simulate.assumptions import FACTORS, STATES, Assumptions
from paincast.cohort.simulate.sites import FloatArray
from paincast.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Latents:
    """Latent values of episodes.

    Parameters
    ----------
    factors : ndarray of shape (n, 3)
        Sensitisation, distress and poor health.
    particular : ndarray of shape (n, n_quantities)
        What of each quantity no factor explains, standard normal, in the order of ``assumptions.loadings``.
    """

    factors: FloatArray
    particular: FloatArray


def draw_patients(assumptions: Assumptions, case_mix: FloatArray, rng: np.random.Generator) -> Latents:
    """Draw the latent values of each patient's first episode.

    Parameters
    ----------
    assumptions : Assumptions
        Correlations and loadings.
    case_mix : ndarray of shape (n,)
        Shift of sensitisation at the patient's site.
    rng : Generator
        Stream of this mechanism.
    """
    n = len(case_mix)
    factors = rng.standard_normal((n, len(FACTORS))) @ np.linalg.cholesky(_factor_correlation(assumptions)).T
    factors[:, 0] += case_mix
    return Latents(factors=factors, particular=rng.standard_normal((n, len(assumptions.loadings))))


def draw_repeats(assumptions: Assumptions, first: Latents, rng: np.random.Generator) -> Latents:
    """Draw the latent values of second episodes: the same factors and traits, with states moved on."""
    is_state = np.array([name in STATES for name in assumptions.loadings])
    kept = np.where(is_state, assumptions.state_persistence, 1.0)
    fresh = rng.standard_normal(first.particular.shape)
    return Latents(factors=first.factors, particular=kept * first.particular + np.sqrt(1.0 - kept**2) * fresh)


def compute_scores(assumptions: Assumptions, latents: Latents) -> dict[str, FloatArray]:
    """Compute the standard normal value behind each quantity: loadings times factors plus what is particular."""
    loadings = np.array(list(assumptions.loadings.values()))
    explained = np.einsum("kf,fg,kg->k", loadings, _factor_correlation(assumptions), loadings)
    if explained.max() >= 1.0:
        name = list(assumptions.loadings)[int(explained.argmax())]
        share = explained.max()
        raise SettingsError(f"loadings: those of '{name}' explain {share:.2f} of its variance; allowed is below 1")
    values = latents.factors @ loadings.T + latents.particular * np.sqrt(1.0 - explained)
    return {name: values[:, place] for place, name in enumerate(assumptions.loadings)}


def _factor_correlation(assumptions: Assumptions) -> FloatArray:
    matrix = np.eye(len(FACTORS))
    upper = np.triu_indices(len(FACTORS), k=1)
    matrix[upper] = assumptions.factor_correlations
    matrix.T[upper] = assumptions.factor_correlations
    if np.linalg.eigvalsh(matrix).min() <= 0:
        raise SettingsError("factor_correlations: not positive definite; give correlations that can hold at once")
    return matrix
