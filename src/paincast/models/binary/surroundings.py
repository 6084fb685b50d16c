"""What is known beside the rows of a technique: directions from evidence, and other techniques to borrow from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from paincast import features
from paincast.contract import BUILT_IN, Contract
from paincast.deferred import pandas as pd
from paincast.models.binary.borrowing import Part, Pool, make_part, make_pool
from paincast.models.observation_weights import fit_observation_weights
from paincast.settings import TrainingSettings
from paincast.splits import count_smaller_class

FloatArray = npt.NDArray[np.float64]
Asked = Mapping[str, tuple["pd.DataFrame", FloatArray]]
"""Episodes of each technique, and their outcome: 0, 1, or NaN where follow-up is missing."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What helps to fit one technique.

    Parameters
    ----------
    technique : str
        The technique.
    directions, strong_directions : mapping of str to {-1, 1}
        Which way published predictors point, all of them and those worth imposing on trees.
    pool : Pool
        Other techniques.
    contract : Contract
        Declares techniques and columns.
    """

    technique: str = ""
    directions: Mapping[str, int] = field(default_factory=dict)
    strong_directions: Mapping[str, int] = field(default_factory=dict)
    pool: Pool = field(default_factory=Pool)
    contract: Contract = BUILT_IN


NOTHING = Surroundings()


def make_parts(
    asked: Asked,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    directed: bool = True,
    contract: Contract = BUILT_IN,
) -> dict[str, Part]:
    """Encode the episodes of every technique once, weighted for loss to follow-up, so that others may borrow from them.

    Parameters
    ----------
    asked : mapping
        By technique; those with one class of the outcome only are left out.
    settings : TrainingSettings
        Encoding and loss to follow-up.
    rng : numpy.random.Generator
        Source of folds.
    directed : bool
        Whether published directions of response hold for the outcome.
    contract : Contract
        Declares techniques and columns.
    """
    parts = {}
    for (technique, (episodes, outcome)), child in zip(asked.items(), rng.spawn(len(asked)), strict=True):
        known = ~np.isnan(outcome)
        if not 0 < np.nansum(outcome) < known.sum():
            continue
        weights = fit_observation_weights(episodes, known, settings.observation, child, contract=contract)[known]
        own = episodes.loc[known]
        encoder = features.EpisodeEncoder(splines=settings.model.splines, contract=contract).fit(own)
        directions = _direct(contract.find_evidence(technique), settings, directed, strong=False)
        patients = own["patient_id"].to_numpy(object)
        matrix = encoder.transform(own)
        parts[technique] = make_part(technique, encoder, matrix, directions, outcome[known], weights, patients)
    return parts


def make_surroundings(
    technique: str,
    episodes: pd.DataFrame,
    parts: Mapping[str, Part],
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    directed: bool = True,
    contract: Contract = BUILT_IN,
) -> Surroundings:
    """Gather what helps to fit one technique.

    Parameters
    ----------
    technique : str
        The technique.
    episodes : DataFrame of shape (n, ...)
        Its episodes: what their patients received elsewhere is not borrowed from.
    parts : mapping of str to Part
        From :func:`make_parts`; that of the technique itself tells whether it has to borrow.
    settings : TrainingSettings
        Whether and how to borrow.
    rng : numpy.random.Generator
        Source of folds.
    directed : bool
        Whether published directions of response hold for the outcome.
    contract : Contract
        Declares techniques and columns.
    """
    pool, evidence = Pool(), contract.find_evidence(technique)
    asked = any(settings.model.borrowing) and settings.model.pool_rows and "logistic" in settings.model.candidates
    if asked and not _stands_alone(parts.get(technique), settings):
        with threadpool_limits(limits=1):
            pool = make_pool(
                [part for name, part in parts.items() if name != technique],
                episodes["patient_id"].to_numpy(object),
                rng,
                penalties=settings.model.pool_penalties,
                most_rows=settings.model.pool_rows,
            )
    return Surroundings(
        technique=technique,
        directions=_direct(evidence, settings, directed, strong=False),
        strong_directions=_direct(evidence, settings, directed and settings.model.monotone, strong=True),
        pool=pool,
        contract=contract,
    )


def _stands_alone(own: Part | None, settings: TrainingSettings) -> bool:
    """Tell whether a technique has so many episodes of the smaller class that others have nothing to add."""
    return own is not None and count_smaller_class(own.outcome) >= settings.model.minimum_alone


def _direct(technique: str, settings: TrainingSettings, directed: bool, *, strong: bool) -> Mapping[str, int]:
    asked = technique and directed and settings.model.directions
    from paincast.evidence.expected_signs import load_expected_signs

    return load_expected_signs(technique, strong=strong) if asked else {}
