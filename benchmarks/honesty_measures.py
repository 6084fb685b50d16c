"""What is measured of intervals: what they hold, how wide they are, and both in one score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.statistics import compute_clustered_mean

FloatArray = npt.NDArray[np.float64]

CONFIDENCE = 0.9
OVERALL_BAR = (0.88, 0.95)
"""Where the coverage of all must lie."""
GROUP_BAR = (0.85, 0.97)
"""No group may have a 95 % interval of its coverage that lies wholly outside."""

_MEASURES = ["draws", "coverage", "from", "to", "interval score", "width"]


def score_intervals(lower: FloatArray, upper: FloatArray, truth: FloatArray) -> dict[str, FloatArray]:
    """Score intervals against probabilities.

    Parameters
    ----------
    lower, upper : ndarray of shape (n,)
        Ends of the intervals.
    truth : ndarray of shape (n, n_draws)
        Probability of each patient under each draw.

    Returns
    -------
    dict of str to ndarray of shape (n_draws,)
        ``inside``, the share held; ``score``, the interval score [1]_, in which less is better; and ``width``.

    References
    ----------
    .. [1] Gneiting T, Raftery AE. J Am Stat Assoc 2007;102:359-378. doi:10.1198/016214506000001437
    """
    low, high = lower[:, None], upper[:, None]
    below, above = np.maximum(low - truth, 0.0), np.maximum(truth - high, 0.0)
    scores = high - low + 2.0 / (1.0 - CONFIDENCE) * (below + above)
    return {
        "inside": ((below == 0.0) & (above == 0.0)).mean(axis=0),
        "score": scores.mean(axis=0),
        "width": np.full(truth.shape[1], (upper - lower).mean()),
    }


def make_rows(scores: dict[str, FloatArray], n_patients: int, **keys: Any) -> pd.DataFrame:
    """Make one row for each draw."""
    draws = len(scores["inside"])
    return pd.DataFrame({**keys, "draw": np.arange(draws), "patients": n_patients, **scores})


def summarize(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Summarize draws: coverage over (patient, draw) pairs with its 95 % interval, draws being the unit.

    Draws of two techniques or outcomes are independent, so a unit is a draw of one of them.
    """
    table = []
    groups = rows.groupby(list(by), sort=False, observed=True) if by else [((), rows)]
    for key, own in groups:
        units = own["technique"] + "/" + own["outcome"] + "/" + own["draw"].astype(str)
        pairs = own["patients"].to_numpy(float)
        coverage, lower, upper = compute_clustered_mean(own["inside"].to_numpy(float), units, weights=pairs)
        table.append(
            {
                **dict(zip(by, key, strict=True)),
                "draws": units.nunique(),
                "coverage": coverage,
                "from": lower,
                "to": upper,
                "interval score": float(np.average(own["score"], weights=pairs)),
                "width": float(np.average(own["width"], weights=pairs)),
            }
        )
    return pd.DataFrame(table)


def judge(overall: pd.DataFrame, groups: Sequence[pd.DataFrame]) -> list[str]:
    """Hold coverage against the bars, in sentences."""
    verdicts = []
    for row in overall.to_dict("records"):
        at = f"n = {row['n']}: " if "n" in row else ""
        held = OVERALL_BAR[0] <= row["coverage"] <= OVERALL_BAR[1]
        verdicts.append(f"- {at}overall {row['coverage']:.3f}: {'holds' if held else 'MISSED'} ({OVERALL_BAR})")
    for group in groups:
        outside = group[(group["to"] < GROUP_BAR[0]) | (group["from"] > GROUP_BAR[1])]
        names = [str(row) for row in outside.drop(columns=_MEASURES).itertuples(index=False, name=None)]
        word = f"MISSED by {', '.join(names)}" if names else "holds for all"
        verdicts.append(f"- by {', '.join(group.columns.drop(_MEASURES))}, {len(group)} groups: {word} ({GROUP_BAR})")
    return verdicts
