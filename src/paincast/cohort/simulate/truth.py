"""The truth of a simulated cohort: kept apart from it, and saved beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from paincast.cohort.tables import Cohort, save_cohort


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What only a simulation knows.

    Parameters
    ----------
    probabilities : DataFrame
        One row per episode, eligible technique, outcome and month: ``episode_id, technique, outcome, month,
        probability, control_probability``. ``probability`` is the one that generated the outcome of the technique
        received, by the approach received; for another technique it is that of its approaches, averaged over how they
        would be chosen. ``control_probability`` is that without any procedure, missing where the evidence gives no
        control response.
    propensity : DataFrame
        One row per episode and option: ``episode_id, technique, approach, probability`` of being chosen.
    """

    probabilities: pd.DataFrame
    propensity: pd.DataFrame


def save_simulated(cohort: Cohort, truth: Truth, path: str | Path) -> None:
    """Write a simulated cohort with its truth beside it, as a whole or not at all.

    Parameters
    ----------
    cohort : Cohort
        The cohort; :func:`paincast.cohort.tables.load_cohort` reads it back.
    truth : Truth
        Written as ``truth.parquet`` and ``propensity.parquet``, which ``load_cohort`` does not read.
    path : str or Path
        Folder; an existing cohort folder is replaced.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    save_cohort(cohort, path, extras={"truth": truth.probabilities, "propensity": truth.propensity})
