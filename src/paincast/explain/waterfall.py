"""One prediction step by step: from what is served of the average patient to what is served of this one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paincast.errors import DataError
from paincast.explain.contributions import Explanation, format_value
from paincast.schema import MINIMUM_CELL

MOST_STEPS = 9
START, REST, END = "start", "rest", "served"


def compute_waterfall(explanation: Explanation, row: int = 0, *, most: int = MOST_STEPS) -> pd.DataFrame:
    """Give the contributions of one patient as steps that add up to what is served.

    Parameters
    ----------
    explanation : Explanation
        From :meth:`paincast.predictor.Predictor.explain`.
    row : int
        Place of the patient.
    most : int
        How many variables have a step of their own, the strongest; the others have one together.

    Returns
    -------
    DataFrame
        ``step, variable, value, contribution, begin, end``. ``step`` is ``start`` (the base, from which every patient
        begins; of a model with a calibration beside it that of this patient), ``variable``, ``rest`` (how many
        variables is told in ``value``) or ``served``, whose ``end`` is the log odds, or points, that is served.

    Raises
    ------
    DataError
        If there is no such row.

    References
    ----------
    Lundberg SM, Lee SI. NeurIPS 2017. doi:10.48550/arXiv.1705.07874
    """
    n = len(explanation.base)
    if not 0 <= row < n:
        raise DataError(f"row {row} is not explained; allowed: 0 to {n - 1}", code="PC-EXPLAIN-01")
    parts = explanation.contributions.iloc[row].astype(float)
    order = parts.abs().sort_values(ascending=False, kind="stable").index
    # A single variable that is left over gets a step of its own rather than one that hides its name.
    own = order if len(order) <= most + 1 else order[:most]
    values = explanation.values.iloc[row]
    steps: list[tuple[str, str, str, float]] = [
        ("variable", str(name), format_value(str(name), values[name]), float(parts[name])) for name in own
    ]
    if len(own) < len(order):
        others = order[len(own) :]
        steps.append((REST, "", f"{len(others)} other variables", float(parts[others].sum())))
    return _stack(float(explanation.base[row]), steps)


def _stack(base: float, steps: list[tuple[str, str, str, float]]) -> pd.DataFrame:
    table = pd.DataFrame([(START, "", "", base), *steps], columns=["step", "variable", "value", "contribution"])
    end = table["contribution"].cumsum()
    table = table.assign(begin=end - table["contribution"], end=end)
    served = float(end.iloc[-1])
    last = pd.DataFrame(
        {"step": [END], "variable": "", "value": "", "contribution": served, "begin": 0.0, "end": served}
    )
    return pd.concat([table, last], ignore_index=True)


def summarize_group(explanation: Explanation, member: npt.NDArray[np.bool_]) -> Explanation:
    """Average the explanation of a group, so that what moves a prediction can be shown without showing a patient.

    Parameters
    ----------
    explanation : Explanation
        Explanation of a cohort.
    member : ndarray of bool, shape (n,)
        Who belongs to the group.

    Returns
    -------
    Explanation
        One row, whose base and contributions add up to the mean of what is served; the values are left empty.

    Raises
    ------
    DataError
        If the group holds fewer than five patients.
    """
    n_patients = len(np.unique(explanation.patient_codes[member]))
    if n_patients < MINIMUM_CELL:
        raise DataError(
            f"a group of {n_patients} patients is not averaged; allowed: {MINIMUM_CELL} or more",
            code="PC-EXPLAIN-02",
        )
    held = explanation.take(member)
    names = held.contributions.columns
    return Explanation(
        base=np.array([held.base.mean()]),
        contributions=held.contributions.mean().to_frame().T.reset_index(drop=True),
        values=pd.DataFrame([[""] * len(names)], columns=names, dtype=object),
        unit=explanation.unit,
        sign=explanation.sign,
    )
