"""What a prior may believe of the values that are recorded of a patient."""

from __future__ import annotations

import pandas as pd

EVIDENCE, NO_EFFECT, UNKNOWN_EFFECTS, OVERALL_RISK = "evidence", "no effect", "unknown effects", "overall risk"

WITHOUT_DIFFERENCE = (NO_EFFECT, OVERALL_RISK)
"""Beliefs that no recorded value matters."""


def read_effect_weight(selection: pd.DataFrame) -> float:
    """Read from the weights of the beliefs to which degree recorded values are believed to matter.

    Parameters
    ----------
    selection : DataFrame
        ``belief, weight`` of a model with a prior; other tables are those of a model without, which believes that
        they do.

    Examples
    --------
    >>> read_effect_weight(pd.DataFrame({"belief": ["evidence", "no effect"], "weight": [0.75, 0.25]}))
    0.75
    >>> read_effect_weight(pd.DataFrame({"candidate": ["ridge"]}))
    1.0
    """
    if "belief" not in selection:
        return 1.0
    return 1.0 - float(selection.loc[selection["belief"].isin(WITHOUT_DIFFERENCE), "weight"].sum())
