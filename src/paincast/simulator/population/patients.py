"""Patients: correlated latent factors, and a standard normal score behind every quantity of an episode."""

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
    """How quantities hang on factors.

    Parameters
    ----------
    names : tuple of str
        Quantities.
    loadings : ndarray of shape (n_quantities, 3)
        Loading of each quantity on the factors.
    own : ndarray of shape (n_quantities,)
        Weight of what is particular to each quantity: scores have unit variance.
    root : ndarray of shape (3, 3)
        Cholesky root of the correlation of the factors.
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
        What of each quantity no factor explains, standard normal.
    """

    factors: Float
    particular: Float


def make_structure(names: Sequence[str], assumptions: Assumptions) -> Structure:
    """Prepare the scores of some quantities; with independent correlations no factor acts on any of them."""
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

    Sensitisation differs between sites; its variance over all of them stays 1.

    Parameters
    ----------
    structure : Structure
        From :func:`make_structure`.
    sites, site
        The sites, and that of each patient, shape (n,).
    rng : Generator
        Stream of this mechanism.
    """
    n = len(site)
    normal = rng.standard_normal((len(FACTORS), n), dtype=np.float32)
    factors = np.empty_like(normal)
    for place, weights in enumerate(structure.root.astype(np.float32)):
        factors[place] = weights[0] * normal[0]
        for other in range(1, place + 1):
            factors[place] += weights[other] * normal[other]
    between = float(sites.weight @ sites.case_mix**2)
    factors[0] *= np.float32(np.sqrt(max(1.0 - between, 0.0)))
    factors[0] += sites.case_mix.astype(np.float32)[site]
    return Latents(factors=factors, particular=rng.standard_normal((len(structure.names), n), dtype=np.float32))


def add_repeats(
    structure: Structure, assumptions: Assumptions, first: Latents, again: Truths, rng: np.random.Generator
) -> Latents:
    """Add second episodes of some patients, each directly after its first: same factors and traits, states moved on.

    Parameters
    ----------
    structure, assumptions
        How quantities are made, and how far states persist.
    first : Latents
        Of first episodes.
    again : ndarray of shape (n,)
        Who has a second one.
    rng : Generator
        Stream of this mechanism.
    """
    kept = np.float32(assumptions.state_persistence)
    source, second = place_repeats(again)
    particular = first.particular.take(source, axis=1)
    for place, name in enumerate(structure.names):
        if name in STATES:
            fresh = rng.standard_normal(len(second), dtype=np.float32)
            particular[place, second] = kept * particular[place, second] + np.sqrt(1 - kept * kept) * fresh
    return Latents(factors=first.factors.take(source, axis=1), particular=particular)


def place_repeats(again: Truths) -> tuple[Whole, Whole]:
    """Give the patient of each episode, second ones directly after first ones, and the rows of the second ones."""
    source = np.repeat(np.arange(len(again)), 1 + again)
    second = np.flatnonzero(again)
    return source, second + np.arange(1, len(second) + 1)


def compute_scores(
    structure: Structure, latents: Latents, names: Sequence[str], rows: Whole | None = None
) -> dict[str, Float]:
    """Compute the standard normal score behind quantities: loadings times factors plus what is particular.

    Returns
    -------
    dict of str to ndarray of shape (n,) or (len(rows),)
    """
    places = np.array([structure.names.index(name) for name in names], dtype=np.intp)
    factors = latents.factors if rows is None else latents.factors.take(rows, axis=1)
    scores = latents.particular[places] if rows is None else latents.particular[np.ix_(places, rows)]
    scores *= structure.own[places, None]
    # A product of matrices would be summed in an order of its own on each machine.
    for loading, factor in zip(structure.loadings[places].T, factors, strict=True):
        scores += loading[:, None] * factor
    return dict(zip(names, scores, strict=True))


def documented_correlations(assumptions: Assumptions | None = None) -> pd.DataFrame:
    """Compute the correlations of all scores and factors that the loadings imply.

    Two scores correlate by the loadings of one times the correlation of the factors times the loadings of the other.
    They are the correlations of the normal scores behind the recorded columns, among all who are referred; recording a
    score as yes or no, or in steps, weakens what can be seen of them, and the selection of patients changes it.

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
    held = assumptions or Assumptions()
    factors = correlate_factors(held)
    for name in held.loadings:
        explain_quantity(held, name)
    loadings = np.array(list(held.loadings.values()))
    if held.correlation == "independent":
        loadings = np.zeros_like(loadings)
    pattern = np.vstack([np.eye(len(FACTORS)), loadings])
    matrix = pattern @ factors @ pattern.T
    np.fill_diagonal(matrix, 1.0)
    labels = [*FACTORS, *held.loadings]
    return pd.DataFrame(matrix, index=labels, columns=labels)
