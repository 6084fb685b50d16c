"""Explain one prediction step by step, from the prediction for the average patient to that for this patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paincast.deferred import pandas as pd
from paincast.errors import DataError
from paincast.explain.contributions import Explanation, format_value
from paincast.schema import MINIMUM_CELL

MOST_STEPS = 9
START, REST, END = "start", "rest", "served"


def compute_waterfall(explanation: Explanation, row: int = 0, *, most: int = MOST_STEPS) -> pd.DataFrame:
    """Compute the contributions for one patient as steps that add up to the prediction.

    Parameters
    ----------
    explanation : Explanation
        From :meth:`paincast.predictor.Predictor.explain`.
    row : int
        Row number of the patient, from 0.
    most : int
        How many variables, the strongest, have a separate step; the others are combined into one.

    Returns
    -------
    DataFrame
        ``step, variable, value, contribution, begin, end``. ``step`` is ``start`` (the base, the same for all patients
        unless a calibration is applied after the model), ``variable``, ``rest`` (``value`` states the number of
        variables) or ``served``, whose ``end`` is the prediction in log odds or points.

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
    # A single remaining variable gets a separate step, so that its name is shown.
    shown = order if len(order) <= most + 1 else order[:most]
    values, columns = explanation.values.iloc[row], explanation.contract.episodes
    steps: list[tuple[str, str, str, float]] = [
        ("variable", str(name), format_value(columns[str(name)], values[name]), float(parts[name])) for name in shown
    ]
    if len(shown) < len(order):
        others = order[len(shown) :]
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
    """Average the explanation of a group, to show what influences predictions without showing a single patient.

    Parameters
    ----------
    explanation : Explanation
        Explanation of a cohort.
    member : ndarray of bool, shape (n,)
        Members of the group.

    Returns
    -------
    Explanation
        One row, whose base and contributions add up to the mean prediction; the values are empty.

    Raises
    ------
    DataError
        If the group has fewer than five patients.
    """
    n_patients = len(np.unique(explanation.patient_codes[member]))
    if n_patients < MINIMUM_CELL:
        raise DataError(
            f"a group of {n_patients} patients is not averaged; allowed: {MINIMUM_CELL} or more",
            code="PC-EXPLAIN-02",
        )
    group = explanation.take(member)
    names = group.contributions.columns
    return Explanation(
        base=np.array([group.base.mean()]),
        contributions=group.contributions.mean().to_frame().T.reset_index(drop=True),
        values=pd.DataFrame([[""] * len(names)], columns=names, dtype=object),
        unit=explanation.unit,
        sign=explanation.sign,
        contract=explanation.contract,
    )
