"""Draw correlated latent factors of patients, and a standard normal score for every quantity of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from paincast.simulator.assumptions import Assumptions
from paincast.simulator.checks import correlate_factors, explain_quantity
from paincast.simulator.defaults import FACTORS, STATES
from paincast.simulator.population.sites import Float, FloatArray, Sites, Truths, Whole


class Structure(NamedTuple):
    """Factor model of the quantities.

    Parameters
    ----------
    names : tuple of str
        Quantities.
    loadings : ndarray of shape (n_quantities, 3)
        Loading of each quantity on the factors.
    own : ndarray of shape (n_quantities,)
        Weight of the specific part of each quantity, such that scores have unit variance.
    root : ndarray of shape (3, 3)
        Cholesky factor of the correlation matrix of the factors.
    """

    names: tuple[str, ...]
    loadings: Float
    own: Float
    root: FloatArray


class Latents(NamedTuple):
    """Latent values of episodes.

    Parameters
    ----------
    factors : ndarray of shape (3, n)
        Sensitisation, distress and poor health.
    particular : ndarray of shape (n_quantities, n)
        Specific part of each quantity, standard normal.
    """

    factors: Float
    particular: Float


def make_structure(names: Sequence[str], assumptions: Assumptions) -> Structure:
    """Make the factor model of some quantities; with independent correlations all loadings are 0."""
    independent = assumptions.correlation == "independent"
    none = (0.0,) * len(FACTORS)
    loadings = [none if independent else assumptions.loadings.get(name, none) for name in names]
    explained = [0.0 if independent else explain_quantity(assumptions, name) for name in names]
    return Structure(
        names=tuple(names),
        loadings=np.array(loadings, dtype=np.float32),
        own=np.sqrt(1.0 - np.array(explained)).astype(np.float32),
        root=np.asarray(np.linalg.cholesky(correlate_factors(assumptions)), dtype=float),
    )


def draw_patients(structure: Structure, sites: Sites, site: Whole, rng: np.random.Generator) -> Latents:
    """Draw the latent values of each patient's first episode.

    Sensitisation differs between sites; its variance over all sites is 1.

    Parameters
    ----------
    structure : Structure
        From :func:`make_structure`.
    sites, site
        The sites, and the site of each patient, shape (n,).
    rng : Generator
        Random stream of this mechanism.
    """
    n = len(site)
    normal = rng.standard_normal((len(FACTORS), n), dtype=np.float32)
    factors = np.empty_like(normal)
    for row, weights in enumerate(structure.root.astype(np.float32)):
        factors[row] = weights[0] * normal[0]
        for column in range(1, row + 1):
            factors[row] += weights[column] * normal[column]
    between = float(sites.weight @ sites.case_mix**2)
    factors[0] *= np.float32(np.sqrt(max(1.0 - between, 0.0)))
    factors[0] += sites.case_mix.astype(np.float32)[site]
    return Latents(factors=factors, particular=rng.standard_normal((len(structure.names), n), dtype=np.float32))


def add_repeats(
    structure: Structure, assumptions: Assumptions, first: Latents, again: Truths, rng: np.random.Generator
) -> Latents:
    """Add second episodes of some patients, each directly after the first: same factors and traits, changed states.

    Parameters
    ----------
    structure, assumptions
        Factor model, and the persistence of states.
    first : Latents
        Latent values of first episodes.
    again : ndarray of shape (n,)
        Which patients have a second episode.
    rng : Generator
        Random stream of this mechanism.
    """
    persistence = np.float32(assumptions.state_persistence)
    source, second = locate_repeats(again)
    particular = first.particular.take(source, axis=1)
    for index, name in enumerate(structure.names):
        if name in STATES:
            fresh = rng.standard_normal(len(second), dtype=np.float32)
            particular[index, second] = (
                persistence * particular[index, second] + np.sqrt(1 - persistence * persistence) * fresh
            )
    return Latents(factors=first.factors.take(source, axis=1), particular=particular)


def locate_repeats(again: Truths) -> tuple[Whole, Whole]:
    """Return the patient of each episode (second episodes follow the first) and the rows of second episodes."""
    source = np.repeat(np.arange(len(again)), 1 + again)
    second = np.flatnonzero(again)
    return source, second + np.arange(1, len(second) + 1)


def compute_scores(
    structure: Structure, latents: Latents, names: Sequence[str], rows: Whole | None = None
) -> dict[str, Float]:
    """Compute the standard normal scores of quantities: loadings times factors plus the specific part.

    Returns
    -------
    dict of str to ndarray of shape (n,) or (len(rows),)
    """
    indices = np.array([structure.names.index(name) for name in names], dtype=np.intp)
    factors = latents.factors if rows is None else latents.factors.take(rows, axis=1)
    scores = latents.particular[indices] if rows is None else latents.particular[np.ix_(indices, rows)]
    scores *= structure.own[indices, None]
    # The summation order of a matrix product depends on the machine; this loop is reproducible.
    for loading, factor in zip(structure.loadings[indices].T, factors, strict=True):
        scores += loading[:, None] * factor
    return dict(zip(names, scores, strict=True))


def documented_correlations(assumptions: Assumptions | None = None) -> pd.DataFrame:
    """Compute the correlations of all scores and factors that the loadings imply.

    The correlation of two scores is L1' R L2, with their loadings L1 and L2 and the factor correlation R. It holds for
    the normal scores of the recorded columns among all referred patients. Correlations of the recorded columns are
    weaker, because scores are dichotomised or rounded, and patient selection changes them.

    Parameters
    ----------
    assumptions : Assumptions, optional
        Settings; by default the documented ones.

    Returns
    -------
    DataFrame of shape (k, k)
        Labelled by factor and quantity.

    Examples
    --------
    >>> documented_correlations().round(2).loc["pain_nrs", ["odi", "opioid_use", "depression"]].to_dict()
    {'odi': 0.41, 'opioid_use': 0.28, 'depression': 0.35}
    """
    settings = assumptions or Assumptions()
    factors = correlate_factors(settings)
    for name in settings.loadings:
        explain_quantity(settings, name)
    loadings = np.array(list(settings.loadings.values()))
    if settings.correlation == "independent":
        loadings = np.zeros_like(loadings)
    pattern = np.vstack([np.eye(len(FACTORS)), loadings])
    matrix = pattern @ factors @ pattern.T
    np.fill_diagonal(matrix, 1.0)
    labels = [*FACTORS, *settings.loadings]
    return pd.DataFrame(matrix, index=labels, columns=labels)
