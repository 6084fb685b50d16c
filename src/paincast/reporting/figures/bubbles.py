"""Groups of patients for the figure of contributions, none of which shows a patient alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.disclosure.groups import choose_released_groups, name_groups, rank_values

GROUPS = 5


def compute_bubbles(
    contribution: pd.Series,
    values: pd.Series,
    *,
    smallest: int,
    patients: npt.NDArray[np.generic] | None = None,
) -> pd.DataFrame:
    """Group patients of similar value, and give the mean contribution of each group.

    Numbers are cut into at most five groups at quantiles, equal values together; categories and missing values are
    groups of their own. Groups below ``smallest`` are left out, and the next larger one with them when together they
    would still be fewer, because the total would give them away.

    Parameters
    ----------
    contribution : Series of shape (n,)
        Log-odds contribution of one variable.
    values : Series of shape (n,)
        Its values.
    smallest : int
        Fewest patients of a group that may be shown.
    patients : ndarray of shape (n,), optional
        Patient of each row: many episodes of one patient are one patient. By default each row is a patient.

    Returns
    -------
    DataFrame
        ``contribution`` (mean), ``rank`` (mean rank of the value from 0 to 1, NaN without order) and ``n`` (patients).
    """
    rows = len(values)
    group = name_groups(values, groups=GROUPS)
    codes = np.arange(rows) if patients is None else pd.factorize(np.asarray(patients))[0]
    table = (
        pd.DataFrame(
            {
                "contribution": contribution.to_numpy(dtype=float),
                "rank": rank_values(values),
                "patient": codes,
                "group": group,
            }
        )
        .groupby("group", sort=True)
        .agg(contribution=("contribution", "mean"), rank=("rank", "mean"), n=("patient", "nunique"))
    )
    return table.loc[choose_released_groups(group, codes, smallest=smallest)].reset_index(drop=True)
