"""Simulate selection for treatment by a trial or diagnostic block.

The selection probability increases with the result: ``P(selected | z) = Phi(a + b z)`` with the normal score z of the
result. ``a`` follows from the selected share, because z is standard normal: ``a = Phi^-1(share) sqrt(1 + b^2)``. Among
selected patients z is no longer normal. It is transformed back to a standard normal score before the result is
recorded, so that the recorded results of treated patients have the published distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from paincast.evidence.figures import Record
from paincast.simulator.assumptions import Assumptions
from paincast.simulator.population.sites import Float, FloatArray

STAGE_COLUMNS = (
    "stimulation_trial_success",
    "diagnostic_blocks_positive",
    "test_block_success",
    "block_relief_percent",
)
"""Columns with the result that decides on selection; the first column that a record has is used."""

REACH = 6.0
_CELLS = 4096


class Stage(NamedTuple):
    """A stage of selection.

    Parameters
    ----------
    column : str
        Column of its result.
    share : float
        Share of referred patients who are selected.
    slope : float
        Slope of the probit.
    normal : ndarray of shape (n_cells,)
        Normal score among selected patients, for each cell of scores from -6 to 6.
    """

    column: str
    share: float
    slope: float
    normal: Float


def make_stage(column: str, share: float, slope: float) -> Stage:
    """Make a stage of selection."""
    edges = np.linspace(-REACH, REACH, 8 * _CELLS + 1)
    density = np.exp(-(edges**2) / 2.0) * _pass(edges, share, slope)
    reached = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2.0)])
    reached /= reached[-1]
    middle = np.linspace(-REACH, REACH, _CELLS, endpoint=False) + REACH / _CELLS
    normal = ndtri(np.clip(np.interp(middle, edges, reached), 1e-12, 1 - 1e-12))
    return Stage(column=column, share=share, slope=slope, normal=normal.astype(np.float32))


def _pass(score: FloatArray, share: float, slope: float) -> FloatArray:
    if share >= 1.0:
        return np.ones_like(score)
    passing: FloatArray = ndtr(ndtri(share) * np.sqrt(1.0 + slope**2) + slope * score)
    return passing


def name_stage(record: Record) -> str | None:
    """Return the column whose result decides on selection for a record's treatment; None without selection."""
    return next((column for column in STAGE_COLUMNS if column in record.baseline), None)


def find_share(column: str, records: Sequence[Record], assumptions: Assumptions) -> float:
    """Return the selected share: as published in the records, else as assumed."""
    published = [
        record.response.trial_success for record in records if record.response and record.response.trial_success
    ]
    if published:
        return float(np.mean(published))
    return assumptions.pass_shares.get(column, 1.0)


def compute_pass(stage: Stage, score: Float) -> Float:
    """Compute the probability of selection.

    Returns
    -------
    ndarray of shape (n,)
    """
    if stage.share >= 1.0:
        return np.ones_like(score)
    start = np.float32(ndtri(stage.share) * np.sqrt(1.0 + stage.slope**2))
    return np.asarray(ndtr(start + np.float32(stage.slope) * score), dtype=np.float32)


def normalise_selected(stage: Stage, score: Float) -> Float:
    """Transform the score of a result so that it is standard normal among selected patients.

    Returns
    -------
    ndarray of shape (n,)
    """
    cell = np.clip((score + np.float32(REACH)) * np.float32(_CELLS / (2 * REACH)), 0, _CELLS - 1).astype(np.int32)
    return np.asarray(stage.normal[cell])
