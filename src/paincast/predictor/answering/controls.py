"""Put beside a prediction what patients of a matching control arm had, or why nothing is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paincast.evidence.comparators import Comparator, choose_comparator, explain_silence
from paincast.evidence.rules import TechniqueRules

CONTROL_COLUMNS = (
    "control_probability",
    "control_lower",
    "control_upper",
    "control_month",
    "control_arm",
    "control_definition",
    "control_tag",
    "control_because",
)
"""What patients of a matching control arm had, or why nothing is shown."""


def find_controls(
    rules: TechniqueRules, outcome: str, month: float, episodes: pd.DataFrame, *, unmatched: Sequence[str] = ()
) -> pd.DataFrame:
    """Find for each episode what patients of a control arm had: only where outcome, month, indication and arm fit.

    Parameters
    ----------
    rules : TechniqueRules
        Rules of the technique, with the controls of the outcome.
    outcome : str
        Outcome asked.
    month : float
        Month asked; a control arm was seen within half of it.
    episodes : DataFrame of shape (n, ...)
        Patients in the types of the contract.
    unmatched : sequence of str
        Instruments of the model by which no control arm was assessed; none is then shown.

    Returns
    -------
    DataFrame of shape (n, 8)
        ``control_probability`` with ``control_lower, control_upper``, ``control_month``, ``control_arm`` (kind of arm),
        ``control_definition`` and ``control_tag``; where it is missing ``control_because`` says why.
    """
    found = pd.DataFrame(index=episodes.index)
    for name in CONTROL_COLUMNS:
        is_text = name in ("control_arm", "control_definition", "control_tag", "control_because")
        found[name] = pd.Series("" if is_text else np.nan, index=episodes.index, dtype="str" if is_text else "float64")
    if unmatched:
        found["control_because"] = f"control arms were not assessed by {', '.join(unmatched)}"
        return found
    places = episodes[["indication", "approach"]].astype("str").fillna("")
    for indication, approach in places.drop_duplicates().itertuples(index=False, name=None):
        rows = (places["indication"] == indication) & (places["approach"] == approach)
        for name, value in _find_control(rules, outcome, month, indication, approach).items():
            found.loc[rows, name] = value
    return found


def _find_control(
    rules: TechniqueRules, outcome: str, month: float, indication: str, approach: str
) -> dict[str, float | str]:
    """Find the control of patients with an indication who are treated by an approach."""
    own = [
        control
        for control in rules.controls
        if control["indication"] == indication and control["approach"] in (None, approach)
    ]
    comparators = [
        Comparator(
            outcome=outcome,
            indication=indication,
            kind=control["arm"],
            share=control["probability"],
            source=tuple(control["source"]),
            **{name: control[name] for name in ("month", "lower", "upper", "n", "definition", "tag")},
        )
        for control in own
    ]
    chosen = choose_comparator(comparators, outcome, month)
    if chosen is None:
        remarks = [
            item["remark"]
            for item in rules.remarks
            if item["indication"] == indication and item["approach"] in (None, approach)
        ]
        return {"control_because": explain_silence(comparators, outcome, month, remarks[0] if remarks else "")}
    return {
        "control_probability": chosen.share,
        "control_lower": chosen.lower,
        "control_upper": chosen.upper,
        "control_month": chosen.month,
        "control_arm": chosen.kind,
        "control_definition": f"{chosen.definition} (n {chosen.n}; {', '.join(chosen.source)})",
        "control_tag": chosen.tag,
    }
