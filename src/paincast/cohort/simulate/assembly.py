"""From simulated blocks to the tables of the contract, and the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paincast.cohort.simulate.episodes import BLOCK_PATIENTS, Block
from paincast.cohort.simulate.sites import FloatArray
from paincast.cohort.simulate.truth import Truth
from paincast.cohort.simulate.world import World
from paincast.cohort.tables import conform
from paincast.schema import EPISODES, INDICATIONS

Rows = NDArray[np.int64]
Tables = dict[str, pd.DataFrame]


def make_tables(world: World, block: Block, rows: Rows, number: int) -> Tables:
    """Make the tables of some rows of a block.

    Parameters
    ----------
    world : World
        What the block was simulated in.
    block : Block
        Simulated episodes.
    rows : ndarray
        Rows to keep.
    number : int
        Number of the block within its indication; it makes the ids unique.

    Returns
    -------
    dict of DataFrame
        ``episodes``, ``visits``, ``events``, ``probabilities``, ``propensity``.
    """
    code = INDICATIONS.index(block.indication)
    ids = np.array([f"E{code:02d}-{number * 2 * BLOCK_PATIENTS + row:07d}" for row in rows], dtype=object)
    return {
        "episodes": _make_episodes(world, block, rows, ids, f"P{code:02d}", number),
        "visits": _make_visits(world, block, rows, ids),
        "events": _make_deaths(world, block, rows, ids),
        "probabilities": _make_probabilities(world, block, rows, ids),
        "propensity": _make_propensity(world, block, rows, ids),
    }


def _make_episodes(
    world: World, block: Block, rows: Rows, ids: NDArray[Any], patient_code: str, number: int
) -> pd.DataFrame:
    population = block.population
    records = [world.records[option] for option in block.options]
    chosen = block.chosen[rows]
    frame: dict[str, Any] = {
        "episode_id": ids,
        "patient_id": [f"{patient_code}-{number * BLOCK_PATIENTS + who:07d}" for who in population.patient[rows]],
        "site_id": [f"site-{site + 1:02d}" for site in population.site[rows]],
        "procedure_year": population.year[rows],
        "technique": np.array([record.technique for record in records], dtype=object)[chosen],
        "indication": block.indication,
        "approach": np.array([record.approach for record in records], dtype=object)[chosen],
    }
    for name, values in population.columns.items():
        unknown = np.zeros(len(rows), dtype=bool)
        if name in block.missing:
            unknown |= block.missing[name][rows]
        if EPISODES[name].role == "funnel":
            unknown |= ~np.array([name in record.baseline for record in records])[chosen]
        frame[name] = _with_gaps(values[rows], unknown)
    return conform("episodes", pd.DataFrame(frame))


def _with_gaps(values: NDArray[Any], unknown: NDArray[np.bool_]) -> Any:
    if values.dtype == bool:
        return pd.arrays.BooleanArray(values.copy(), unknown)
    if values.dtype == float:
        return np.where(unknown, np.nan, values)
    return pd.Series(values.astype(object)).mask(unknown)


def _make_visits(world: World, block: Block, rows: Rows, ids: NDArray[Any]) -> pd.DataFrame:
    row, place = np.nonzero(block.observed[rows])
    pain = block.pain[rows][row, place]
    return conform("visits", pd.DataFrame({"episode_id": ids[row], "month": world.months[place], "pain_nrs": pain}))


def _make_deaths(world: World, block: Block, rows: Rows, ids: NDArray[Any]) -> pd.DataFrame:
    month = block.death_month[rows]
    year = block.population.year[rows]
    known = np.isfinite(month) & (year + 0.5 + month / 12.0 <= world.assumptions.data_end_year)
    month = np.round(month[known], 2)
    return conform("events", pd.DataFrame({"episode_id": ids[known], "month": month, "kind": "death"}))


def _make_probabilities(world: World, block: Block, rows: Rows, ids: NDArray[Any]) -> pd.DataFrame:
    parts = []
    techniques = [world.records[option].technique for option in block.options]
    for technique in dict.fromkeys(techniques):
        weight = _weigh_approaches(block, rows, np.array([name == technique for name in techniques]))
        asked = weight.any(axis=0)
        probability = _mix(weight[:, asked].T[:, :, None], block.probability[asked][:, rows])
        control = _mix(weight[:, asked].T, block.control_probability[asked][:, rows])
        row, place = np.nonzero(np.isfinite(probability))
        parts.append(
            pd.DataFrame(
                {
                    "episode_id": ids[row],
                    "technique": technique,
                    "outcome": "pain_response",
                    "month": world.months[place],
                    "probability": probability[row, place],
                    "control_probability": control[row],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _weigh_approaches(block: Block, rows: Rows, of_technique: NDArray[np.bool_]) -> FloatArray:
    """Weigh the approaches of a technique: the one received, or else as they would be chosen."""
    as_chosen = block.propensity[rows] * of_technique
    as_chosen /= as_chosen.sum(axis=1, keepdims=True)
    received = np.eye(len(block.options))[block.chosen[rows]]
    weight: FloatArray = np.where(of_technique[block.chosen[rows]][:, None], received, as_chosen)
    return weight


def _mix(weight: FloatArray, probability: FloatArray) -> FloatArray:
    """Average over the first axis; what has no weight may be unknown."""
    mixed: FloatArray = np.where(weight > 0, weight * probability, 0.0).sum(axis=0)
    return mixed


def _make_propensity(world: World, block: Block, rows: Rows, ids: NDArray[Any]) -> pd.DataFrame:
    records = [world.records[option] for option in block.options]
    n = len(rows)
    return pd.DataFrame(
        {
            "episode_id": np.repeat(ids, len(records)),
            "technique": [record.technique for record in records] * n,
            "approach": pd.Series([record.approach for record in records] * n, dtype="str"),
            "probability": block.propensity[rows].ravel(),
        }
    )


def join_tables(parts: Sequence[Tables], techniques: Sequence[str]) -> tuple[Tables, Truth]:
    """Join the tables of all blocks, episodes in the order of techniques and every table in the order of episodes."""
    joined = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
    place = {technique: position for position, technique in enumerate(techniques)}
    order = np.argsort(joined["episodes"]["technique"].map(place).to_numpy(), kind="stable")
    joined["episodes"] = joined["episodes"].iloc[order].reset_index(drop=True)
    position = pd.Series(np.arange(len(order)), index=joined["episodes"]["episode_id"])
    for name in ("visits", "events", "probabilities", "propensity"):
        rank = np.argsort(joined[name]["episode_id"].map(position).to_numpy(), kind="stable")
        joined[name] = joined[name].iloc[rank].reset_index(drop=True)
    truth = Truth(
        probabilities=joined.pop("probabilities").astype({"episode_id": "str", "technique": "str", "outcome": "str"}),
        propensity=joined.pop("propensity").astype({"episode_id": "str", "technique": "str"}),
    )
    return joined, truth
