"""What a prior may believe of the values that are recorded of a patient."""

from __future__ import annotations

import numpy as np

from paincast.files.serialization import PlainTable

EVIDENCE, NO_EFFECT, UNKNOWN_EFFECTS, OVERALL_RISK = "evidence", "no effect", "unknown effects", "overall risk"

WITHOUT_DIFFERENCE = (NO_EFFECT, OVERALL_RISK)
"""Beliefs that no recorded value matters."""


def read_effect_weight(selection: PlainTable) -> float:
    """Read from the weights of the beliefs to which degree recorded values are believed to matter.

    Parameters
    ----------
    selection : PlainTable
        ``belief, weight`` of a model with a prior; other tables are those of a model without, which believes that
        they do.

    Examples
    --------
    >>> read_effect_weight(PlainTable([{"belief": "no effect", "weight": 0.25}]))
    0.75
    >>> read_effect_weight(PlainTable([{"candidate": "ridge"}]))
    1.0
    """
    weights = [float(row["weight"]) for row in selection if row.get("belief") in WITHOUT_DIFFERENCE]
    return 1.0 - float(np.sum(weights))
