"""How long relief lasts under draws of the evidence: exact probabilities, without the luck of simulated patients.

The process behind the response is the Markov chain of :mod:`paincast.simulator.course.relief`: a draw moves the levels
of all months and the odds ratios, as for a response at one month, and the persistence of the chain, which is assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paincast.simulator.assumptions import Assumptions
from paincast.simulator.course.relief import compute_relief_survival
from paincast.simulator.course.response import PAIN
from paincast.simulator.evidence_draws import draw_records, simulate_reference_patients
from paincast.simulator.population.sites import FloatArray

DRAWS = 200
"""Draws of the evidence on durations."""

PATIENTS = 1000
"""Reference patients on whom durations are computed: a model of hazards has rows for each of their visits."""

PERSISTENCE_SD = 0.25
"""Standard deviation of the persistence on Fisher's scale: of 0.80, nine of ten draws lie between 0.60 and 0.91."""

_NODES, _CELLS = 24, 41


@dataclass(frozen=True, kw_only=True)
class ReliefDraws:
    """Probabilities that relief lasts under draws of the evidence.

    Parameters
    ----------
    episodes : DataFrame of shape (n, ...)
        Reference patients, as recorded.
    months : tuple of float
        The visits at which relief is assessed.
    survival : ndarray of shape (n, n_months, n_draws)
        Probability of relief at every visit up to each month, under each draw.
    """

    episodes: pd.DataFrame
    months: tuple[float, ...]
    survival: FloatArray


def draw_relief(
    technique: str, months: Sequence[float], *, scenario: str, rng: np.random.Generator, draws: int = DRAWS
) -> ReliefDraws:
    """Draw the evidence on how long relief lasts.

    Parameters
    ----------
    technique : str
        A technique with a response curve.
    months : sequence of float
        Increasing months of the visits, between those of :func:`paincast.simulator.evidence_draws.list_months`.
    scenario, rng, draws
        As for :func:`paincast.simulator.evidence_draws.draw_evidence`.

    Returns
    -------
    ReliefDraws

    Raises
    ------
    RefusalError
        If the technique has no curve, or a month lies outside it.
    """
    record_rng, persistence_rng = rng.spawn(2)
    scores = np.arctanh(Assumptions().response_persistence) + PERSISTENCE_SD * persistence_rng.standard_normal(draws)
    persistence = np.tanh(np.maximum(scores, 0.0))
    episodes = simulate_reference_patients(technique, scenario).episodes
    # Patients are ordered by indication: every third of them, not the first thousand.
    chosen = np.arange(0, len(episodes), max(1, len(episodes) // PATIENTS))
    survival = np.full((len(episodes), len(months), draws), np.nan)
    for record in draw_records(technique, PAIN, months, scenario=scenario, rng=record_rng, draws=draws):
        for draw in range(draws):
            curves = compute_relief_survival(
                months,
                record.intercepts[:, draw],
                record.offset[:, draw],
                float(persistence[draw]),
                nodes=_NODES,
                cells=_CELLS,
            )
            survival[record.rows, :, draw] = curves.T
    drawn = chosen[~np.isnan(survival[chosen, 0, 0])]
    return ReliefDraws(episodes=episodes.iloc[drawn], months=tuple(months), survival=survival[drawn])
