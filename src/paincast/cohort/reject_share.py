"""How much of a source was rejected, as one number that a limit can be set on."""

from __future__ import annotations

import pandas as pd

HARMLESS = "unknown column"


def compute_reject_share(rejects: pd.DataFrame, n_rows: int) -> float:
    """Compute the worst share of rows in which something was lost.

    Parameters
    ----------
    rejects : DataFrame
        Rejects of one table.
    n_rows : int
        Rows of that table, those left out included.

    Returns
    -------
    float
        The largest of: rows left out as a share of all rows; rows with an emptied cell in one column as a share of all
        rows, over the columns; 1 when a whole column of the contract was left out. Columns that the contract does not
        know count for nothing.

    Examples
    --------
    >>> lost = {"row": [3, 7], "column": ["bmi", "odi"], "rule": ["range", "range"], "action": ["cell emptied"] * 2}
    >>> compute_reject_share(pd.DataFrame(lost), 50)
    0.02
    """
    counted = rejects[rejects["rule"] != HARMLESS]
    if len(counted) == 0:
        return 0.0
    if (counted["action"] == "column left out").any() or n_rows == 0:
        return 1.0
    left_out = counted.loc[counted["action"] == "row left out", "row"].nunique()
    emptied = counted[counted["action"] == "cell emptied"].groupby("column")["row"].nunique()
    return float(max([left_out, *emptied]) / n_rows)
