"""The funnel: who, of those referred for a technique, goes on to treatment after a trial or diagnostic block.

The better the result of the trial or block, the likelier a patient goes on: ``P(go on | z) = Phi(a + b z)`` of the
normal score z behind the result. ``a`` follows from the share that goes on, because z is standard normal:
``a = Phi^-1(share) sqrt(1 + b^2)``. Among those who go on z is no longer normal; it is made so again before the result
is recorded, so that the recorded results of the treated have the distribution that the evidence gives for them.
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
"""Columns whose result decides who goes on; of those that a record has, the first one does."""

REACH = 6.0
_CELLS = 4096


class Stage(NamedTuple):
    """A stage of selection.

    Parameters
    ----------
    column : str
        Column of its result.
    share : float
        Share of those referred who go on.
    slope : float
        Slope of the probit.
    normal : ndarray of shape (n_cells,)
        Normal score, among those who go on, of each cell of scores from -6 to 6.
    """

    column: str
    share: float
    slope: float
    normal: Float


def make_stage(column: str, share: float, slope: float) -> Stage:
    """Prepare a stage of selection."""
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
    """Name the column whose result decides who goes on to the treatment of a record; None where nobody is refused."""
    return next((column for column in STAGE_COLUMNS if column in record.baseline), None)


def find_share(column: str, records: Sequence[Record], assumptions: Assumptions) -> float:
    """Give the share that goes on: as the records tell it, or else as assumed."""
    told = [record.response.trial_success for record in records if record.response and record.response.trial_success]
    if told and column == "stimulation_trial_success":
        return float(np.mean(told))
    return assumptions.pass_shares.get(column, 1.0)


def compute_pass(stage: Stage, score: Float) -> Float:
    """Compute the probability to go on.

    Returns
    -------
    ndarray of shape (n,)
    """
    if stage.share >= 1.0:
        return np.ones_like(score)
    start = np.float32(ndtri(stage.share) * np.sqrt(1.0 + stage.slope**2))
    return np.asarray(ndtr(start + np.float32(stage.slope) * score), dtype=np.float32)


def normalise_selected(stage: Stage, score: Float) -> Float:
    """Turn the score behind a result into one that is standard normal among those who go on.

    Returns
    -------
    ndarray of shape (n,)
    """
    cell = np.clip((score + np.float32(REACH)) * np.float32(_CELLS / (2 * REACH)), 0, _CELLS - 1).astype(np.int32)
    return np.asarray(stage.normal[cell])
